"""CKAN's signals with types, under their names in ``ckan.lib.signals``.

With CKAN, they are CKAN's own objects. Without CKAN, they are new signals, and aldis relays to them
the signals of Flask and Flask-Login that CKAN relays.

CKAN guarantees nothing about the arguments, so the contracts are advisory and open: a receiver that
does not fit, or that has no ``**kwargs``, causes a warning. The name of a function is the signal's
name in this module. ``define(name=…)`` gives its name in the namespace, if that is another one.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from aldis._optional import needs
from aldis.ckan.namespaces import ckan, ckanext, theirs
from aldis.core.contract import Contract
from aldis.core.frames import hidden
from aldis.core.signal import Signal

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

# The docs that CKAN gives its signals.
_docs = {
    each: each.__doc__ for space in (ckan, ckanext) for each in space.values() if each.documented
}


@ckan.define(advisory=True)
def request_started(sender: Flask, /) -> None:
    """Sent by the app after it pushed the request context, before it handles the request."""


@ckan.define(advisory=True)
def request_finished(sender: Flask, /, *, response: Response) -> None:
    """Sent by the app before it sends the response."""


@ckan.define(advisory=True)
def register_blueprint(sender: str, /, *, blueprint: Blueprint) -> None:
    """Sent before the blueprint of a custom type is registered.

    The sender is the kind of the type: ``dataset``, ``resource``, ``group`` or ``organization``.
    """


@ckan.define(advisory=True)
def resource_download(sender: str, /) -> None:
    """Sent before an uploaded file is downloaded. The sender is the id of its resource."""


@ckan.define(advisory=True)
def failed_login(sender: str, /) -> None:
    """Sent after a failed login. The sender is the user name from the form."""


@ckan.define(advisory=True)
def user_created(sender: str, /, *, user: Any) -> None:
    """Sent after a user was created, before the commit. The sender is the user's name."""


@ckan.define(advisory=True)
def request_password_reset(sender: str, /, *, user: Any) -> None:
    """Sent after a user was mailed a link for a new password. The sender is the user's name."""


@ckan.define(advisory=True)
def perform_password_reset(sender: str | None, /, *, user: Any) -> None:
    """Sent after a user set a new password. The sender is the name in the form, if any."""


@ckan.define(name="logged_in", advisory=True)
def user_logged_in(sender: Flask, /, *, user: Any) -> None:
    """Sent by the app after a user logged in."""


@ckan.define(name="logged_out", advisory=True)
def user_logged_out(sender: Flask, /, *, user: Any) -> None:
    """Sent by the app after a user logged out."""


@ckan.define(name="action_succeed", advisory=True)
def action_succeeded(
    sender: str,
    /,
    *,
    context: dict[str, Any],
    data_dict: dict[str, Any],
    result: Any,
) -> None:
    """Sent after every action that raised no error. The sender is the name of the action.

    The action's changes may not be committed yet, and may be rolled back.
    """


@ckanext.define(advisory=True)
def datastore_upsert(sender: str, /, *, records: Any) -> None:
    """Sent after ``datastore_upsert``. The sender is the id of the resource."""


@ckanext.define(advisory=True)
def datastore_delete(
    sender: str, /, *, result: Any, data_dict: dict[str, Any], **extra: Any
) -> None:
    """Sent after ``datastore_delete``. The sender is the id of the resource."""


def _open_contracts() -> None:
    """Allow every send to carry more arguments than the contract declares.

    A ``**extra`` in the functions would be wrong for type checkers: it could contain a second
    ``sender``, so the ``def listener(sender, **kwargs)`` of CKAN's docs would not fit.
    """
    for signal in (*ckan.values(), *ckanext.values()):
        declared = signal.contract
        if declared is not None:
            signal.contract = Contract(
                declared.function,
                declared.payload,
                open=True,
                advisory=declared.advisory,
                mutable=declared.mutable,
            )


def _keep_docs() -> None:
    for signal, doc in _docs.items():
        signal.__doc__ = doc


def _relay() -> None:
    """Relay signals of Flask and Flask-Login, as CKAN does."""
    with needs("aldis.ckan without CKAN", "ckan", flask="Flask", flask_login="Flask-Login"):
        import flask  # noqa: PLC0415 - Flask is optional
        import flask_login as login  # type: ignore[import-untyped]  # noqa: PLC0415 - Flask-Login is optional
    relays: list[tuple[Any, Signal[..., Any]]] = [
        (flask.request_started, request_started),
        (flask.request_finished, request_finished),
        (login.user_logged_in, user_logged_in),
        (login.user_logged_out, user_logged_out),
    ]
    for source, target in relays:
        source.connect(_Relay(target), weak=False, dispatch_uid="aldis.ckan")


@hidden
class _Relay:
    """Sends a signal of CKAN when Flask sends its own. The engine treats it as ``target.send``.

    Users do not see it in trees and lists of receivers, because they did not connect it.
    """

    def __init__(self, target: Signal[..., Any]) -> None:
        self.__self__ = target
        self.__name__ = self.__qualname__ = "send"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__self__.send(*args, **kwargs)


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
