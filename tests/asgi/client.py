"""A client of an ASGI app without a server: it sends messages and keeps the answers."""

from contextlib import ExitStack, contextmanager

from aldis import asgi

#: Every signal of aldis.asgi, in the order of a connection's life.
EVERY = (
    asgi.request_started,
    asgi.request_finished,
    asgi.got_request_exception,
    asgi.request_tearing_down,
    asgi.websocket_started,
    asgi.websocket_received,
    asgi.websocket_sent,
    asgi.websocket_finished,
    asgi.got_websocket_exception,
    asgi.websocket_tearing_down,
)


class Client:
    """A client that is connected to ``app`` for one request or websocket.

    Args:
        app: The application.
        kind: ``"http"`` or ``"websocket"``.
        incoming: The messages that the application receives.
        leaves_after: After so many messages, the client leaves, and ``send`` raises OSError.
        scope: More of the scope.
    """

    def __init__(self, app, /, kind="http", incoming=(), leaves_after=None, **scope):
        self.app = app
        self.scope = {"type": kind, "path": "/", "headers": [], "method": "GET", **scope}
        self.scope.setdefault("query_string", b"")
        self.scope.setdefault("asgi", {"version": "3.0", "spec_version": "2.4"})
        self.incoming = list(incoming) or [{"type": "http.request", "body": b""}]
        self.leaves_after = leaves_after
        self.got = []

    async def receive(self):
        """Give the application the next message. The last message repeats for ever."""
        return self.incoming.pop(0) if len(self.incoming) > 1 else self.incoming[0]

    async def send(self, message):
        """Keep a message from the application."""
        if self.leaves_after is not None and len(self.got) >= self.leaves_after:
            raise OSError("the client is gone")
        self.got.append(dict(message))

    async def visit(self):
        """Let the application serve this client; return the types of its messages."""
        await self.app(self.scope, self.receive, self.send)
        return [message["type"] for message in self.got]


@contextmanager
def recorded(*signals):
    """Record each send in the block as ``(name, sender, payload)``, with sync receivers."""
    calls = []
    with ExitStack() as stack:
        for signal in signals or EVERY:
            stack.enter_context(signal.connected_to(_receiver(signal.name, calls)))
        yield calls


def _receiver(name, calls):
    def receiver(sender, **payload):
        calls.append((name, sender, payload))

    return receiver


def names(calls):
    """Return only the names of the signals in ``calls``."""
    return [name for name, _, _ in calls]
