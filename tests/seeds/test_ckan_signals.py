"""CKAN's guide to signals: custom signals, and the listed signals."""

# ruff: noqa: F811 - fixtures are imported by name, and asked for by the same name

import asyncio
import importlib
import sys

import pytest

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

import aldis.ckan
from aldis.ckan import ckanext, signals
from aldis.plugins import Subscriptions
from tests.ckan.conftest import extensions  # noqa: F401 - a fixture
from tests.seeds.ckan_scene import (
    CORE,
    SINCE,
    action_subscriber,
    get,
    heard,
    login_app,  # noqa: F401 - a fixture
    silence,  # noqa: F401 - a fixture
)

CUSTOM = """
import ckan.plugins.toolkit as tk

custom_something_happened = tk.signals.ckanext.signal('custom_something_happened')
"""
BY_IMPORT = """
import ckan.plugins as p
from ckanext.custom.signals import custom_something_happened
from ckanext.ext import listeners # here you'll define listeners

class ExtPlugin(p.SingletonPlugin):
    p.implements(p.ISignal)

    def get_signal_subscriptions(self):
        return {
            custom_something_happened: [
                listeners.custom_listener
            ]
        }
"""
BY_NAME = """
import ckan.plugins as p
from ckanext.ext import listeners

class ExtPlugin(p.SingletonPlugin):
    p.implements(p.ISignal)

    def get_signal_subscriptions(self):
        custom_something_happened = p.toolkit.signals.ckanext.signal(
            'custom_something_happened'
        )

        return {
            custom_something_happened: [
                listeners.custom_listener
            ]
        }
"""
LISTENERS = """
from tests.seeds.ckan_scene import action_subscriber as custom_listener
"""


class TestCustomSignals:
    @pytest.fixture
    def write(self, extensions):
        """Write the extension that subscribes, and the modules that it needs."""
        ckanext.pop("custom_something_happened", None)
        extensions("ckanext/ext/listeners.py", LISTENERS)
        yield extensions
        ckanext.pop("custom_something_happened", None)

    def plugin(self):
        """Return the plugin of the subscribing extension."""
        return importlib.import_module("ckanext.ext.plugin").ExtPlugin()

    def test_the_corrected_example_runs(self, write):
        """Two mistakes: a closing quote is missing, and ``custom_signal_happened`` is sent.

        The example creates ``custom_something_happened``, so it can send only that signal.
        """
        slip = CUSTOM.replace("happened')", "happened)")
        with pytest.raises(SyntaxError, match="unterminated string"):
            compile(slip, "seed", "exec")
        write("ckanext/custom/signals.py", CUSTOM)
        custom = importlib.import_module("ckanext.custom.signals")
        assert not hasattr(custom, "custom_signal_happened")
        assert custom.custom_something_happened.send("SENDER", ARG1=1, ARG2=2) == []

    def test_signal_makes_a_new_one_or_gets_the_existing(self):
        """A name gives the same signal each time."""
        made = ckanext.signal("custom_anything")
        assert ckanext.signal("custom_anything") is made
        del ckanext["custom_anything"]

    def test_another_extension_subscribes(self, write):
        """You can import the signal from the extension that declares it, if it is installed."""
        write("ckanext/custom/signals.py", CUSTOM)
        write("ckanext/ext/plugin.py", BY_IMPORT)
        with Subscriptions(self.plugin().get_signal_subscriptions()):
            sys.modules["ckanext.custom.signals"].custom_something_happened.send("S", ARG1=1)
        assert [("S", {"ARG1": 1})] == heard

    def test_without_the_extension_the_import_fails(self, write):
        """Without that extension, the import fails, as the guide explains."""
        write("ckanext/ext/plugin.py", BY_IMPORT)
        with pytest.raises(ImportError, match=r"ckanext\.custom"):
            self.plugin()

    def test_by_name_the_subscription_does_nothing_without_the_extension(self, write):
        """A subscription to a name that is never sent is a remark, not an error."""
        write("ckanext/ext/plugin.py", BY_NAME)
        with Subscriptions(self.plugin().get_signal_subscriptions(), plugin="ext"):
            (finding,) = aldis.ckan.check(["ext"])
        assert finding.remark
        assert "custom_something_happened" in finding.problem
        assert "(of plugin 'ext')" in finding.problem
        assert [] == heard

    @pytest.mark.parametrize("sender_first", [True, False])
    def test_by_name_it_works_with_the_extension(self, write, sender_first):
        """Subscribing and declaring by name give the same signal, in either order."""
        write("ckanext/custom/signals.py", CUSTOM)
        write("ckanext/ext/plugin.py", BY_NAME)
        if sender_first:
            importlib.import_module("ckanext.custom.signals")
        with Subscriptions(self.plugin().get_signal_subscriptions()):
            custom = importlib.import_module("ckanext.custom.signals")
            custom.custom_something_happened.send("S", ARG1=1)
        assert [("S", {"ARG1": 1})] == heard

    def test_a_plugins_name_is_the_prefix(self):
        """A signal whose name does not begin with the name of a plugin is a finding."""
        signal = ckanext.signal("something_happened", doc="Sent now and then.")
        (finding,) = aldis.ckan.check(["custom"])
        assert "something_happened" == finding.signal
        assert "PLUGIN_something_happened" in finding.problem
        del ckanext["something_happened"]
        ckanext.signal("custom_something_happened", doc=signal.__doc__)
        assert [] == aldis.ckan.check(["custom"])
        del ckanext["custom_something_happened"]


