"""Says what each module of an installed aldis does in this environment; run by tools/extras.py.

Every module is imported in a process of its own, forked from one that has imported ``aldis`` and no
adapter: what one import leaves behind would be found by the next. The answer is JSON: ``errors``,
from each module to ``""`` or to what was raised, and ``cost``, the modules that ``aldis`` added.
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

#: Large, and blind to who has been imported before: imported once, before the processes part.
SHARED = ("alembic", "click", "msgspec", "pytest", "rich", "sqlalchemy.orm")

#: What has no module of its own and is asked of one.
ATTRIBUTES = ("aldis.cli:aldis", "aldis.testing:drain", "aldis.testing:MemoryStore")


def modules(package: Path) -> list[str]:
    """Return the names of all modules, but those that do something when they are imported."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] == "__main__" or "startup" in parts or not parts[-1].isidentifier():
            continue
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def in_a_fork(ask: Callable[[], str]) -> str:
    """Return what ``ask`` returns in a process of its own."""
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
    """Return what the import of ``module`` or ``module:attribute`` raises, in words."""
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
        if attribute:
            getattr(found, attribute)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def added() -> str:
    """Return which modules ``import aldis`` adds."""
    before = set(sys.modules)
    import_module("aldis")
    return json.dumps(sorted(set(sys.modules) - before))


def main() -> None:
    """Print the answers."""
    warnings.simplefilter("error")
    spec = find_spec("aldis")
    if spec is None or spec.origin is None:
        sys.exit("aldis is not installed")
    package = Path(spec.origin).parent
    if not package.is_relative_to(sys.prefix):
        sys.exit(f"aldis is not the installed one, but {package}")
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
