"""Plugins that are found by entry point, from real distributions on the path."""

import importlib
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from aldis.errors import PluginError, UnknownPluginError
from aldis.plugins import PluginManager

LISTENER = """
    from aldis import signal

    ANSWER = {answer!r}

    class Plugin:
        def get_signal_subscriptions(self):
            return {{signal("entry-points-test"): [lambda sender, **kwargs: ANSWER]}}
"""


def answers():
    """Send the signal that the plugins listen to."""
    from aldis import signal

    return [value for _, value in signal("entry-points-test").send()]


@pytest.fixture
def manager():
    """A manager whose plugins are disabled after the test."""
    manager = PluginManager()
    yield manager
    manager.disable(*manager.enabled)


def test_installed_plugins_are_found_by_name(distributions, manager):
    """An entry point makes a plugin known. Enabling the plugin imports it."""
    distributions.install("audit", LISTENER.format(answer=1))
    distributions.install("mail", LISTENER.format(answer=2))
    assert ("audit", "mail") == manager.names
    assert "dist_audit" not in sys.modules
    manager.enable("mail", "audit")
    assert [2, 1] == answers()
    manager.disable("mail")
    assert [1] == answers()


def test_one_plugins_import_does_not_load_the_others(distributions, manager):
    """A broken plugin that is not enabled does no harm."""
    distributions.install("audit", LISTENER.format(answer=1))
    distributions.install("broken", "raise RuntimeError('imported')")
    manager.enable("audit")
    assert [1] == answers()


def test_a_plugin_that_cannot_be_imported_is_named(distributions, manager):
    """The error names the plugin, its entry point, its distribution and the reason."""
    distributions.install("audit", LISTENER.format(answer=1))
    distributions.install("broken", "import no_such_module_anywhere", version="2.1")
    manager.enable("audit")
    with pytest.raises(PluginError) as caught:
        manager.enable("broken")
    assert "plugin 'broken' (dist_broken:Plugin of dist_broken 2.1)" in str(caught.value)
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert ("audit",) == manager.enabled


def test_a_plugin_that_cannot_be_made_is_named(distributions, manager):
    """The error names the plugin whose class raises."""
    distributions.install("broken", "class Plugin:\n    def __init__(self): raise OSError('disk')")
    with pytest.raises(PluginError, match=r"'broken' .*OSError: disk"):
        manager.enable("broken")
    assert () == manager.enabled


def test_an_entry_point_to_something_else_is_named(distributions, manager):
    """The error names an entry point whose object lacks the method of a plugin."""
    distributions.install("broken", "Plugin = 7")
    with pytest.raises(PluginError, match="7 has no method get_signal_subscriptions"):
        manager.enable("broken")


@pytest.mark.parametrize("value", ["dist broken:Plugin", "dist_broken:", "dist-broken:Plugin"])
def test_a_malformed_entry_point_is_named(distributions, manager, value):
    """The error shows the mistake and the right form, also after a reload."""
    distributions.install("broken", LISTENER.format(answer=1), version="2.1", value=value)
    said = (
        f"its entry point is malformed: {value!r} is not of the form 'package.module' or "
        "'package.module:Plugin'"
    )
    for use in (manager.enable, manager.plugin, manager.reload):
        with pytest.raises(PluginError) as caught:
            use("broken")
        assert str(caught.value).startswith(f"plugin 'broken' ({value} of dist_broken 2.1) cannot")
        assert str(caught.value).endswith(said)
    assert () == manager.enabled


@pytest.mark.parametrize(
    "problem", ["SystemExit(3)", "GeneratorExit('why')", "BaseException('why')", "StopIteration()"]
)
@pytest.mark.parametrize("where", ["import", "class", "mapping"])
def test_a_plugin_that_would_end_the_application_is_named(distributions, manager, problem, where):
    """An exception that no ``except Exception`` catches becomes an error that names the plugin."""
    places = dict.fromkeys(["import", "class", "mapping"], "pass") | {where: f"raise {problem}"}
    source = f"""
        {places["import"]}
        class Plugin:
            def __init__(self):
                {places["class"]}
            def get_signal_subscriptions(self):
                {places["mapping"]}
                return {{}}
    """
    distributions.install("leaving", source, version="2.1")
    distributions.install("audit", LISTENER.format(answer=1))
    with pytest.raises(PluginError) as caught:
        manager.enable("audit", "leaving")
    said = str(caught.value)
    assert said.startswith("plugin 'leaving' (dist_leaving:Plugin of dist_leaving 2.1) cannot be ")
    assert problem.partition("(")[0] in said
    assert () == manager.enabled


def test_an_interrupt_stays_one_and_names_the_plugin(distributions, manager):
    """Ctrl-C during the import of a plugin ends the program. A note names the plugin."""
    distributions.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt) as caught:
        manager.enable("slow")
    (note,) = caught.value.__notes__
    where = "plugin 'slow' (dist_slow:Plugin of dist_slow 1.0)"
    assert note == f"{where} cannot be loaded: it was interrupted"


