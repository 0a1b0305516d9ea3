"""Load the app that ``--app`` names, or explain why it cannot be loaded."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import re
import shlex
import sys
import sysconfig
import traceback as tracebacks
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final

import click

from aldis._extension import declare_loaded_signals
from aldis.blinker import install_as_blinker, stands_in
from aldis.cli._database_errors import database_advice
from aldis.cli._env import flask_script, load_env
from aldis.cli._options import APP
from aldis.cli._output import app_prints_to_stderr, relative_location, short_repr
from aldis.core.frames import hide_frames
from aldis.errors import StandInError

__all__ = ["AppError", "describe_error", "load_app", "load_object"]

#: The names that an app usually has, and those of functions that make one.
APPS: Final = ("app", "application")
FACTORIES: Final = ("create_app", "make_app")

#: How many arguments a server passes to a WSGI app and to an ASGI app.
WSGI: Final = 2
ASGI: Final = 3

#: The key of ``Context.meta`` that keeps the app alive. A sender that dies loses its receivers.
LOADED: Final = "aldis.cli.loaded"

#: The files that are tried if no app is named.
FILES: Final = ("app.py", "wsgi.py", "asgi.py")

#: The part after the colon: an attribute, perhaps with a call. A Windows path has no such part.
ATTRIBUTE: Final = re.compile(r":([A-Za-z_][\w.]*(?:\(.*\))?)$", re.DOTALL)

#: The folder of the package.
ALDIS: Final = str(Path(__file__).absolute().parents[1])


class AppError(click.ClickException):
    """The app cannot be loaded."""

    exit_code = 2


class BlinkerInUseError(click.ClickException):
    """Flask or another library runs on the original blinker already."""

    exit_code = 2


def load_app(ctx: click.Context, *, traceback: bool = False) -> Any:
    """Install aldis as blinker and return the app that the command line names.

    Args:
        ctx: The context. ``--app`` has stored its value in ``ctx.meta``, or the command runs under
            Flask's command line, which knows the app.
        traceback: Whether to write the traceback of an import that failed.

    Raises:
        AppError: There is no such app, or its import failed.
        BlinkerInUseError: The original blinker is in use.
    """
    if LOADED not in ctx.meta:
        _install_as_blinker(ctx)
        load_env(ctx)
        ctx.meta[LOADED] = _load(ctx, traceback=traceback)
        declare_loaded_signals()
    return ctx.meta[LOADED]


def load_object(ctx: click.Context, spec: str, *, traceback: bool = False) -> Any:
    """Install aldis as blinker and return the object ``module:name``.

    Raises:
        AppError: There is no such object, or the import of its module failed.
        BlinkerInUseError: The original blinker is in use.
    """
    _install_as_blinker(ctx)
    load_env(ctx)
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise AppError(f"{spec!r} is not of the form module:name")
    with app_prints_to_stderr():
        _add_working_directory()
        return _attribute_of(_import(place, traceback=traceback), name, spec)[0]


def _install_as_blinker(ctx: click.Context) -> None:
    if stands_in():
        return
    try:
        install_as_blinker()
    except StandInError as error:
        message = f"{error}. Start it like this:\n\n  {_command_for_run(ctx)}"
        raise BlinkerInUseError(message) from error


def _command_for_run(ctx: click.Context) -> str:
    """Return this command line with ``aldis run`` in front."""
    started = shlex.split(ctx.find_root().command_path)
    return shlex.join(["aldis", "run", "--", *started, *sys.argv[1:]])


def _load(ctx: click.Context, *, traceback: bool) -> Any:
    named = ctx.meta.get(APP)
    script = flask_script(ctx)
    with app_prints_to_stderr():
        if script is not None:
            return _load_by_flask(script, named, traceback=traceback)
        # Without this, `app.run()` at the end of a module would start a server.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        _add_working_directory()
        spec = named or os.environ.get("ALDIS_APP") or os.environ.get("FLASK_APP") or _usual_file()
        return _app_of(spec, traceback=traceback)


def _add_working_directory() -> None:
    here = os.getcwd()  # noqa: PTH109 - sys.path has strings
    if here not in sys.path:
        sys.path.insert(0, here)


def _load_by_flask(script: Any, named: str | None, *, traceback: bool) -> Any:
    """Load the app by Flask's command line; explain a failure as for other apps."""
    no_app: type[Exception] = sys.modules["flask.cli"].NoAppException
    script.app_import_path = named or script.app_import_path
    try:
        return script.load_app()
    except no_app as error:
        inner = error.__context__  # Flask puts its traceback into the message
        if not isinstance(inner, ImportError) or "Traceback" not in str(error):
            raise
        raise _failed(script.app_import_path or "the app", inner, traceback=traceback) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = script.app_import_path or "the app"
        raise _failed(what, error, traceback=traceback) from error


def _usual_file() -> str:
    for name in FILES:
        if Path(name).is_file():
            return name
    raise AppError(
        "no app is named, and this folder has none of " + ", ".join(FILES) + "; name the app, as "
        "in --app shop:app, --app 'shop:create_app()' or --app path/to/file.py, or set ALDIS_APP"
    )


