"""Durable receivers in Flask apps, with Flask-SQLAlchemy."""

from contextlib import ExitStack

import pytest

import aldis

pytest.importorskip("flask_sqlalchemy")

from flask import (
    Flask,
    appcontext_tearing_down,
    current_app,
    g,
    has_request_context,
    request_tearing_down,
)
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from aldis.durable import Outbox, Worker, current_delivery, durable, tables
from aldis.errors import NoSessionError, OutboxError
from aldis.flask import Aldis
from aldis.testing import drain
from tests.durable.support import counts, order_paid
from tests.durable.working import run_all

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


class Shop:
    """An app with a database and an outbox."""

    def __init__(self, url, **options):
        self.db = db = SQLAlchemy()

        class Order(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            receipts: Mapped[int] = mapped_column(default=0)

        self.Order = Order
        tables(db.metadata)
        self.app = Flask("shop")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url
        db.init_app(self.app)
        self.outbox = Outbox(db.session, **options)
        Aldis(self.app, outbox=self.outbox)
        with self.app.app_context():
            db.create_all()
        self.app.add_url_rule("/pay/<int:order_id>", view_func=self.pay, methods=["POST"])

    def pay(self, order_id):
        """Pay an order. Number 13 fails."""
        self.db.session.add(self.Order(id=order_id))
        order_paid.send("harbour", order_id=order_id)
        if order_id == 13:
            raise LookupError
        self.db.session.commit()
        return "paid"

    def receipts(self, order_id):
        """Return the number of receipts of an order."""
        with self.app.app_context():
            return self.db.session.get(self.Order, order_id).receipts

    def states(self):
        """Return the number of deliveries in each state."""
        with self.app.app_context():
            return counts(self.outbox)

    def close(self):
        """Close the database."""
        with self.app.app_context():
            self.db.engine.dispose()


@pytest.fixture
def open_shop(tmp_path):
    """Return a function that opens a shop on a file."""
    with ExitStack() as shops:

        def open_one(name="shop", **options):
            shop = Shop(f"sqlite:///{tmp_path / name}.db", **options)
            shops.callback(shop.close)
            return shop

        yield open_one


@pytest.fixture(params=["file", "memory"])
def shop(request, tmp_path):
    """Provide a shop, on a file and in memory."""
    file = f"sqlite:///{tmp_path / 'shop.db'}"
    shop = Shop(file if request.param == "file" else "sqlite://")
    yield shop
    shop.close()


@pytest.fixture
def receipt(shop):
    """Provide a receiver that writes through ``db.session``."""

    @order_paid.connect
    @durable("billing.receipt")
    def receipt(sender, *, order_id, **extra):
        assert current_delivery().session == shop.db.session()
        shop.db.session.get(shop.Order, order_id).receipts += 1

    return receipt


class TestRequests:
    def test_a_request_and_its_delivery(self, shop, receipt):
        """A delivery is recorded with the order, and the receiver writes through ``db.session``."""

        @order_paid.connect
        @durable("billing.write")
        def write(sender, *, order_id, **extra):
            order = current_delivery().session.get(shop.Order, order_id)
            order.receipts += 10

        assert 200 == shop.app.test_client().post("/pay/7").status_code
        assert 0 == shop.receipts(7)
        assert 2 == drain(app=shop.app).done
        assert 11 == shop.receipts(7)

    def test_a_request_that_fails(self, shop, receipt, monkeypatch):
        """A failed request rolls back the order and the delivery."""
        shop.app.config["PROPAGATE_EXCEPTIONS"] = False
        monkeypatch.setattr(shop.app.logger, "disabled", True)  # other apps of the name share it
        assert 500 == shop.app.test_client().post("/pay/13").status_code
        assert {} == shop.states()

    def test_the_worker(self, open_shop):
        """A worker runs receivers in the app's context."""
        shop = open_shop(immediate=True)
        seen = []

        @order_paid.connect
        @durable("billing.receipt")
        def receipt(sender, *, order_id, **extra):
            seen.append((current_app.name, has_request_context(), hasattr(g, "mine")))
            g.mine = order_id
            current_delivery().session.get(shop.Order, order_id).receipts += 1

        client = shop.app.test_client()
        for order_id in range(1, 6):
            client.post(f"/pay/{order_id}")
        with shop.app.app_context():
            run_all(shop.outbox, app=shop.app, context=shop.app.app_context)
        assert [("shop", False, False)] * 5 == seen
        assert [1] * 5 == [shop.receipts(order_id) for order_id in range(1, 6)]

    def test_the_app_as_sender(self, shop):
        """The app as the sender becomes the worker's app."""
        started = aldis.Namespace().define(_started)
        received = []

        @started.connect
        @durable("ops.started")
        def note(sender, **extra):
            received.append(sender)

        with shop.app.app_context():
            started.send(current_app)
            assert 1 == drain().done
        assert [shop.app] == received

    def test_an_async_receiver(self, shop):
        """An async receiver has the app's context."""
        received = []

        @order_paid.connect
        @durable("billing.wait")
        async def wait(sender, *, order_id, **extra):
            received.append(current_app.name)
            current_delivery().session.get(shop.Order, order_id).receipts += 1

        shop.app.test_client().post("/pay/7")
        assert 1 == drain(app=shop.app).done
        assert (["shop"], 1) == (received, shop.receipts(7))


def _started(sender: Flask, /) -> None:
    """Sent by an app."""


class TestContexts:
    def test_are_torn_down_after_each_delivery(self, shop, receipt):
        """The app context is torn down after each delivery."""
        torn_down = []

        @shop.app.teardown_appcontext
        def note(error):
            torn_down.append(current_app.name)

        client = shop.app.test_client()
        client.post("/pay/7")
        client.post("/pay/8")
        before, requests = len(shop.db.session.registry.registry), len(torn_down)
        drain(app=shop.app)
        assert len(torn_down) >= requests + 2
        assert before == len(shop.db.session.registry.registry)

    def test_each_delivery_has_a_new_session(self, shop):
        """Each delivery has a new session, also after a failed one."""
        seen = []

        @order_paid.connect
        @durable("billing.careless")
        def careless(sender, *, order_id, **extra):
            session = current_delivery().session
            seen.append((list(session.new), list(session.identity_map)))
            session.add(shop.Order(id=order_id + 100))
            if order_id == 7:
                raise LookupError

        client = shop.app.test_client()
        client.post("/pay/7")
        client.post("/pay/8")
        drain(app=shop.app, raise_errors=False)
        assert [([], [])] * 2 == seen

    def test_sends_on_teardown_have_their_own_transaction(self, shop, receipt):
        """A send after ``session.remove()`` is committed at once."""

        @request_tearing_down.connect_via(shop.app)
        def late(sender, **extra):
            order_paid.send("late", order_id=99)

        shop.app.test_client().post("/pay/7")
        assert {"pending": 2} == shop.states()

    def test_sends_while_the_context_goes(self, shop, receipt):
        """A send during the teardown of the app context is committed at once."""

        @appcontext_tearing_down.connect_via(shop.app)
        def late(sender, **extra):
            appcontext_tearing_down.disconnect(late)
            order_paid.send("late", order_id=99)

        shop.app.test_client().post("/pay/7")
        assert {"pending": 2} == shop.states()


class TestWhoseOutbox:
    def test_two_apps(self, open_shop):
        """Each app records its sends in its own database."""
        first, second = map(open_shop, "ab")

        @order_paid.connect
        @durable("billing.receipt")
        def receipt(sender, **extra): ...

        first.app.test_client().post("/pay/1")
        assert ({"pending": 1}, {}) == (first.states(), second.states())
        assert (0, 1) == (drain(app=second.app).done, drain(app=first.app).done)

    def test_without_an_app(self, shop, receipt):
        """A send outside an app context is an error."""
        with pytest.raises(NoSessionError, match=r"Aldis\(app, outbox=Outbox\(db.session\)\)"):
            order_paid.send("harbour", order_id=7)

    def test_an_app_without_an_outbox(self, receipt):
        """A send in an app without an outbox is an error."""
        app = Flask("bare")
        Aldis(app)
        with (
            app.app_context(),
            pytest.raises(NoSessionError, match="no current app with an outbox"),
        ):
            order_paid.send("harbour", order_id=7)

    def test_a_session_is_no_outbox(self, shop):
        """A session in place of the outbox is refused."""
        with pytest.raises(OutboxError, match=r"not .*: Aldis\(app, outbox=Outbox\(db.session\)\)"):
            Aldis(Flask("other"), outbox=shop.db.session)

    def test_an_app_is_no_outbox(self, shop):
        """``drain`` refuses an app in place of the outbox."""
        with pytest.raises(OutboxError, match=r"not <Flask 'shop'>: drain\(outbox\), or"):
            drain(shop.app)
        with pytest.raises(OutboxError, match=r"not <Flask 'shop'>: Worker\(outbox\)"):
            Worker(shop.app)

    def test_a_second_extension(self, shop):
        """A second outbox for one app is refused."""
        with pytest.raises(OutboxError, match="has an extension aldis already"):
            Aldis(shop.app, outbox=Outbox(shop.db.session))

    def test_the_first_transaction_begins_properly(self, open_shop):
        """SQLite is prepared with the first context, before a view reads."""
        shop = open_shop()

        @order_paid.connect
        @durable("billing.receipt")
        def receipt(sender, **extra): ...

        @shop.app.post("/undo")
        def undo():
            session = shop.db.session
            session.get(shop.Order, 7)
            with session.begin_nested():
                session.add(shop.Order(id=7))
                order_paid.send("harbour", order_id=7)
            session.rollback()
            return "undone"

        shop.app.test_client().post("/undo")
        assert {} == shop.states()
        with shop.app.app_context():
            assert None is shop.db.session.get(shop.Order, 7)
