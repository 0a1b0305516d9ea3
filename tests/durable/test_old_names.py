"""Names and import paths that were renamed keep working, with a warning."""

import subprocess
import sys
from importlib import import_module

import pytest

import aldis.durable
from aldis.durable import types
from aldis.durable.store.sql.migrate import REVISIONS
from aldis.testing import delivering
from tests.durable.support import rows

OLD_PATHS = [
    ("aldis.durable.facts", "State", "aldis.durable.types", "State"),
    ("aldis.durable.facts", "Choice", "aldis.durable.types", "DeliveryFilter"),
    ("aldis.durable.facts", "SUSPECT_AFTER", "aldis.durable.types", "QUARANTINE_AFTER"),
    ("aldis.durable.memory", "MemoryStore", "aldis.durable.store.memory", "MemoryStore"),
    ("aldis.durable.sql.schema", "upgrade", "aldis.durable.store.sql.migrate", "upgrade"),
    ("aldis.durable.sql.sqlite", "use_wal", "aldis.durable.store.sql.connection", "use_wal"),
    ("aldis.durable.sql.store", "SqlStore", "aldis.durable.store.sql.store", "SqlStore"),
    ("aldis.durable.sql.tables", "now", "aldis.durable.store.sql.tables", "now"),
    ("aldis.durable.store", "Waker", "aldis.durable.store", "Notifier"),
]


@pytest.mark.parametrize(("old_module", "old_name", "module", "name"), OLD_PATHS)
def test_an_old_import_path(old_module, old_name, module, name):
    """An old path gives the object of the new path, and warns at the importing line."""
    with pytest.warns(DeprecationWarning, match=f"{old_name} is now {module}.{name};") as warned:
        exec(f"from {old_module} import {old_name} as found", scope := {"__name__": "user"})  # noqa: S102
    assert getattr(import_module(module), name) is scope["found"]
    assert "<string>" == warned[0].filename


def test_an_old_path_as_a_migration_types_it():
    """``import aldis.durable.sql.schema`` binds the whole dotted path."""
    program = "import aldis.durable.sql.schema; print(aldis.durable.sql.schema.REVISIONS)"
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program], capture_output=True, text=True, check=True
    )
    assert f"{REVISIONS}\n" == done.stdout
    assert "aldis.durable.sql.schema.REVISIONS is now" in done.stderr


def test_an_unknown_name():
    """An old module raises AttributeError for a name that never existed."""
    with pytest.raises(AttributeError):
        _ = aldis.durable.facts.Nonsense
    with pytest.raises(AttributeError):
        _ = aldis.durable.store.Nonsense
    with pytest.raises(AttributeError):
        _ = types.State.NONSENSE


@pytest.mark.parametrize(("old", "new"), [("BEHIND", "BLOCKED"), ("SUSPECT", "QUARANTINED")])
def test_the_old_name_of_a_state(old, new):
    """A state's old name gives the state, and warns."""
    with pytest.warns(DeprecationWarning, match=f"State.{old} is now State.{new};"):
        assert types.State[new] is getattr(types.State, old)


def test_old_attributes_of_a_delivery(outbox):
    """``Delivery.lost`` and ``Delivery.cause`` give the new attributes, and warn."""
    outbox.store.add(None, [types.NewDelivery("a" * 32, "billing.receipt", "order_paid", "{}")])
    (row,) = rows(outbox)
    with pytest.warns(DeprecationWarning, match=r"Delivery\.lost is now Delivery\.lost_workers;"):
        assert 0 == row.lost
    with pytest.warns(DeprecationWarning, match=r"Delivery\.cause is now Delivery\.caused_by;"):
        assert row.cause is None


def test_the_old_attribute_of_the_current_delivery():
    """``CurrentDelivery.cause`` gives the new attribute, and warns."""
    with (
        delivering(caused_by="a:billing.receipt") as delivery,
        pytest.warns(DeprecationWarning, match=r"cause is now CurrentDelivery\.caused_by;"),
    ):
        assert "a:billing.receipt" == delivery.cause
