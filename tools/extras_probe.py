"""Import each module of the installed aldis, and print the results; tools/extras.py runs this.

Each import runs in a new process, so that it cannot find the modules of another import. The process
is a fork of one that has imported ``aldis`` without adapters. The output is JSON: ``errors`` maps
each module to its error or to ``""``, and ``cost`` lists what ``import aldis`` imported.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

#: Large packages, imported once before the forks. Their import does not depend on other modules.
SHARED = ("alembic", "click", "msgspec", "pytest", "rich", "sqlalchemy.orm")

#: Names without a module of their own; they are attributes of a module.
ATTRIBUTES = ("aldis.cli:aldis", "aldis.testing:drain", "aldis.testing:MemoryStore")


def modules(package: Path) -> list[str]:
    """Return the names of all modules, except those whose import starts something."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] == "__main__" or "startup" in parts or not parts[-1].isidentifier():
            continue
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def in_a_fork(ask: Callable[[], str]) -> str:
    """Call ``ask`` in a new process and return its result."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        with os.fdopen(theirs, "w", encoding="utf-8") as answer:
            answer.write(ask())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    return text if status == 0 else f"the process ended with status {status}"


def error_of(name: str) -> str:
    """Return the error that the import of ``module`` or ``module:attribute`` raises."""
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
        if attribute:
            getattr(found, attribute)
    except BaseException as error:  # noqa: BLE001 - every error is a result
        return f"{type(error).__name__}: {error}"
    return ""


def added() -> str:
    """Return the modules that ``import aldis`` imports."""
    before = set(sys.modules)
    import_module("aldis")
    return json.dumps(sorted(set(sys.modules) - before))


def main() -> None:
    """Print the results."""
    warnings.simplefilter("error")
    spec = find_spec("aldis")
    if spec is None or spec.origin is None:
        sys.exit("aldis is not installed")
    package = Path(spec.origin).parent
    if not package.is_relative_to(sys.prefix):
        sys.exit(f"aldis is not the installed package but {package}")
    cost = json.loads(in_a_fork(added))
    import_module("aldis")
    for name in SHARED:
        if find_spec(name.partition(".")[0]) is not None:
            import_module(name)
    names = [*modules(package), *ATTRIBUTES]
    errors = {name: in_a_fork(lambda name=name: error_of(name)) for name in names}
    answer = {"errors": errors, "cost": cost, "stdlib": sorted(sys.stdlib_module_names)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
