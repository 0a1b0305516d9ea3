"""Plugins that are enabled, disabled and reloaded at run time."""

import pickle

import pytest

from aldis import Namespace
from aldis.errors import PluginError, UnknownPluginError
from aldis.plugins import ISignal, PluginManager
from aldis.receivers import robust


class Plugin:
    """Connects a new closure to one signal at each call."""

    def __init__(self, signal, answer, **options):
        self.signal = signal
        self.answer = answer
        self.options = options

    def get_signal_subscriptions(self):
        """Return a new mapping with a new receiver."""
        return {self.signal: [{"receiver": lambda sender, **kwargs: self.answer, **self.options}]}


def values(results):
    """Return what the receivers returned."""
    return [value for _, value in results]


@pytest.fixture
def paid(shop):
    """The signal to which each plugin connects."""
    return shop.signal("paid")


@pytest.fixture
def manager(paid):
    """A manager of three plugins, none of them enabled."""
    manager = PluginManager()
    for name in ("audit", "mail", "stock"):
        manager.add(name, Plugin(paid, name))
    return manager


def test_an_object_with_the_method_is_a_plugin(paid):
    """An object with the method of ``ISignal`` is a plugin."""
    assert isinstance(Plugin(paid, "x"), ISignal)
    assert not isinstance(object(), ISignal)


def test_nothing_is_connected_until_it_is_enabled(manager, paid):
    """Adding or inspecting a plugin connects nothing."""
    assert "audit" == manager.plugin("audit").answer
    assert ("audit", "mail", "stock") == manager.names
    assert () == manager.enabled
    assert not paid.receivers


def test_the_order_of_enabling_is_the_order_of_receiving(manager, paid):
    """Receivers run in the order in which their plugins were enabled."""
    manager.enable("stock", "audit")
    manager.enable("mail")
    assert ("stock", "audit", "mail") == manager.enabled
    assert ["stock", "audit", "mail"] == values(paid.send())


def test_enabling_again_changes_nothing(manager, paid):
    """An enabled plugin keeps its only connection and its place."""
    manager.enable("audit", "mail")
    manager.enable("audit")
    assert ["audit", "mail"] == values(paid.send())
    manager.disable("audit")
    assert ["mail"] == values(paid.send())


def test_disabling_disconnects_what_enabling_connected(manager, paid):
    """The others stay, in their order. You can disable a plugin twice."""
    manager.enable("audit", "mail", "stock")
    manager.disable("mail", "mail")
    manager.disable("mail")
    assert ["audit", "stock"] == values(paid.send())
    manager.enable("mail")
    assert ["audit", "stock", "mail"] == values(paid.send())


def test_reloading_asks_the_plugin_anew(manager, paid):
    """A reload reads the mapping again, and the plugin receives after the others."""
    manager.enable("audit", "mail")
    manager.plugin("audit").answer = "changed"
    manager.reload("audit")
    assert ["mail", "changed"] == values(paid.send())
    assert ("mail", "audit") == manager.enabled


def test_reloading_enables(manager, paid):
    """A plugin that was disabled is enabled by a reload."""
    manager.reload("stock")
    assert ["stock"] == values(paid.send())


def test_a_class_makes_its_plugin(shop):
    """A class is called without arguments at the first load and at each reload."""
    made = []

    class Counted(Plugin):
        def __init__(self):
            made.append(self)
            super().__init__(shop.signal("paid"), len(made))

    manager = PluginManager()
    manager.add("counted", Counted)
    manager.enable("counted")
    assert [1] == values(shop.signal("paid").send())
    manager.reload("counted")
    assert [2] == values(shop.signal("paid").send())


def test_a_plugin_that_fails_is_named_and_leaves_nothing(manager, shop, paid):
    """The error names the plugin, the entry and the reason, and the plugin is not enabled."""

    class Failing:
        def get_signal_subscriptions(self):
            yes = lambda sender, **kwargs: "failing"
            return {paid: [yes], shop.signal("sent"): [{"receiver": yes, "wake": True}]}

    manager.add("failing", Failing())
    manager.enable("audit")
    with pytest.raises(PluginError) as caught:
        manager.enable("failing")
    assert "failing" == caught.value.plugin
    assert "plugin 'failing' cannot be enabled" in str(caught.value)
    assert "entry 1 of 'sent'" in str(caught.value)
    assert "no option 'wake'; did you mean 'weak'" in str(caught.value)
    assert ("audit",) == manager.enabled
    assert ["audit"] == values(paid.send())
    assert not shop.signal("sent").receivers


