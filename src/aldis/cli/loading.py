"""From what a user writes after ``--app`` to the app, or to why there is none."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

from aldis.cli.blame import blame, show_traceback
from aldis.cli.options import APP
from aldis.cli.output import app_prints_aside
from aldis.cli.standing import ensure_stand_in

__all__ = ["AppError", "load", "load_object"]

#: What an app is called when nobody says it, and what makes one.
APPS: Final = ("app", "application")
FACTORIES: Final = ("create_app", "make_app")

#: With how many arguments a server calls an app of each kind.
WSGI: Final = 2
ASGI: Final = 3

#: Where a command keeps its app, in the context's ``meta``.
LOADED: Final = "aldis.cli.loaded"

#: The files that are looked for when no app is named.
FILES: Final = ("app.py", "wsgi.py", "asgi.py")

#: What comes after the colon: perhaps dotted, perhaps called. A Windows path has nothing like it.
ATTRIBUTE: Final = re.compile(r":([A-Za-z_][\w.]*(?:\(.*\))?)$", re.DOTALL)


class AppError(click.ClickException):
    """The app that was asked for cannot be had; the message says why."""

    exit_code = 2


def load(ctx: click.Context, *, traceback: bool = False) -> Any:
    """Put aldis in blinker's place and return the app that the command line names.

    The app lives as long as the command: what is connected for it as sender would die with it.

    Args:
        ctx: Where ``--app`` has left its value, or Flask's own command line its app.
        traceback: Whether to write the traceback of an import that failed.

    Raises:
        AppError: There is no app, or it cannot be imported.
    """
    ensure_stand_in(ctx)
    app = ctx.meta[LOADED] = _load(ctx, traceback=traceback)
    return app


def load_object(ctx: click.Context, spec: str, *, traceback: bool = False) -> Any:
    """Put aldis in blinker's place and return what ``module:name`` stands for.

    Raises:
        AppError: There is no such thing, or its module cannot be imported.
    """
    ensure_stand_in(ctx)
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise AppError(f"{spec!r} is not of the form module:name")
    with app_prints_aside():
        _search_here()
        return _pick(_import(place, traceback=traceback), name, spec)[0]


def _load(ctx: click.Context, *, traceback: bool) -> Any:
    named = ctx.meta.get(APP)
    flask_cli: Any = sys.modules.get("flask.cli")
    script = ctx.find_object(flask_cli.ScriptInfo) if flask_cli else None
    with app_prints_aside():
        if script is not None:
            return _from_flask(script, named, flask_cli.NoAppException, traceback=traceback)
        _search_here()
        spec = named or os.environ.get("ALDIS_APP") or os.environ.get("FLASK_APP") or _default()
        return _from_spec(spec, traceback=traceback)


def _search_here() -> None:
    here = os.getcwd()  # noqa: PTH109 - sys.path has strings
    if here not in sys.path:
        sys.path.insert(0, here)


def _from_flask(script: Any, named: str | None, none: type[Exception], *, traceback: bool) -> Any:
    """Let Flask's command line load the app, and say no less than we do when it cannot."""
    script.app_import_path = named or script.app_import_path
    try:
        return script.load_app()
    except none as error:
        inner = error.__context__  # Flask puts its traceback into the message
        if not isinstance(inner, ImportError) or "Traceback" not in str(error):
            raise
        raise _failed(script.app_import_path or "the app", inner, traceback=traceback) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = script.app_import_path or "the app"
        raise _failed(what, error, traceback=traceback) from error


def _default() -> str:
    for name in FILES:
        if Path(name).is_file():
            return name
    raise AppError(
        "which app? Say it with --app, as in --app shop:app, --app 'shop:create_app()' or --app "
        "path/to/file.py; or set ALDIS_APP. There is none of " + ", ".join(FILES) + " here."
    )


def _from_spec(spec: str, *, traceback: bool) -> Any:
    match = ATTRIBUTE.search(spec)
    place = spec[: match.start()] if match else spec
    module = _import(place, traceback=traceback)
    found, path = _pick(module, match and match[1], spec)
    if not callable(found):
        raise AppError(f"{spec!r} is no app, but an object of type {_kind(found)}")
    call = _call_of(found, path, match and match[1])
    if call is None:
        return found
    app = _make(found, f"{place}:{path}", call, traceback=traceback)
    if app is None:
        raise AppError(f"the factory {place}:{path} returned None: does it return its app?")
    if not callable(app):
        raise AppError(
            f"the factory {place}:{path} made no app, but an object of type {_kind(app)}"
        )
    return app


# -- the module ------------------------------------------------------------------------------------


def _import(place: str, *, traceback: bool) -> ModuleType:
    module_name = _module_of(place)
    try:
        return import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and _is_about(error, module_name):
            raise AppError(_not_found(place, module_name)) from error
        raise _failed(place, error, traceback=traceback) from error


