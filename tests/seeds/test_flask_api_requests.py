"""Flask's core signals around rendering and around a request, as both documents describe them.

The time, the sender and the payload of each. The other core signals are in
``test_flask_api_contexts.py``.
"""

import flask
import pytest
from flask import (
    before_render_template,
    got_request_exception,
    request,
    request_finished,
    request_started,
    template_rendered,
)

from tests.seeds.recording import recorded


class TestTemplateRendered:
    def test_is_sent_with_the_template_and_its_context(self, app):
        """The payload is the template and the context as a dictionary."""
        with recorded(template_rendered, app) as calls:
            app.test_client().get("/")
        [(sender, arguments)] = calls
        assert sender is app
        assert arguments.keys() == {"template", "context"}
        assert arguments["template"].name == "index.html"
        assert type(arguments["context"]) is dict
        assert arguments["context"]["items"] == list(range(10))

    def test_is_sent_only_when_rendering_succeeded(self, app):
        """A template that fails does not send the signal."""
        with recorded(template_rendered, app) as calls:
            assert app.test_client().get("/broken-template").status_code == 500
        assert calls == []

    def test_example_of_the_guide(self, app, debug_log):
        """The subscriber in the guide, without ``**extra``, logs the name and the context."""

        def log_template_renders(sender, template, context):
            sender.logger.debug(
                'Rendering template "%s" with context %s',
                template.name or "string template",
                context,
            )

        template_rendered.connect(log_template_renders, app)
        app.test_client().get("/")
        [message] = debug_log()
        assert message.startswith('Rendering template "index.html" with context {')
        assert "'items': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" in message

    def test_example_of_the_reference(self, app, debug_log):
        """The subscriber in the reference names a template without a name a string template."""

        def log_template_renders(sender, template, context, **extra):
            sender.logger.debug(
                'Rendering template "%s" with context %s',
                template.name or "string template",
                context,
            )

        template_rendered.connect(log_template_renders, app)
        app.test_client().get("/string")
        [message] = debug_log()
        assert message.startswith('Rendering template "string template" with context {')


class TestBeforeRenderTemplate:
    def test_is_sent_with_the_template_and_its_context(self, app):
        """The payload is the same as that of template_rendered."""
        with recorded(before_render_template, app) as calls:
            app.test_client().get("/")
        [(sender, arguments)] = calls
        assert sender is app
        assert arguments.keys() == {"template", "context"}
        assert arguments["template"].name == "index.html"
        assert type(arguments["context"]) is dict

    def test_is_sent_before_rendering(self, app):
        """The signal comes before the rendering, also for a template that then fails."""
        order = []

        def receiver(sender, template, context, **extra):
            order.append("before")
            context["name"] = Named(order)

        class Named:
            def __init__(self, order):
                self.order = order

            def __str__(self):
                self.order.append("rendering")
                return "lamp"

        def after(sender, **extra):
            order.append("rendered")

        before_render_template.connect(receiver, app)
        template_rendered.connect(after, app)
        client = app.test_client()
        assert client.get("/string").text == "hello lamp"
        assert client.get("/broken-template").status_code == 500
        assert order == ["before", "rendering", "rendered", "before"]

    def test_example_of_the_reference(self, app, debug_log):
        """The subscriber in the reference logs the template."""

        def log_template_renders(sender, template, context, **extra):
            sender.logger.debug(
                'Rendering template "%s" with context %s',
                template.name or "string template",
                context,
            )

        before_render_template.connect(log_template_renders, app)
        app.test_client().get("/")
        [message] = debug_log()
        assert message.startswith('Rendering template "index.html" with context {')


class TestRequestStarted:
    def test_is_sent_without_arguments(self, app):
        """The application sends the signal once for each request, without arguments."""
        with recorded(request_started, app) as calls:
            app.test_client().get("/")
        assert calls == [(app, {})]

    def test_is_sent_with_the_request_bound(self, app):
        """A subscriber can read the request through Flask's global proxy."""
        paths = []

        def receiver(sender, **extra):
            paths.append((request.path, request.args["page"], flask.current_app.name))

        request_started.connect(receiver, app)
        app.test_client().get("/?page=2")
        assert paths == [("/", "2", "shop")]

    def test_is_sent_before_any_request_processing(self, app):
        """The signal comes before the handlers of before_request and before the view."""
        order = []

        def receiver(sender, **extra):
            order.append("request_started")

        request_started.connect(receiver, app)
        app.before_request(lambda: order.append("before_request"))
        app.add_url_rule("/view", view_func=lambda: order.append("view") or "done")
        app.test_client().get("/view")
        assert order == ["request_started", "before_request", "view"]

    def test_example_of_the_guide(self, app, debug_log):
        """The subscriber in the guide takes only the sender."""

        def log_request(sender):
            sender.logger.debug("Request context is set up")

        request_started.connect(log_request, app)
        app.test_client().get("/")
        assert debug_log() == ["Request context is set up"]

    def test_example_of_the_reference(self, app, debug_log):
        """The subscriber in the reference takes ``**extra``."""

        def log_request(sender, **extra):
            sender.logger.debug("Request context is set up")

        request_started.connect(log_request, app)
        app.test_client().get("/")
        assert debug_log() == ["Request context is set up"]


