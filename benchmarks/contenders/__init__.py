"""The measured contenders. Each library has a file here that imports it at the top.

Each module has ``DISTRIBUTION``, the name of the package, and ``benchmark(participants)``. That
function connects the receivers of the participants and returns the send to time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

BASELINE: Final = "blinker"
_PYTHON_ENGINE: Final = {"ALDIS_NO_EXTENSIONS": "1"}
_STRICT: Final = {"ALDIS_STRICT": "1"}


@dataclass(frozen=True, slots=True)
class Contender:
    """A library and a way to use it.

    Attributes:
        key: Its name in the data and on the command line.
        title: Its name in the report.
        module: The file in this folder.
        engine: The engine that aldis must use: ``"C"`` or ``"Python"``. Others have ``None``.
        environment: Environment variables of its process.
        compiled: Whether C code does the work.
    """

    key: str
    title: str
    module: str
    engine: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    compiled: bool = False


def _engines(key: str, title: str, module: str, **environment: str) -> tuple[Contender, Contender]:
    return (
        Contender(key, f"{title}, C engine", module, "C", environment, compiled=True),
        Contender(
            f"{key}-py",
            f"{title}, Python engine",
            module,
            "Python",
            {**environment, **_PYTHON_ENGINE},
        ),
    )


BLINKER: Final = Contender("blinker", "blinker", "blinker")
HAND: Final = Contender("hand", "by hand, answers dropped", "hand")
HAND_PAIRS: Final = Contender("hand-pairs", "by hand, answers in a list", "hand_pairs")
HAND_ASYNC: Final = Contender("hand", "awaited by hand", "hand_async")
HAND_COMMIT: Final = Contender("hand", "commit, then the calls by hand", "hand_commit")
ALDIS: Final = _engines("aldis", "aldis", "aldis")
ASEND: Final = _engines("aldis", "aldis asend", "aldis_asend")
AFTER_COMMIT: Final = _engines("aldis", "aldis after_commit", "aldis_after_commit")
DJANGO: Final = Contender("django", "Django", "django")
PEERS: Final = (
    DJANGO,
    Contender("django-caching", "Django, use_caching", "django_caching"),
    Contender("psygnal", "psygnal, compiled", "psygnal", compiled=True),
    Contender("pydispatcher", "PyDispatcher", "pydispatcher"),
    Contender("pyee", "pyee", "pyee"),
    Contender("pluggy", "pluggy", "pluggy"),
)
VARIANTS: Final = (
    *_engines("aldis-contract", "aldis with a contract", "aldis_contract"),
    *_engines("aldis-robust", "aldis send_robust", "aldis_robust"),
    *_engines("aldis-observed", "aldis observed", "aldis_observed"),
    *_engines("aldis-traced", "aldis traced", "aldis_traced"),
    *_engines("aldis-strict", "aldis strict", "aldis", **_STRICT),
    *_engines(
        "aldis-contract-strict", "aldis with a contract, strict", "aldis_contract", **_STRICT
    ),
)
FLASK: Final = (
    Contender("blinker", "Flask on blinker", "flask_on_blinker"),
    *_engines("aldis", "Flask on aldis", "flask_on_aldis"),
)
