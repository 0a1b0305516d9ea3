"""Checks the signals that plugins connect to and declare."""

from __future__ import annotations

from collections.abc import Iterable

from aldis.core.namespace import Finding, NamedSignal, Namespace
from aldis.plugins.origins import origins

__all__ = ["check_names", "check_prefixes", "quoted"]


def check_names(namespace: Namespace) -> list[Finding]:
    """Return the findings of ``namespace.check()``, with the plugins that connected."""
    return [_with_plugins(namespace, finding) for finding in namespace.check()]


def _with_plugins(namespace: Namespace, finding: Finding) -> Finding:
    listening = dict.fromkeys(
        name for each in origins(namespace[finding.signal]) for name in each.plugins
    )
    if not listening:
        return finding
    return finding._replace(problem=f"{finding.problem} (of plugin {quoted(listening)})")


def check_prefixes(namespace: Namespace, plugins: Iterable[str]) -> list[Finding]:
    """Find signals of extensions whose names do not begin with a plugin's name.

    Otherwise, two plugins with a signal ``updated`` would share one signal. The check covers the
    signals that have a contract or a doc, and those that were sent. It does not distinguish ``-``,
    ``_`` and ``.``, or upper and lower case.

    Args:
        namespace: A namespace that extensions share.
        plugins: The names of all plugins.
    """
    names = sorted(plugins, key=len, reverse=True)
    findings = []
    for name, signal in list(namespace.items()):
        if (signal.contract or signal.documented or signal.sent) and not _has_prefix(name, names):
            findings.append(_finding(name, signal))
    return findings


def _has_prefix(name: str, plugins: Iterable[str]) -> bool:
    return any(_plain(name).startswith(f"{_plain(plugin)}_") for plugin in plugins)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _finding(name: str, signal: NamedSignal) -> Finding:
    contract = signal.contract
    where = f" (declared in {contract.function.__module__})" if contract else ""
    problem = (
        f"the signal {name!r}{where} does not begin with a plugin's name, so another plugin "
        f"may use this name for another signal; call it 'PLUGIN_{name}'"
    )
    return Finding(name, problem)


def quoted(names: Iterable[str]) -> str:
    """Return the names in quotes, with commas."""
    return ", ".join(repr(name) for name in names)
