"""The two namespaces of CKAN's signals: CKAN's own where it is installed, else new ones."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from aldis.blinker import install_as_blinker
from aldis.core.namespace import Namespace
from aldis.errors import StandInError

__all__ = ["ckan", "ckanext", "theirs"]

# CKAN, imported after this, makes its signals on aldis. Where blinker was there first, this raises.
install_as_blinker()


def _find() -> ModuleType | None:
    try:
        found = import_module("ckan.lib.signals")
    except ModuleNotFoundError as missing:
        # Not installed is what this module is for; a CKAN that is there but broken must be heard.
        if missing.name != "ckan":
            raise
        return None
    if not isinstance(found.ckan, Namespace):
        message = (
            "CKAN's signals are blinker's own, since CKAN was imported before aldis; put `import "
            "aldis.as_blinker` above every other import of your program"
        )
        raise StandInError(message)
    return found


#: CKAN's module of signals, or ``None`` where there is no CKAN.
theirs: ModuleType | None = _find()

#: The signals of CKAN itself.
ckan: Namespace = Namespace() if theirs is None else theirs.ckan
#: The signals of extensions, each named after the plugin that declares it.
ckanext: Namespace = Namespace() if theirs is None else theirs.ckanext
