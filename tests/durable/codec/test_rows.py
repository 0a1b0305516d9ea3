"""Mapped instances are written as their class and primary key, and are loaded again."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import ClassVar

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    types,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry

from aldis.durable.codec import PayloadCodec
from aldis.errors import LostRowError, PayloadError, PayloadMismatchError, PayloadTypeError
from tests.durable.codec.signals import Rows, codec_of, receipt


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="order")
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "order"}


class GiftOrder(Order):
    __tablename__ = "gifts"
    id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    __mapper_args__: ClassVar = {"polymorphic_identity": "gift"}


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


class OwnTable(Note):
    __tablename__ = "others"
    id: Mapped[int] = mapped_column(primary_key=True)
    __mapper_args__: ClassVar = {"concrete": True}


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


class Price(Base):
    __tablename__ = "prices"
    sku: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    amount: Mapped[Decimal] = mapped_column(primary_key=True)
    code: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)


class Guid(types.TypeDecorator):
    """A UUID in a column of text, as in SQLAlchemy's manual."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        """Write a UUID."""
        return None if value is None else value.hex

    def process_result_value(self, value, dialect):
        """Read a UUID."""
        return None if value is None else uuid.UUID(value)


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[uuid.UUID] = mapped_column(Guid, primary_key=True)


class Level(IntEnum):
    LOW = 1


class LevelColumn(types.TypeDecorator):
    """An enum in a column of numbers."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value, dialect):
        """Read a level."""
        return None if value is None else Level(value)


class Levelled(Base):
    __tablename__ = "levelled"
    level: Mapped[Level] = mapped_column(LevelColumn, primary_key=True)


class Shop:
    """A class that is mapped imperatively."""

    def __init__(self, number):
        self.number = number


mapped_apart = registry()
mapped_apart.map_imperatively(
    Shop, Table("shops", MetaData(), Column("number", Integer, primary_key=True))
)


@pytest.fixture
def session() -> Iterator[Session]:
    """Yield a session on a new database."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    Shop.__table__.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def stored(session, instance):
    """Commit an instance and return it."""
    session.add(instance)
    session.commit()
    return instance


@pytest.mark.parametrize(
    "make",
    [
        Order,
        GiftOrder,
        lambda: Customer(id=uuid.uuid4()),
        lambda: Ticket(id=uuid.uuid4()),
        lambda: Shop(4),
        lambda: Price(
            sku="a",
            day=date(2026, 1, 2),
            at=datetime(2026, 1, 2, 3),  # noqa: DTZ001 - databases have those
            amount=Decimal("1.5000000000"),
            code=b"\xff",
        ),
    ],
)
def test_the_worker_loads_the_row(session, make):
    """The worker loads the row of the sender, for every type of primary key."""
    instance = stored(session, make())
    kind = type(instance) if not isinstance(instance, GiftOrder) else Order
    codec = codec_of(kind, kind)
    text = codec.encode(instance, {"value": instance})
    with Session(session.get_bind()) as other:
        sender, arrived = codec.decode(text, Rows(session=other))

        assert sender is arrived["value"]
        assert type(instance) is type(sender)
        mapper = type(instance).__mapper__
        assert mapper.primary_key_from_instance(instance) == mapper.primary_key_from_instance(
            sender
        )


def test_in_collections_and_optional(session):
    """Rows can be in a list, optional, and of several classes."""
    order, customer = stored(session, Order()), stored(session, Customer(id=uuid.uuid4()))
    codec = codec_of(list[Order | Customer | None])
    text = codec.encode(None, {"value": [customer, None, order]})

    assert [customer, None, order] == codec.decode(text, Rows(session=session))[1]["value"]


