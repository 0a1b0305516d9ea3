"""Each page shows what is in the database, on each kind of database."""

import pytest
from sqlalchemy import event

from aldis import Namespace
from aldis.durable import Outbox, durable
from aldis.durable.store.memory import MemoryStore
from aldis.durable.types import DeliveryFilter, State
from aldis.web import Dashboard
from tests.web.browser import Client, text_of
from tests.web.conftest import new_place, operator

PAGES = ("/", "/deliveries", "/dead", "/receivers", "/workers", "/changes", "/prune", "/signals")

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eexe\u2066"
VISIBLE = "<script>alert(1)</script>\\x1b[31m\\u202eexe\\u2066"


def test_pages_on_each_database(any_place):
    """Every page works on every database, with an empty outbox and with deliveries."""
    client = Client(Dashboard(any_place.outbox, access=operator, show_payload=True))
    for page in PAGES:
        client.page(page)
    any_place.add(order_key="lamp")
    (dead,) = any_place.die("OSError: no paper", receiver="print")
    client.dashboard._context.cache.clear()
    assert "1 waiting" in text_of(client.page("/"))
    assert "1 dead letter in 1 group" in text_of(client.page("/dead"))
    assert "OSError: no paper" in client.page("/deliveries?state=dead&error=PAPER&since=1h")
    assert "Traceback: OSError: no paper" in client.page(f"/deliveries/{dead}")
    assert "worker 1" in client.page("/workers")
    assert "print" in client.page("/receivers")
    html = client.page("/dead")
    replayed = client.submit(html, "/dead/replay")
    assert "1 delivery replayed." in client.follow(replayed)
    assert "pending" == any_place.state(dead)
    assert "1 dead letters of print with OSError" in client.page("/changes")


class TestNow:
    def test_shows_the_work_of_each_receiver(self, client, place):
        """The first page has totals, receivers, workers and paused receivers."""
        place.die("OSError: 1", "OSError: 2")
        place.add("mail", delay=600.0)
        place.store.pause("mail")
        text = text_of(client.page())
        assert "none overdue 1 waiting 0 running 2 dead letters" in text
        assert "1 worker" in text
        assert "Paused: mail" in text

    def test_without_a_worker(self, client, place):
        """Without a worker nothing is delivered, and the page says how to start one."""
        assert "No worker is running" in client.page()

    def test_takes_three_queries_for_all_viewers(self, client, place):
        """A page takes at most three queries, and more viewers take none."""
        client.page()
        client.dashboard._context.cache.clear()
        seen = queries(place)
        for _ in range(20):
            client.page()
        assert 3 == len(seen)


def queries(place):
    """Return a list to which each query is added."""
    seen = []
    engine = place.store.engine

    def note(connection, cursor, statement, *_):
        if statement.startswith(("SELECT", "WITH")):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("page", ["deliveries", "deliveries/2", "dead", "receivers", "workers"])
def test_other_pages_take_three_queries(client, place, page):
    """Each page takes at most three queries."""
    client.page("/")
    first = place.store.find(where_id(place.add()), limit=1)[0]
    place.add(caused_by=first.key)
    seen = queries(place)
    client.page(f"/{page}")
    assert 1 <= len(seen) <= 3


