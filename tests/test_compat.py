"""aldis reads private attributes of other libraries in `aldis._compat` only."""

import ast
import asyncio.coroutines
import importlib
import inspect
import os
import pkgutil
import socket
import sqlite3
import sys
import tomllib
from contextlib import closing
from importlib.metadata import Distribution, distribution, version
from pathlib import Path
from types import FunctionType
from typing import Protocol

import pytest
from authlib.integrations.base_client import BaseApp, OAuth2Mixin
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool, QueuePool

from aldis import _compat
from tests.services import MARIADB, POSTGRESQL

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "aldis"

#: The versions whose private attributes `aldis._compat` knows. Before you add a version here, run
#: the tests of this file on it.
SUPPORTED = {
    "alembic": ">=1.13,<2",
    "Authlib": ">=1.9,<2",
    "SQLAlchemy": ">=2.0,<2.2",
}
SUPPORTED_PYTHON = ">=3.11,<3.15"

#: Documented, in spite of the underscore.
DOCUMENTED = {
    "_asdict",
    "_current_frames",
    "_exit",
    "_field_defaults",
    "_fields",
    "_get_current_object",
    "_getframe",
    "_make",
    "_replace",
}

# -- the versions --------------------------------------------------------------------------------


@pytest.mark.parametrize("library", SUPPORTED)
def test_the_installed_version_is_supported(library):
    """The tests run on a version of each library that aldis supports."""
    assert version(library) in SpecifierSet(SUPPORTED[library])


def test_this_python_is_supported():
    """The tests run on a Python that aldis supports."""
    assert ".".join(map(str, sys.version_info[:2])) in SpecifierSet(SUPPORTED_PYTHON)


@pytest.mark.parametrize("library", SUPPORTED)
def test_each_extra_requires_the_oldest_supported_version(library):
    """The extras of pyproject.toml and the supported versions have one lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [Requirement(line) for name in ("durable", "oauth") for line in extras[name]]
    lower = SUPPORTED[library].partition(",")[0]

    assert {lower} == {str(each.specifier) for each in required if each.name == library}


# -- each function on its library ----------------------------------------------------------------


async def coroutine_function():
    """Do nothing."""


def marked_by_inspect():
    """Return a coroutine."""
    return coroutine_function()


def test_a_mark_of_inspect_is_seen():
    """A function that `inspect.markcoroutinefunction` marked is async."""
    if not hasattr(inspect, "markcoroutinefunction"):
        pytest.skip("new in Python 3.12")

    assert _compat.is_marked_async(inspect.markcoroutinefunction(marked_by_inspect))


def test_a_mark_of_asyncio_is_seen():
    """A function with asyncio's older mark counts as async."""
    if not hasattr(asyncio.coroutines, "_is_coroutine"):
        pytest.skip("this Python has no such mark any more")

    def receiver():
        return coroutine_function()

    receiver._is_coroutine = asyncio.coroutines._is_coroutine

    assert _compat.is_marked_async(receiver)


def test_an_unmarked_function_is_not_async():
    """A plain function has no mark, and the question creates no dict for it."""

    def receiver():
        pass

    assert not _compat.is_marked_async(receiver)
    assert not _compat.is_marked_async(lambda: None)


def test_the_metadata_of_a_distribution_is_found():
    """The module finds the folder whose name has the name of the distribution."""
    folder = _compat.metadata_folder(distribution("SQLAlchemy"))

    assert folder.name.lower().startswith("sqlalchemy-")
    assert (folder / "METADATA").is_file()


def test_a_distribution_of_another_finder_may_have_no_folder():
    """Only Python's own finders make distributions with a folder."""

    class Elsewhere(Distribution):
        def read_text(self, filename): ...

        def locate_file(self, path): ...

    assert _compat.metadata_folder(Elsewhere()) is None


def test_a_protocol_differs_from_a_class():
    """Protocol classes are recognised, and classes that implement one are not."""

    class Closable(Protocol):
        def close(self): ...

    class File(Closable):
        pass

    assert _compat.is_protocol(Closable)
    assert not _compat.is_protocol(File)
    assert not _compat.is_protocol(int)


@pytest.fixture
def session():
    """Yield a session on a new database."""
    engine = create_engine("sqlite://")
    with Session(engine) as made:
        yield made
    engine.dispose()


def test_the_connections_of_a_transaction_are_found(session):
    """A transaction names the connections that it has used so far."""
    session.begin()
    transaction = session.get_transaction()
    assert [] == list(_compat.connections_of(transaction))

    connection = session.connection()

    assert [connection] == list(_compat.connections_of(transaction))


def test_the_connections_are_found_on_the_oldest_version(session):
    """SQLAlchemy 2.0 keeps a transaction's connections in a private attribute only."""
    connection = session.connection()
    real = session.get_transaction()

    class WithoutTheNewAttribute:
        _connections = real._connections

    assert {connection} == set(_compat.connections_of(WithoutTheNewAttribute))


def test_a_flush_is_noticed(session):
    """A session is flushing while a flush hook runs, and neither before nor after."""
    seen = []
    event.listen(session, "before_flush", lambda *_: seen.append(_compat.is_flushing(session)))

    before = _compat.is_flushing(session)
    session.add(new_row(session))
    session.flush()

    assert (False, [True], False) == (before, seen, _compat.is_flushing(session))


def new_row(session):
    """Return an object that `session` can save, in a table created there."""

    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True)

    Base.metadata.create_all(session.connection())
    return Row()


