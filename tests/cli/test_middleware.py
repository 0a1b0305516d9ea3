"""The command line on an ASGI app that is wrapped in the middleware of aldis."""

from tests.cli.support import ALDIS

WRAPPED = """
    from aldis.asgi import SignalsMiddleware, request_finished

    async def bare(scope, receive, send): ...

    def count(sender, *, response, **extra): ...

    app = SignalsMiddleware(bare)
    request_finished.connect(count, bare)
    """


def test_the_sender_is_the_wrapped_app(project):
    """``--sender app`` means the app that sends the request's signals, not the middleware."""
    project.write("app.py", WRAPPED)
    ended = project.run(*ALDIS, "signals", "explain", "request-finished", "--sender", "app")
    assert "Sent by <function 'bare'>, it calls 1 of 1 receiver" in ended.stdout, ended.stderr
