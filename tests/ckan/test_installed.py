"""With CKAN and without it: CKAN's signals, the stand-in, and the refusals.

CKAN takes minutes to install and needs databases, so ``tests/ckan/downstream`` tests
aldis with it. Here, a few lines replace CKAN: its module of signals as aldis finds it.
"""

import sys
import textwrap

import pytest

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

from aldis.ckan import install_as_ckan
from aldis.errors import StandInError
from tests.fresh import run

SIGNALS = """
import flask.signals
from blinker import Namespace

ckan = Namespace()
ckanext = Namespace()
request_started = ckan.signal("request_started", "What CKAN says of it.")
flask.signals.request_started.connect(request_started.send)
action_succeeded = ckan.signal("action_succeed")
"""
PLUGINS = """
class ISignal: pass

class SingletonPlugin:
    interfaces = []
    def __init__(self, name): self.name = name

def implements(interface): SingletonPlugin.interfaces.append(interface)
"""


@pytest.fixture
def with_ckan(tmp_path):
    """Return the first lines of a program that finds CKAN."""
    for name, source in {"lib/signals": SIGNALS, "plugins/__init__": PLUGINS}.items():
        file = tmp_path / "ckan" / f"{name}.py"
        file.parent.mkdir(parents=True)
        file.write_text(source, encoding="utf-8")
    return f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True\n"


def test_with_ckan_the_signals_are_its_own(with_ckan):
    """The signals are CKAN's objects, with types and CKAN's docs, and are relayed once."""
    code = """
        import aldis.ckan
        from ckan.lib import signals
        import flask
        assert aldis.ckan.ckan is signals.ckan
        assert aldis.ckan.action_succeeded is signals.action_succeeded
        assert aldis.ckan.action_succeeded.contract.advisory
        assert aldis.ckan.action_succeeded.__doc__.startswith("Sent after every action")
        assert aldis.ckan.request_started.__doc__ == "What CKAN says of it."
        assert len(flask.request_started.receivers) == 1
        print("ours" if aldis.ckan.user_created.namespace is signals.ckan else "lost")
    """
    assert "ours\n" == run(with_ckan + textwrap.dedent(code))


def test_with_ckan_the_base_is_a_ckan_plugin(with_ckan):
    """The base implements ISignal, and takes the name that CKAN gives."""
    code = """
        from aldis.ckan import SignalPlugin
        import ckan.plugins as p
        assert p.SingletonPlugin.interfaces == [p.ISignal]
        assert isinstance(SignalPlugin(name="custom"), p.SingletonPlugin)
        print(SignalPlugin(name="custom").name)
    """
    assert "custom\n" == run(with_ckan + textwrap.dedent(code))


def test_with_ckan_there_is_no_stand_in(with_ckan):
    """With CKAN, aldis installs no stand-in."""
    code = """
        from aldis.ckan import install_as_ckan
        from aldis.errors import StandInError
        try:
            install_as_ckan()
        except StandInError as error:
            print(error)
    """
    assert "CKAN is installed, so aldis does not" in run(with_ckan + textwrap.dedent(code))


@pytest.mark.parametrize("first", ["ckan.lib.signals", "blinker"])
def test_ckan_on_blinker_works_on_aldis_from_then_on(with_ckan, first):
    """CKAN's signals work on aldis if aldis is imported after CKAN."""
    code = f"""
        import {first}
        import aldis.ckan
        import ckan.lib.signals
        print(aldis.ckan.action_succeeded is ckan.lib.signals.action_succeeded)
        print(isinstance(ckan.lib.signals.action_succeeded, aldis.Signal))
    """
    assert "True\nTrue\n" == run(with_ckan + textwrap.dedent(code))


def test_ckan_loaded_with_a_blinker_that_was_removed(with_ckan):
    """A program that removed blinker from ``sys.modules`` does not hide CKAN's signals."""
    code = """
        import ckan.lib.signals
        for name in [name for name in sys.modules if name.startswith("blinker")]:
            del sys.modules[name]
        import aldis.ckan
        print(aldis.ckan.ckan is ckan.lib.signals.ckan, type(aldis.ckan.ckan) is aldis.Namespace)
    """
    assert "True True\n" == run(with_ckan + textwrap.dedent(code))


def test_ckan_with_another_kind_of_namespace_is_refused(with_ckan, tmp_path):
    """A CKAN whose signals come from another library than blinker is an error."""
    (tmp_path / "ckan" / "lib" / "signals.py").write_text("ckan = ckanext = {}")
    code = """
        try:
            import aldis.ckan
        except RuntimeError as error:
            print(error)
    """
    assert "CKAN's signals are made by blinker" in run(with_ckan + textwrap.dedent(code))


def test_the_error_of_a_broken_ckan_is_raised(with_ckan, tmp_path):
    """A module that CKAN misses is not confused with a missing CKAN."""
    (tmp_path / "ckan" / "lib" / "signals.py").write_text("import missing_of_ckan")
    code = """
        try:
            import aldis.ckan
        except ModuleNotFoundError as error:
            print(error.name)
    """
    assert "missing_of_ckan\n" == run(with_ckan + textwrap.dedent(code))


@pytest.mark.parametrize(("name", "title"), [("flask", "Flask"), ("flask_login", "Flask-Login")])
def test_without_flask_login_the_error_names_the_extra(name, title):
    """The error for a missing dependency names the extra to install."""
    code = f"""
        import sys
        sys.modules[{name!r}] = None
        try:
            import aldis.ckan
        except ImportError as error:
            print(type(error).__name__, error)
    """
    printed = run(code)
    assert f"MissingExtraError aldis.ckan without CKAN needs {title}," in printed
    assert "pip install 'aldis[ckan]'" in printed


def test_the_error_of_a_broken_flask_login_is_raised(tmp_path):
    """A broken Flask-Login raises its own error."""
    (tmp_path / "flask_login.py").write_text("import missing_of_login")
    code = f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True
        try:
            import aldis.ckan
        except ModuleNotFoundError as error:
            print(error.name)
    """
    assert "missing_of_login\n" == run(code)


def test_the_stand_in_has_the_names_that_plugins_import(extensions):
    """A second call changes nothing, and each plugin class has one instance."""
    install_as_ckan()
    plugins = sys.modules["ckan.plugins"]

    class First(plugins.SingletonPlugin):
        plugins.implements(plugins.ISignal, inherit=True)

    class Second(First): ...

    assert First() is First()
    assert Second() is not First()
    assert "First" == First().name
    assert "given" == First(name="given").name
    from ckan.plugins.interfaces import ISignal
    from ckan.types import SignalMapping

    assert ISignal is plugins.ISignal
    assert SignalMapping is not None


def test_the_stand_in_does_not_hide_a_ckan(monkeypatch):
    """With CKAN installed, the stand-in is refused."""
    from aldis.ckan import stand_in

    monkeypatch.setattr(stand_in, "theirs", object())
    with pytest.raises(StandInError, match="CKAN is installed, so aldis does not replace it"):
        install_as_ckan()