@pytest.mark.parametrize(
    "text",
    [b"[aldis.plugins]\nbroken = \xff\xfe", b"[aldis.plugins]\nbroken\n", b"\xff"],
)
def test_a_damaged_distribution_keeps_no_other_from_loading(distributions, manager, caplog, text):
    """A warning names the distribution once, and the plugins of the others load."""
    distributions.install("damaged", LISTENER.format(answer=2))
    (folder,) = distributions.path.glob("dist_damaged-*")
    folder.joinpath("entry_points.txt").write_bytes(text)
    distributions.install("audit", LISTENER.format(answer=1))
    manager.enable("audit")
    assert [1] == answers()
    assert ("audit",) == manager.names
    with pytest.raises(UnknownPluginError) as caught:
        manager.enable("damaged")
    assert f"the entry points of {folder} cannot be read" in str(caught.value)
    (record,) = [each for each in caplog.records if str(folder) in each.getMessage()]
    assert "so its plugins are missing" in record.getMessage()
    assert "reinstall the distribution" in record.getMessage()


@pytest.mark.parametrize("metadata", [b"Name: \xff\xfe", b"", None])
def test_damaged_metadata_keeps_no_plugin_from_loading(distributions, manager, metadata):
    """The plugin of the damaged distribution loads, too, and an error names its plugin."""
    distributions.install("damaged", LISTENER.format(answer=1))
    distributions.install("broken", "1 / 0")
    for folder in distributions.path.glob("dist_*-1.0.dist-info"):
        if metadata is None:
            folder.joinpath("METADATA").unlink()
        else:
            folder.joinpath("METADATA").write_bytes(metadata)
    manager.enable("damaged")
    assert [1] == answers()
    with pytest.raises(PluginError, match=r"plugin 'broken' .*dist_broken.*ZeroDivisionError"):
        manager.enable("broken")


def test_a_distribution_that_comes_first_on_the_path_hides_another(
    distributions, manager, tmp_path, monkeypatch
):
    """Of two distributions of one name, the plugins of the first one count."""
    distributions.install("audit", LISTENER.format(answer=1))
    first = type(distributions)(tmp_path / "first", "no.group")
    first.path.mkdir()
    first.install("audit", LISTENER.format(answer=2), version="9.0")
    monkeypatch.syspath_prepend(first.path)
    assert () == manager.names


def test_the_error_for_an_absent_plugin_suggests_the_closest(distributions, manager):
    """The error for a name that no distribution installs suggests the closest name."""
    distributions.install("shop-audit", LISTENER.format(answer=1))
    with pytest.raises(UnknownPluginError, match="did you mean 'shop-audit'"):
        manager.enable("shop-adit")
    with pytest.raises(UnknownPluginError, match=r"installed in .*: 'shop-audit'"):
        manager.disable("zzz")


def test_reloading_imports_the_module_anew(distributions, manager):
    """After a reload, the code that is on disk now runs."""
    distributions.install("audit", LISTENER.format(answer=1))
    manager.enable("audit")
    distributions.install("audit", LISTENER.format(answer="changed"))
    assert [1] == answers()
    manager.reload("audit")
    assert ["changed"] == answers()


def test_a_module_broken_since_is_an_error_until_it_is_repaired(distributions, manager):
    """A failed reload leaves nothing connected and no half-loaded module."""
    distributions.install("audit", LISTENER.format(answer=1))
    manager.enable("audit")
    distributions.install("audit", "class Plugin: pass\nraise RuntimeError('half')")
    with pytest.raises(PluginError, match=r"'audit' .* cannot be reloaded: RuntimeError: half"):
        manager.reload("audit")
    assert [] == answers()
    for _ in range(2):
        with pytest.raises(PluginError, match="cannot be loaded: RuntimeError: half"):
            manager.enable("audit")
    distributions.install("audit", LISTENER.format(answer=22))
    importlib.invalidate_caches()
    manager.reload("audit")
    assert [22] == answers()


def test_an_added_plugin_hides_an_installed_one(distributions, manager):
    """A plugin that the program adds hides an installed plugin of the same name."""
    from aldis import signal

    class Own:
        def get_signal_subscriptions(self):
            return {signal("entry-points-test"): [lambda sender, **kwargs: "own"]}

    distributions.install("audit", LISTENER.format(answer=1))
    manager.add("audit", Own)
    assert ("audit",) == manager.names
    manager.enable("audit")
    manager.reload("audit")
    assert ["own"] == answers()


def test_a_module_can_be_the_plugin(distributions, manager):
    """An entry point may name a module that has the function."""
    source = """
        import sys
        from aldis import signal

        def get_signal_subscriptions():
            return {signal("entry-points-test"): [lambda sender, **kwargs: "module"]}

        Plugin = sys.modules[__name__]
    """
    distributions.install("audit", source)
    manager.enable("audit")
    assert ["module"] == answers()


def test_an_application_can_have_its_own_group(distributions):
    """An application with its own entry point group finds only the plugins of that group."""
    distributions.group = "shop.plugins"
    distributions.install("audit", LISTENER.format(answer=1))
    assert ("audit",) == PluginManager("shop.plugins").names
    assert "audit" in entry_points(group="shop.plugins").names
    assert () == PluginManager().names


def test_without_pluggy_the_error_names_the_extra():
    """The error for a missing dependency names the extra to install."""
    code = """if True:
        import sys
        sys.modules["pluggy"] = None
        try:
            import aldis.plugins
        except ImportError as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "MissingExtraError aldis.plugins needs pluggy" in done.stdout
    assert "pip install 'aldis[plugins]'" in done.stdout
