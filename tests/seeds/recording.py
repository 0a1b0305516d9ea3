from contextlib import contextmanager


@contextmanager
def recorded(signal, app):
    """Record each send of ``signal`` by ``app`` in the block, as ``(sender, arguments)``."""
    calls = []

    def record(sender, **arguments):
        calls.append((sender, arguments))

    with signal.connected_to(record, app):
        yield calls