def test_an_error_while_connecting_names_the_entry(manager, paid):
    """An error that ``connect`` raises is reported with the entry, too."""

    class Unhashed:
        __slots__ = ()

        def __call__(self, sender, **kwargs): ...

    class Failing:
        def get_signal_subscriptions(self):
            return {paid: [Unhashed()]}

    manager.add("failing", Failing())
    with pytest.raises(PluginError, match=r"weakly.*entry 1 of 'paid'.*nothing is connected"):
        manager.enable("failing")


def test_enabling_several_is_all_or_nothing(manager, paid):
    """If one plugin fails, the plugins that the same call enabled are disabled again."""
    manager.enable("stock")
    with pytest.raises(UnknownPluginError):
        manager.enable("audit", "stock", "mial")
    assert ("stock",) == manager.enabled
    assert ["stock"] == values(paid.send())


def test_a_reload_that_fails_leaves_nothing(manager, paid):
    """After a failed reload the plugin is disabled. After a repair, a reload works."""
    manager.enable("audit", "mail")
    plugin = manager.plugin("audit")
    plugin.signal = "paid"
    with pytest.raises(PluginError, match="'audit'"):
        manager.reload("audit")
    assert ("mail",) == manager.enabled
    assert ["mail"] == values(paid.send())
    plugin.signal = paid
    manager.reload("audit")
    assert ["mail", "audit"] == values(paid.send())


@pytest.mark.parametrize("act", ["enable", "disable", "reload", "plugin"])
def test_the_error_for_an_unknown_plugin_suggests_the_closest(manager, act):
    """A misspelt name changes nothing, and the error suggests the closest name."""
    manager.enable("audit")
    with pytest.raises(UnknownPluginError, match="'aduit'; did you mean 'audit'") as caught:
        getattr(manager, act)("aduit")
    assert isinstance(caught.value, LookupError)
    assert "aduit" == caught.value.plugin
    assert ("audit",) == manager.enabled


def test_the_error_for_a_foreign_name_lists_all_plugins(manager):
    """Without a close name, the error lists the installed plugins and the searched group."""
    with pytest.raises(UnknownPluginError, match=r"'aldis.plugins': 'audit', 'mail', 'stock'"):
        manager.enable("zzz")
    with pytest.raises(UnknownPluginError, match=r"'shop.nothing': none"):
        PluginManager("shop.nothing").enable("zzz")


def test_disabling_a_misspelt_one_disables_none(manager):
    """All names are checked before a receiver is disconnected."""
    manager.enable("audit")
    with pytest.raises(UnknownPluginError):
        manager.disable("audit", "mial")
    assert ("audit",) == manager.enabled


def test_all_are_disabled_although_an_announcement_raises(manager, paid):
    """All plugins are disabled even if a receiver of ``receiver_disconnected`` raises."""

    def complain(signal, /, **kwargs):
        raise ZeroDivisionError

    manager.enable("audit", "mail")
    paid.receiver_disconnected.connect(complain)
    with pytest.raises(ZeroDivisionError):
        manager.disable("audit", "mail")
    assert () == manager.enabled
    assert not paid.receivers


@pytest.mark.parametrize("plugin", [object(), object, None, len])
def test_an_object_without_the_method_is_refused(manager, plugin):
    """``add`` refuses an object without the method and names the method."""
    with pytest.raises(PluginError, match=r"'other' .* get_signal_subscriptions"):
        manager.add("other", plugin)
    assert "other" not in manager.names


def test_the_method_takes_no_arguments(manager):
    """The manager refuses a method with other parameters."""

    class Demanding:
        def get_signal_subscriptions(self, app): ...

    with pytest.raises(PluginError, match="app"):
        manager.add("demanding", Demanding())


def test_a_name_is_given_once(manager, paid):
    """A second plugin of the same name is refused."""
    with pytest.raises(PluginError, match="there is a plugin 'audit' already"):
        manager.add("audit", Plugin(paid, "other"))


