"""How a plan is made when a receiver connects, or why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, get_args, get_origin

from aldis.core.contract import Contract
from aldis.core.receiver import describe, is_async
from aldis.durable.codec.hints import MISSING, hints_of, sender_hint
from aldis.durable.codec.plan import JSON, Plan, Projection
from aldis.durable.codec.records import Record, TypedDictRecord, is_record, is_typed_dict
from aldis.durable.codec.scalars import SCALARS
from aldis.durable.codec.senders import Senders
from aldis.durable.codec.shape import Shape, deeper, name_of_type, where
from aldis.durable.codec.shapes import Shapes
from aldis.durable.codec.unions import union_of
from aldis.errors import PayloadTypeError

__all__ = ["plan_of"]

NONE = SCALARS[type(None)]


def plan_of(
    receiver: Callable[..., Any],
    signal: Any,
    project: Callable[..., Any] | None,
    names: tuple[str, str],
) -> tuple[Plan, Senders]:
    """Return how payload and sender of a signal travel to a receiver.

    Args:
        receiver: The durable receiver.
        signal: The signal.
        project: The function given as ``payload=``.
        names: The signal and the receiver, for messages.

    Raises:
        PayloadTypeError: Something that is declared cannot travel, or nothing is declared.
    """
    contract: Contract | None = getattr(signal, "contract", None)
    what = "the sender"
    try:
        senders = Senders(_sender_hint(contract, project))
        if project is not None:
            what = f"payload={describe(project)}"
            return _projection(project, receiver), senders
        what = "the signal" if contract is None else "argument"
        return _declared(contract, receiver), senders
    except PayloadTypeError as error:
        problem = f"{what}{where(error)} {error}"
        remedy = _REMEDY if what in ("argument", "the signal") else ""
    raise PayloadTypeError(
        f"receiver {names[1]} cannot be durable for {names[0]}: {problem}{remedy}"
    )


_REMEDY = "; give durable a payload= function that returns what is to be recorded instead"


def _sender_hint(contract: Contract | None, project: Callable[..., Any] | None) -> Any:
    hint = None if contract is None else sender_hint(contract.function)
    return sender_hint(project) if hint is None and project is not None else hint


def _declared(contract: Contract | None, receiver: Callable[..., Any]) -> Plan:
    if contract is None:
        raise PayloadTypeError("has no contract that gives its arguments types")
    hints = hints_of(contract.function)
    shapes = Shapes()
    declared: dict[str, Shape] = {}
    for name, parameter in contract.payload.items():
        try:
            shape = shapes.of(hints.get(name, MISSING))
        except PayloadTypeError as error:
            raise deeper(error, f" {name!r}") from error.__cause__
        if parameter.default is None and type(None) not in shape.kinds:
            shape = union_of([shape, NONE])
        declared[name] = shape
    return Plan(declared, contract.required, receiver)


def _projection(project: Callable[..., Any], receiver: Callable[..., Any]) -> Plan:
    if not callable(project):
        raise PayloadTypeError("is no function")
    if is_async(project):
        raise PayloadTypeError(
            "is async, and a send does not wait for it: make it a plain function"
        )
    hint = hints_of(project).get("return")
    if hint is None or hint is dict or hint is Any:
        return Projection(project, None, receiver)
    if get_origin(hint) in _DICTS:
        return _of_dict(project, hint, receiver)
    if is_typed_dict(hint) or is_record(hint):
        result = Shapes().of(hint)
        if isinstance(result, (Record, TypedDictRecord)):
            _check_taken(project, result, receiver)
            return Projection(project, result, receiver)
    raise PayloadTypeError(
        f"returns {name_of_type(hint)}; it must return a dict, TypedDict, dataclass, attrs class "
        "or Struct, whose parts become the receiver's arguments"
    )


_DICTS = (dict, get_origin(Mapping[str, Any]))


def _of_dict(project: Callable[..., Any], hint: Any, receiver: Callable[..., Any]) -> Plan:
    key, item = get_args(hint)
    if key is not str:
        message = f"returns a dict with keys of {name_of_type(key)}; arguments have names of str"
        raise PayloadTypeError(message)
    others = JSON if item is Any or item is object else Shapes().of(item)
    return Projection(project, None, receiver, others)


def _check_taken(
    project: Callable[..., Any], result: Record | TypedDictRecord, receiver: Callable[..., Any]
) -> None:
    """Refuse a receiver that could not be called with the parts of what ``project`` returns."""
    payload = {
        each.name: Parameter(
            each.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if each.required else None,
        )
        for each in result.fields
    }
    contract = Contract(project, payload)
    problem = contract.mismatch(receiver)
    if problem is not None:
        raise PayloadTypeError(f"does not return what the receiver takes: {problem}")
