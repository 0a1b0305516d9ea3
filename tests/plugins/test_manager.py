"""Plugins that come and go at run time."""

import pickle

import pytest

from aldis import Namespace
from aldis.errors import PluginError, UnknownPluginError
from aldis.plugins import ISignal, PluginManager
from aldis.receivers import robust


class Plugin:
    """Listens to one signal, with a new closure at each call."""

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
    """The signal that everybody listens to."""
    return shop.signal("paid")


@pytest.fixture
def manager(paid):
    """A manager of three plugins, none of them enabled."""
    manager = PluginManager()
    for name in ("audit", "mail", "stock"):
        manager.add(name, Plugin(paid, name))
    return manager


def test_a_plugin_is_what_has_the_one_method(paid):
    """``ISignal`` is recognised by its method."""
    assert isinstance(Plugin(paid, "x"), ISignal)
    assert not isinstance(object(), ISignal)


def test_nothing_is_connected_until_it_is_enabled(manager, paid):
    """Adding a plugin, or looking at it, connects nothing."""
    assert "audit" == manager.plugin("audit").answer
    assert ("audit", "mail", "stock") == manager.names
    assert () == manager.enabled
    assert not paid.receivers


def test_the_order_of_enabling_is_the_order_of_receiving(manager, paid):
    """Not the order in which plugins were added, nor that of their names."""
    manager.enable("stock", "audit")
    manager.enable("mail")
    assert ("stock", "audit", "mail") == manager.enabled
    assert ["stock", "audit", "mail"] == values(paid.send())


def test_enabling_again_changes_nothing(manager, paid):
    """A plugin that is enabled keeps its one connection and its place."""
    manager.enable("audit", "mail")
    manager.enable("audit")
    assert ["audit", "mail"] == values(paid.send())
    manager.disable("audit")
    assert ["mail"] == values(paid.send())


def test_disabling_disconnects_what_enabling_connected(manager, paid):
    """The others stay, in their order; disabling again is no error."""
    manager.enable("audit", "mail", "stock")
    manager.disable("mail", "mail")
    manager.disable("mail")
    assert ["audit", "stock"] == values(paid.send())
    manager.enable("mail")
    assert ["audit", "stock", "mail"] == values(paid.send())


def test_reloading_asks_the_plugin_anew(manager, paid):
    """The mapping is asked for again, and the plugin receives after the others."""
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
    """A class is called without arguments when it is loaded, and anew when it is reloaded."""
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
    """The error says which plugin, which entry and why; the plugin is not enabled."""

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
    """What a signal refuses only when it connects is reported with its place too."""

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
    """Those that the same call enabled before the failing one are disabled again."""
    manager.enable("stock")
    with pytest.raises(UnknownPluginError):
        manager.enable("audit", "stock", "mial")
    assert ("stock",) == manager.enabled
    assert ["stock"] == values(paid.send())


def test_a_reload_that_fails_leaves_nothing(manager, paid):
    """The plugin is disabled then, and can be reloaded when it is repaired."""
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
def test_an_unknown_plugin_is_answered_with_the_closest(manager, act):
    """A misspelt name changes nothing; the error names what was perhaps meant."""
    manager.enable("audit")
    with pytest.raises(UnknownPluginError, match="'aduit'; did you mean 'audit'") as caught:
        getattr(manager, act)("aduit")
    assert isinstance(caught.value, LookupError)
    assert "aduit" == caught.value.plugin
    assert ("audit",) == manager.enabled


def test_a_name_like_no_other_is_answered_with_all_there_are(manager):
    """Without a close name, the error lists what is installed and where it was looked for."""
    with pytest.raises(UnknownPluginError, match=r"'aldis.plugins': 'audit', 'mail', 'stock'"):
        manager.enable("zzz")
    with pytest.raises(UnknownPluginError, match=r"'shop.nothing': none"):
        PluginManager("shop.nothing").enable("zzz")


