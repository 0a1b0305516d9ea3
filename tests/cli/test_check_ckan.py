"""``signals check`` on an app with CKAN's signals finds as much as ``aldis.ckan.check()``."""

import re
from pathlib import Path

import pytest

from tests.cli.support import ALDIS

pytest.importorskip("flask_login", reason="aldis.ckan relays signals of flask_login")

CHECK = (*ALDIS, "signals", "check", "--app")

PLUGIN = """
    from aldis.ckan import SignalPlugin, ckan, ckanext

    def greet(sender, **kwargs): ...

    class GreetingsPlugin(SignalPlugin):
        def listeners(self):
            return {{{signal}: [greet]}}

    plugin = GreetingsPlugin(name="greetings")
    for signal, listeners in plugin.get_signal_subscriptions().items():
        for listener in listeners:
            signal.connect(listener)
    app = print
    """


@pytest.fixture
def check_listener(project):
    """Give a function that checks an app with a plugin that listens to a signal."""

    def check(signal, more=""):
        project.write("app.py", PLUGIN.format(signal=signal))
        with (project.folder / "app.py").open("a", encoding="utf-8") as app:
            app.write(more)
        return project.run(*CHECK, "app")

    return check


def test_a_misspelt_signal_of_ckan(check_listener):
    """The finding has the closest name and the plugin, and the exit code is 1."""
    ended = check_listener("ckan.signal('user_craeted')")
    assert (1, "") == (ended.returncode, ended.stderr)
    assert (
        "  wrong: greet (app.py:3) listens to 'user_craeted', which no code declares or has sent; "
        "did you mean 'user_created'? (of plugin 'greetings')\n"
    ) in ended.stdout


def test_a_name_unlike_every_signal_of_ckan(check_listener):
    """All of CKAN's signals are known, so an unknown name is a problem and not a remark."""
    ended = check_listener("ckan.signal('before_action')")
    assert 1 == ended.returncode
    assert "  wrong: greet (app.py:3) listens to 'before_action', which" in ended.stdout


def test_a_name_of_an_extension_that_may_not_be_installed(check_listener):
    """An unknown signal of an extension is only a remark."""
    ended = check_listener("ckanext.signal('harvest_done')")
    assert 0 == ended.returncode
    assert "  remark: greet (app.py:3) listens to 'harvest_done', which" in ended.stdout


def test_a_signal_of_an_extension_without_its_prefix(check_listener):
    """A signal of an extension is a problem if its name does not begin with a plugin's name."""
    declare = """
ckanext.signal("updated", "Sent when something is.")
ckanext.signal("greetings_sent", "Sent when a greeting is.")
ckan.signal("user_created")
"""
    ended = check_listener("ckan.signal('user_created')", declare)
    assert 1 == ended.returncode
    assert ["updated"] == re.findall(r"the signal '(\w+)'", ended.stdout)
    assert "1 finding in " in ended.stdout


def test_a_plugin_without_a_problem(check_listener):
    """If a plugin has no problem, the exit code is 0."""
    ended = check_listener("ckan.signal('user_created')")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert ended.stdout.startswith("Nothing is wrong in ")


def test_the_documented_module_without_ckan(project):
    """The module in ``docs/ckan.md`` is an app that can be checked."""
    text = (Path(__file__).parents[2] / "docs" / "ckan.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n# listening.py\n(.*?)```", text, re.DOTALL)
    project.write("listening.py", module)
    project.write(
        "ckanext/greetings/plugin.py",
        """
        from aldis.ckan import SignalPlugin, ckan

        class GreetingsPlugin(SignalPlugin):
            def listeners(self):
                return {ckan.signal("user_craeted"): [lambda sender, **kwargs: None]}
        """,
    )
    ended = project.run(*CHECK, "listening")
    assert (1, "") == (ended.returncode, ended.stderr)
    assert "did you mean 'user_created'? (of plugin 'greetings')\n" in ended.stdout
