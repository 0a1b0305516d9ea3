"""Map the payload of a send to JSON, and JSON to the keyword arguments of a receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, NoReturn, get_args, get_origin

from aldis.core.contract import Contract
from aldis.core.receiver import describe, is_async
from aldis.durable.codec._annotations import MISSING, TypeResolver, hints_of
from aldis.durable.codec._codecs import JSON, NONE, Loader, TypeCodec, union
from aldis.durable.codec._errors import at_step, type_name
from aldis.durable.codec._records import Field, Fields
from aldis.errors import PayloadError, PayloadMismatchError, PayloadTypeError


class PayloadMapper:
    """Maps the declared arguments of a send. Other arguments must be JSON values.

    Args:
        receiver: The receiver. It gets the other arguments that it takes.
        fields: The declared arguments.
        others: The codec of the other arguments.
    """

    def __init__(
        self, receiver: Callable[..., Any], fields: Fields, others: TypeCodec = JSON
    ) -> None:
        self._dumps = {name: each.codec.dump for name, each in fields.items()}
        self._loads = dict(fields.loads)
        self._required = fields.required
        self._others = others
        self._names: frozenset[str] | None = None
        try:
            _sender, *rest = signature(receiver).parameters.values()
        except (TypeError, ValueError):
            return
        if all(each.kind is not Parameter.VAR_KEYWORD for each in rest):
            named = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
            self._names = frozenset(each.name for each in rest if each.kind in named)

    def dump(self, _sender: Any, payload: dict[str, Any]) -> dict[str, Any]:
        """Return what msgspec encodes for the payload of one send."""
        dumps = self._dumps
        dumped: dict[str, Any] = {}
        name = ""
        try:
            for name, value in payload.items():
                dump = dumps.get(name) or (self._others.dump if self._takes(name) else _refuse)
                dumped[name] = dump(value)
        except (PayloadError, RecursionError) as error:
            raise _located(error, f"argument {name!r}") from error.__cause__
        if not self._required <= dumped.keys():
            missing = min(self._required - dumped.keys())
            problem = PayloadError("is missing, but the signal's contract requires it")
            raise at_step(problem, f"argument {missing!r}")
        return dumped

    def load(self, payload: dict[str, Any], loader: Loader) -> dict[str, Any]:
        """Return the keyword arguments for the receiver."""
        loads = self._loads
        loaded: dict[str, Any] = {}
        name = ""
        try:
            for name, raw in payload.items():
                load = loads.get(name)
                if load is not None:
                    loaded[name] = load(raw, loader)
                elif self._takes(name):
                    loaded[name] = self._others.load(raw, loader)
        except PayloadError as error:
            raise at_step(error, f"argument {name!r}") from error.__cause__
        except RecursionError as error:
            problem = PayloadMismatchError("is nested too deeply")
            raise at_step(problem, f"argument {name!r}") from error
        if not self._required <= loaded.keys():
            missing = min(self._required - loaded.keys())
            raise at_step(PayloadMismatchError("is missing, but required"), f"argument {missing!r}")
        return loaded

    def _takes(self, name: Any) -> bool:
        return type(name) is str and (self._names is None or name in self._names)


def _refuse(_value: Any) -> NoReturn:
    raise PayloadError("is not declared, and the receiver does not take it")


def _located(error: Exception, place: str) -> PayloadError:
    if isinstance(error, PayloadError):
        return at_step(error, place)
    return at_step(PayloadError("is nested too deeply, or contains itself"), place)


class Projection(PayloadMapper):
    """Maps the result of a ``payload=`` function.

    Args:
        project: The function.
        receiver: The receiver.
        fields: The fields of the record that the function returns.
        others: The codec of the values, if the function returns a dict.
        record: The codec of the record.
    """

    def __init__(
        self,
        project: Callable[..., Any],
        receiver: Callable[..., Any],
        fields: Fields,
        others: TypeCodec = JSON,
        record: TypeCodec | None = None,
    ) -> None:
        super().__init__(receiver, fields, others)
        self._project, self._record = project, record

    def dump(self, sender: Any, payload: dict[str, Any]) -> dict[str, Any]:
        """Return what msgspec encodes for the function's result."""
        place = f"payload={describe(self._project)}"
        try:
            result = self._project(sender, **payload)
        except Exception as error:
            problem = PayloadError(f"raised {type(error).__name__}: {error}")
            raise at_step(problem, place) from error
        if self._record is not None:
            try:
                dumped: dict[str, Any] = self._record.dump(result)
            except (PayloadError, RecursionError) as error:
                raise _located(error, f"the result of {place}") from error.__cause__
            return dumped
        if type(result) is not dict or any(type(each) is not str for each in result):
            problem = PayloadError(
                f"returned {type_name(type(result))}, not a dict with keys of str: return such a "
                "dict, or annotate the result as a TypedDict, dataclass, attrs class or Struct"
            )
            raise at_step(problem, place)
        return super().dump(sender, result)


def declared_mapper(contract: Contract | None, receiver: Callable[..., Any]) -> PayloadMapper:
    """Return the mapper for the arguments that a contract declares."""
    if contract is None:
        raise PayloadTypeError("has no contract that gives its arguments types")
    hints = hints_of(contract.function)
    resolver = TypeResolver()
    fields = Fields()
    for name, parameter in contract.payload.items():
        try:
            codec = resolver.codec(hints.get(name, MISSING))
        except PayloadTypeError as error:
            raise at_step(error, f"argument {name!r}") from error.__cause__
        if parameter.default is None and type(None) not in codec.kinds:
            codec = union([codec, NONE])
        fields[name] = Field(codec, name in contract.required)
    return PayloadMapper(receiver, fields)


def projection(project: Any, receiver: Callable[..., Any]) -> Projection:
    """Return the mapper for the result of a ``payload=`` function."""
    if not callable(project):
        raise PayloadTypeError("is not a function")
    if is_async(project):
        raise PayloadTypeError("is async, but a send cannot await it: make it a plain function")
    hint = hints_of(project).get("return")
    resolver = TypeResolver()
    if hint is None or hint is dict or hint is Any:
        return Projection(project, receiver, Fields())
    if get_origin(hint) in (dict, Mapping):
        key, item = get_args(hint)
        if key is not str:
            message = f"returns a dict with keys of {type_name(key)}: make the keys str"
            raise PayloadTypeError(message)
        others = JSON if item is Any or item is object else resolver.codec(item)
        return Projection(project, receiver, Fields(), others)
    fields = resolver.fields(hint)
    if fields is None:
        raise PayloadTypeError(
            f"returns {type_name(hint)}: it must return a dict, TypedDict, dataclass, attrs class "
            "or Struct, whose fields become the receiver's arguments"
        )
    kind, empty = Parameter.KEYWORD_ONLY, Parameter.empty
    payload = {
        name: Parameter(name, kind, default=empty if each.required else None)
        for name, each in fields.items()
    }
    problem = Contract(project, payload).mismatch(receiver)
    if problem is not None:
        raise PayloadTypeError(f"does not return the arguments that the receiver takes: {problem}")
    return Projection(project, receiver, fields, record=resolver.codec(hint))
