"""The tree shows the result of each delivery mode. It hides receivers and frames of aldis."""

import gc
import logging
import traceback
import warnings

import flask
import pytest
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import aldis
from aldis.durable import Outbox, durable
from aldis.errors import StrictWarning
from aldis.flask import Aldis, captured_templates
from aldis.observe import trace
from aldis.receivers import after_commit, robust
from aldis.testing import MemoryStore
from tests.durable.support import in_memory, order_paid, rows

pytestmark = pytest.mark.usefixtures("no_relays", "lenient")


@pytest.fixture
def engine():
    """Give an engine with the tables."""
    with in_memory() as engine:
        yield engine


@pytest.fixture
def outbox(engine):
    """Give an outbox of the engine."""
    return Outbox(engine=engine)


@pytest.fixture
def session(engine, outbox):
    """Give a session in a transaction. The outbox uses it."""
    with Session(engine) as session, outbox.using(session):
        session.begin()
        yield session


def states(seen):
    """Return the state and the delivery's id of each call of the first send."""
    return [(call.state, call.delivery_id) for call in seen.roots[0].calls]


def connect_durable():
    """Connect a durable receiver."""

    @order_paid.connect
    @durable("shop.receipt")
    def receipt(sender, *, order_id): ...

    return receipt


class TestRecorded:
    def test_a_commit_records_the_delivery(self, session, outbox):
        """The node waits for the commit, and then has the id of the row."""
        connect_durable()
        with trace() as seen:
            order_paid.send("harbour", order_id=7)
            assert "receipt  deferred until the commit" in str(seen)
            session.commit()
        [row] = rows(outbox)
        assert [("recorded", row.id)] == states(seen)
        assert f"receipt  recorded as delivery {row.id}  " in str(seen)

    def test_several_receivers_and_sends_have_their_own_ids(self, session, outbox):
        """Each node has the id of its own delivery."""
        connect_durable()

        @order_paid.connect
        @durable("shop.parcel")
        def parcel(sender, *, order_id): ...

        with trace() as seen:
            for number in range(3):
                order_paid.send("harbour", order_id=number)
            session.commit()
        shown = [
            (root.calls.index(call), call.delivery_id) for root in seen.roots for call in root.calls
        ]
        assert [
            (["shop.receipt", "shop.parcel"].index(row.receiver), row.id) for row in rows(outbox)
        ] == shown

    def test_without_a_transaction_the_delivery_is_recorded_at_once(self, engine, outbox):
        """The send gets a transaction from aldis, and the node has the id at once."""
        connect_durable()
        with Session(engine) as session, outbox.using(session), trace() as seen:
            order_paid.send("harbour", order_id=7)
        assert [("recorded", rows(outbox)[0].id)] == states(seen)

    def test_a_send_in_the_transaction_of_a_connection(self, engine, outbox):
        """The node has the id of the delivery."""
        connect_durable()
        with engine.begin() as connection, outbox.using(connection), trace() as seen:
            order_paid.send("harbour", order_id=7)
        assert [("recorded", rows(outbox)[0].id)] == states(seen)

    def test_a_store_outside_of_the_database(self, engine):
        """The store reports the id after the commit."""
        connect_durable()
        outbox = Outbox(store=MemoryStore())
        with Session(engine) as session, outbox.using(session), session.begin(), trace() as seen:
            order_paid.send("harbour", order_id=7)
            assert [("deferred", None)] == states(seen)
        assert [("recorded", rows(outbox)[0].id)] == states(seen)

    @pytest.mark.parametrize("savepoint", [False, True])
    def test_a_rollback_drops_it(self, session, savepoint):
        """A rollback of the transaction or of the savepoint is shown."""
        connect_durable()
        with trace() as seen:
            inner = session.begin_nested() if savepoint else session
            order_paid.send("harbour", order_id=7)
            inner.rollback()
            session.commit()
        assert [("rolled back", None)] == states(seen)
        assert "dropped: the transaction was rolled back" in str(seen)

    def test_a_forgotten_commit_drops_it(self, session):
        """A session that is closed without a commit is shown."""
        connect_durable()
        with trace() as seen:
            order_paid.send("harbour", order_id=7)
            session.close()
        assert [("not committed", None)] == states(seen)


