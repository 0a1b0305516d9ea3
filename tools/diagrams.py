"""Draw the diagrams in ``docs/pictures``: ``python tools/diagrams.py``.

Each diagram has a light background, so that you can read it on a light page and on a dark page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Final

PICTURES: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"

INK: Final = "#1f2933"
SOFT: Final = "#52606d"
COLOURS: Final = {
    "plain": ("#ffffff", "#9aa5b1"),
    "blue": ("#e0ecfb", "#3b73b9"),
    "green": ("#ddf3e4", "#2f8f5b"),
    "red": ("#fbe3e0", "#b9483b"),
    "yellow": ("#fdf3d0", "#b58a15"),
    "grey": ("#e9edf1", "#7b8794"),
}

GROUND: Final = 'fill="#fbfaf7" stroke="#d9dee3"'
HEAD: Final = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{height}}" role="img"
 width="{{width}}" height="{{height}}" font-family="Helvetica, Arial, Liberation Sans, sans-serif">
<title>{{title}}</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
 orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="{SOFT}"/></marker></defs>"""


class Drawing:
    """An SVG image to which the methods add shapes."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            HEAD.format(width=width, height=height, title=escape(title)),
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10" {GROUND}/>',
        ]

    def box(
        self, x: int, y: int, width: int, height: int, lines: Sequence[str], colour: str = "plain"
    ) -> None:
        """Draw a box centred at (x, y), with its first line in bold."""
        fill, edge = COLOURS[colour]
        self._parts.append(
            f'<rect x="{x - width / 2}" y="{y - height / 2}" width="{width}" height="{height}" '
            f'rx="8" fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
        )
        top = y - (len(lines) - 1) * 8.5 + 5
        for number, line in enumerate(lines):
            self.text(x, top + number * 17, line, bold=number == 0, size=14 if number == 0 else 12)

    def text(  # noqa: PLR0913 - position, text and style
        self,
        x: float,
        y: float,
        line: str,
        *,
        bold: bool = False,
        size: int = 12,
        anchor: str = "middle",
        colour: str = INK,
        code: bool = False,
    ) -> None:
        """Write a line at (x, y)."""
        weight = ' font-weight="bold"' if bold else ""
        family = ' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace"' if code else ""
        self._parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}"{weight}{family}>{escape(line)}</text>'
        )

    def arrow(self, path: str, *, dashed: bool = False, tip: bool = True) -> None:
        """Draw a line along an SVG path, with a tip at its end."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        end = ' marker-end="url(#tip)"' if tip else ""
        self._parts.append(
            f'<path d="{path}" fill="none" stroke="{SOFT}" stroke-width="1.6"{dash}{end}/>'
        )

    def labels(self, x: float, y: float, *lines: str, anchor: str = "middle") -> None:
        """Write the label of an arrow."""
        for number, line in enumerate(lines):
            self.text(x, y + number * 15, line, anchor=anchor, colour=SOFT)

    def svg(self) -> str:
        """Return the picture."""
        return "\n".join([*self._parts, "</svg>", ""])


def states_of_a_delivery() -> Drawing:
    """Draw the states of a delivery in the database, and the transitions."""
    drawing = Drawing(960, 500, "The states of a delivery")
    drawing.labels(76, 84, "the sender's", "transaction", "is committed")
    drawing.arrow("M28 132H205")
    drawing.box(270, 132, 130, 52, ["PENDING", "until it is due"], "blue")
    drawing.box(560, 132, 130, 52, ["RUNNING", "a worker has it"], "yellow")
    drawing.box(850, 132, 130, 52, ["DONE", "until it is pruned"], "green")
    drawing.box(270, 286, 130, 52, ["BLOCKED", "waits for its key"], "blue")
    drawing.box(560, 286, 130, 52, ["QUARANTINED", "runs alone"], "blue")
    drawing.box(850, 286, 130, 52, ["DEAD", "a dead letter"], "red")
    drawing.box(560, 422, 130, 52, ["DISCARDED", "will not run"], "grey")

    drawing.labels(415, 40, "a worker takes it")
    drawing.arrow("M300 106C340 36 490 36 530 106")
    drawing.arrow("M495 114H337")
    drawing.labels(
        415, 130, "failed, to be tried again;", "RetryLater; given back;", "lost with its worker"
    )
    drawing.arrow("M625 114H783")
    drawing.labels(704, 106, "the receiver returns")
    drawing.arrow("M270 158V258")
    drawing.labels(262, 196, "an earlier one", "with its key", "is unfinished", anchor="end")
    drawing.arrow("M300 260V160")
    drawing.labels(308, 222, "that one is finished", anchor="start")
    drawing.arrow("M545 158V258")
    drawing.labels(537, 196, "lost with", "its worker for", "the 2nd time", anchor="end")
    drawing.arrow("M575 260V160")
    drawing.labels(583, 206, "a worker that", "does nothing else", anchor="start")
    drawing.arrow("M625 140C700 140 720 200 783 270")
    drawing.labels(
        766, 206, "attempts used up,", "GiveUp, or lost for", "the 5th time", anchor="start"
    )

    drawing.arrow("M270 312V346H552V394")
    drawing.arrow("M560 312V394")
    drawing.arrow("M820 312V346H568V394")
    drawing.labels(692, 364, "discard (PENDING, too)")
    drawing.arrow("M880 312V472H130V146H203")
    drawing.arrow("M495 422H130", tip=False)
    drawing.labels(312, 414, "replay")
    drawing.labels(752, 464, "replay")
    return drawing


def life_of_a_signal() -> Drawing:
    """Draw one send to four receivers, one for each delivery mode."""
    drawing = Drawing(960, 520, "The life of a signal: one send, four deliveries")
    for x, width, title in ((412, 290, "in send()"), (662, 150, "the commit"), (846, 180, "later")):
        drawing.text(x, 34, title, bold=True, size=14)
        drawing.arrow(f"M{x - width / 2 + 8} 46H{x + width / 2 - 8}", tip=False)
    drawing.arrow("M580 60V496", dashed=True, tip=False)
    drawing.arrow("M744 60V496", dashed=True, tip=False)

    drawing.box(130, 262, 220, 96, [])
    drawing.text(40, 258, "order_paid.send(", size=14, anchor="start", code=True)
    drawing.text(40, 278, "  branch, order_id=7)", size=14, anchor="start", code=True)
    drawing.labels(
        130,
        334,
        "the receivers of this sender,",
        "in connection order, as they",
        "were when the send began",
    )
    for y in (104, 206, 308, 416):
        drawing.arrow(f"M240 262C262 262 254 {y} 280 {y}")
    drawing.box(350, 104, 136, 48, ["plain", "is called"], "plain")
    drawing.box(350, 206, 136, 48, ["@robust", "is called"], "blue")
    drawing.box(350, 308, 136, 48, ["@after_commit", "waits"], "yellow")
    drawing.box(350, 416, 136, 48, ["@durable", "is recorded"], "green")
    drawing.labels(
        430,
        92,
        "an error reaches the",
        "sender, the others",
        "are not called",
        anchor="start",
    )
    drawing.labels(430, 202, "an error is logged,", "the send goes on", anchor="start")
    drawing.labels(430, 440, "a row in the sender's", "own transaction", anchor="start")
    drawing.arrow("M418 308H592")
    drawing.box(662, 308, 136, 48, ["is called"], "yellow")
    drawing.labels(662, 350, "rolled back?", "never called")
    drawing.arrow("M418 416H592")
    drawing.box(662, 416, 136, 48, ["is saved"], "green")
    drawing.labels(662, 458, "rolled back?", "there is no row")
    drawing.arrow("M730 416H766")
    drawing.box(848, 416, 160, 48, ["a worker calls it"], "green")
    drawing.arrow("M890 392C910 340 790 340 806 390")
    drawing.labels(848, 336, "at least once:", anchor="middle")
    drawing.text(848, 351, "retried until it is done", colour=SOFT)
    drawing.labels(848, 458, "or a dead letter,", "which you inspect")
    return drawing


def architecture() -> Drawing:
    """Draw the paths of a send, a delivery and a login through the modules."""
    drawing = Drawing(960, 560, "The paths of a send, a delivery and a login")
    rows = (
        (84, "a send", "blue"),
        (216, "a durable send", "green"),
        (348, "a delivery", "green"),
        (480, "a login", "yellow"),
    )
    steps = (
        (
            ["signal.send()", "core/dispatch.py", "or _dispatch.c"],
            ["the plan", "core/registry.py", "receivers in order"],
            ["the receiver", "core/receiver.py", "delivery mode"],
            ["other sends", "core/slowpath.py", "async, observed, strict"],
        ),
        (
            ["Recorder", "durable/receiver.py", "instead of the receiver"],
            ["PayloadCodec", "durable/codec/", "payload as JSON"],
            ["the session's buffer", "transactions/buffer.py", "waits for the commit"],
            ["INSERT", "durable/store/sql/", "in the same commit"],
        ),
        (
            ["Worker", "durable/worker/worker.py", "claims by its lease"],
            ["executor", "durable/worker/executor.py", "a thread or the loop"],
            ["the attempt", "durable/worker/attempt.py", "calls the receiver"],
            ["complete or retry", "durable/store/sql/claim.py", "in its transaction"],
        ),
        (
            ["/login/<name>", "oauth/_blueprint.py", "oauth_before_login"],
            ["state and PKCE", "oauth/_login_state.py", "for this login only"],
            ["the provider", "oauth/_oauth2.py", "on Authlib"],
            ["oauth_authorized", "oauth/_storage.py, sqla.py", "stores the token"],
        ),
    )
    columns = (228, 436, 644, 852)
    for (y, name, colour), boxes in zip(rows, steps, strict=True):
        drawing.text(16, y + 5, name, bold=True, size=14, anchor="start")
        for x, lines in zip(columns, boxes, strict=True):
            drawing.box(x, y, 176, 76, lines, colour)
        for x in columns[:-1]:
            drawing.arrow(f"M{x + 88} {y}H{x + 118}")
    drawing.arrow("M644 122V150H228V176")
    drawing.labels(436, 144, "@durable: __bind_signal__ puts a recorder in the receiver's place")
    drawing.arrow("M852 254V282H228V308", dashed=True)
    drawing.labels(540, 276, "later, in another process")
    return drawing


DRAWN: Final[dict[str, Callable[[], Drawing]]] = {
    "states-of-a-delivery": states_of_a_delivery,
    "life-of-a-signal": life_of_a_signal,
    "architecture": architecture,
}


def main() -> None:
    """Draw all diagrams."""
    for name, draw in DRAWN.items():
        path = PICTURES / f"{name}.svg"
        path.write_text(draw().svg(), encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
