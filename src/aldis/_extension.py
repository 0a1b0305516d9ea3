"""The base of the extensions for Flask and Quart."""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakSet, ref

from aldis._optional import loaded
from aldis.core import is_strict, set_strict
from aldis.core.frames import hidden, hide_frames
from aldis.core.sender import real_sender
from aldis.core.signal import Signal
from aldis.errors import OutboxError
from aldis.observe._requests import RequestReport, TraceOption
from aldis.receivers import once
from aldis.transactions import register_provider, warn_forgotten

if TYPE_CHECKING:
    from flask.sansio.app import App

    from aldis.durable import Outbox

__all__ = ["BaseExtension", "app_outbox", "declare_loaded_signals"]

_log = logging.getLogger("aldis")

#: The modules of aldis that give the signals of a library their contracts.
_CONTRACTS: Final = {
    "flask": "aldis.flask",
    "quart": "aldis.quart",
    "flask_login": "aldis.flask_login",
}

#: Flask and Quart apps have this base.
AppT = TypeVar("AppT", bound="App")


def declare_loaded_signals() -> None:
    """Give the signals of the libraries that the program has imported their contracts."""
    for library, module in _CONTRACTS.items():
        if loaded(library) is not None and module not in sys.modules:
            try:
                import_module(module)
            except Exception:  # noqa: BLE001 - a library may be too old, and its contracts are advice
                _log.debug("the signals of %s have no contracts", library, exc_info=True)


class BaseExtension(ABC, Generic[AppT]):
    """Connects aldis to one app, or to each of several.

    Args:
        app: The app. A factory leaves it out and calls :meth:`init_app` later.
        outbox: The outbox of the app. While the app is the current one, sends to durable receivers
            are recorded in it, and ``after_commit`` waits for its session.
        strict: Whether strict mode is on. The default is ``app.config["ALDIS_STRICT"]`` if it is
            set, and otherwise ``app.debug``.
        trace: Whether to print the signals of each request as a tree, to the standard error; see
            :class:`aldis.flask.Aldis`.

    Raises:
        OutboxError: ``outbox`` is not an outbox, or the app has another one already.
    """

    #: A correct call, for an error message.
    _example: str

    def __init__(
        self,
        app: AppT | None = None,
        *,
        outbox: Outbox | None = None,
        strict: bool | None = None,
        trace: TraceOption | None = None,
    ) -> None:
        if outbox is not None:
            from aldis.durable.outbox import check_outbox  # noqa: PLC0415 - SQLAlchemy is optional

            check_outbox(outbox, self._example)
        self.outbox: Outbox | None = outbox
        self._strict: bool | None = strict
        self._trace: TraceOption | None = trace
        self._apps: WeakSet[Any] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: AppT) -> None:
        """Connect to ``app`` and set ``app.extensions["aldis"]``.

        If the app has an extension already, that one stays. Strict mode follows the settings of
        both.

        Raises:
            OutboxError: The app has another outbox already.
        """
        declare_loaded_signals()
        app = real_sender(app)  # the object behind current_app
        first = app.extensions.setdefault("aldis", self)
        if self.outbox is not None and first.outbox is not self.outbox:
            message = (
                f"the app {app.name!r} has an extension aldis already, "
                + ("with another outbox" if first.outbox else "without an outbox")
                + ": give its outbox to the first Aldis(app, outbox=...)"
            )
            raise OutboxError(message)
        if app not in self._apps:
            self._apps.add(app)
            # One `once` for each app, because a call for one app would disconnect it from all apps.
            update_strict = hidden(once(self._receiver(self._update_strict)))
            for signal in self._first_signals():
                signal.connect(update_strict, app)
            for signal in self._error_signals():
                signal.connect(hidden(self._receiver(_hide_frames)), app, weak=False)
            if self.outbox is not None:
                self._connect_outbox(app, self.outbox)
            self._trace_requests(app)
        self._update_strict(app)

    # -- the framework ---------------------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def _first_signals() -> tuple[Signal[..., Any], ...]:
        """Return the signals that an app sends before it does any work, the app context first."""

    @staticmethod
    @abstractmethod
    def _error_signals() -> tuple[Signal[..., Any], ...]:
        """Return the signals of errors that end a request."""

    @staticmethod
    @abstractmethod
    def _popped() -> Signal[..., Any]:
        """Return the signal that an app sends at the end of its context."""

    @staticmethod
    @abstractmethod
    def _receiver(function: Callable[..., None]) -> Callable[..., Any]:
        """Return ``function`` as the kind of receiver, sync or async, that the framework awaits."""

    @staticmethod
    @abstractmethod
    def _current_outbox() -> Outbox | None:
        """Return the outbox of the current app."""

    @staticmethod
    @abstractmethod
    def _own_signals() -> Iterable[Signal[..., Any]]:
        """Return the signals of the framework."""

    @staticmethod
    @abstractmethod
    def _wrap(app: AppT, report: RequestReport) -> None:
        """Put a tracer around ``app``."""

    # -- what it does ----------------------------------------------------------------------------

    def _connect_outbox(self, app: AppT, outbox: Outbox) -> None:
        from aldis.durable import add_app  # noqa: PLC0415 - SQLAlchemy is optional

        add_app(app)
        register_provider(self._current_outbox)

        def prepare(_app: AppT, **_: Any) -> None:
            # This must run before the first transaction. If the session has no database yet, the
            # first send to a durable receiver raises the error.
            with suppress(Exception):
                outbox.prepare()

        self._first_signals()[0].connect(hidden(once(self._receiver(prepare))), app)

        def warn(_app: AppT, **_: Any) -> None:
            # An outer context may still commit the transaction.
            if is_strict() and self._current_outbox() is None:
                warn_forgotten(outbox.open_sessions())

        self._popped().connect(hidden(self._receiver(warn)), app, weak=False)

    def _trace_requests(self, app: AppT) -> None:
        """Print the tree of each request, if the settings of ``app`` ask for it."""
        option = self._trace
        if option is None:
            option = app.config.get("ALDIS_TRACE")
        if option is None or option is False or app in _traced_apps:
            return
        app_ref = ref(app)

        def is_static(method: str, path: str) -> bool:
            traced = app_ref()
            return traced is not None and _is_static(traced, method, path)

        names = {str(getattr(signal, "name", "")) for signal in self._own_signals()}
        self._wrap(app, RequestReport(option, names, is_static))
        _traced_apps.add(app)

    def _update_strict(self, app: AppT, **_: Any) -> None:
        """Turn strict mode on if the settings of ``app`` ask for it."""
        declare_loaded_signals()  # the app may have imported a library since init_app()
        wanted = self._strict
        if wanted is None:
            wanted = app.config.get("ALDIS_STRICT")
        if wanted is None:
            wanted = app.debug
        if wanted and not is_strict():
            set_strict()


#: The apps whose requests are printed, so that no request is printed twice.
_traced_apps: WeakSet[Any] = WeakSet()


def _is_static(app: App, method: str, path: str) -> bool:
    """Tell whether a view for static files answers a request."""
    try:
        endpoint, _ = app.url_map.bind("localhost").match(path, method)
    except Exception:  # noqa: BLE001 - no view, or a redirect; the app answers this itself
        return False
    return str(endpoint).rpartition(".")[2] == "static"


def _hide_frames(_app: object, exception: BaseException, **_: Any) -> None:
    """Remove aldis's frames from the traceback that the app logs."""
    hide_frames(exception)


def app_outbox(app: App) -> Outbox | None:
    """Return the outbox of ``app``."""
    extension: BaseExtension[Any] | None = app.extensions.get("aldis")
    return None if extension is None else extension.outbox
