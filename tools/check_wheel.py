"""Check an installed wheel: it has the C engine and the type marker, and signals reach receivers.

The builds of the released wheels run this on each system and Python. It needs only aldis.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.resources import files
from typing import Any

import aldis
from aldis.core import _native


def main() -> None:
    """Check the wheel, and print what was checked."""
    if not _native.COMPILED:
        sys.exit("the wheel has no C engine, or this Python cannot load it")
    if not files("aldis").joinpath("py.typed").is_file():
        sys.exit("the wheel lacks py.typed")
    shop = aldis.Namespace()
    paid = shop.signal("order-paid")
    received: list[int] = []

    @paid.connect
    def record(_sender: Any, *, order_id: int) -> int:
        received.append(order_id)
        return order_id

    @paid.connect
    async def report(_sender: Any, *, order_id: int) -> int:
        received.append(-order_id)
        return order_id

    if asyncio.run(paid.asend("harbour", order_id=7)) != [(record, 7), (report, 7)]:
        sys.exit("asend returned other results than the receivers")
    paid.disconnect(report)
    if paid.send("harbour", order_id=8) != [(record, 8)] or received != [7, -7, 8]:
        sys.exit(f"the receivers got {received}")
    print(f"aldis {aldis.__version__}: C engine on {sys.implementation.name} {sys.version}")


if __name__ == "__main__":
    main()