def test_disabling_a_misspelt_one_disables_none(manager):
    """The names are looked at before anything is disconnected."""
    manager.enable("audit")
    with pytest.raises(UnknownPluginError):
        manager.disable("audit", "mial")
    assert ("audit",) == manager.enabled


def test_all_are_disabled_although_an_announcement_raises(manager, paid):
    """A listener of ``receiver_disconnected`` that raises keeps nothing connected."""

    def complain(signal, /, **kwargs):
        raise ZeroDivisionError

    manager.enable("audit", "mail")
    paid.receiver_disconnected.connect(complain)
    with pytest.raises(ZeroDivisionError):
        manager.disable("audit", "mail")
    assert () == manager.enabled
    assert not paid.receivers


@pytest.mark.parametrize("plugin", [object(), object, None, len])
def test_what_has_no_subscriptions_is_no_plugin(manager, plugin):
    """It is refused when it is added, and the error says what it lacks."""
    with pytest.raises(PluginError, match=r"'other' .* get_signal_subscriptions"):
        manager.add("other", plugin)
    assert "other" not in manager.names


def test_the_method_takes_no_arguments(manager):
    """Pluggy holds a plugin to the interface."""

    class Demanding:
        def get_signal_subscriptions(self, app): ...

    with pytest.raises(PluginError, match="app"):
        manager.add("demanding", Demanding())


def test_a_name_is_given_once(manager, paid):
    """A second plugin of the same name is refused."""
    with pytest.raises(PluginError, match="there is a plugin 'audit' already"):
        manager.add("audit", Plugin(paid, "other"))


def test_a_dependent_may_be_enabled_before_its_provider(shop):
    """A name subscribed to before the plugin that declares it is installed is the same signal."""
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
                """Sent when something runs out."""

            self.stock_low = stock_low
            return {}

    manager.add("dependent", Dependent)
    manager.add("stock", Provider)
    manager.enable("dependent", "stock")
    manager.plugin("stock").stock_low.send("bolt", left=2)
    assert [("bolt", {"left": 2})] == heard
    assert [] == shop.check()


def test_a_receiver_may_disable_its_own_plugin(manager, paid):
    """A plugin may go while it receives; the others of that send are called."""

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
    """Given a delivery, it gives it to every receiver that has none."""

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
    """A pool of processes hands it on with the plugin's name."""
    error = pickle.loads(pickle.dumps(UnknownPluginError("none", plugin="x")))  # noqa: S301
    assert UnknownPluginError is type(error)
    assert "x" == error.plugin
    assert "none" == str(error)


def test_a_manager_shows_what_is_enabled(manager):
    """Its representation is for people."""
    assert "<PluginManager of 'aldis.plugins': none enabled>" == repr(manager)
    manager.enable("mail", "audit")
    assert "<PluginManager of 'aldis.plugins': 'mail', 'audit'>" == repr(manager)


def test_check_names_the_plugin_that_listens_to_a_misspelt_signal(manager, shop):
    """A name that nobody declares is reported with the closest and with the plugin."""

    @shop.define
    def order_paid(sender: object, /) -> None: ...

    manager.add("typist", Plugin(shop.signal("order_payed"), "never"))
    manager.enable("typist")
    findings = [each for each in manager.check() if each.signal == "order_payed"]
    (finding,) = findings
    assert "order_paid" == finding.closest
    assert str(finding).endswith("did you mean 'order_paid'? (of plugin 'typist')")


def test_check_leaves_what_no_plugin_connected_as_it_is(manager, shop):
    """A finding about somebody else's receiver names no plugin."""
    listener = shop.signal("nobody_sends_this").connect(lambda sender: None, weak=False)
    (finding,) = [each for each in manager.check() if each.signal == "nobody_sends_this"]
    assert finding.remark
    assert "of plugin" not in finding.problem
    shop.signal("nobody_sends_this").disconnect(listener)


def test_check_looks_at_the_prefixes_of_shared_namespaces(manager):
    """A signal in a namespace of extensions begins with the name of the plugin that declares it."""
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