def test_the_text(session):
    """The text has the class's name, and the key's values with their types if JSON lacks them."""
    order = stored(session, Order(id=7))
    customer = stored(session, Customer(id=uuid.UUID(int=5)))
    codec = codec_of(Customer, Order)

    assert (
        '{"sender":{"row":"Order","key":[7]},"payload":{"value":{"row":"Customer","key":'
        '[{"UUID":"00000000-0000-0000-0000-000000000005"}]}}}'
    ) == codec.encode(order, {"value": customer})


def test_nothing_is_read_from_the_database_at_send(session):
    """The primary key is known without a query, although a commit expires all attributes."""
    order = stored(session, Order())
    assert not session.in_transaction()
    codec_of(Order).encode(None, {"value": order})

    assert not session.in_transaction()


def test_a_proxy_is_written_as_its_object(session):
    """A proxy such as ``current_user`` is written as the object behind it."""
    from werkzeug.local import LocalProxy

    order = stored(session, Order())
    proxy = LocalProxy(lambda: order)
    for kind in (Order, Order | None):
        codec = codec_of(kind, Order)
        text = codec.encode(proxy, {"value": proxy})
        assert (order, {"value": order}) == codec.decode(text, Rows(session=session))


def test_an_unbound_proxy():
    """A proxy outside of its context is refused with a clear error."""
    from werkzeug.local import LocalProxy

    def nothing():
        raise RuntimeError

    with pytest.raises(PayloadError, match="is a LocalProxy that stands for no object here"):
        codec_of(Order).encode(None, {"value": LocalProxy(nothing)})


class TestRefused:
    """An instance that the worker could not load is refused."""

    def test_pending(self, session):
        """An instance without a primary key must be flushed first."""
        order = Order()
        session.add(order)
        message = "argument 'value' is an Order without a primary key yet: flush it first"
        with pytest.raises(PayloadError, match=message):
            codec_of(Order).encode(None, {"value": order})
        session.flush()

        assert '"key":[1]' in codec_of(Order).encode(None, {"value": order})

    def test_deleted(self, session):
        """A deleted instance is refused."""
        order = stored(session, Order())
        session.delete(order)
        session.flush()
        with pytest.raises(
            PayloadError, match=r"is a deleted Order, which .*: give durable a payload="
        ):
            codec_of(Order).encode(None, {"value": order})

    def test_a_subclass_with_a_table_of_its_own(self, session):
        """A subclass with its own table must be declared."""
        other = stored(session, OwnTable())
        with pytest.raises(PayloadError, match="is an OwnTable, which has its own table"):
            codec_of(Note).encode(None, {"value": other})

        assert "OwnTable" in codec_of(Note | OwnTable).encode(None, {"value": other})

    def test_another_class(self, session):
        """An instance of another class is refused."""
        customer = stored(session, Customer(id=uuid.uuid4()))
        with pytest.raises(PayloadError, match="is a Customer, but Order is declared"):
            codec_of(Order).encode(None, {"value": customer})

    def test_a_sender_that_is_not_declared(self, session):
        """A class that the annotation does not name is refused as the sender."""
        order = stored(session, Order())
        message = (
            "the sender is a mapped Order, but the sender's annotation does not name that class: "
            "declare it in the signal's contract, or in the function of payload="
        )
        with pytest.raises(PayloadError, match=message):
            codec_of(int).encode(order, {"value": 1})
        with pytest.raises(
            PayloadError, match=r"does not name that class \(it is Order2, which cannot be res"
        ):
            codec_of(int, "Order2").encode(order, {"value": 1})

    def test_a_primary_key_that_cannot_be_encoded(self):
        """The types of the primary key's columns are checked when the receiver connects."""

        class Odd(Base):
            __tablename__ = "odd"
            id: Mapped[list[int]] = mapped_column(types.ARRAY(Integer), primary_key=True)

        message = (
            "argument 'value' has a primary key with 'id' of type list, which cannot be encoded"
        )
        with pytest.raises(PayloadTypeError, match=message):
            codec_of(Odd)
        Base.metadata.remove(Odd.__table__)

    def test_an_abstract_base(self):
        """A class without a table is refused."""
        with pytest.raises(
            PayloadTypeError, match="argument 'value' is Base, which cannot be encoded"
        ):
            codec_of(Base)

    def test_a_primary_key_that_a_type_decorator_makes(self, session):
        """A primary key that a TypeDecorator makes is checked at the send."""
        level = stored(session, Levelled(level=Level.LOW))
        message = "argument 'value' in its primary key is a Level, which cannot be encoded"
        with pytest.raises(PayloadError, match=message):
            codec_of(Levelled).encode(None, {"value": level})


