"""The two namespaces of CKAN's signals. Without CKAN, they are new ones."""

from __future__ import annotations

from types import ModuleType

from aldis._optional import loaded
from aldis.blinker import install_as_blinker
from aldis.core.namespace import Namespace
from aldis.errors import StandInError

__all__ = ["ckan", "ckanext", "theirs"]

# If CKAN is imported after this, its signals are made by aldis.
install_as_blinker()


def _find() -> ModuleType | None:
    try:
        import ckan.lib.signals  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - CKAN is optional
    except ModuleNotFoundError as missing:
        # Without CKAN, aldis makes the namespaces. The error of a broken CKAN propagates.
        if missing.name not in ("ckan", "ckan.lib", "ckan.lib.signals"):
            raise
    # A folder `ckan` beside the program is not CKAN.
    found: ModuleType | None = loaded("ckan.lib.signals")
    if found is not None and not isinstance(found.ckan, Namespace):
        message = (
            "CKAN's signals are made by blinker, because CKAN was imported before aldis; put "
            "`import aldis.as_blinker` above every other import of your program"
        )
        raise StandInError(message)
    return found


#: CKAN's module of signals, or ``None`` without CKAN.
theirs: ModuleType | None = _find()

#: The signals of CKAN.
ckan: Namespace = Namespace() if theirs is None else theirs.ckan
#: The signals of extensions. Each name begins with the name of the plugin that declares it.
ckanext: Namespace = Namespace() if theirs is None else theirs.ckanext
