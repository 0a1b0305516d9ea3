"""``make demo``: somebody visits the shop, and every signal of the visit is shown.

The shop runs on a real server; the visitor sends real HTTP requests. It ends by itself.
"""

import os
import sys
from dataclasses import dataclass, field
from queue import Queue
from textwrap import fill
from threading import Thread

from examples.shop import crash
from examples.shop.server import Visit, end_when_told, open_shop, talk_quietly
from examples.shop.visitor import Page, Visitor


@dataclass(frozen=True)
class Step:
    """What the visitor does next, and what a reader should look at."""

    story: str
    path: str
    form: dict[str, str] = field(default_factory=dict)
    answer: int = 200
    text: str = ""  # what the page has to say

    def take(self, visitor: Visitor, address: str) -> Page:
        """Send the request, by POST if there is a form."""
        return visitor.open(address + self.path, self.form)


class Login(Step):
    """A step that takes several requests, some of them to the provider."""

    def take(self, visitor: Visitor, address: str) -> Page:
        """Go to the provider and come back from there."""
        return visitor.log_in(address + self.path, "ada")


LAMP, COMPASS = "1", "2"

STEPS = [
    Step("Somebody looks at what there is. Every signal here is Flask's own.", "/"),
    Step("The statistics have a bug before the first order.", "/statistics", answer=500),
    Step("Something is put into the cart.", "/cart", {"product": LAMP, "quantity": "99"}),
    Step(
        "There is not that much. The first receiver raises, which ends the send, and the page "
        "undoes the order.",
        "/pay",
        {"branch": "Harbour"},
        answer=409,
    ),
    Step("Less of it, then.", "/cart", {"product": LAMP, "quantity": "3"}),
    Step(
        "Paid. A receiver sends a signal, whose receiver sends another, which nobody hears.",
        "/pay",
        {"branch": "Harbour", "note": "For the captain"},
    ),
    Step("A second order.", "/cart", {"product": COMPASS, "quantity": "1"}),
    Step(
        "The note is too long for a label. print_label is robust, so it raises and the customer "
        "gets a 200. The bell was connected once. The courier hears the market only.",
        "/pay",
        {"branch": "Market", "note": "Please leave it with the harbour master"},
    ),
]

LOGIN = Login(
    "Somebody logs in. The shop sends the browser to an OpenID Connect provider, and gets it back "
    "with a code, for which the provider hands out a token.",
    "/login/lighthouse",
    text="Welcome aboard, ada",
)

NEXT = """\
Every signal above, Flask's own too, was sent by aldis.

What to look at next:
  make demo-serve               the same shop, for your browser
  examples/shop/receivers.py    the receivers that you saw
  README.md                     the first lines to write yourself
  docs/decisions/               why it is built this way"""


def visit_shop() -> bool:
    """Take every step and print its tree; tell whether each was answered as it should be."""
    visits: Queue[Visit] = Queue()
    visitor = Visitor()
    as_expected = True
    with open_shop(visits.put) as shop:
        Thread(target=shop.server.serve_forever, daemon=True).start()
        for number, step in enumerate(STEPS if shop.no_login else [*STEPS, LOGIN], 1):
            print(fill(f"{number}. {step.story}", 79))
            page = step.take(visitor, shop.address.rstrip("/"))
            while not visits.empty():  # a visit is handed over before it is answered
                visits.get().print()
            if page.status != step.answer or step.text not in page.text:
                print(f"Not {page.status}: it should have been {step.answer} {step.text}")
                as_expected = False
            print(flush=True)
        if shop.no_login:
            print(f"The login is left out: {shop.no_login}.\n")
        shop.server.shutdown()
    if not crash.show(number + 1):
        print("There is no receipt, or more than one.")
        as_expected = False
    return as_expected


def main() -> int:
    """Run the demo and return its exit code."""
    talk_quietly()
    end_when_told()
    try:
        if not visit_shop():
            return 1
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 130
    except BrokenPipeError:  # `make demo | head`: nobody reads on, and nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
