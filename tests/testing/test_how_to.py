"""The examples of the how-to guides about testing and about ASGI."""

import re
from pathlib import Path

import pytest

from aldis import asgi
from tests.asgi.client import Client

pytest_plugins = ["pytester"]

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(guide, language):
    """Return a guide's examples in ``language``."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (GUIDES / guide).read_text(), re.MULTILINE | re.DOTALL
    )


class TestTesting:
    def test_the_examples_pass(self, pytester):
        """Put together, they are a test module whose tests pass, in strict mode too."""
        strict = blocks("test-what-is-sent.md", "ini")[-1]
        pytester.makeini(f"{strict}asyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile("\n".join(blocks("test-what-is-sent.md", "python")))
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)

    def test_strict_warnings_fail_tests(self, pytester):
        """The configuration of the guide makes errors of what strict mode finds."""
        strict = blocks("test-what-is-sent.md", "ini")[-1]
        pytester.makeini(f"{strict}asyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile("""
            import aldis

            def test_a_lambda_that_dies():
                lamp = aldis.Signal()
                lamp.connect(lambda sender: None)
                lamp.send()
        """)
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)

    def test_the_stand_in_as_a_plugin(self, pytester):
        """``-p aldis.as_blinker`` is earlier than a plugin that imports Flask."""
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile(
            flasky="import flask",
            test_it="""
                import aldis, flask

                def test_stands_in():
                    assert type(flask.request_started) is aldis.NamedSignal
            """,
        )
        pytester.syspathinsert()
        arguments = ("-p", "no:cacheprovider", "-p", "aldis.as_blinker", "-p", "flasky")
        pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1)


class TestAsgi:
    async def test_the_examples_run(self, capsys):
        """Both applications, wired as the guide says, are counted."""
        names = {}
        for code in blocks("asgi.md", "python"):
            exec(code, names)  # noqa: S102 - the guide's own examples
        await Client(names["app"], path="/").visit()
        await Client(names["served"], path="/bare").visit()
        assert "/ 200\n/bare 204\n" == capsys.readouterr().out

    @pytest.mark.parametrize("kind", ["request", "websocket"])
    def test_every_signal_is_in_a_table(self, kind):
        """The tables name all the signals of the module, and no other."""
        there = {name for name in asgi.__all__ if kind in name and name.islower()}
        listed = re.findall(r"^\| `(\w+)` \|", (GUIDES / "asgi.md").read_text(), re.MULTILINE)
        assert there == {name for name in listed if kind in name}
