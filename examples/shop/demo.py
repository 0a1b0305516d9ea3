"""``make demo``: somebody visits the shop, and every signal of the visit is shown.

The shop runs on a real server; the visitor sends real HTTP requests. It ends by itself.
"""

import os
import sys
from dataclasses import dataclass, field
from queue import Queue
from textwrap import fill
from threading import Thread
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, ProxyHandler, build_opener

from examples.shop.server import Visit, open_shop, talk_quietly

TIMEOUT = 10.0  # seconds, for each request


@dataclass(frozen=True)
class Step:
    """One request of the visitor, and what a reader should look at."""

    story: str
    path: str
    form: dict[str, str] = field(default_factory=dict)
    answer: int = 200

    def take(self, browser: OpenerDirector, address: str) -> int:
        """Send the request, by POST if there is a form, and return the status of the answer."""
        data = urlencode(self.form).encode() if self.form else None
        try:
            with browser.open(address + self.path, data, timeout=TIMEOUT) as response:
                response.read()
                return int(response.status)
        except HTTPError as error:
            error.close()
            return error.code


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
    browser = build_opener(HTTPCookieProcessor(), ProxyHandler({}))
    as_expected = True
    with open_shop(visits.put) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://{server.host}:{server.port}"
        for number, step in enumerate(STEPS, 1):
            print(fill(f"{number}. {step.story}", 79))
            answer = step.take(browser, address)
            visits.get(timeout=TIMEOUT).print()
            if answer != step.answer:
                print(f"This should have been answered with {step.answer}, not {answer}.")
                as_expected = False
            print(flush=True)
        server.shutdown()
    return as_expected


def main() -> int:
    """Run the demo and return its exit code."""
    talk_quietly()
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