class TestDeliveries:
    def test_pages_follow_the_ids(self, client, place):
        """The pages go to older deliveries and back, and each delivery is on one page."""
        ids = [place.add(payload="{}") for _ in range(53)]
        first = client.page("/deliveries")
        assert f'id="d-{ids[-1]}"' in first
        assert f'id="d-{ids[2]}"' not in first
        assert "Newer" not in first
        older = client.page(f"/deliveries?before={ids[3]}")
        assert f'id="d-{ids[2]}"' in older
        assert "Older" not in older
        newer = client.page(f"/deliveries?after={ids[2]}")
        assert f'id="d-{ids[3]}"' in newer
        assert f'id="d-{ids[-1]}"' in newer

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("state=dead", "b"),
            ("state=pending", "ac"),
            ("receiver=mail", "c"),
            ("signal=order-paid", "abc"),
            ("key=lamp", "a"),
            ("error=paper", "b"),
            ("since=1h", "abc"),
            ("until=1h", ""),
            ("until=2020-01-01", ""),
            ("since=2020-01-01T10:00", "abc"),
        ],
    )
    def test_filters(self, client, place, query, found):
        """The filters are in the URL."""
        (b,) = place.die("OSError: no paper")
        ids = {"a": place.add(order_key="lamp"), "b": b, "c": place.add("mail")}
        html = client.page(f"/deliveries?{query}")
        assert found == "".join(name for name, each in ids.items() if f'id="d-{each}"' in html)

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("state=lost", "The states are pending, behind, running, dead, done, discarded."),
            ("since=yesterday", "Write 12h for twelve hours ago"),
            ("before=x", "before must be the id of a delivery"),
        ],
    )
    def test_wrong_filters_are_explained(self, client, query, message):
        """A filter that is not valid is an error that shows what to write."""
        assert message in text_of(client.page(f"/deliveries?{query}", 400))


class TestDelivery:
    def test_shows_causes_and_the_send(self, client, place):
        """The page has the chain of causes, and all deliveries of the send."""
        first = place.add("a")
        key = place.store.find(where_id(first), limit=1)[0].key
        second = place.add("b", caused_by=key)
        text = text_of(client.page(f"/deliveries/{second}"))
        assert f"Caused by {first} order-paid → a pending {second} (this one)" in text

    def test_hides_payloads(self, place):
        """Payloads are hidden unless the dashboard shows them to this request."""
        number = place.add(payload='{"payload":{"card":"4111"},"sender":1.50}')
        hidden = Client(Dashboard(place.outbox, access=operator))
        assert "4111" not in hidden.page(f"/deliveries/{number}")
        shown = Client(Dashboard(place.outbox, access=operator, show_payload=lambda request: True))
        text = shown.page(f"/deliveries/{number}")
        assert "4111" in text
        assert "1.50" in text  # numbers stay as they are recorded

    def test_of_a_missing_delivery(self, client, place):
        """A delivery that does not exist is a 404."""
        assert "It may have been pruned" in client.page("/deliveries/99", 404)

    @pytest.mark.parametrize("payload", ["not JSON", "[" * 5000, "{}", ""])
    def test_shows_any_payload(self, place, payload):
        """A payload that is not JSON, or too deep, is shown as it is recorded."""
        number = place.add(payload=payload)
        client = Client(Dashboard(place.outbox, access=operator, show_payload=True))
        assert payload in client.page(f"/deliveries/{number}")


def where_id(number):
    """Select one delivery."""
    return DeliveryFilter(ids=[number])


def test_hostile_text_appears_as_text(place):
    """HTML, escape sequences and marks of direction are visible text on every page."""
    namespace = Namespace()
    namespace.signal("hostile", HOSTILE).connect(lambda sender, **_: None, weak=False)
    (dead,) = place.die(f"OSError{HOSTILE}", receiver="print")
    with place.store.engine.begin() as connection:
        for column in ("receiver", "signal", "order_key", "payload", "traceback", "cause"):
            connection.exec_driver_sql(
                f"UPDATE aldis_deliveries SET {column} = ?",  # noqa: S608 - the names are above
                (HOSTILE,),
            )
    place.store.pause(HOSTILE)
    place.store.register_worker("f" * 32, HOSTILE, 60.0)
    client = Client(Dashboard(place.outbox, access=operator, show_payload=True, title=HOSTILE))
    for page in (*PAGES, f"/deliveries/{dead}", "/deliveries?error=" + "x", "/signals?show=all"):
        html = client.page(page)
        assert "<script>alert" not in html, page
        visible = html.replace('value="', "")  # hidden fields keep a name as it is
        assert "\x1b" not in text_of(visible), page
        assert "\u202e" not in text_of(visible), page
    assert VISIBLE in text_of(client.page(f"/deliveries/{dead}"))
    # A group with such a name can still be replayed.
    assert 303 == client.submit(client.page("/dead"), "/dead/replay").status
    assert "pending" == place.state(dead)


