"""``make demo``: a scripted visitor uses the shop, and every signal of the visit is shown.

The shop runs on a real server. The visitor sends real HTTP requests. The demo ends by itself.
"""

import os
import sys
from dataclasses import dataclass, field
from queue import Queue
from textwrap import fill
from threading import Thread

import aldis
from aldis.observe import TracedRequest
from examples.shop import crash
from examples.shop.server import end_when_told, open_shop, talk_quietly
from examples.shop.visitor import Page, Visitor


@dataclass(frozen=True)
class Step:
    """One request of the visitor, and the text that introduces it."""

    story: str
    path: str
    form: dict[str, str] = field(default_factory=dict)
    answer: int = 200
    text: str = ""  # the page must contain it

    def take(self, visitor: Visitor, address: str) -> Page:
        """Send the request: a POST if there is a form, else a GET."""
        return visitor.open(address + self.path, self.form)


class Login(Step):
    """A login: several requests, some of them to the provider."""

    def take(self, visitor: Visitor, address: str) -> Page:
        """Log in at the provider and return to the shop."""
        return visitor.log_in(address + self.path, "ada")


LAMP, COMPASS = "1", "2"

STEPS = [
    Step("A visitor opens the shop. Every signal here is one of Flask's own.", "/"),
    Step(
        "The statistics page has a bug: it fails before the first order.", "/statistics", answer=500
    ),
    Step("The visitor puts 99 lamps into the cart.", "/cart", {"product": LAMP, "quantity": "99"}),
    Step(
        "There are only 5 lamps. The first receiver raises an exception, so the send ends, and the "
        "page rolls the order back.",
        "/pay",
        {"branch": "Harbour"},
        answer=409,
    ),
    Step("The visitor takes 3 lamps instead.", "/cart", {"product": LAMP, "quantity": "3"}),
    Step(
        "The order is paid. A receiver sends a signal. Its receiver sends another one, which has "
        "no receivers.",
        "/pay",
        {"branch": "Harbour", "note": "For the captain"},
    ),
    Step("The visitor starts a second order.", "/cart", {"product": COMPASS, "quantity": "1"}),
    Step(
        "The note is too long for a label. print_label is robust: it raises, and the customer "
        "still gets a 200. ring_the_bell is connected once, so it does not run again. "
        "call_the_courier is connected for the market only.",
        "/pay",
        {"branch": "Market", "note": "Please leave it with the harbour master"},
    ),
]

LOGIN = Login(
    "The visitor logs in. The shop redirects the browser to an OpenID Connect provider. The "
    "browser returns with a code, and the provider exchanges it for a token.",
    "/login/lighthouse",
    text="Welcome aboard, ada",
)

NEXT = """\
aldis sent every signal above, Flask's own signals too.

What to look at next:
  make demo-serve               the shop, in your browser
  examples/shop/receivers.py    the receivers that ran
  README.md                     your first lines with aldis
  docs/decisions/               why aldis is built this way"""

FASTER = "For the faster C engine: apt install gcc python3-dev, then make clean demo"


def engine() -> str:
    """Return the line that names the engine."""
    return "Engine: C" if aldis.COMPILED else f"Engine: Python. {FASTER}"


def visit_shop() -> bool:
    """Take every step and print its tree; return whether each answer was the expected one."""
    visits: Queue[TracedRequest] = Queue()
    visitor = Visitor()
    as_expected = True
    with open_shop(visits.put) as shop:
        Thread(target=shop.server.serve_forever, daemon=True).start()
        for number, step in enumerate(STEPS if shop.no_login else [*STEPS, LOGIN], 1):
            print(fill(f"{number}. {step.story}", 79))
            page = step.take(visitor, shop.address.rstrip("/"))
            while not visits.empty():  # aldis passes a request on before its answer ends
                visit = visits.get()
                visit.trace.print(str(visit))
            if page.status != step.answer or step.text not in page.text:
                print(
                    f"The answer was {page.status}, but the demo expected {step.answer} {step.text}"
                )
                as_expected = False
            print(flush=True)
        if shop.no_login:
            print(f"The demo leaves the login out: {shop.no_login}.\n")
        shop.server.shutdown()
    if not crash.show(number + 1):
        print("The receipt was not printed exactly once.")
        as_expected = False
    return as_expected


def main() -> int:
    """Run the demo and return its exit code."""
    talk_quietly()
    end_when_told()
    try:
        print(f"{engine()}\n", flush=True)
        if not visit_shop():
            return 1
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 130
    except BrokenPipeError:  # `make demo | head` has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
