"""Draw the pictures of terminal output in ``docs/pictures``: ``python tools/pictures.py``.

Each command really runs, on the example shop and in a terminal of 80 columns. The picture shows its
output.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 80
CELL = 12.2  # the width of a character in rich's pictures

#: The shop with a new database.
SHOP = """
import pathlib, tempfile
from examples.shop.app import create_app
app = create_app(pathlib.Path(tempfile.mkdtemp()) / "shop.db")
"""

#: The shop with mistakes that `check` finds.
BROKEN = """
from shop import app
from examples.shop.signals import shop

def greet(sender, **extra): ...

shop.signal("order_payed").connect(greet)
shop.signal("lamps-lit").connect(greet)
shop["cart_changed"].connect(lambda sender, **extra: None)
"""

#: A shop with durable receivers. One of them fails for order 3, which becomes a dead letter.
HARBOUR = """
import aldis.as_blinker
from aldis import Namespace
from aldis.durable import Outbox, Retry, durable
from aldis.flask import Aldis
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask("harbour")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///harbour.db"
db = SQLAlchemy(app)
Aldis(app, outbox=Outbox(db.session))
shop = Namespace()

@shop.define
def order_paid(sender: Flask, /, *, order_id: int) -> None: ...

@order_paid.connect
@durable("billing.receipt", retry=Retry(attempts=3))
def write_receipt(sender, *, order_id, **extra):
    if order_id == 3:
        raise ConnectionError("the printer does not answer")

@order_paid.connect
@durable("stock.reorder")
def reorder(sender, *, order_id, **extra): ...
"""

SENT = """
from aldis.durable.store.sql.migrate import upgrade
from aldis.testing import drain
from harbour import app, db, order_paid

def pay(*numbers):
    for number in numbers:
        order_paid.send(app, order_id=number)
        db.session.commit()

with app.app_context():
    upgrade(db.engine)
    pay(1, 2, 3, 4)
    drain(later=True, raise_errors=False)
    pay(5, 6)
"""

TAKEN = {
    "list": "aldis signals list order --app shop",
    "explain": "aldis signals explain order_paid --sender Harbour --app shop",
    "check": "aldis signals check --app broken",
    "trace": "aldis signals trace --app shop -- GET /",
    "misspelt": "aldis signals explain order_payed --app shop",
    "not-imported": "aldis signals list --app typo",
    "stats": "aldis deliveries stats --app harbour",
    "dead": "aldis deliveries dead --app harbour",
}

TYPO = "from flask import Flask\n\napp = Flask(__name__)\napp.conifg.from_object('settings')\n"

FILES = {"shop": SHOP, "broken": BROKEN, "typo": TYPO, "harbour": HARBOUR}


def main() -> None:
    """Draw the pictures that the command line names, or all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, source in FILES.items():
            (folder / f"{file}.py").write_text(source)
        subprocess.run([sys.executable, "-c", SENT], cwd=folder, check=True)
        # The commands print paths relative to the current folder, which looks like the clone.
        (folder / "examples").symlink_to(ROOT / "examples")
        for title in sys.argv[1:] or TAKEN:
            seen = run(TAKEN[title].split(), folder)
            path = PICTURES / f"{title}.svg"
            path.write_text(draw(TAKEN[title], seen), encoding="utf-8")
            print(path.relative_to(ROOT))


def run(command: list[str], folder: Path) -> str:
    """Run ``command`` in a terminal and return its output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environ = {name: each for name, each in os.environ.items() if not name.startswith("ALDIS_")}
    with subprocess.Popen(
        [sys.executable, "-c", "from aldis.cli import main; main()", *command[1:]],
        cwd=folder,
        env={**environ, "TERM": "xterm-256color", "PYTHONPATH": str(folder)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
        except OSError:  # Linux reports the closed terminal in this way
            pass
        os.close(ours)
    text = seen.decode().replace("\r\n", "\n").replace(f"{ROOT}/", "")
    return text.replace("aldis -c", "aldis").replace("-c ", "aldis ")


def draw(command: str, seen: str) -> str:
    """Return the SVG of a terminal with ``command`` and its output."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (command, "bold")))
    console.print(Text.from_ansi(seen.rstrip("\n")), soft_wrap=False)
    svg = console.export_svg(title="aldis", unique_id="terminal")
    svg = re.sub(
        r"\s*@font-face \{.*?\}\s*", "\n", svg, flags=re.DOTALL
    )  # no fonts from other hosts
    svg = re.sub(r" *<!-- Generated.*?-->\n", "", svg)
    return re.sub(
        r' x="([\d.]+)"( y="[\d.]+") textLength="([\d.]+)"([^>]*)>((?:&#160;)+)', _move, svg
    )


def _move(match: re.Match[str]) -> str:
    """Start a text after its leading spaces, which some viewers do not draw."""
    width = match[5].count(";") * CELL
    x, length = float(match[1]) + width, float(match[3]) - width
    return f' x="{x:.5g}"{match[2]} textLength="{length:.5g}"{match[4]}>'


if __name__ == "__main__":
    main()