def test_a_session_is_usable_after_the_commit_within_a_begin_block():
    """Code can use the session after its commit, before the `with session.begin():` has ended."""
    engine = create_engine("sqlite://")
    with Session(engine) as session:  # noqa: SIM117 - the block ends before the session does
        with session.begin():
            session.execute(text("select 1"))
            session.commit()
            with pytest.raises(Exception, match="Can't operate on closed transaction"):
                session.execute(text("select 2"))
            with _compat.usable_after_commit(session):
                assert 3 == session.execute(text("select 3")).scalar()
                session.commit()
            with pytest.raises(Exception, match="Can't operate on closed transaction"):
                session.execute(text("select 4"))
    engine.dispose()


@pytest.mark.parametrize("limit", [-1, 0, 7])
def test_the_overflow_of_a_pool_is_known(limit):
    """The module reads how many connections a pool opens beyond its size."""
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=2, max_overflow=limit)

    assert limit == _compat.max_overflow(engine.pool)
    engine.dispose()


@pytest.mark.service
@pytest.mark.parametrize(
    ("service", "driver"), [(POSTGRESQL, "postgresql+psycopg"), (MARIADB, "mariadb+pymysql")]
)
def test_the_socket_of_a_connection_is_known(service, driver):
    """The module finds the socket that a driver uses, and none for a closed connection."""
    service.require()
    engine = create_engine(service.sqlalchemy_url(driver), poolclass=NullPool)
    connection = engine.raw_connection()
    raw = connection.driver_connection
    with socket.socket(fileno=os.dup(_compat.socket_number(raw))) as copy:
        assert service.port == copy.getpeername()[1]
    connection.close()
    assert _compat.socket_number(raw) is None


@pytest.mark.service
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_the_socket_of_an_async_connection_is_known(driver):
    """The module finds the socket of an async driver."""
    pytest.importorskip(driver)
    POSTGRESQL.require()
    engine = create_async_engine(
        POSTGRESQL.sqlalchemy_url(f"postgresql+{driver}"), poolclass=NullPool
    )
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        with socket.socket(fileno=os.dup(_compat.socket_number(raw))) as copy:
            assert POSTGRESQL.port == copy.getpeername()[1]
    await engine.dispose()


def test_a_file_has_no_socket():
    """SQLite has no server."""
    with closing(sqlite3.connect(":memory:")) as connection:
        assert _compat.socket_number(connection) is None


def test_metadata_is_loaded_again_after_it_was_forgotten():
    """Authlib asks the provider again once aldis has forgotten that its metadata was loaded."""
    asked = []

    class Client:
        def __init__(self, **_):
            self.headers = {}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def request(self, method, url, **_):
            asked.append(url)
            return self

        def raise_for_status(self):
            pass

        def json(self):
            return {"issuer": "https://provider.test"}

    class App(OAuth2Mixin, BaseApp):
        client_cls = Client

    app = App(None, "provider", client_id="shop", server_metadata_url="https://provider.test/")
    app.load_server_metadata()
    metadata = app.load_server_metadata()
    assert 1 == len(asked)

    _compat.forget_loaded_metadata(metadata)
    app.load_server_metadata()

    assert 2 == len(asked)


# -- only in this module -------------------------------------------------------------------------


def is_private(name):
    """Return whether `name` begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name != "_"


def trees():
    """Yield the path of each module of aldis and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def names_defined_in(tree):
    """Return the private names that a module defines: functions, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=ast.Tuple(elts=slots)):
                yield from (slot.value for slot in slots)


def private_names_used_in(tree):
    """Yield the private attributes that a module reads or sets, also by way of `getattr`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if is_private(name):
                yield name


def test_no_other_module_uses_a_private_attribute_of_a_library():
    """A private attribute that a module of aldis uses is one that aldis itself defines."""
    modules = dict(trees())
    ours = {name for tree in modules.values() for name in names_defined_in(tree)} | DOCUMENTED
    used = {
        path: set(private_names_used_in(tree)) - ours
        for path, tree in modules.items()
        if path != "_compat.py"
    }

    assert {} == {path: names for path, names in used.items() if names}


def test_the_search_finds_private_attributes():
    """The search sees attributes, strings given to `getattr`, and inherited methods."""
    source = (
        "def f(session):\n    session._flushing\n    hasattr(f, '_mark')\n    super()._fetch()\n"
    )

    assert {"_flushing", "_mark", "_fetch"} == set(private_names_used_in(ast.parse(source)))


def classes():
    """Yield each class that a module of aldis defines."""
    for found in pkgutil.walk_packages([str(PACKAGE)], "aldis."):
        if found.name.endswith(("__main__", "as_blinker", "sitecustomize")):
            continue
        module = importlib.import_module(found.name)
        yield from (
            each
            for each in vars(module).values()
            if inspect.isclass(each) and each.__module__ == found.name
        )


def test_no_class_overrides_a_private_method_of_a_library():
    """A private method of a class of aldis has no namesake in a base class of another library."""
    overridden = [
        f"{cls.__module__}.{cls.__qualname__}.{name}"
        for cls in classes()
        for name, value in vars(cls).items()
        if is_private(name) and is_a_function_of_aldis(value)
        for base in cls.__mro__[1:]
        if base.__module__.partition(".")[0] != "aldis" and name in vars(base)
    ]

    assert [] == overridden


def is_a_function_of_aldis(value):
    """Return whether `value` is a method or property whose code is in aldis."""
    function = getattr(value, "fget", getattr(value, "__func__", value))
    return (
        isinstance(function, FunctionType)
        and PACKAGE in Path(function.__code__.co_filename).parents
    )