class TestAfterCommit:
    @pytest.fixture
    def thank(self):
        """Connect a receiver that runs after the commit."""

        @order_paid.connect
        @after_commit
        def thank(sender, *, order_id): ...

        return thank

    def test_deferred_and_then_called(self, session, thank):
        """The receiver appears when it is deferred, and again when it runs."""
        with trace() as seen:
            order_paid.send("harbour", order_id=7)
            assert ["deferred"] == [state for state, _ in states(seen)]
            session.commit()
        assert ["deferred", "called after the commit"] == [state for state, _ in states(seen)]
        first, second = str(seen).splitlines()[1:]
        assert "thank  deferred until the commit" in first
        assert "s  after the commit  " in second

    def test_called_at_once_without_a_transaction(self, engine, outbox, thank):
        """The receiver has an ordinary call."""
        with Session(engine) as session, outbox.using(session), trace() as seen:
            order_paid.send("harbour", order_id=7)
        assert [("called", None)] == states(seen)

    def test_an_error_at_once_is_shown(self, engine, outbox):
        """The sender does not see the error, but the tree shows it."""

        @order_paid.connect
        @after_commit
        def fail(sender, *, order_id):
            raise ValueError("lamp out")

        with Session(engine) as session, outbox.using(session), trace() as seen:
            order_paid.send("harbour", order_id=7)
        assert ["ValueError: lamp out"] == [call.error for call in seen.roots[0].calls]

    @pytest.mark.parametrize("savepoint", [False, True])
    def test_a_rollback_drops_it(self, session, thank, savepoint):
        """A rollback of the transaction or of the savepoint is shown."""
        with trace() as seen:
            inner = session.begin_nested() if savepoint else session
            order_paid.send("harbour", order_id=7)
            inner.rollback()
            session.commit()
        assert [("rolled back", None)] == states(seen)

    def test_strict_mode_warns_about_a_forgotten_commit(self, session, thank):
        """The warning names the receiver. Without strict mode, only the tree shows the problem."""
        with trace() as seen:
            order_paid.send("harbour", order_id=7)
            session.close()
        assert [("not committed", None)] == states(seen)
        aldis.set_strict()
        session.begin()
        order_paid.send("harbour", order_id=7)
        with pytest.warns(StrictWarning, match=r"thank \(.*\) waited .* the session"):
            session.close()

    def test_strict_mode_warns_about_a_session_that_is_never_closed(self, engine, outbox, thank):
        """The warning appears when the garbage collector frees the session."""
        aldis.set_strict()
        session = Session(engine)
        session.begin()
        with outbox.using(session):
            order_paid.send("harbour", order_id=7)
        with pytest.warns(StrictWarning, match="waited for a commit"):  # noqa: PT031
            del session
            gc.collect()

    def test_strict_mode_accepts_a_rollback(self, session, thank):
        """An explicit rollback causes no warning."""
        aldis.set_strict()
        order_paid.send("harbour", order_id=7)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            session.rollback()
            session.close()

    @pytest.mark.parametrize("commit", [False, True])
    def test_strict_mode_warns_at_the_end_of_the_app_context(self, engine, thank, commit):
        """A session that stays open after its app context may keep receivers waiting forever."""
        sessions = scoped_session(sessionmaker(engine))
        app = flask.Flask("shop")
        Aldis(app, outbox=Outbox(sessions), strict=True)

        def work():
            with app.app_context():
                sessions.begin()
                order_paid.send("harbour", order_id=7)
                if commit:
                    sessions.commit()

        if commit:
            work()
        else:
            with pytest.warns(StrictWarning, match="the app context has ended without a commit"):
                work()
        sessions.rollback()
        sessions.remove()


class TestHidden:
    def test_trees_and_lists_hide_the_receivers_of_aldis(self, engine):
        """The receivers of the extension and of captured_templates are not shown."""
        app = flask.Flask("shop")
        Aldis(app, outbox=Outbox(engine=engine), strict=True)
        app.add_url_rule("/", view_func=lambda: flask.render_template_string("hello"))
        with captured_templates(app) as rendered, trace() as seen:
            assert [] == list(flask.template_rendered.explain(app).rows)
            app.test_client().get("/")
        assert 1 == len(rendered)
        assert {"no receiver"} == {
            line.split("  ")[1] for line in str(seen).splitlines() if "sent by" in line
        }
        assert [] == [call for root in seen.roots for call in root.calls]
        for name in ("request_started", "appcontext_pushed", "got_request_exception"):
            assert [] == list(getattr(flask, name).explain(app).rows)


@pytest.mark.parametrize("how", ["robust", "send_robust", "after_commit", "continue_on_error"])
def test_a_logged_traceback_has_no_frame_of_aldis(how, session, caplog):
    """The traceback begins in the receiver. A send inside the receiver adds no frame."""
    inner = aldis.Signal()

    @inner.connect
    def fail(sender):
        raise ValueError("lamp out")

    def outer(sender, **extra):
        inner.send()

    signal = aldis.Signal()
    mode = {"robust": robust, "after_commit": after_commit}.get(how)
    receiver = outer if mode is None else mode(outer)
    signal.connect(receiver)
    with trace():  # with a trace, a send has the most frames
        if how == "continue_on_error":
            signal.continue_on_error = True
            with pytest.raises(ValueError, match="lamp out"):
                signal.send()
        else:
            (signal.send_robust if how == "send_robust" else signal.send)()
        session.commit()
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    frames = traceback.extract_tb(record.exc_info[2] or record.exc_info[1].__traceback__)
    assert ["outer", "fail"] == [frame.name for frame in frames]


def test_flask_logs_a_traceback_without_frames_of_aldis(caplog):
    """The traceback of a 500 leads from the view to the receiver."""
    app = flask.Flask("failing shop")  # no other test uses this logger
    Aldis(app)
    signal = aldis.Signal()

    @signal.connect
    def fail(sender):
        raise ValueError("lamp out")

    @app.route("/")
    def index():
        signal.send()

    with trace():
        assert 500 == app.test_client().get("/").status_code
    frames = traceback.extract_tb(caplog.records[-1].exc_info[2])
    assert ["index", "fail"] == [frame.name for frame in frames][-2:]