def _module_of(place: str) -> str:
    """Return the module that ``place`` names; a file's folder is made importable."""
    if not place:
        raise AppError("a module or a file belongs before the colon, as in --app shop:app")
    # What begins with a dot is a folder, this one or the one above, and never a module.
    is_file = place.endswith(".py") or place[0] == "." or "/" in place or os.sep in place
    if not is_file:
        return place
    path = Path(place).resolve()
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise AppError(f"{place!r} is a folder, and no package: it has no __init__.py")
    if path.is_dir():
        path /= "__init__.py"
    if not path.is_file():
        raise AppError(f"there is no file {place!r} (looked for from {Path.cwd()})")
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return ".".join(parts)


def _is_about(error: ModuleNotFoundError, module_name: str) -> bool:
    """Tell whether it is the app's own module, or a package on the way to it, that is missing."""
    missing = error.name or ""
    return module_name == missing or module_name.startswith(f"{missing}.")


def _not_found(place: str, module_name: str) -> str:
    here = Path.cwd()
    known = [each.stem for each in here.glob("*.py")]
    known += [each.parent.name for each in here.glob("*/__init__.py")]
    closest = get_close_matches(module_name.partition(".")[0], known, n=1)
    hint = f"; did you mean {closest[0]!r}?" if closest else ""
    if place.endswith(":"):
        hint = "; a name belongs after the colon"
    return f"there is no module {place!r}, neither in {here} nor on sys.path{hint}"


# -- the attribute ---------------------------------------------------------------------------------


def _pick(module: ModuleType, name: str | None, spec: str) -> tuple[Any, str]:
    """Return what ``module`` has under ``name``, or under one of the usual names."""
    if name is None:
        for path in APPS + FACTORIES:
            if hasattr(module, path):
                return getattr(module, path), path
        usual = ", ".join(APPS + FACTORIES)
        raise AppError(
            f"module {module.__name__!r} has none of {usual}: name the app, as in "
            f"--app {spec}:{_guess(module)}"
        )
    path = name.partition("(")[0]
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            closest = get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {closest[0]!r}?" if closest else ""
            owner = f"module {module.__name__!r}" if found is module else repr(path)
            raise AppError(f"{owner} has no {part!r}{hint}")
        found = getattr(found, part)
    return found, path


def _guess(module: ModuleType) -> str:
    """Return the name of a global that looks like an app, as an example."""
    for name, value in vars(module).items():
        if not name.startswith("_") and hasattr(value, "wsgi_app"):
            return name
    return "NAME"


def _kind(found: Any) -> str:
    return f"{type(found).__qualname__}: {found!r:.60}"


def _call_of(found: Any, path: str, name: str | None) -> str | None:
    """Return how ``found`` is to be called to make the app, or ``None`` if it is the app."""
    call = name.removeprefix(path) if name else ""
    if call:
        return call
    return "()" if path.rpartition(".")[2] in FACTORIES or _is_factory(found) else None


def _make(factory: Callable[..., Any], what: str, call: str, *, traceback: bool) -> Any:
    args, kwargs = _arguments(call, what)
    try:
        inspect.signature(factory).bind(*args, **kwargs)
    except TypeError as error:
        raise AppError(
            f"the factory {what} cannot be called as {what.partition(':')[2]}{call}: {error}; give "
            f"it its arguments, as in --app '{what}(\"testing\")'"
        ) from error
    except ValueError:  # no signature to be read: try
        pass
    try:
        return factory(*args, **kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(f"{what}{call}", error, traceback=traceback) from error


def _is_factory(found: Any) -> bool:
    """Tell whether it is a function that no server could call, so that it has to make the app."""
    if not (inspect.isfunction(found) or inspect.ismethod(found)):
        return False
    return not any(_takes(found, number) for number in (WSGI, ASGI))


def _takes(function: Callable[..., Any], number: int) -> bool:
    """Tell whether it can be called with as many arguments, given by position."""
    try:
        inspect.signature(function).bind(*range(number))
    except TypeError:
        return False
    return True


def _arguments(call: str, what: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        tree = ast.parse(f"f{call}", mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            args = [ast.literal_eval(each) for each in tree.args]
            return args, {each.arg or "**": ast.literal_eval(each.value) for each in tree.keywords}
    except (SyntaxError, ValueError):
        pass
    raise AppError(f"{what}{call} cannot be understood: a factory's arguments must be literals")


def _failed(what: str, error: BaseException, *, traceback: bool) -> AppError:
    if traceback:
        show_traceback(error)
    return AppError(
        f"the app {what!r} could not be imported.\n\n{blame(error)}"
        + ("" if traceback else "\n\nThe option --traceback shows the whole way there.")
    )
