"""What a payload consists of: by the signal's contract, or by a ``payload=`` function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, NoReturn

from aldis.core.receiver import describe
from aldis.durable.codec.records import Record, TypedDictRecord
from aldis.durable.codec.scalars import Json
from aldis.durable.codec.shape import Loader, Shape, deeper, name_of_type
from aldis.errors import PayloadError, PayloadMismatchError

__all__ = ["JSON", "Plan", "Projection", "Refuse"]

Refuse = Callable[[PayloadError, str], NoReturn]

JSON = Json()


class Plan:
    """What is recorded of a payload, and what the receiver gets of that.

    An argument that is not declared is plain JSON; it goes to a receiver that takes it.

    Args:
        shapes: The declared arguments.
        required: Those that cannot be left out.
        receiver: Who gets them.
        others: The shape of the arguments that are not declared.
    """

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        required: frozenset[str],
        receiver: Callable[..., Any],
        others: Shape = JSON,
    ) -> None:
        self._shapes = dict(shapes)
        self._required = required
        self._others = others
        self._names, self._takes_any = _keywords(receiver)

    def record(self, sender: Any, payload: dict[str, Any], refuse: Refuse) -> dict[str, Any]:
        """Return what is written for the payload of one send.

        Raises:
            PayloadError: An argument cannot travel, or a required one is not there.
        """
        del sender  # which only a projection is interested in
        shapes = self._shapes
        recorded: dict[str, Any] = {}
        name = ""
        try:
            for name, value in payload.items():
                shape = shapes.get(name)
                recorded[name] = (
                    self._undeclared(name).dump(value) if shape is None else shape.dump(value)
                )
        except PayloadError as error:
            refuse(error, f"argument {name!r}")
        except RecursionError as error:
            refuse(_too_deep(error), f"argument {name!r}")
        if not self._required <= recorded.keys():
            missing = min(self._required - recorded.keys())
            refuse(
                PayloadError("is missing; the signal's contract requires it"),
                f"argument {missing!r}",
            )
        return recorded

    def _undeclared(self, name: str) -> Shape:
        if not self._takes(name):
            raise PayloadError("is not declared, and the receiver does not take it")
        return self._others

    def _takes(self, name: str) -> bool:
        return self._takes_any or name in self._names

    def load(self, payload: dict[str, Any], loader: Loader) -> dict[str, Any]:
        """Return the keyword arguments for the receiver.

        Raises:
            PayloadMismatchError: ``payload`` does not fit what is declared.
            LostRowError: An argument is a row that is gone.
        """
        shapes = self._shapes
        loaded: dict[str, Any] = {}
        name = ""
        try:
            for name, raw in payload.items():
                shape = shapes.get(name)
                if shape is not None:
                    loaded[name] = shape.load(raw, loader)
                elif type(name) is str and self._takes(name):
                    loaded[name] = self._others.load(raw, loader)
        except PayloadError as error:
            raise deeper(error, f"argument {name!r}") from error.__cause__
        except RecursionError as error:
            message = f"argument {name!r} is nested too deeply"
            raise PayloadMismatchError(message) from error
        if not self._required <= loaded.keys():
            missing = min(self._required - loaded.keys())
            raise deeper(PayloadMismatchError("is missing, and required"), f"argument {missing!r}")
        return loaded


class Projection(Plan):
    """A plan for what a ``payload=`` function returns.

    Args:
        project: The function.
        result: The shape of all that it returns, ``None`` for a dict of ``others``.
    """

    def __init__(
        self,
        project: Callable[..., Any],
        result: Record | TypedDictRecord | None,
        receiver: Callable[..., Any],
        others: Shape = JSON,
    ) -> None:
        fields = result.fields if result else []
        required = frozenset(each.name for each in fields if each.required)
        super().__init__({each.name: each.shape for each in fields}, required, receiver, others)
        self._project = project
        self._result = result

    def record(self, sender: Any, payload: dict[str, Any], refuse: Refuse) -> dict[str, Any]:
        """Return what is written for the function's answer."""
        name = describe(self._project)
        try:
            result = self._project(sender, **payload)
        except Exception as error:  # noqa: BLE001 - reported with its cause
            problem = PayloadError(f"raised {type(error).__name__}: {error}")
            problem.__cause__ = error
            refuse(problem, f"payload={name}")
        if self._result is not None:
            try:
                recorded: dict[str, Any] = self._result.dump(result)
            except PayloadError as error:
                refuse(error, f"what payload={name} returned: it")
            except RecursionError as error:
                refuse(_too_deep(error), f"what payload={name} returned")
            return recorded
        if type(result) is not dict or any(type(each) is not str for each in result):
            problem = PayloadError(
                f"returned {name_of_type(type(result))}, no dict of str: annotate what it "
                "returns (a TypedDict, dataclass, attrs class or Struct) or return a dict"
            )
            refuse(problem, f"payload={name}")
        return super().record(sender, result, refuse)


def _keywords(receiver: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Return the keyword arguments that a receiver takes by name, and whether it takes any."""
    try:
        _sender, *rest = signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return frozenset(), True
    named = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return (
        frozenset(each.name for each in rest if each.kind in named),
        any(each.kind is Parameter.VAR_KEYWORD for each in rest),
    )


def _too_deep(error: RecursionError) -> PayloadError:
    problem = PayloadError("is nested too deeply, or contains itself")
    problem.__cause__ = error
    return problem
