"""Changes: exactly what the page showed, once, and in the audit log."""

import pytest

from aldis.durable.types import AttemptFailure
from tests.web.browser import form_in, text_of


class TestGroups:
    def test_replay_what_the_page_showed(self, client, place):
        """Dead letters that came after the page was shown are not replayed."""
        shown = place.die("OSError: 1", "OSError: 2")
        html = client.page("/dead")
        new = place.die("OSError: 3")
        assert "2 deliveries replayed." in client.follow(client.submit(html, "/dead/replay"))
        assert ["pending"] * 2 == [place.state(each) for each in shown]
        assert "dead" == place.state(new[0])

    def test_a_late_death_with_a_low_id(self, client, place):
        """A delivery that was recorded before and died after the page was shown is left alone."""
        early = place.add(delay=3600.0)
        shown = place.die("OSError: 1")
        html = client.page("/dead")
        with place.store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE aldis_deliveries SET due_at = 0 WHERE state = 0")
        (claimed,) = place.claim()
        place.store.fail(claimed, AttemptFailure("OSError: 2"))
        client.submit(html, "/dead/replay")
        assert ("dead", "pending") == (place.state(early), place.state(shown[0]))

    def test_nothing_happens_if_the_group_has_changed(self, client, place):
        """If a dead letter left the group, the user looks again first."""
        first, second = place.die("OSError: 1", "OSError: 2")
        html = client.page("/dead")
        client.submit(client.page(f"/deliveries/{first}"), "/replay")
        response = client.submit(html, "/dead/discard")
        assert 409 == response.status
        assert "showed 2 deliveries, and 1 of them" in text_of(response.body.decode())
        assert "dead" == place.state(second)

    def test_discard(self, client, place):
        """A group can be discarded."""
        ids = place.die("OSError", "OSError")
        assert "2 deliveries discarded." in client.follow(
            client.submit(client.page("/dead"), "/dead/discard")
        )
        assert ["discarded"] * 2 == [place.state(each) for each in ids]

    @pytest.mark.parametrize("wrong", [{"count": ""}, {"count": "-1"}, {"highest": "x"}])
    def test_a_form_without_its_numbers(self, client, place, wrong):
        """A form without the count or the highest id changes nothing."""
        (dead,) = place.die("OSError")
        assert 400 == client.submit(client.page("/dead"), "/dead/replay", **wrong).status
        assert "dead" == place.state(dead)


class TestFilters:
    def test_all_that_match(self, client, place):
        """All deliveries that match can be changed, after a page with their number."""
        ids = place.die("OSError", "OSError", receiver="mail")
        (other,) = place.die("OSError")
        html = client.page("/deliveries/replay?receiver=mail")
        assert "Replay 2 deliveries, up to id" in text_of(html)
        new = place.die("OSError", receiver="mail")
        client.submit(html, "/deliveries/replay")
        assert ["pending", "pending"] == [place.state(each) for each in ids]
        assert ["dead", "dead"] == [place.state(each) for each in (other, *new)]

    def test_waiting_ones_can_be_discarded(self, client, place):
        """Waiting deliveries can be discarded, as with --waiting on the command line."""
        number = place.add()
        client.submit(client.page("/deliveries/discard?state=pending"), "/deliveries/discard")
        assert "discarded" == place.state(number)
        client.submit(client.page("/deliveries/replay?state=discarded"), "/deliveries/replay")
        assert "pending" == place.state(number)

    @pytest.mark.parametrize(
        "page", ["replay?state=pending", "discard?state=done", "discard?state=running"]
    )
    def test_a_change_that_is_not_possible(self, client, place, page):
        """A change that a state does not allow is refused."""
        client.page(f"/deliveries/{page}", 400)

    def test_too_many(self, client, place, monkeypatch):
        """A change of very many deliveries is refused, and the page names the command."""
        from aldis.web import data

        monkeypatch.setattr(data, "BULK", 2)
        place.die("a", "b", "c")
        text = text_of(client.page("/deliveries/discard", 400))
        assert "`aldis deliveries discard`" in text


class TestOne:
    def test_replay_and_its_outcome(self, client, place):
        """After a replay, the page of the delivery shows its state."""
        (dead,) = place.die("OSError")
        html = client.follow(client.submit(client.page(f"/deliveries/{dead}"), "/replay"))
        assert "1 delivery replayed. pending" in text_of(html)

    def test_a_delivery_that_is_no_longer_dead(self, client, place):
        """A change that came too late names the present state."""
        (dead,) = place.die("OSError")
        html = client.page(f"/deliveries/{dead}")
        client.submit(html, "/replay")
        url, fields = form_in(html, "/discard")
        place.claim()
        response = client.request(url, "POST", fields)
        assert 409 == response.status
        assert "is running now" in response.body.decode()


class TestReceivers:
    def test_pause_and_resume(self, client, place):
        """A receiver can be paused and resumed."""
        place.add()
        html = client.follow(client.submit(client.page("/receivers"), "/receivers/pause"))
        assert "The receiver is paused." in html
        assert [] == place.claim()
        client.submit(html, "/receivers/resume")
        assert 1 == len(place.claim())

    def test_a_wrong_name(self, client, place):
        """A name that no receiver can have is refused."""
        place.add()
        assert 400 == client.submit(client.page("/receivers"), "/pause", receiver=" ").status


def test_prune(client, place):
    """Old deliveries can be deleted, after a page with their number."""
    number = place.add()
    place.store.complete(place.claim())
    with place.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE aldis_deliveries SET finished_at = 1000")
    html = client.page("/prune?days=7")
    assert "Delete 1 for good" in html
    assert "1 delivery deleted." in client.follow(client.submit(html, "/prune"))
    client.page(f"/deliveries/{number}", 404)
    client.page("/prune?days=0", 400)


def test_the_audit_log(client, place):
    """Each change is in the log with its user, its target and its size."""
    place.die("OSError: 1", "OSError: 2")
    client.submit(client.page("/dead"), "/dead/replay")
    client.submit(client.page("/receivers"), "/receivers/pause")
    text = text_of(client.page("/changes"))
    assert "ada pause billing.receipt 1" in text
    assert "ada replay 2 dead letters of billing.receipt with OSError, up to id" in text