class TestRequestFinished:
    def test_is_sent_with_the_response(self, app):
        """The payload is the response."""
        with recorded(request_finished, app) as calls:
            app.test_client().get("/")
        [(sender, arguments)] = calls
        assert sender is app
        assert arguments.keys() == {"response"}
        assert type(arguments["response"]) is app.response_class
        assert arguments["response"].get_data(as_text=True) == "10 items"

    def test_is_sent_right_before_the_response(self, app):
        """The signal comes after after_request and before the first byte to the client."""
        order = []

        def receiver(sender, response, **extra):
            assert response.headers["X-Processed"] == "yes"
            order.append("request_finished")

        @app.after_request
        def process(response):
            order.append("after_request")
            response.headers["X-Processed"] = "yes"
            return response

        def start_response(status, headers, exc_info=None):
            order.append(f"sent {status}")

        request_finished.connect(receiver, app)
        environ = app.test_request_context("/").request.environ
        b"".join(app(environ, start_response))
        assert order == ["after_request", "request_finished", "sent 200 OK"]

    def test_example_of_the_guide(self, app, debug_log):
        """The subscriber in the guide takes the response and logs it."""

        def log_response(sender, response):
            sender.logger.debug("Request context is about to close down.  Response: %s", response)

        request_finished.connect(log_response, app)
        app.test_client().get("/")
        assert debug_log() == [
            "Request context is about to close down.  Response: <Response 8 bytes [200 OK]>"
        ]

    def test_example_of_the_reference(self, app, debug_log):
        """The subscriber in the reference also takes ``**extra``."""

        def log_response(sender, response, **extra):
            sender.logger.debug("Request context is about to close down.  Response: %s", response)

        request_finished.connect(log_response, app)
        app.test_client().get("/")
        assert debug_log() == [
            "Request context is about to close down.  Response: <Response 8 bytes [200 OK]>"
        ]


class TestGotRequestException:
    def test_is_sent_with_the_exception(self, app):
        """The payload is the exception."""
        with recorded(got_request_exception, app) as calls:
            assert app.test_client().get("/fail").status_code == 500
        [(sender, arguments)] = calls
        assert sender is app
        assert arguments.keys() == {"exception"}
        assert type(arguments["exception"]) is LookupError
        assert arguments["exception"].args == ("no such lamp",)

    def test_is_sent_before_the_exception_is_handled(self, app):
        """The signal comes before the handler for server errors."""
        order = []

        def receiver(sender, exception, **extra):
            order.append("got_request_exception")

        @app.errorhandler(500)
        def handle(error):
            order.append("errorhandler")
            return "sorry", 500

        got_request_exception.connect(receiver, app)
        assert app.test_client().get("/fail").text == "sorry"
        assert order == ["got_request_exception", "errorhandler"]

    def test_is_sent_in_debug_mode_too(self, app):
        """In debug mode, where Flask raises the exception, the signal is sent, too."""
        app.debug = True
        with recorded(got_request_exception, app) as calls, pytest.raises(LookupError) as raised:
            app.test_client().get("/fail")
        assert calls == [(app, {"exception": raised.value})]

    def test_is_not_sent_when_nothing_went_wrong(self, app):
        """A successful request does not send the signal."""
        with recorded(got_request_exception, app) as calls:
            app.test_client().get("/")
        assert calls == []

    def test_example_of_the_guide(self, app, debug_log):
        """The subscriber in the guide takes the exception and logs it."""

        def log_exception(sender, exception):
            sender.logger.debug("Got exception during processing: %s", exception)

        got_request_exception.connect(log_exception, app)
        app.test_client().get("/fail")
        assert debug_log()[0] == "Got exception during processing: no such lamp"

    def test_example_of_the_reference(self, app, debug_log):
        """The subscriber in the reference also takes ``**extra``."""

        def log_exception(sender, exception, **extra):
            sender.logger.debug("Got exception during processing: %s", exception)

        got_request_exception.connect(log_exception, app)
        app.test_client().get("/fail")
        assert debug_log()[0] == "Got exception during processing: no such lamp"
