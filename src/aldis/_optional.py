"""Finds optional packages, and tells them from folders that happen to have their names.

Python imports a folder without ``__init__.py`` as an empty package. A program often has such a
folder beside it: ``flask``, ``ckan``, ``click``. It hides nothing that is installed, but without
the real package it looks like one.
"""

from __future__ import annotations

import sys
from importlib.machinery import NamespaceLoader
from types import ModuleType
from typing import Any

from aldis.errors import MissingExtraError

__all__ = ["loaded", "needs"]


def loaded(name: str) -> Any:
    """Return a module if it is loaded and is not an empty package, otherwise ``None``."""
    module = sys.modules.get(name)
    return None if module is None or _folder(module) is not None else module


class needs:  # noqa: N801 - it reads as a sentence: with needs("aldis.flask", "flask", flask="Flask")
    """A context manager around the imports that an extra of aldis makes possible.

    Args:
        user: The part of aldis that needs the packages, for the message.
        extra: The extra of aldis that installs them.
        packages: The title of each package, such as ``flask="Flask"``.

    Raises:
        MissingExtraError: A package is missing. An error inside an installed one propagates.
    """

    def __init__(self, user: str, extra: str, **packages: str) -> None:
        self._user = user
        self._extra = extra
        self._packages = packages

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # From a folder, `from flask import Flask` raises ImportError, and `flask.Flask` raises
        # AttributeError. `import flask` succeeds.
        if error is not None and not isinstance(error, ImportError | AttributeError):
            return
        for name, title in self._packages.items():
            folder = _folder(sys.modules.get(name))
            if folder is not None:
                where = f" (the folder {folder} is not {title})"
            elif isinstance(error, ModuleNotFoundError) and _is_about(error, name):
                where = ""
            else:
                continue
            message = (
                f"{self._user} needs {title}, which is not installed{where}: "
                f"pip install 'aldis[{self._extra}]'"
            )
            raise MissingExtraError(message, name=name) from error


def _is_about(error: ModuleNotFoundError, name: str) -> bool:
    """Tell whether a package is missing, and not only a module inside it."""
    is_blocked = name in sys.modules and sys.modules[name] is None
    missing = error.name or ""
    return missing == name or (is_blocked and missing.startswith(f"{name}."))


def _folder(module: ModuleType | None) -> str | None:
    """Return the folder of an empty package; ``None`` for another module."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    if not isinstance(loader, NamespaceLoader):
        return None
    return next(iter(getattr(module, "__path__", ())), "?")
