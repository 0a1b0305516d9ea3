"""CKAN's guide to signals, promise by promise, in its order, without CKAN.

The guide has four mistakes. A test for each names it and corrects it: two here, and two in
``test_ckan_signals.py``, about custom signals and the listed signals.
"""

# ruff: noqa: F811 - fixtures are imported by name, and asked for by the same name

import importlib

import flask
import pytest

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

import aldis
import aldis.ckan
from aldis import NamedSignal, Namespace
from aldis.ckan import ckan, ckanext, signals
from aldis.errors import ContractWarning, StrictWarning
from aldis.plugins import PluginManager, Subscriptions
from tests.ckan.conftest import extensions  # noqa: F401 - a fixture
from tests.seeds.ckan_scene import (
    CORE,
    SINCE,
    action_subscriber,
    heard,
    login_app,  # noqa: F401 - a fixture
    silence,  # noqa: F401 - a fixture
)


class TestBuiltInSupport:
    def test_ckan_signals_work_like_flask_signals(self):
        """Both run on one engine, so Flask's documentation is true for CKAN's signals, too."""
        assert type(signals.request_started) is type(flask.request_started) is NamedSignal

    def test_connect_connect_via_and_connected_to_work(self):
        """The three ways to connect in Flask's guide work here."""
        signals.user_created.connect(action_subscriber)
        via = signals.user_created.connect_via("ann")(lambda sender, **kwargs: "via")
        with signals.user_created.connected_to(lambda sender, **kwargs: "block", "ann"):
            answers = [value for _, value in signals.user_created.send("ann", user=None)]
        assert [None, "via", "block"] == answers
        signals.user_created.disconnect(via)
        assert 1 == len(signals.user_created.receivers)

    def test_a_subscriber_cannot_answer_the_request(self, login_app):
        """The return value of a subscriber does not end the request, unlike ``before_request``."""
        answer = lambda sender, **kwargs: ("stopped", 403)
        with signals.request_started.connected_to(answer):
            assert "home" == login_app.test_client().get("/").text

    def test_subscribers_come_in_the_order_of_connecting(self):
        """Subscribers run in connection order. The guide promises no order."""
        order = []
        keep = [lambda sender, n=n, **kwargs: order.append(n) for n in range(20)]
        for subscriber in keep:
            signals.failed_login.connect(subscriber)
        signals.failed_login.send("tom")
        assert list(range(20)) == order


class TestNamespaces:
    def test_there_are_two(self):
        """Core signals are in ``ckan``, and signals of extensions in ``ckanext``."""
        assert isinstance(ckan, Namespace)
        assert isinstance(ckanext, Namespace)
        assert (ckan, ckanext) == (signals.ckan, signals.ckanext)

    @pytest.mark.parametrize(("alias", "name", "namespace", "sender", "arguments"), CORE + SINCE)
    def test_core_signals_reside_where_they_belong(self, alias, name, namespace, sender, arguments):
        """Each signal is in one namespace only. The datastore is an extension."""
        assert name in namespace
        assert name not in (ckan if namespace is ckanext else ckanext)

    def test_nothing_prevents_other_namespaces(self):
        """A developer's namespace is independent of these two."""
        own = Namespace()
        assert own.signal("request_started") is not signals.request_started


class TestSubscribers:
    def test_one_with_sender_and_kwargs_fits_every_signal(self):
        """The guide's ``def subscriber(sender, **kwargs)`` fits each signal."""
        for alias, _, _, sender, arguments in CORE + SINCE:
            getattr(signals, alias).connect(action_subscriber)
            getattr(signals, alias).send(sender, **dict.fromkeys(arguments))
        assert [set(each[4]) for each in CORE + SINCE] == [set(kwargs) for _, kwargs in heard]

    @pytest.mark.parametrize("subscriber", [lambda sender: None, lambda sender, user: None])
    def test_one_that_refuses_other_arguments_is_reported(self, subscriber):
        """A subscriber that does not take any keyword argument is reported by name."""
        with pytest.warns(ContractWarning, match=r"add \*\*extra"):
            signals.user_created.connect(subscriber)
        with pytest.warns(ContractWarning, match=r"entry 1 of 'user_created'.*add \*\*kwargs"):
            Subscriptions({signals.user_created: [subscriber]})

    def test_one_that_takes_no_sender_is_reported(self):
        """A subscriber must take the sender."""
        with pytest.warns(ContractWarning, match="make its first parameter the sender"):
            Subscriptions({signals.user_created: [lambda **kwargs: None]})

    def test_arguments_are_not_guaranteed(self):
        """A send may have more or fewer arguments than the list; a careful subscriber works."""
        seen = []
        subscriber = lambda sender, **kwargs: seen.append(kwargs.get("user", "nobody"))
        with signals.user_created.connected_to(subscriber):
            signals.user_created.send("ann")
            signals.user_created.send("ann", user="Ann", invented="by a third-party plugin")
        assert ["nobody", "Ann"] == seen

    def test_one_that_requires_an_unknown_argument_gets_a_warning(self):
        """A subscriber cannot require an argument that the signal does not have."""
        with pytest.warns(ContractWarning, match="requires 'organization'"):
            signals.user_created.connect(lambda sender, organization, **kwargs: None)


