"""The example shop: the output of ``make demo``, and ``make demo-serve``."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest

import aldis
from tests.examples.running import ROOT, environment, run_demo, serving
from tests.processes import LIMIT

pytest.importorskip("flask")

DURATION = re.compile(r"\b[0-9.]+(e\+[0-9]+)? (µs|ms|s)\b")
FLASK = "sent by <Flask 'examples.shop'>"
HOME = "examples/shop/receivers.py"


@pytest.fixture(scope="module")
def demo():
    """The finished demo."""
    return run_demo()


@pytest.fixture(scope="module")
def steps(demo):
    """The lines of each numbered step, with every duration as TIME."""
    printed = DURATION.sub("TIME", demo.stdout.replace(os.sep, "/"))
    parts = re.split(r"^(\d+)\. ", printed, flags=re.MULTILINE)
    return {
        int(number): re.sub(r"(receivers\.py):\d+", r"\1", text).split("\n\n")[0].splitlines()
        for number, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def branch(lines, signal_name):
    """Return the branch of one signal in a tree."""
    start = next(n for n, line in enumerate(lines) if line[3:].startswith(f"{signal_name}  "))
    end = next(n for n, line in enumerate(lines) if n > start and line[0] in "├└")
    return [line[3:] for line in lines[start:end]]


class TestDemo:
    """``python -m examples.shop.demo``."""

    def test_ends_by_itself(self, demo):
        """The demo ends with exit code 0 and prints no error."""
        assert (0, "") == (demo.returncode, demo.stderr)

    @pytest.mark.parametrize(
        ("without", "line"),
        [
            ("", "Engine: C"),
            ("1", "Engine: Python. For the faster C engine: apt install gcc python3-dev, then "),
        ],
    )
    def test_names_the_engine(self, without, line):
        """The first line names the engine and, for the Python engine, the packages of the other."""
        if not without and not aldis.COMPILED:
            pytest.skip("there is no C engine")
        code = "from examples.shop import demo; print(demo.engine())"
        printed = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment(ALDIS_NO_EXTENSIONS=without),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        ).stdout
        assert printed.startswith(line)

    def test_begins_with_the_engine(self, demo):
        """The first line of the demo names the engine that runs."""
        assert demo.stdout.startswith("Engine: ")

    def test_ends_with_the_next_steps(self, demo):
        """The last lines name the next command, and files that exist."""
        after = demo.stdout.partition("What to look at next:\n")[2]
        first, *paths = [line.split("  ")[1] for line in after.splitlines()]

        assert "make demo-serve" == first
        assert [] == [path for path in paths if not (ROOT / path).exists()]

    def test_each_request_has_its_tree(self, steps):
        """Each step shows its request, the status of the answer and the duration."""
        assert [
            "GET / -> 200 OK, TIME",
            "GET /statistics -> 500 Internal Server Error, TIME",
            "POST /cart -> 200 OK, TIME",
            "POST /pay -> 409 Conflict, TIME",
            "POST /cart -> 200 OK, TIME",
            "POST /pay -> 200 OK, TIME",
            "POST /cart -> 200 OK, TIME",
            "POST /pay -> 200 OK, TIME",
            "POST /pay -> 200 OK, TIME",
            "worker -> 1 delivery, TIME",
        ] == [line for lines in steps.values() for line in lines if " -> " in line]

    def test_flask_signals_run_on_the_engine(self, steps):
        """The tree shows Flask's own signals in order, with and without receivers."""
        assert [
            "GET / -> 200 OK, TIME",
            f"├─ appcontext-pushed  no receiver  {FLASK}",
            f"├─ request-started  no receiver  {FLASK}",
            f"├─ before-render-template  no receiver  {FLASK} (template, context)",
            f"├─ template-rendered  no receiver  {FLASK} (template, context)",
            f"├─ request-finished  TIME  {FLASK} (response)",
            f"│  └─ name_the_engine  TIME  {HOME}",
            f"├─ request-tearing-down  no receiver  {FLASK} (exc)",
            f"├─ appcontext-tearing-down  no receiver  {FLASK} (exc)",
            f"└─ appcontext-popped  no receiver  {FLASK}",
        ] == steps[1][1:]

    def test_a_view_that_fails(self, steps):
        """A failing view sends got_request_exception, and its traceback is one line of the log."""
        assert [
            f"got-request-exception  TIME  {FLASK} (exception)",
            f"└─ count_failure  TIME  {HOME}",
        ] == branch(steps[2], "got-request-exception")
        (log,) = [line for line in steps[2] if line.startswith("log: ")]
        assert "Exception on /statistics [GET]: ZeroDivisionError: " in log

    def test_a_signal_without_receivers(self, steps):
        """A signal of the shop without receivers is in the tree and is not an error."""
        heard = "cart_changed  no receiver  sent by <Branch 'Harbour'> (product_id, quantity)"
        assert [heard] == branch(steps[3], "cart_changed")

    def test_a_receiver_that_raises_ends_the_send(self, steps):
        """The error of a plain receiver reaches the sender; later receivers are not called."""
        error = "OutOfStockError: there are no 99 pieces of product 1 left"
        assert [
            "order_paid  TIME  raised  sent by <Branch 'Harbour'> (order_id, total, items, note)",
            f"└─ take_from_stock  TIME  raised {error}  {HOME}",
        ] == branch(steps[4], "order_paid")

    def test_receivers_in_order_and_sends_inside_them(self, steps):
        """Receivers run in connection order, and a nested send is below its receiver."""
        assert [
            "order_paid  TIME  sent by <Branch 'Harbour'> (order_id, total, items, note)",
            f"├─ take_from_stock  TIME  {HOME}",
            "│  └─ stock_changed  TIME  sent by <Branch 'Harbour'> (product_id, left)",
            f"│     └─ watch_shelves  TIME  {HOME}",
            "│        └─ stock_low  no receiver  sent by <Branch 'Harbour'> (product_id, left)",
            f"├─ enter_in_books  TIME  {HOME}",
            f"├─ print_label  TIME  {HOME}",
            f"├─ ring_the_bell  TIME  {HOME}",
            f"└─ print_receipt  recorded as delivery 1  {HOME}",
        ] == branch(steps[6], "order_paid")

    def test_robust_once_and_one_sender_only(self, steps):
        """A robust error does not end the send, and a once receiver does not run again."""
        error = "ValueError: a label has room for 24 characters, not for 39"
        assert [
            "order_paid  TIME  sent by <Branch 'Market'> (order_id, total, items, note)",
            f"├─ take_from_stock  TIME  {HOME}",
            "│  └─ stock_changed  TIME  sent by <Branch 'Market'> (product_id, left)",
            f"│     └─ watch_shelves  TIME  {HOME}",
            f"├─ enter_in_books  TIME  {HOME}",
            f"├─ print_label  TIME  raised {error} (the send went on)  {HOME}",
            f"├─ call_the_courier  TIME  {HOME}",
            f"└─ print_receipt  recorded as delivery 2  {HOME}",
        ] == branch(steps[8], "order_paid")

    def test_a_receipt_survives_a_crash(self, steps):
        """One process records the receipt and is killed; another process prints it."""
        recorded, delivered = (branch(steps[number], "order_paid") for number in (9, 10))

        sent = "sent by <Branch 'Harbour'> (order_id, total, items, note)"
        assert f"└─ print_receipt  recorded as delivery 1  {HOME}" == recorded[-1]
        assert [
            f"order_paid  TIME  {sent}  by durable",
            f"└─ print_receipt  TIME  {HOME}",
        ] == delivered

    def test_no_traceback(self, demo):
        """The demo prints no traceback, although steps fail on purpose."""
        assert "Traceback" not in demo.stdout

    @pytest.mark.slow
    def test_a_closed_pipe(self):
        """If ``head`` closes the pipe, the demo ends without an error."""
        with subprocess.Popen(
            [sys.executable, "-m", "examples.shop.demo"],
            cwd=ROOT,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            process.stdout.close()
            complaints = process.stderr.read()
            assert (0, b"") == (process.wait(60), complaints)

    @pytest.mark.slow
    def test_an_encoding_without_line_drawing_characters(self):
        """In an encoding without line-drawing characters, the demo prints question marks."""
        plain = run_demo(PYTHONIOENCODING="ascii", PYTHONUTF8="0")

        assert (0, "") == (plain.returncode, plain.stderr)
        assert "+- request-started  no receiver" in plain.stdout


@pytest.fixture
def served():
    """The process and address of a running ``python -m examples.shop.serve``."""
    with serving() as (process, address):
        yield process, address


def status_of(browser, url, form=None):
    """Send a request and return the status of the answer."""
    try:
        with browser.open(url, form, timeout=LIMIT) as response:
            return response.status
    except HTTPError as error:
        error.close()
        return error.code


@pytest.mark.slow
class TestServe:
    """``python -m examples.shop.serve``."""

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
    def test_serves_until_interrupted(self, served, end):
        """It serves a page, prints the tree, and ends with exit code 0."""
        process, address = served
        with build_opener(ProxyHandler({})).open(address, timeout=LIMIT) as response:
            page = response.read().decode()
        process.send_signal(end)
        printed, _ = process.communicate(timeout=LIMIT)

        assert "Signal lamp" in page
        assert "GET / -> 200 OK" in printed
        assert printed.endswith("\nThe shop is closed.\n")
        assert "Traceback" not in printed
        assert 0 == process.returncode

    def test_an_order_that_a_receiver_refused_is_undone(self, served):
        """A receiver that raises rolls the order back: the statistics still have no order."""
        _, address = served
        browser = build_opener(ProxyHandler({}), HTTPCookieProcessor())
        refused = [("cart", b"product=1&quantity=6"), ("pay", b"branch=Harbour")]
        paid = [("cart", b"product=1&quantity=5"), ("pay", b"branch=Harbour")]

        assert [200, 409] == [status_of(browser, address + path, form) for path, form in refused]
        assert 500 == status_of(browser, f"{address}statistics")
        assert [200, 200] == [status_of(browser, address + path, form) for path, form in paid]
        assert 200 == status_of(browser, f"{address}statistics")

    def test_requests_at_once_have_separate_trees(self, served):
        """Requests that run at the same time have separate trees."""
        process, address = served
        opener = build_opener(ProxyHandler({}))

        def visit(number):
            with opener.open(f"{address}?{number}", timeout=LIMIT) as response:
                return response.status

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(visit, range(20)))
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=LIMIT)
        trees = [
            each.splitlines()
            for each in re.findall(r"^GET / -> 200.*\n(?:[├└│ ].*\n)+", printed, re.MULTILINE)
        ]

        assert [200] * 20 == answers
        assert [3] * 20 == [len(tree) for tree in trees]
        assert [1] * 20 == [sum("request-finished" in line for line in tree) for tree in trees]
