"""Random programs of steps with a session, and a player for them."""

from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import object_session

import aldis
from aldis.receivers import after_commit
from aldis.transactions import buffer_of
from tests.transactions.tables import Happened

#: The steps. The number is the level: 0 is the outermost of the open levels.
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
    """Plays a program on a session, and records the calls of its after_commit receiver.

    Each send also writes a row in the same transaction, so the rows in the database are the
    expected calls.
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
        """Do the steps in order; then close the session."""
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
        """Commit, roll back or close an open level, and the levels inside it."""
        levels = self.levels()
        if levels:
            getattr(levels[depth % len(levels)], how)()

    def tell(self, number):
        """Send, and add a row."""
        self.sent.append(number)
        self.signal.send(number)
        buffer_of(self.session).write(self.session, self.scribe, number)

    def do_send(self):
        """Add a row and send."""
        self.number += 1
        self.session.execute(insert(Happened).values(number=self.number))
        self.tell(self.number)

    def do_add(self):
        """Add an object that sends at its flush."""
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
        # They are flushed in the order of their keys: the first sends before the second fails.
        self.session.add_all([Happened(number=self.number), Happened(number=-self.number)])
        try:
            self.session.flush()
        except IntegrityError:
            self.levels()[-1].rollback()

    def do_close(self):
        """Close the innermost level. SQLAlchemy cannot close another one first."""
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
