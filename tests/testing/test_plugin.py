"""The pytest plugin, in separate runs of pytest."""

import gc

import pytest

import aldis
from tests.fresh import run

pytest_plugins = ["pytester"]

SHOP = """
    import aldis

    shop = aldis.Namespace()
    order_paid = shop.signal("order-paid")
    anonymous = aldis.Signal()

    def audit(sender, **extra):
        pass

    order_paid.connect(audit)
"""

INI = """[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture
def project(pytester):
    """Return a project with a module of signals, in which warnings are errors."""
    pytester.makeini(INI)
    pytester.makepyfile(shop=SHOP)
    pytester.syspathinsert()
    return pytester


def passes(project, *arguments, **count):
    """Run the project's tests in this process; ``count`` of them must pass."""
    result = project.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(**count)
    return result


def in_a_process(project, monkeypatch, **count):
    """Run the project's tests in a separate process; ``count`` of them must pass.

    Only aldis's plugin and the one of the configuration are loaded, because other plugins in the
    environment may import Flask.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "aldis", "-p", "asyncio", "-p", "no:cacheprovider")
    result = project.runpytest_subprocess(*plugins)
    result.assert_outcomes(**count)
    return result


class TestPresence:
    def test_is_found_by_pytest(self, project):
        """The installed plugin is loaded by pytest."""
        result = project.runpytest_inprocess("--fixtures", "--help")
        result.stdout.fnmatch_lines(["*--aldis-strict*", "*aldis_strict (bool):*"])

    def test_changes_nothing(self, project):
        """The plugin alone runs no fixture, records nothing and leaves strict mode off."""
        project.makepyfile("""
            import aldis
            from aldis.core import is_strict, observers

            def test_is_not_strict():
                assert not is_strict()
                assert not observers._observers

            def test_connects():
                import shop
                shop.order_paid.connect(print, weak=False)

            def test_is_left_alone():
                import shop
                assert 2 == len(shop.order_paid.receivers)
                shop.order_paid.disconnect(print)
        """)
        passes(project, passed=3)

    def test_imports_no_framework(self):
        """Loading the plugin does not import Flask, Quart, blinker or asyncio."""
        code = """
            import sys
            import pytest
            before = set(sys.modules)
            import aldis.testing.plugin
            new = {name.partition(".")[0] for name in set(sys.modules) - before}
            print(sorted(new & {"flask", "quart", "blinker", "asyncio", "aldis"}))
        """
        assert "['aldis']\n" == run(code)

    def test_the_stand_in_can_still_be_installed(self, project, monkeypatch):
        """``import aldis.as_blinker`` at the top of a conftest is early enough."""
        project.makeconftest("import aldis.as_blinker")
        project.makepyfile("""
            import sys
            import aldis

            def test_stands_in():
                import flask
                assert type(flask.request_started) is aldis.NamedSignal
        """)
        in_a_process(project, monkeypatch, passed=1)


class TestStrict:
    TEST = """
        import aldis

        def test_a_lambda_that_dies():
            lamp = aldis.Signal()
            lamp.connect(lambda sender: None)
            lamp.send()
    """

    def test_is_off_by_default(self, project):
        """Without the option, a dead lambda causes no warning."""
        project.makepyfile(self.TEST)
        passes(project, passed=1)

    def test_by_the_option(self, project):
        """With ``--aldis-strict``, a dead lambda causes a warning, which is an error here."""
        project.makepyfile(self.TEST)
        result = passes(project, "--aldis-strict", failed=1)
        result.stdout.fnmatch_lines(["*StrictWarning*died before it was ever called*"])

    def test_by_the_configuration(self, project):
        """``aldis_strict`` in the configuration does the same. The command line overrides it."""
        project.makeini(f"{INI}aldis_strict = true")
        project.makepyfile(self.TEST)
        passes(project, failed=1)
        passes(project, "-o", "aldis_strict=false", passed=1)

    def test_ends_with_the_session(self, project):
        """A run of pytest inside a program restores the mode."""
        project.makepyfile("def test(): pass")
        assert aldis.set_strict(False) in (True, False)
        passes(project, "--aldis-strict", passed=1)
        assert aldis.set_strict(False) is False


class TestClean:
    def test_leaves_nothing_behind(self, project):
        """The connections of one test do not affect the next test."""
        project.makepyfile("""
            import pytest
            from shop import anonymous, audit, order_paid

            pytestmark = pytest.mark.usefixtures("aldis_clean")

            def test_connects():
                order_paid.connect(print, weak=False)
                anonymous.connect(print, "north", weak=False)

            def test_disconnects():
                assert not anonymous.receivers
                assert [(audit, None)] == order_paid.send()
                order_paid.disconnect(audit)

            def test_finds_everything_as_it_was():
                assert [(audit, None)] == order_paid.send()
        """)
        passes(project, passed=3)

    def test_for_all_tests(self, project):
        """The setting ``usefixtures`` of pytest applies the fixture to all tests."""
        project.makeini(f"{INI}usefixtures = aldis_clean")
        project.makepyfile("""
            from shop import order_paid

            def test_connects():
                order_paid.connect(print, weak=False)

            def test_sees_nothing_of_it():
                assert 1 == len(order_paid.receivers)
        """)
        passes(project, passed=2)

    def test_keeps_what_fixtures_of_the_module_connected(self, project):
        """Connections of a fixture with a wider scope stay for all of its tests."""
        project.makepyfile("""
            import pytest
            from shop import order_paid

            @pytest.fixture(scope="module")
            def listener():
                with order_paid.connected_to(print):
                    yield

            @pytest.mark.parametrize("time", [1, 2])
            def test_is_connected(time, aldis_clean, listener):
                assert 2 == len(order_paid.receivers)

            def test_is_connected_to_the_end():
                assert 2 == len(order_paid.receivers)
        """)
        passes(project, passed=3)


class TestRecord:
    def test_until_the_test_ends(self, project):
        """The fixture records from its call to the end of the test."""
        project.makepyfile("""
            from aldis.core import observers
            from shop import order_paid

            def test_records(record):
                order_paid.send("before")
                sent = record(order_paid, sender="market")
                order_paid.send("market", order_id=7)
                order_paid.send("kiosk", order_id=8)
                sent.once_with("market", order_id=7)

            def test_is_over():
                assert not observers._observers
        """)
        passes(project, passed=2)

    def test_a_failure_is_about_the_test(self, project):
        """The report shows the line of the test and the message, without aldis's code."""
        project.makepyfile("""
            from shop import order_paid

            def test_fails(record):
                sent = record(order_paid)
                order_paid.send("market", order_id=7)
                sent.once_with("market", order_id=8)
        """)
        result = passes(project, failed=1)
        result.stdout.fnmatch_lines(
            [
                ">       sent.once_with(*",
                "E       AssertionError: order-paid was sent once, but not as expected:",
                "E         order_id: expected 8, sent 7",
                "test_a_failure_is_about_the_test.py:6: AssertionError",
            ]
        )
        result.stdout.no_fnmatch_line("*def once_with*")


class TestCapturedTemplates:
    def test_until_the_test_ends(self, project):
        """The fixture is Flask's helper without the ``with``."""
        project.makepyfile("""
            import flask

            def test_captures(captured_templates):
                app = flask.Flask("shop")
                app.add_url_rule(
                    "/", view_func=lambda: flask.render_template_string("{{ x }}", x=1)
                )
                templates = captured_templates(app)
                app.test_client().get("/")
                [(template, context)] = templates
                assert 1 == context["x"]
        """)
        passes(project, passed=1)
        from flask import template_rendered

        gc.collect()  # an earlier test may have left an app in a cycle
        assert not template_rendered.receivers

    def test_without_flask_the_extra_is_named(self, project, monkeypatch):
        """Only the test that uses the fixture fails, with the name of the extra."""
        project.makeconftest("import sys\nsys.modules['flask'] = None\n")
        project.makepyfile("""
            def test_asks(captured_templates):
                pass

            def test_does_not_ask(record):
                pass
        """)
        result = in_a_process(project, monkeypatch, passed=1, errors=1)
        result.stdout.fnmatch_lines(["*MissingExtraError: aldis.flask needs Flask*"])
