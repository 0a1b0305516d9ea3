"""The import of aldis.flask, and its helper for tests."""

import flask
import pytest
from flask import render_template_string, template_rendered

import aldis
import aldis.flask
from aldis.flask import captured_templates
from tests.fresh import run


@pytest.fixture
def app():
    """Give an application that renders two templates."""
    app = flask.Flask("shop")

    @app.get("/")
    def index():
        return render_template_string("hello {{ name }}", name="john")

    return app


class TestImport:
    def test_exports_only_existing_names(self):
        """Each name that the module exports can be imported from it."""
        assert all(hasattr(aldis.flask, name) for name in aldis.flask.__all__)

    def test_before_flask_puts_aldis_in_blinkers_place(self):
        """After an import of aldis.flask before Flask, Flask runs on aldis."""
        printed = run(
            """
            from aldis.flask import request_started

            import aldis, blinker, flask

            print(flask.request_started is request_started, type(request_started).__module__)
            print(blinker.Signal is aldis.Signal)
            """
        )
        assert printed == "True aldis.core.namespace\nTrue\n"

    def test_after_the_stand_in_does_nothing_more(self):
        """After ``aldis.as_blinker``, the order of the other imports does not matter."""
        printed = run(
            """
            import aldis.as_blinker
            import flask
            import aldis.flask

            print(flask.request_started is aldis.flask.request_started)
            """
        )
        assert printed == "True\n"

    def test_after_flask_its_signals_work_on_aldis(self):
        """Flask's signals work on aldis if aldis is imported after Flask."""
        printed = run(
            """
            import flask
            import aldis.flask

            print(flask.request_started is aldis.flask.request_started)
            print(isinstance(flask.request_started, aldis.Signal))
            """
        )
        assert printed == "True\nTrue\n"

    def test_a_receiver_that_cannot_be_taken_over_is_refused(self):
        """After the refusal, Flask still runs on blinker."""
        printed = run(
            """
            import sys

            import flask

            def receiver(sender): ...

            sender = []
            flask.request_started.connect(receiver, sender)
            try:
                import aldis.flask
            except RuntimeError as error:
                print(type(error).__name__)
            heard = []
            app = flask.Flask("shop")
            flask.request_started.connect(heard.append, app, weak=False)
            app.test_client().get("/")
            print(heard == [app], "aldis.flask" in sys.modules)
            print(type(flask.request_started).__module__)
            """
        )
        assert printed == "StandInError\nTrue False\nblinker.base\n"

    def test_without_flask_names_the_extra(self):
        """Without Flask, the ImportError names the extra to install."""
        printed = run(
            """
            import sys

            sys.modules["flask"] = None
            from aldis.errors import MissingExtraError

            try:
                import aldis.flask
            except MissingExtraError as error:
                print(isinstance(error, ImportError), error.name, error)
            """
        )
        assert printed.startswith("True flask aldis.flask needs Flask")
        assert "pip install 'aldis[flask]'" in printed

    def test_the_error_of_a_broken_flask_is_raised(self):
        """A Flask that cannot be imported raises its own error."""
        printed = run(
            """
            import sys

            sys.modules["werkzeug"] = None
            try:
                import aldis.flask
            except ModuleNotFoundError as error:
                print(type(error).__name__, error.name)
            """
        )
        assert printed.startswith("ModuleNotFoundError werkzeug")


class TestTeardownSignals:
    def test_only_they_reach_every_receiver_after_an_error(self):
        """Of Flask's signals, only the two teardown signals go on after an error."""
        signals = [getattr(aldis.flask, name) for name in aldis.flask.__all__]
        marked = [
            each.name
            for each in signals
            if isinstance(each, aldis.NamedSignal) and each.continue_on_error
        ]
        assert marked == ["appcontext-tearing-down", "request-tearing-down"]

    def test_without_aldis_flask_they_work_as_on_blinker(self):
        """Without aldis.flask, an error ends a send of them, as on blinker."""
        printed = run(
            """
            import aldis.as_blinker
            import flask

            def fail(sender, **extra):
                raise LookupError

            heard = []
            app = flask.Flask("shop")
            flask.appcontext_tearing_down.connect(fail, app)
            flask.appcontext_tearing_down.connect(lambda *a, **k: heard.append(a), app, weak=False)
            try:
                with app.app_context():
                    pass
            except LookupError:
                print(heard)
            """
        )
        assert printed == "[]\n"


class TestCapturedTemplates:
    def test_makes_a_list(self, app):
        """With only the application, the block gets a new list."""
        with captured_templates(app) as templates:
            assert templates == []
            app.test_client().get("/")
            [(template, context)] = templates
        assert template.name is None
        assert context["name"] == "john"

    def test_appends_to_a_given_list(self, app):
        """With a list, also an empty one, the block gets that list."""
        templates = []
        with captured_templates(app, templates) as same:
            app.test_client().get("/")
        assert same is templates
        assert [context["name"] for _, context in templates] == ["john"]

    def test_appends_to_a_list_with_entries(self, app):
        """One list can serve several blocks."""
        templates = []
        for _ in range(2):
            with captured_templates(app, templates):
                app.test_client().get("/")
        assert len(templates) == 2

    def test_ignores_other_applications(self, app):
        """Another application's templates are not recorded."""
        with captured_templates(flask.Flask("other")) as templates:
            app.test_client().get("/")
        assert templates == []

    def test_nests(self, app):
        """Nested blocks record separately, and the outer one goes on after the inner one."""
        with captured_templates(app) as outer:
            with captured_templates(app) as inner:
                app.test_client().get("/")
            app.test_client().get("/")
        assert (len(outer), len(inner)) == (2, 1)

    def test_leaves_nothing_connected(self, app):
        """After the block, also after one that raised, no receiver is connected."""

        def fail():
            raise LookupError

        with pytest.raises(LookupError), captured_templates(app):
            fail()
        assert not template_rendered.has_receivers_for(app)
