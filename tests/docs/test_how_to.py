"""How-to pages whose examples are files and commands, or need several environments."""

import subprocess
import sys

import pytest

from aldis import Namespace
from aldis.testing import record
from tests.docs.pages import Reader, blocks, steps
from tests.processes import LIMIT

EXTENSION = "how-to/use-in-an-extension.md"


def texts(page, language):
    """Return the blocks of a page in ``language``."""
    return [text for found, text, _ in blocks(page) if found == language]


def run(program, *arguments):
    """Run a program in which each warning is an error, and return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-", *arguments],
        input=program,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("absent", "printed"),
    [
        (["aldis"], ["[]", "no contract", "an index of 4"]),
        (["aldis", "blinker"], ["[]", "no contract"]),
    ],
    ids=["on blinker", "on nothing"],
)
def test_an_extension_works_without_aldis(absent, printed):
    """Every example except Flask's also runs without aldis, and without blinker."""
    if "blinker" not in absent:
        pytest.importorskip("blinker")
    hidden = "import sys\nsys.modules.update(dict.fromkeys(sys.argv[1:]))\n"
    _, *examples = texts(EXTENSION, "python")
    assert printed == run("\n".join([hidden, *examples]), *absent)


def test_an_extension_of_flask_works_on_blinker():
    """An extension that uses Flask's signals runs on plain blinker."""
    pytest.importorskip("flask")
    pytest.importorskip("blinker")
    through_flask, *_ = texts(EXTENSION, "python")
    hidden = "import sys\nsys.modules['aldis'] = None\n"
    assert [] == run(f"{hidden}{through_flask}")


def test_the_asgi_app_is_traced_as_it_is_printed(tmp_path):
    """The file and the command print the output that the page shows."""
    for each in ("click", "starlette"):
        pytest.importorskip(each)
    Reader(tmp_path).follow("how-to/asgi.md")


def test_the_extension_of_ckan(tmp_path):
    """The plugin is checked and tested without CKAN, as the page explains."""
    for each in ("click", "flask_login", "pluggy"):
        pytest.importorskip(each)
    plugin, listening, without = texts("ckan.md", "python")
    folder = tmp_path / "ckanext" / "greetings"
    folder.mkdir(parents=True)
    folder.joinpath("__init__.py").touch()
    folder.joinpath("plugin.py").write_text(plugin)
    reader = Reader(tmp_path)
    reader.write("listening.py", listening)
    checks = [step for text in texts("ckan.md", "console") for step in steps(text) if step[0]]
    assert [("aldis signals check --app listening", 1)] == [
        (each, len(lines)) for each, lines in checks
    ]
    ((command, (expected,)),) = checks
    (line,) = reader.run(command)
    assert expected.partition(" in ")[0] == line.partition(" in ")[0]
    reader.write("without.py", without)
    (shown,) = texts("ckan.md", "text")
    process = reader.start(sys.executable, "without.py")
    assert shown == process.communicate(timeout=LIMIT)[0]


def test_the_message_of_an_assertion():
    """The page shows the real message of a failed assertion."""
    order_paid = Namespace().signal("order-paid")
    with record(order_paid) as sent:
        order_paid.send("market", order_id=7)
    with pytest.raises(AssertionError) as failed:
        sent.once_with("market", order_id=8)
    (shown,) = texts("how-to/test-what-is-sent.md", "text")
    assert shown == f"AssertionError: {failed.value}\n"
