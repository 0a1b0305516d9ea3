"""CKAN's signals, typed: what ``ckan.lib.signals`` has, under the same names.

Where CKAN is installed they are its own objects. Without it they are new ones in namespaces of the
same names, and those that CKAN relays from Flask and Flask-Login are relayed here as well.

CKAN guarantees nothing about the arguments, so the contracts are advisory, and open: a receiver
that does not fit, or does not take other arguments besides, is warned about. A signal goes by the
name of its function here; where ``define`` is given another one, that is its name in the namespace.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from aldis.ckan.namespaces import ckan, ckanext, theirs
from aldis.core.signal import Signal
from aldis.errors import MissingExtraError

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Response

__all__ = [
    "action_succeeded",
    "ckan",
    "ckanext",
    "datastore_delete",
    "datastore_upsert",
    "failed_login",
    "perform_password_reset",
    "register_blueprint",
    "request_finished",
    "request_password_reset",
    "request_started",
    "resource_download",
    "user_created",
    "user_logged_in",
    "user_logged_out",
]

# What the documentation of CKAN says of each signal stays where it is.
_docs = {
    each: each.__doc__ for space in (ckan, ckanext) for each in space.values() if each.documented
}


@ckan.define(advisory=True)
def request_started(sender: Flask, /) -> None:
    """Sent by the app once the request context is there, before the request is handled."""


@ckan.define(advisory=True)
def request_finished(sender: Flask, /, *, response: Response) -> None:
    """Sent by the app just before the response goes out."""


@ckan.define(advisory=True)
def register_blueprint(sender: str, /, *, blueprint: Blueprint) -> None:
    """Sent before the blueprint of a custom type is registered.

    The sender says what it is for: ``dataset``, ``resource``, ``group`` or ``organization``.
    """


@ckan.define(advisory=True)
def resource_download(sender: str, /) -> None:
    """Sent before an uploaded file is downloaded; the sender is the id of its resource."""


@ckan.define(advisory=True)
def failed_login(sender: str, /) -> None:
    """Sent when somebody could not be logged in; the sender is the login as it was typed."""


@ckan.define(advisory=True)
def user_created(sender: str, /, *, user: Any) -> None:
    """Sent when there is a new user, before the commit; the sender is its name."""


@ckan.define(advisory=True)
def request_password_reset(sender: str, /, *, user: Any) -> None:
    """Sent once a user was mailed a link for a new password; the sender is the user's name."""


@ckan.define(advisory=True)
def perform_password_reset(sender: str | None, /, *, user: Any) -> None:
    """Sent once a user has set a new password; the sender is the name in the form, if any."""


@ckan.define(name="logged_in", advisory=True)
def user_logged_in(sender: Flask, /, *, user: Any) -> None:
    """Sent by the app when a user has logged in."""


@ckan.define(name="logged_out", advisory=True)
def user_logged_out(sender: Flask, /, *, user: Any) -> None:
    """Sent by the app when a user has logged out."""


@ckan.define(name="action_succeed", advisory=True)
def action_succeeded(
    sender: str,
    /,
    *,
    context: dict[str, Any],
    data_dict: dict[str, Any],
    result: Any,
) -> None:
    """Sent after every action that raised nothing; the sender is the name of the action.

    What the action wrote may not be committed yet, and may be rolled back.
    """


@ckanext.define(advisory=True)
def datastore_upsert(sender: str, /, *, records: Any) -> None:
    """Sent after ``datastore_upsert``; the sender is the id of the resource."""


@ckanext.define(advisory=True)
def datastore_delete(
    sender: str, /, *, result: Any, data_dict: dict[str, Any], **extra: Any
) -> None:
    """Sent after ``datastore_delete``; the sender is the id of the resource."""


def _open_contracts() -> None:
    """Let every send carry more than is declared.

    Not by a ``**extra`` in the functions above: to a type checker it might bring a second
    ``sender``, so that the ``def listener(sender, **kwargs)`` that CKAN asks for would not fit.
    """
    for signal in (*ckan.values(), *ckanext.values()):
        if signal.contract is not None:
            signal.contract = replace(signal.contract, open=True)


def _keep_docs() -> None:
    for signal, doc in _docs.items():
        signal.__doc__ = doc


def _relay() -> None:
    """Send Flask's and Flask-Login's signals on, as CKAN does."""
    try:
        flask = import_module("flask")
        login = import_module("flask_login")
    except ModuleNotFoundError as missing:
        if missing.name not in ("flask", "flask_login"):
            raise
        message = (
            f"aldis.ckan without CKAN needs {missing.name}, which is not installed: "
            "pip install 'aldis[ckan]'"
        )
        raise MissingExtraError(message, name=missing.name) from missing
    relays: list[tuple[Signal[..., Any], Signal[..., Any]]] = [
        (flask.request_started, request_started),
        (flask.request_finished, request_finished),
        (login.user_logged_in, user_logged_in),
        (login.user_logged_out, user_logged_out),
    ]
    for source, target in relays:
        source.connect(target.send)


def _no_signal(name: str) -> NoReturn:
    closest = get_close_matches(name, __all__, n=1)
    hint = f"did you mean {closest[0]!r}?" if closest else f"there are {', '.join(__all__)}"
    message = f"CKAN has no signal {name!r}; {hint}"
    raise AttributeError(message)


_open_contracts()
_keep_docs()
if not TYPE_CHECKING:
    __getattr__ = _no_signal
if theirs is None:
    _relay()
