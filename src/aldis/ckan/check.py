"""What is wrong with the signals of CKAN and its extensions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Final

from aldis.ckan.namespaces import ckan, ckanext
from aldis.core.namespace import Finding, Namespace
from aldis.plugins.check import check_names, check_prefixes
from aldis.plugins.origins import origins

__all__ = ["check", "check_namespace"]

#: The entry point groups that CKAN looks for plugins in.
_GROUPS: Final = ("ckan.plugins", "ckan.test_plugins")

#: The plugins of CKAN itself whose signals are among its core signals.
_OWN: Final = ("datastore",)


def check(plugins: Iterable[str] = ()) -> list[Finding]:
    """Look for listeners that will never hear anything, or do not fit, and for names that collide.

    All signals of CKAN itself are declared here, so that any other name in its namespace is a
    mistake. In the namespace of extensions it may be the signal of one that is not installed, and
    every signal has to begin with the name of the plugin that declares it.

    Args:
        plugins: The names of plugins besides those that are installed, and those that listen.
    """
    names = tuple(plugins)
    return [each for space in (ckan, ckanext) for each in check_namespace(space, names)]


def check_namespace(namespace: Namespace, plugins: Iterable[str] = ()) -> list[Finding]:
    """Return what :func:`check` finds in one namespace; any other than CKAN's is looked at too.

    Args:
        namespace: The namespace.
        plugins: The names of plugins besides those that are installed, and those that listen.
    """
    findings = check_names(namespace)
    if namespace is ckan:
        return [replace(finding, remark=False) for finding in findings]
    if namespace is ckanext:
        installed = [entry.name for group in _GROUPS for entry in entry_points(group=group)]
        findings += check_prefixes(ckanext, [*plugins, *installed, *_listening(), *_OWN])
    return findings


def _listening() -> set[str]:
    """Return the names of the plugins that listen to something of CKAN, installed or not."""
    signals = [*ckan.values(), *ckanext.values()]
    return {name for signal in signals for each in origins(signal) for name in each.plugins}
