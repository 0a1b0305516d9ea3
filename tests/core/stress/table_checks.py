"""Checks of the registry's tables that must pass at any moment, and ways to disturb them."""

import gc

from aldis import ANY


def connections(signal):
    """Return every connection of ``signal`` that its tables hold, in connection order."""
    return signal._registry.all()


def check_tables(signal):
    """Assert that the tables of ``signal`` agree."""
    signal._cleanup_bookkeeping()
    registry = signal._registry
    assert not registry.dead
    by_receiver = {
        (key, link.sender.key)
        for key, record in registry.receivers.items()
        for link in registry._links_of(record)
    }
    sources = [*registry.senders.values(), registry.everyone]
    by_sender = {
        (link.receiver.key, each.key) for each in sources for link in registry._links_of(each)
    }
    assert by_receiver == by_sender
    assert all(record.links for record in registry.receivers.values())
    assert all(record.links for record in registry.senders.values())
    assert registry.routes.plans.keys() <= registry.senders.keys()
    serials = [link.serial for link in connections(signal)]
    assert serials == sorted(set(serials))
    for link in connections(signal):
        assert link.live
        assert link.owners
        assert link.weak == all(weak for _, weak in link.owners)
        assert link.receiver is registry.receivers[link.receiver.key]
        assert link in registry._links_of(link.receiver)
        assert link in registry._links_of(link.sender)
        assert link.sender() is not None or link.sender.key == id(None)
    check_routes(registry)


def check_routes(registry):
    """Assert that the published links agree with the tables."""
    everyone = registry.routes.everyone
    if everyone is None:
        return
    ordered = in_order(registry, registry.everyone)
    assert [id(link) for link in everyone] == [id(each) for each in ordered]
    for key, entry in registry.routes.plans.items():
        if entry[0] is everyone:
            expected = in_order(registry, registry.everyone, registry.senders[key])
            assert [id(link) for link in entry[1]] == [id(link) for link in expected]


def in_order(registry, *records):
    """Return the connections of ``records`` in connection order."""
    links = [link for record in records for link in registry._links_of(record)]
    return sorted(links, key=lambda link: link.serial)


def assert_nothing_left(signal):
    """Assert that the tables of ``signal`` are empty."""
    gc.collect()
    signal._cleanup_bookkeeping()
    registry = signal._registry
    assert len(signal.receivers) == 0
    assert not registry.receivers
    assert not registry.senders
    assert not registry.everyone.links
    assert not registry.routes.plans
    assert not registry.dead
    assert not signal.has_receivers_for(ANY)


class Interruption:
    """Runs something in the middle of a block: when the collector has come ``delay`` times in it.

    It may come whenever a container is made: in the block it does. Up to Python 3.11 that is in the
    middle of the operation that makes one; from 3.12 on at the next call or loop after it.

    Attributes:
        came: Whether the block was long enough.
    """

    def __init__(self, what, delay):
        self.came = False
        self._what = what
        self._delay = delay
        self._armed = False

    def __enter__(self):
        self._before = gc.get_threshold()
        self._armed = True
        _Garbage(self.count)
        gc.set_threshold(1, 1000, 1000)
        return self

    def count(self):
        """Hear that the collector has come."""
        if not self._armed:
            return
        if self._delay == 0:
            self._armed = False
            self.came = True
            self._what()
            return
        self._delay -= 1
        _Garbage(self.count)

    def __exit__(self, *error):
        gc.set_threshold(*self._before)
        self._armed = False
        gc.collect()


class _Garbage:
    """Reports its death. It is a reference cycle, so only the garbage collector frees it."""

    def __init__(self, last_words):
        self.last_words = last_words
        self.itself = [self]
        self.ballast = [[], [], [], []]  # so that the collector finds it worth while to come again

    def __del__(self):
        self.last_words()


def interrupt_everywhere(scene):
    """Run ``scene`` again and again, with an interruption at each point where one can be.

    Args:
        scene: Called with a function that makes the interruption from what it shall do; returns
            the interruption.

    Returns:
        How often it was interrupted.
    """
    delay = 0
    while scene(lambda what: Interruption(what, delay)).came:  # noqa: B023 - it is called at once
        delay += 1
    return delay
