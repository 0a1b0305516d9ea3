"""The source of aldis never runs data as code."""

import ast
from pathlib import Path

import aldis

SOURCE = Path(aldis.__file__).parent

#: Modules that make code, or objects of any class, from data.
FORBIDDEN_MODULES = {"code", "dill", "marshal", "pickle", "runpy", "shelve", "yaml"}
FORBIDDEN_CALLS = {"__import__", "compile", "eval", "exec"}

#: Every import of a module by a name that is built at run time, and the origin of the name.
IMPORTS_BY_NAME = {
    ("_extension.py", "module"): "one of the constants there",
    ("cli/_app.py", "module_name"): "--app, or the variable in the environment",
    ("durable/_old_names.py", "_MOVED[self.__name__]"): "one of the constants there",
    ("testing/__init__.py", "_HOMES[name]"): "one of the constants there",
}

#: Other functions that import or reload a module.
RELOADS = {"plugins/finder.py": "the module of an installed plugin's entry point, by its name"}


def calls(path):
    """Return the calls in a file, each with the last part of its name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            target = node.func
            yield target.attr if isinstance(target, ast.Attribute) else ast.unparse(target), node


def files():
    """Return the modules of aldis, by their path inside it."""
    return {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}


def test_no_module_that_runs_data():
    """No module imports pickle or a similar module."""
    found = []
    for name, path in files().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            found += [(name, each) for each in modules if each.split(".")[0] in FORBIDDEN_MODULES]
    assert [] == found


def test_no_text_becomes_code():
    """No module calls ``eval``, ``exec``, ``compile`` or ``__import__``."""
    found = []
    for name, path in files().items():
        for called, node in calls(path):
            if isinstance(node.func, ast.Name) and called in FORBIDDEN_CALLS:
                found.append((name, ast.unparse(node)))
    assert [] == found


def test_every_import_by_name_is_known():
    """No name of an imported module comes from a row, a request or a mapping."""
    found = {
        (name, ast.unparse(node.args[0]))
        for name, path in files().items()
        for called, node in calls(path)
        if called == "import_module"
    }
    assert set(IMPORTS_BY_NAME) == found


def test_every_reload_is_known():
    """Every reload of a module is in the list."""
    names = {"reload", "exec_module", "load_module", "spec_from_file_location", "run_path"}
    found = {name for name, path in files().items() for called, _ in calls(path) if called in names}
    assert set(RELOADS) == found


def test_no_durable_module_imports_by_name():
    """Code that reads rows imports only modules that its source names.

    ``_old_names`` reads no row: it imports the constants of its table.
    """
    words = ("import_module", "importlib", "__import__")
    found = [
        (name, word)
        for name, path in files().items()
        if name.startswith("durable/") and name != "durable/_old_names.py"
        for word in words
        if word in path.read_text(encoding="utf-8")
    ]
    assert [] == found