def test_a_dependent_may_be_enabled_before_its_provider(shop):
    """A plugin may connect to a name before another plugin declares the signal."""
    manager = PluginManager()
    heard = []

    class Dependent:
        def get_signal_subscriptions(self):
            return {shop.signal("stock_low"): [self.listen]}

        def listen(self, sender, **kwargs):
            heard.append((sender, kwargs))

    class Provider:
        def get_signal_subscriptions(self):
            @shop.define
            def stock_low(sender: str, /, *, left: int) -> None:
                """Sent when a product runs out."""

            self.stock_low = stock_low
            return {}

    manager.add("dependent", Dependent)
    manager.add("stock", Provider)
    manager.enable("dependent", "stock")
    manager.plugin("stock").stock_low.send("bolt", left=2)
    assert [("bolt", {"left": 2})] == heard
    assert [] == shop.check()


def test_a_receiver_may_disable_its_own_plugin(manager, paid):
    """A receiver may disable its plugin, and the other receivers of the send are called."""

    class Leaving:
        def get_signal_subscriptions(self):
            return {paid: [self.leave]}

        def leave(self, sender, **kwargs):
            manager.disable("leaving")
            return "left"

    manager.add("leaving", Leaving)
    manager.enable("leaving", "audit")
    assert ["left", "audit"] == values(paid.send())
    assert ["audit"] == values(paid.send())


def test_a_manager_can_isolate_all_its_plugins(paid, caplog):
    """A manager with a delivery mode gives it to every receiver that has none."""

    class Failing:
        def get_signal_subscriptions(self):
            return {paid: [self.fail]}

        def fail(self, sender, **kwargs):
            raise ZeroDivisionError

    manager = PluginManager(delivery=robust)
    manager.add("failing", Failing)
    manager.add("audit", Plugin(paid, "audit"))
    manager.enable("failing", "audit")
    assert [None, "audit"] == values(paid.send())
    assert "Failing.fail" in caplog.text


def test_an_error_survives_pickling():
    """The error of a plugin can be pickled, with the plugin's name."""
    error = pickle.loads(pickle.dumps(UnknownPluginError("none", plugin="x")))  # noqa: S301
    assert UnknownPluginError is type(error)
    assert "x" == error.plugin
    assert "none" == str(error)


def test_a_manager_shows_what_is_enabled(manager):
    """The repr of a manager shows the enabled plugins."""
    assert "<PluginManager of 'aldis.plugins': none enabled>" == repr(manager)
    manager.enable("mail", "audit")
    assert "<PluginManager of 'aldis.plugins': 'mail', 'audit'>" == repr(manager)


def test_check_names_the_plugin_with_a_misspelt_signal(manager, shop):
    """``check`` reports an undeclared name with the closest name and with the plugin."""

    @shop.define
    def order_paid(sender: object, /) -> None: ...

    manager.add("typist", Plugin(shop.signal("order_payed"), "never"))
    manager.enable("typist")
    findings = [each for each in manager.check() if each.signal == "order_payed"]
    (finding,) = findings
    assert "order_paid" == finding.closest
    assert str(finding).endswith("did you mean 'order_paid'? (of plugin 'typist')")


def test_check_names_no_plugin_for_other_receivers(manager, shop):
    """A finding about a receiver that no plugin connected names no plugin."""
    listener = shop.signal("nobody_sends_this").connect(lambda sender: None, weak=False)
    (finding,) = [each for each in manager.check() if each.signal == "nobody_sends_this"]
    assert finding.remark
    assert "of plugin" not in finding.problem
    shop.signal("nobody_sends_this").disconnect(listener)


def test_check_looks_at_the_prefixes_of_shared_namespaces(manager):
    """In a shared namespace, the name of a signal begins with the name of its plugin."""
    shared = Namespace()

    @shared.define
    def updated(sender: object, /) -> None: ...

    shared.signal("audit-written", doc="Declared by a doc.")
    shared.signal("stock.low").send()
    shared.signal("Mail_sent").send()
    shared.signal("mailed").send()
    shared.signal("only-listened-to")
    findings = [each for each in manager.check(shared) if each.signal in shared]
    assert ["updated", "mailed"] == [each.signal for each in findings]
    assert "declared in tests.plugins.test_manager" in findings[0].problem
    assert "call it 'PLUGIN_updated'" in findings[0].problem
