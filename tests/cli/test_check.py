"""``signals check`` reports problems, which fail a build, and remarks, which do not."""

import json

import pytest

from tests.cli.support import ALDIS, FLASK, RUN

CHECK = (*ALDIS, "signals", "check", "--app")

WRONG = """
    import aldis.as_blinker
    import warnings
    from aldis import Namespace
    from flask import Flask, request_finished

    shop = Namespace()

    def thank(sender): ...

    def audit(sender, **extra): ...

    shop.signal("order_paid").connect(thank)

    @shop.define
    def order_paid(sender: str, /, *, order_id: int) -> None:
        "Sent once an order is paid."

    shop.signal("order_payed").connect(audit)
    shop.signal("lamps-lit").connect(audit)
    shop.signal("order_sent", "Sent when it is on its way.").connect(lambda sender: None)
    request_finished.connect(audit)
    warnings.warn("something else", DeprecationWarning)

    order_paid.disconnect(thank)
    order_paid.connect(audit)
    order_paid.send("harbour", order_id="7")
    order_paid.disconnect(audit)
    shop["order_paid"].contract = None
    order_paid.connect(thank)
    shop["order_paid"].contract = aldis.core.Contract.of(
        lambda sender, /, *, order_id: None
    )

    app = Flask("shop")
    """


@pytest.fixture
def wrong(project):
    """Give an app with one problem of each kind."""
    project.write("wrong.py", WRONG)
    return project


def test_an_app_without_a_problem(shop):
    """Signals without a doc and advisory contracts are not problems."""
    ended = shop.run(*CHECK, "shop")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "Nothing is wrong in 12 signals of 2 namespaces.\n" == ended.stdout


def test_an_app_with_every_problem(wrong):
    """Each finding has its location and its remedy, and the exit code is 1."""
    ended = wrong.run(*CHECK, "wrong")
    assert 1 == ended.returncode
    lines = ended.stdout.splitlines()
    assert "while the app was imported" == lines[0]
    assert lines[1].startswith("  wrong: wrong.py:26: ")
    assert lines[1].endswith(
        "'order_id' of type str instead of int; its contract is "
        "order_paid(sender: str, /, *, order_id: int) -> None"
    )
    assert "wrong.shop" == lines[2]
    assert lines[3].startswith("  wrong: receiver thank (wrong.py:8) does not fit <lambda>(")
    assert lines[3].endswith(": it does not take 'order_id'; add **extra")
    assert (
        "  wrong: audit (wrong.py:10) listens to 'order_payed', which no code declares or has "
        "sent; did you mean 'order_paid'?"
    ) == lines[4]
    assert (
        "  remark: audit (wrong.py:10) listens to 'lamps-lit', which no code declares or has sent"
    ) == lines[5]
    assert lines[6].startswith(
        "  wrong: 'order_sent' has lost a receiver: <lambda> (wrong.py:20), a lambda, was connected"
    )
    assert ["", "4 findings, 1 remark in 14 signals of 2 namespaces."] == lines[7:]
    assert "DeprecationWarning" not in ended.stdout


def test_a_remark_does_not_fail(project):
    """A remark does not change the exit code, because the sender may be optional."""
    project.write(
        "app.py",
        """
        import aldis
        shop = aldis.Namespace()
        @shop.signal("lamps-lit").connect
        def light(sender): ...
        app = print
        """,
    )
    ended = project.run(*CHECK, "app")
    assert 0 == ended.returncode
    assert ended.stdout.endswith("\nNothing is wrong, 1 remark in 1 signal of 1 namespace.\n")


def test_a_finding_names_the_plugin_of_the_receiver(project):
    """A finding names the plugin that connected the receiver."""
    project.write(
        "app.py",
        """
        import aldis
        from aldis.plugins import Subscriptions

        shop = aldis.Namespace()
        shop.signal("lamps-lit", "Sent when a lamp is lit.")
        def light(sender, **extra): ...
        unit = Subscriptions({shop.signal("lamps-lid"): [light]}, plugin="dusk")
        unit.connect()
        app = print
        """,
    )
    ended = project.run(*CHECK, "app")
    assert 1 == ended.returncode
    assert "did you mean 'lamps-lit'? (of plugin 'dusk')\n" in ended.stdout


