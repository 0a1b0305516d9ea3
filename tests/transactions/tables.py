"""Two tables: events, and the rows that a writer wrote about them."""

from sqlalchemy import event, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Table(DeclarativeBase):
    pass


class Happened(Table):
    """An event in a transaction. The flush calls its ``when_inserted``."""

    __tablename__ = "happened"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    when_inserted = None


class Written(Table):
    """The rows that a writer got, in the order of writing."""

    __tablename__ = "written"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


@event.listens_for(Happened, "after_insert")
def tell_inserted(mapper, connection, target):
    """Call the event's ``when_inserted``."""
    if target.when_inserted is not None:
        target.when_inserted()


class Scribe:
    """A writer that writes into ``written``."""

    def __init__(self, engine=None):
        self.engine = engine
        self.batches = []
        self.late = []
        self.told = 0

    def write(self, session, rows):
        """Write the rows in the given order."""
        self.batches.append(list(rows))
        for number in rows:
            session.execute(insert(Written).values(number=number))

    def committed(self):
        """Count."""
        self.told += 1

    def write_late(self, rows):
        """Write the rows in a separate transaction."""
        self.late += rows
        with Session(self.engine) as session, session.begin():
            session.execute(insert(Written), [{"number": number} for number in rows])


def leave(session, number):
    """Add an event in the transaction of a session."""
    session.execute(insert(Happened).values(number=number))


def committed(engine):
    """Return the committed events and the committed rows, in order."""
    with engine.connect() as connection:
        happened = connection.scalars(select(Happened.number).order_by(Happened.number)).all()
        written = connection.scalars(select(Written.number).order_by(Written.id)).all()
    return list(happened), list(written)