def _app_of(spec: str, *, traceback: bool) -> Any:
    match = ATTRIBUTE.search(spec)
    place = spec[: match.start()] if match else spec
    module = _import(place, traceback=traceback)
    found, path = _attribute_of(module, match and match[1], spec)
    if not callable(found):
        raise AppError(f"{spec!r} is not an app but an object of type {_type_and_value(found)}")
    call = _call_of(found, path, match and match[1])
    if call is None:
        return found
    app = _make(found, f"{place}:{path}", call, traceback=traceback)
    if app is None:
        raise AppError(
            f"the factory {place}:{path} returned None instead of an app: has it a return?"
        )
    if not callable(app):
        raise AppError(
            f"the factory {place}:{path} returned not an app but an object of type "
            f"{_type_and_value(app)}"
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
    """Return the name of the module; add the folder of a file to ``sys.path``."""
    if not place:
        raise AppError("the module before the colon is missing: name it, as in --app shop:app")
    # A name that begins with a dot is a folder: "." or "..".
    is_file = place.endswith(".py") or place[0] == "." or "/" in place or os.sep in place
    if not is_file:
        return place
    path = Path(place).resolve()
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise AppError(f"{place!r} is a folder but not a package: it has no __init__.py")
    if path.is_dir():
        path /= "__init__.py"
    if not path.is_file():
        raise AppError(f"the file {place!r} does not exist (looked for from {Path.cwd()})")
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return ".".join(parts)


def _is_about(error: ModuleNotFoundError, module_name: str) -> bool:
    """Tell whether the missing module is the app's own, or a package that contains it."""
    missing = error.name or ""
    return module_name == missing or module_name.startswith(f"{missing}.")


def _not_found(place: str, module_name: str) -> str:
    here = Path.cwd()
    known = [each.stem for each in here.glob("*.py")]
    known += [each.parent.name for each in here.glob("*/__init__.py")]
    closest = get_close_matches(module_name.partition(".")[0], known, n=1)
    hint = f"; did you mean {closest[0]!r}?" if closest else ""
    if place.endswith(":"):
        hint = "; name the app after the colon, or leave the colon out"
    return f"module {place!r} was not found in {here} or on sys.path{hint}"


# -- the attribute ---------------------------------------------------------------------------------


def _attribute_of(module: ModuleType, name: str | None, spec: str) -> tuple[Any, str]:
    """Return an attribute of ``module`` and its name, by default one of the usual names."""
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
    """Return the name of a global that looks like an app, for the message's example."""
    for name, value in vars(module).items():
        if not name.startswith("_") and hasattr(value, "wsgi_app"):
            return name
    return "NAME"


def _type_and_value(found: Any) -> str:
    return f"{type(found).__qualname__}: {short_repr(found)}"


def _call_of(found: Any, path: str, name: str | None) -> str | None:
    """Return the call that makes the app, such as ``()``, or ``None`` if ``found`` is the app."""
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
    except ValueError:  # it has no signature
        pass
    try:
        return factory(*args, **kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(f"{what}{call}", error, traceback=traceback) from error


def _is_factory(found: Any) -> bool:
    """Tell whether ``found`` is a function that no server can call: it must make the app."""
    if not (inspect.isfunction(found) or inspect.ismethod(found)):
        return False
    return not any(_takes(found, number) for number in (WSGI, ASGI))


def _takes(function: Callable[..., Any], number: int) -> bool:
    """Tell whether ``function`` accepts this number of positional arguments."""
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
    raise AppError(
        f"{what}{call} cannot be read: the arguments of a factory must be literals, as in "
        f"'{what}(\"testing\")'"
    )


def _failed(what: str, error: BaseException, *, traceback: bool) -> AppError:
    if traceback:
        _show_traceback(error)
    return AppError(
        f"the app {what!r} could not be imported.\n\n{describe_error(error)}"
        + ("" if traceback else "\n\nThe option --traceback shows the whole traceback.")
    )


# -- errors of the app -----------------------------------------------------------------------------


def describe_error(error: BaseException) -> str:
    """Return the error, and the line in the user's code that it comes from."""
    lines = [f"  {_error_text(error)}"]
    location: str | None
    if isinstance(error, SyntaxError) and error.filename:
        location = f"{error.filename}:{error.lineno}"
        source = (error.text or "").strip()
    else:
        location, source = _line_of(error)
    if location:
        lines.append(f"  {relative_location(location)}" + (f": {source}" if source else ""))
    if advice := database_advice(error):
        lines.append(f"  {advice}")
    return "\n".join(lines)


def _show_traceback(error: BaseException) -> None:
    """Write the traceback without the frames of aldis, and of the import system at its top."""
    tb = hide_frames(error).__traceback__
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    tracebacks.print_exception(type(error), error, tb or error.__traceback__, file=sys.stderr)
    print(file=sys.stderr)


def _error_text(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended the process: SystemExit({error.code!r})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException) -> tuple[str | None, str]:
    """Return the innermost line in the traceback that is the user's code."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    libraries = tuple(os.path.join(sysconfig.get_path(name), "") for name in names)  # noqa: PTH118
    lines = [line for line in _lines(error.__traceback__) if not _is_machinery(line[0])]
    # An app may be installed like a library.
    own = [line for line in lines if not line[0].startswith(libraries)] or lines
    if not own:
        return None, ""
    filename, number = own[-1]
    return f"{filename}:{number}", linecache.getline(filename, number).strip()


def _lines(tb: TracebackType | None) -> Iterator[tuple[str, int]]:
    while tb is not None:
        yield tb.tb_frame.f_code.co_filename, tb.tb_lineno
        tb = tb.tb_next


def _is_machinery(filename: str) -> bool:
    """Tell whether a file belongs to aldis or to the import system."""
    if filename.startswith(("<", os.path.join(ALDIS, ""))):  # noqa: PTH118
        return True
    return os.path.basename(os.path.dirname(filename)) == "importlib"  # noqa: PTH119, PTH120
