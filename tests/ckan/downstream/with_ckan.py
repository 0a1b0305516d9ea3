"""The promises of ``aldis.ckan`` with CKAN installed. CKAN's pytest plugin runs them on aldis.

The run installs the plugin below as a distribution into its environment.
"""

import logging

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan.lib import signals as theirs
from ckan.tests import factories, helpers

import aldis.ckan
from aldis.ckan import SignalPlugin
from aldis.errors import ContractWarning
from aldis.plugins import origin_of, origins

heard = []


def note(sender, **kwargs):
    """Record the call."""
    heard.append((sender, sorted(kwargs)))


class AldisCheckPlugin(SignalPlugin):
    """Has listeners that CKAN would lose, and one that would break its actions."""

    def listeners(self):
        """Return a mapping with new lambdas at each call."""
        return {
            tk.signals.user_created: [self.fail, lambda sender, **kwargs: note(sender, **kwargs)],
            tk.signals.action_succeeded: [{"receiver": note, "sender": "status_show"}],
        }

    def fail(self, sender, **kwargs):
        """Raise inside an action."""
        raise RuntimeError(sender)


@pytest.fixture(autouse=True)
def silence():
    """Clear the records."""
    heard.clear()


def test_the_signals_are_ckans_own():
    """Every alias is CKAN's object, and has an advisory contract."""
    for name in aldis.ckan.signals.__all__:
        assert getattr(theirs, name) is getattr(aldis.ckan, name)
    for namespace in (theirs.ckan, theirs.ckanext):
        for signal in namespace.values():
            assert signal.contract is None or signal.contract.advisory
    declared = [signal for signal in theirs.ckan.values() if signal.contract]
    assert list(theirs.ckan.values()) == declared


def test_a_listener_that_does_not_fit_gets_a_warning():
    """CKAN's signals have the contracts."""
    with pytest.warns(ContractWarning, match="requires 'invented'"):
        theirs.user_created.connect(lambda sender, invented, **kwargs: None)


@pytest.mark.usefixtures("non_clean_db")
def test_ckan_loads_and_unloads_the_plugin(caplog):
    """A listener that raises does not break the action. Lambdas are called until the unload."""
    # Migrations of extensions, which other tests run here, disable all loggers.
    logging.getLogger("ckanext.aldis").disabled = False
    before = len(theirs.user_created.receivers)
    for _ in range(2):
        with p.use_plugin("aldis_check") as plugin:
            user = factories.User()
            assert (user["name"], ["user"]) in heard
            assert before + 2 == len(theirs.user_created.receivers)
            names = [each.plugins for each in origins(theirs.user_created)]
            assert [("aldis_check",)] * 2 == names[-2:]
            receiver = plugin.get_signal_subscriptions()[theirs.user_created][0]
            assert ("aldis_check",) == origin_of(theirs.user_created, receiver)
        assert before == len(theirs.user_created.receivers)
    assert "robust receiver" in caplog.text


@pytest.mark.usefixtures("non_clean_db")
def test_actions_are_received_for_one_sender():
    """``action_succeed`` has the arguments of its contract."""
    with p.use_plugin("aldis_check"):
        helpers.call_action("status_show")
    assert [("status_show", ["context", "data_dict", "result"])] == heard


def test_check_finds_what_ckan_cannot():
    """A subscription to the alias instead of the name is a finding."""
    theirs.ckan.signal("action_succeeded").connect(note)
    findings = [each for each in aldis.ckan.check() if each.signal == "action_succeeded"]
    assert ["action_succeed"] == [each.closest for each in findings]
    del theirs.ckan["action_succeeded"]
