"""Two tables: what happened, and what a writer wrote about it."""

from sqlalchemy import event, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Table(DeclarativeBase):
    pass


class Happened(Table):
    """Something that happened in a transaction; ``when_inserted`` is called in the flush."""

    __tablename__ = "happened"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    when_inserted = None


class Written(Table):
    """What a writer was given, in the order in which it wrote."""

    __tablename__ = "written"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


@event.listens_for(Happened, "after_insert")
def tell_inserted(mapper, connection, target):
    """Call what the object has for it."""
    if target.when_inserted is not None:
        target.when_inserted()


class Scribe:
    """A writer of the buffer that writes into ``written``."""

    def __init__(self, engine=None):
        self.engine = engine
        self.batches = []
        self.late = []
        self.told = 0

    def write(self, session, rows):
        """Write the rows, one after the other in the order given."""
        self.batches.append(list(rows))
        for number in rows:
            session.execute(insert(Written).values(number=number))

    def committed(self):
        """Count."""
        self.told += 1

    def write_late(self, rows):
        """Write the rows in a transaction of their own."""
        self.late += rows
        with Session(self.engine) as session, session.begin():
            session.execute(insert(Written), [{"number": number} for number in rows])


def leave(session, number):
    """Let something happen in the transaction of a session."""
    session.execute(insert(Happened).values(number=number))


def committed(engine):
    """Return what is there, seen from outside: what happened, and what was written, in order."""
    with engine.connect() as connection:
        happened = connection.scalars(select(Happened.number).order_by(Happened.number)).all()
        written = connection.scalars(select(Written.number).order_by(Written.id)).all()
    return list(happened), list(written)
