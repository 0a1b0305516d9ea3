"""Random programs of what can be done with a session, and how they are played."""

from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import object_session

import aldis
from aldis.receivers import after_commit
from aldis.transactions import buffer_of
from tests.transactions.tables import Happened

#: What a step may be. A number says which of the open levels is meant, the outermost is 0.
PLAIN = [
    "send",
    "send",
    "send",
    "add",
    "add",
    "send before commit",
    "send after flush",
    "begin",
    "begin",
    "flush",
    "fail",
    "commit all",
    "rollback all",
    "close",
    "close all",
]
WITH_LEVEL = ["commit", "commit", "commit", "rollback", "rollback"]


class Player:
    """Plays a program on a session, and remembers what its after_commit receiver was called with.

    Everything that is sent leaves a row in the same transaction, so that the database says
    what should have been called and written.
    """

    def __init__(self, session, scribe):
        self.session = session
        self.scribe = scribe
        self.sent = []
        self.heard = []
        self.number = 0
        self.at_commit = 0
        self.at_flush = 0
        self.signal = aldis.Signal()
        self.receiver = after_commit(session=session)(lambda number: self.heard.append(number))
        self.signal.connect(self.receiver)
        event.listen(session, "before_commit", self.before_commit)
        event.listen(session, "after_flush", self.after_flush)

    def before_commit(self, session):
        """Send, if a step asked for it."""
        while self.at_commit:
            self.at_commit -= 1
            self.do_send()

    def after_flush(self, session, context):
        """Send, if a step asked for it."""
        while self.at_flush:
            self.at_flush -= 1
            self.do_send()

    def play(self, program):
        """Do one step after the other; in the end the session is closed."""
        for step in program:
            if isinstance(step, str):
                getattr(self, "do_" + step.replace(" ", "_"))()
            else:
                self.end_level(*step)
        self.session.close()

    def levels(self):
        """Return the transaction and its savepoints, the outermost first."""
        level = self.session.get_nested_transaction() or self.session.get_transaction()
        found = []
        while level is not None:
            found.insert(0, level)
            level = level.parent
        return found

    def end_level(self, how, depth):
        """Commit, roll back or close a level that is open, maybe around others."""
        levels = self.levels()
        if levels:
            getattr(levels[depth % len(levels)], how)()

    def tell(self, number):
        """Send, and have a row written."""
        self.sent.append(number)
        self.signal.send(number)
        buffer_of(self.session).write(self.session, self.scribe, number)

    def do_send(self):
        """Leave a row and send."""
        self.number += 1
        self.session.execute(insert(Happened).values(number=self.number))
        self.tell(self.number)

    def do_add(self):
        """Add an object that sends when it is flushed, whenever that will be."""
        self.number += 1
        thing = Happened(number=self.number)
        thing.when_inserted = lambda: object_session(thing) and self.tell(thing.number)
        self.session.add(thing)

    def do_send_before_commit(self):
        """Send in the next hook before a commit."""
        self.at_commit += 1

    def do_send_after_flush(self):
        """Send in the next hook after a flush."""
        self.at_flush += 1

    def do_begin(self):
        """Begin a savepoint."""
        self.session.begin_nested()

    def do_flush(self):
        """Flush."""
        self.session.flush()

    def do_fail(self):
        """Fail in a flush, which rolls the innermost level back."""
        self.do_send()
        # Flushed in the order of their keys: a receiver heard of one before the other failed.
        self.session.add_all([Happened(number=self.number), Happened(number=-self.number)])
        try:
            self.session.flush()
        except IntegrityError:
            self.levels()[-1].rollback()

    def do_close(self):
        """Close the innermost level; SQLAlchemy itself is lost when another is closed."""
        for level in self.levels()[-1:]:
            level.close()

    def do_commit_all(self):
        """Commit."""
        self.session.commit()

    def do_rollback_all(self):
        """Roll back."""
        self.session.rollback()

    def do_close_all(self):
        """Close the session; it can be used again."""
        self.session.close()