class TestInTheWorker:
    """Problems with a row between the send and the worker."""

    def test_the_row_is_gone(self, session):
        """A row that is gone raises LostRowError, and ``upgrade=`` is not called."""
        order = stored(session, Order())
        codec = codec_of(Order, Order, upgrade=lambda payload: pytest.fail("called"))
        of_sender = codec.encode(order, {"value": order})
        of_payload = codec.encode(None, {"value": order})
        session.delete(order)
        session.commit()
        message = (
            r"recorded for receipt \(.*\) names a row that is gone: %s is the Order with .*\(1,\)"
        )
        with pytest.raises(LostRowError, match=message % "the sender"):
            codec.decode(of_sender, Rows(session=session))
        with pytest.raises(LostRowError, match=message % "argument 'value'"):
            codec.decode(of_payload, Rows(session=session))

    @pytest.mark.parametrize(
        "raw",
        [
            "7",
            '{"row":"Order"}',
            '{"row":"Order","key":[]}',
            '{"row":"Order","key":[1,2]}',
            '{"row":"Order","key":[[1]]}',
            '{"row":"Order","key":[{"Order":1}]}',
            '{"row":"Order","key":[{"datetime":"now"}]}',
            '{"row":"Order","key":[{"UUID":"x"}]}',
            '{"row":"Order","key":[1e300]}',
            '{"row":"Order","key":[99999999999999999999999]}',
            '{"row":"Customer","key":[1]}',
            '{"row":"os.system","key":[1]}',
        ],
    )
    def test_an_invalid_key(self, session, raw):
        """A key of another form is a mismatch."""
        text = f'{{"sender":{raw},"payload":{{"value":{raw}}}}}'
        for codec in (codec_of(Order), codec_of(Order, Order), codec_of(Order, Order | Customer)):
            with pytest.raises((PayloadMismatchError, LostRowError)):
                codec.decode(text, Rows(session=session))
        with pytest.raises(PayloadMismatchError, match="argument 'value'"):
            codec_of(Order).decode(
                f'{{"sender":null,"payload":{{"value":{raw}}}}}', Rows(session=session)
            )

    def test_a_key_that_the_column_cannot_bind(self, session):
        """A key that the column no longer accepts is a mismatch, so it is not retried."""
        text = '{"sender":null,"payload":{"value":{"row":"Ticket","key":[7]}}}'
        with pytest.raises(
            PayloadMismatchError, match="has a primary key that is not valid for a Ticket"
        ):
            codec_of(Ticket).decode(text, Rows(session=session))

    def test_a_database_that_is_down(self, session):
        """If the database is down, its error propagates, so that the delivery is retried."""
        from sqlalchemy.exc import OperationalError

        order = stored(session, Order())
        text = codec_of(Order).encode(None, {"value": order})
        broken = Session(create_engine("sqlite:////nowhere/at/all.db"))
        with broken, pytest.raises(OperationalError):
            codec_of(Order).decode(text, Rows(session=broken))


def test_a_projection_declares_the_sender(session):
    """Without a contract, the ``payload=`` function declares the sender's type."""
    from aldis import signal

    def project(sender: Order, *, note):
        return {"note": note}

    order = stored(session, Order())
    codec = PayloadCodec(receipt, signal("untyped"), project=project)
    text = codec.encode(order, {"note": "x"})

    assert (order, {"note": "x"}) == codec.decode(text, Rows(session=session))