class TestDecorators:
    def test_the_example_names_a_signal_that_never_existed(self):
        """Mistake: ``before_action`` does not exist. The error lists the existing names."""
        with pytest.raises(AttributeError, match=r"'before_action'.*action_succeeded"):
            signals.before_action  # noqa: B018 - that it raises is the test
        with pytest.raises(AttributeError, match="did you mean 'user_created'"):
            signals.user_craeted  # noqa: B018 - the attribute must raise

    def test_subscribing_to_it_by_name_is_found(self):
        """Mistake: a subscription to ``before_action`` through the namespace is a finding."""
        ckan.signal("before_action").connect(action_subscriber)
        (finding,) = aldis.ckan.check()
        assert "before_action" == finding.signal
        assert not finding.remark
        del ckan["before_action"]

    def test_the_corrected_example_runs(self):
        """With an existing signal, the decorator subscribes."""

        @signals.action_succeeded.connect
        def action_subscriber(sender, **kwargs):
            heard.append(sender)

        signals.action_succeeded.send("package_show", context={}, data_dict={}, result=None)
        assert ["package_show"] == heard


EXAMPLE = """
import ckan.plugins as p
from tests.seeds.ckan_scene import action_subscriber

class ExampleISignalPlugin(p.SingletonPlugin):
    p.implements(p.ISignal)

    def get_signal_subscriptions(self):
        return {
            p.toolkit.signals.action_succeeded: [
                action_subscriber,
                {u'receiver': action_subscriber, u'sender': 'sender_name'}
            ]
        }
"""


class TestISignal:
    def test_the_corrected_example_runs(self, extensions):
        """Mistake: ``before_action`` again. With an existing signal, the plugin subscribes.

        A subscriber for every sender and for one sender is called once for each send.
        """
        extensions("example_plugin.py", EXAMPLE)
        plugin = importlib.import_module("example_plugin").ExampleISignalPlugin()
        with Subscriptions(plugin.get_signal_subscriptions()):
            signals.action_succeeded.send("sender_name", result=1)
            signals.action_succeeded.send("another", result=2)
        signals.action_succeeded.send("sender_name", result=3)
        assert [("sender_name", {"result": 1}), ("another", {"result": 2})] == heard

    def test_only_enabled_plugins_subscribe(self, extensions):
        """Only the receivers of enabled plugins are connected."""
        extensions("example_plugin.py", EXAMPLE)
        manager = PluginManager("ckan.plugins")
        manager.add("example", importlib.import_module("example_plugin").ExampleISignalPlugin)
        assert not signals.action_succeeded.receivers
        manager.enable("example")
        signals.action_succeeded.send("another")
        manager.disable("example")
        signals.action_succeeded.send("another")
        assert [("another", {})] == heard
        assert not signals.action_succeeded.receivers


def test_arguments_should_not_be_modified():
    """Strict mode reports a subscriber that changes its arguments."""

    def meddle(sender, *, data_dict, **kwargs):
        data_dict["name"] = "changed"

    before = aldis.set_strict()
    try:
        with (
            signals.action_succeeded.connected_to(meddle),
            pytest.warns(StrictWarning, match="meddle .* changed the dict 'data_dict'"),
        ):
            signals.action_succeeded.send(
                "package_show", context={}, data_dict={"name": "given"}, result={}
            )
    finally:
        aldis.set_strict(before)


class TestAliases:
    @pytest.mark.parametrize(("alias", "name", "namespace", "sender", "arguments"), CORE + SINCE)
    def test_an_alias_is_the_signal_of_the_namespace(
        self, alias, name, namespace, sender, arguments
    ):
        """An alias is the identical object in every module."""
        assert getattr(signals, alias) is namespace.signal(name)
        assert getattr(aldis.ckan, alias) is namespace.signal(name)

    def test_the_example_runs(self, extensions):
        """The guide's assertions are true with the guide's imports."""
        source = """
from ckan.lib.signals import (
    ckan as ckan_namespace,
    register_blueprint, request_started
)
assert register_blueprint is ckan_namespace.signal('register_blueprint')
assert request_started is ckan_namespace.signal('request_started')
"""
        exec(compile(source, "seed", "exec"), {})  # noqa: S102 - the example of the document

    def test_all_imports_lead_to_the_same_signals(self, extensions):
        """``ckan.lib.signals``, the toolkit and ckantoolkit have the same signals."""
        modules = ("ckan.lib", "ckan.plugins.toolkit", "ckantoolkit")
        found = [importlib.import_module(name).signals for name in modules]
        assert [signals, signals, signals] == found

    @pytest.mark.parametrize(
        ("alias", "name"),
        [
            ("action_succeeded", "action_succeed"),
            ("user_logged_in", "logged_in"),
            ("user_logged_out", "logged_out"),
        ],
    )
    def test_an_alias_that_is_not_the_name_is_found_in_the_namespace(self, alias, name):
        """Three aliases differ from the name in the namespace; as names, they are unused."""
        assert name == getattr(signals, alias).name
        dead = ckan.signal(alias)
        assert dead is not getattr(signals, alias)
        dead.connect(action_subscriber)
        (finding,) = aldis.ckan.check()
        assert alias == finding.signal
        assert not finding.remark
        if alias == "action_succeeded":
            assert "action_succeed" == finding.closest
        del ckan[alias]