@pytest.mark.parametrize("held", [True, False])
def test_a_receiver_of_a_factory_that_died(project, held):
    """A local function that a factory connects weakly dies when the factory returns."""
    keep = "app.keep = hello" if held else "pass"
    project.write(
        "app.py",
        f"""
        import aldis.as_blinker
        from flask import Flask, request_started

        def create_app():
            app = Flask("shop")
            def hello(sender): ...
            request_started.connect(hello, app)
            {keep}
            return app
        """,
    )
    ended = project.run(*CHECK, "app")
    assert (0 if held else 1) == ended.returncode
    said = "create_app.<locals>.hello (app.py:6), a local function, was connected weakly and died"
    assert (not held) is (said in ended.stdout)


def test_a_receiver_that_died_before_a_send(project):
    """A send during the import does not hide a receiver that died before it."""
    project.write(
        "app.py",
        """
        import aldis
        lit = aldis.signal("lit", "Sent when lit.")
        lit.connect(lambda sender: None)
        lit.send("x")
        app = print
        """,
    )
    ended = project.run(*CHECK, "app")
    assert 1 == ended.returncode
    assert "while the app was imported\n  wrong: app.py:4: " in ended.stdout
    assert "a lambda, was connected weakly and died" in ended.stdout


def test_a_warning_of_another_library_is_not_a_finding(project):
    """A warning of another library goes to the standard error."""
    project.write("app.py", "import warnings\nwarnings.warn('mind the gap')\napp = print")
    ended = project.run(*CHECK, "app")
    assert 0 == ended.returncode
    assert "app.py:2: UserWarning: mind the gap" in ended.stderr


def test_an_app_that_cannot_be_imported(project):
    """If the app cannot be imported, the exit code is 2. It is 1 for findings."""
    project.write("app.py", "1 / 0")
    ended = project.run(*CHECK, "app")
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "ZeroDivisionError: division by zero\n  app.py:1: 1 / 0\n" in ended.stderr


def test_json_has_its_documented_form(wrong):
    """The JSON has every key of the schema and keeps the exit code."""
    ended = wrong.run(*CHECK, "wrong", "--json")
    assert 1 == ended.returncode
    facts = json.loads(ended.stdout)
    assert ["schema", "ok", "findings"] == list(facts)
    assert ("aldis-signals-check/1", False) == (facts["schema"], facts["ok"])
    problems = [each.pop("problem") for each in facts["findings"]]
    assert all(isinstance(each, str) for each in problems)
    found = {"namespace": "wrong.shop", "remark": False, "closest": None}
    assert [
        {**found, "namespace": None, "signal": None},
        {**found, "signal": "order_paid"},
        {**found, "signal": "order_payed", "closest": "order_paid"},
        {**found, "signal": "lamps-lit", "remark": True},
        {**found, "signal": "order_sent"},
    ] == facts["findings"]


def test_json_without_findings(shop):
    """The list of findings is empty if there is no problem."""
    ended = shop.run(*CHECK, "shop", "--json")
    assert {"schema": "aldis-signals-check/1", "ok": True, "findings": []} == json.loads(
        ended.stdout
    )


def test_under_flask(wrong):
    """Flask's command line keeps the exit code."""
    ended = wrong.run(*RUN, *FLASK, "--app", "wrong", "signals", "check")
    assert 1 == ended.returncode
    assert "4 findings, 1 remark" in ended.stdout


@pytest.mark.parametrize(
    "place",
    [
        "from flask import request_finished as signal",
        "from flask_login import user_logged_in as signal",
        "from quart.signals import got_serving_exception as signal",
    ],
)
def test_signals_check_reports_a_receiver_without_the_module_of_aldis(project, place):
    """The app imports only the framework and ``aldis.as_blinker``."""
    project.write(
        "app.py",
        f"""
        import aldis.as_blinker
        {place}

        @signal.connect
        def bad(sender, resp): ...

        app = print
        """,
    )
    ended = project.run(*CHECK, "app")
    assert 1 == ended.returncode
    assert "receiver bad (app.py:4) does not fit" in ended.stdout