class TestTheListedSignals:
    @pytest.mark.parametrize(("alias", "name", "namespace", "sender", "arguments"), CORE + SINCE)
    def test_have_the_listed_senders_and_arguments(self, alias, name, namespace, sender, arguments):
        """In the list, the first name in parentheses is the sender. The others are arguments."""
        contract = getattr(signals, alias).contract
        assert set(arguments) == set(contract.payload)
        assert contract.advisory
        assert contract.open
        assert contract.doc

    @pytest.mark.parametrize(("alias", "name", "namespace", "sender", "arguments"), CORE)
    def test_can_be_subscribed_to_for_one_sender(self, alias, name, namespace, sender, arguments):
        """A subscriber for one sender gets only its sends, with all arguments."""
        signal = getattr(signals, alias)
        signal.connect(action_subscriber, sender=sender)
        payload = {argument: object() for argument in arguments}
        signal.send(sender, **payload)
        signal.send("somebody else", **payload)
        assert [(sender, payload)] == heard

    def test_requests_are_relayed_from_flask(self, login_app):
        """Every request of an app sends both signals, with the app as sender."""
        started, finished = [], []
        with (
            signals.request_started.connected_to(lambda app, **kwargs: started.append(app)),
            signals.request_finished.connected_to(
                lambda app, response, **kwargs: finished.append((app, response.get_data()))
            ),
        ):
            get(login_app, "/")
        assert [login_app] == started
        assert [(login_app, b"home")] == finished

    def test_an_async_subscriber_of_a_relayed_signal_runs(self, login_app):
        """An async subscriber of a relayed signal runs as an async subscriber of Flask does."""
        ran = []
        login_app.async_to_sync = lambda function: lambda *args: asyncio.run(function(*args))

        async def subscriber(sender, **kwargs):
            ran.append(sender)

        with signals.request_started.connected_to(subscriber):
            get(login_app, "/")
        assert [login_app] == ran

    def test_logins_are_relayed_from_flask_login(self, login_app):
        """Logging in and out sends CKAN's signals, with the app as sender and the user."""
        log = []
        note = lambda what: lambda app, user, **kwargs: log.append((what, app, user.id))
        with (
            signals.user_logged_in.connected_to(note("in")),
            signals.user_logged_out.connected_to(note("out")),
        ):
            get(login_app, "/in", "/out")
        assert [("in", login_app, "ann"), ("out", login_app, "ann")] == log
