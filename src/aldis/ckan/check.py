"""Checks the signals of CKAN and its extensions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aldis.ckan.namespaces import ckan, ckanext
from aldis.core.namespace import Finding, Namespace
from aldis.plugins.check import check_names, check_prefixes
from aldis.plugins.installed import installed
from aldis.plugins.origins import origins

__all__ = ["check", "check_namespace"]

#: The entry point groups of CKAN's plugins.
_GROUPS: Final = ("ckan.plugins", "ckan.test_plugins")

#: CKAN's own plugins that have signals in the namespace of extensions.
_OWN: Final = ("datastore",)


def check(plugins: Iterable[str] = ()) -> list[Finding]:
    """Find receivers of signals that do not exist, receivers that do not fit, and name clashes.

    aldis declares all signals of CKAN, so any other name in CKAN's namespace is a mistake. In the
    namespace of extensions, an unknown name may belong to an extension that is not installed. The
    name of each signal there must begin with the name of the plugin that declares it.

    Args:
        plugins: The names of more plugins. Plugins that are installed or have connected receivers
            are known already.
    """
    names = tuple(plugins)
    return [each for space in (ckan, ckanext) for each in check_namespace(space, names)]


def check_namespace(namespace: Namespace, plugins: Iterable[str] = ()) -> list[Finding]:
    """Return the findings of :func:`check` for one namespace. It need not be CKAN's.

    Args:
        namespace: The namespace.
        plugins: The names of more plugins.
    """
    findings = check_names(namespace)
    if namespace is ckan:
        return [finding._replace(remark=False) for finding in findings]
    if namespace is ckanext:
        names = [entry.name for group in _GROUPS for entry in installed(group).entries]
        findings += check_prefixes(ckanext, [*plugins, *names, *_connected_plugins(), *_OWN])
    return findings


def _connected_plugins() -> set[str]:
    """Return the names of the plugins that connected receivers to CKAN's signals."""
    signals = [*ckan.values(), *ckanext.values()]
    return {name for signal in signals for each in origins(signal) for name in each.plugins}
