"""Checks of the registry's tables that must pass at any time, and interruptions of operations."""

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
    """Runs a function inside a block, after the garbage collector has run ``delay`` times.

    In the block, the collector runs for each new container. Up to Python 3.11, it runs inside the
    operation that makes the container. From 3.12 on, it runs at the next call or loop.

    Attributes:
        came: Whether the interruption happened before the end of the block.
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
        """Count a run of the collector."""
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
        self.ballast = [[], [], [], []]  # enough objects for the next run of the collector

    def __del__(self):
        self.last_words()


def interrupt_everywhere(scene):
    """Run ``scene`` repeatedly, with an interruption at each possible point.

    Args:
        scene: A function that interrupts an operation and returns the interruption. Its argument
            makes an interruption from the function to run.

    Returns:
        The number of interruptions.
    """
    delay = 0
    while scene(lambda what: Interruption(what, delay)).came:  # noqa: B023 - the lambda is called at once
        delay += 1
    return delay