class TestSignals:
    def test_without_an_outbox(self):
        """Without an outbox, the dashboard shows signals only."""
        client = Client(Dashboard(access=operator))
        shop = Namespace()

        @shop.define
        def order_paid(sender: str, /, *, order_id: int, note: str = "") -> None:
            """Sent once an order is paid."""

        def audit(sender, **extra): ...

        order_paid.connect(audit, "market")
        text = text_of(client.page())
        assert "order_paid Sent once an order is paid. 'market' audit" in text
        assert "Deliveries" not in client.page()
        client.page("/deliveries", 404)

    def test_of_one_signal(self):
        """The page of a signal has its contract, and its receivers in the order of the calls."""
        shop = Namespace()

        @shop.define
        def order_sent(sender: str, /, *, order_id: int, note: str = "") -> None:
            """Sent once an order is sent."""

        @order_sent.connect
        @durable("mail.sent")
        def mail(sender, *, order_id, **extra): ...

        client = Client(Dashboard(access=operator))
        html = client.page("/")
        number = html.partition('">order_sent</a>')[0].rpartition("/")[2]
        text = text_of(client.page(f"/signals/{number}"))
        assert "order_id: int note: str = ''" in text
        assert "1 mail any sender durable strong" in text
        client.page("/signals/999999", 404)

    def test_a_signal_without_a_receiver(self):
        """A signal of the app without a receiver is shown as such."""
        shop = Namespace()
        shop.signal("lonely", "It has no receiver.")
        assert "lonely It has no receiver. no receiver" in text_of(
            Client(Dashboard(access=operator)).page()
        )


class TestOutboxes:
    def test_several(self, tmp_path, place):
        """With several outboxes, the user chooses one, and links keep the choice."""
        places = new_place(f"sqlite:///{tmp_path}/other.db")
        other = next(places)
        dashboard = Dashboard({"billing": place.outbox, "stock": other.outbox}, access=operator)
        client = Client(dashboard)
        number = other.add("stock.reserve")
        assert "stock.reserve" not in client.page("/deliveries")
        html = client.page("/deliveries?outbox=stock")
        assert f"/deliveries/{number}?outbox=stock" in html
        assert "There is no outbox" in client.page("/deliveries?outbox=nope", 404)
        html = client.page(f"/deliveries/{number}?outbox=stock")
        assert 303 == client.submit(html, "/discard").status
        assert "discarded" == other.state(number)
        places.close()

    def test_in_memory(self):
        """An outbox that is not in a database is a clear error on the page."""
        client = Client(Dashboard(Outbox(store=MemoryStore()), access=operator))
        assert "the dashboard reads deliveries in a database only" in client.page("/", 503)

    def test_without_tables(self, place):
        """Missing tables are a clear error on the page, with the command that creates them."""
        with place.store.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE aldis_version")
            connection.exec_driver_sql("DROP TABLE aldis_audit")
        client = Client(Dashboard(place.outbox, access=operator))
        assert "lack table aldis_audit" in client.page("/", 503)
        client.page("/signals")


def test_wrong_arguments():
    """Wrong arguments are errors that name what to give."""
    for wrong in ({}, {"a": 1}, 7):
        with pytest.raises((ValueError, RuntimeError), match=r"names no outbox|needs an Outbox"):
            Dashboard(wrong)
    with pytest.raises(TypeError, match="access= must be a function"):
        Dashboard(access="operate")


def test_unknown_pages_and_methods(client):
    """An unknown page is a 404, a wrong method a 405."""
    client.page("/nope", 404)
    client.page("/static/../pages.py", 404)
    assert 405 == client.request("/dead", "DELETE").status
    assert 405 == client.request("/dead", "POST").status


def test_state_labels_are_complete():
    """Every state of a delivery has a name on the pages."""
    from aldis.web.pages import _labels

    assert {*State} == {*_labels()}
