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
        """Together, the examples are a test module that passes, also in strict mode."""
        strict = blocks("test-what-is-sent.md", "ini")[-1]
        pytester.makeini(f"{strict}asyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile("\n".join(blocks("test-what-is-sent.md", "python")))
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)

    def test_strict_warnings_fail_tests(self, pytester):
        """With the configuration in the guide, the warnings of strict mode are errors."""
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
        """``-p aldis.as_blinker`` comes before a plugin that imports Flask."""
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
        """The middleware works in both applications of the guide."""
        names = {}
        for code in blocks("asgi.md", "python"):
            exec(code, names)  # noqa: S102 - the examples in the guide
        await Client(names["app"], path="/").visit()
        await Client(names["served"], path="/bare").visit()
        assert "/ 200\n/bare 204\n" == capsys.readouterr().out

    @pytest.mark.parametrize("kind", ["request", "websocket"])
    def test_every_signal_is_in_a_table(self, kind):
        """The tables name exactly the signals of the module."""
        there = {name for name in asgi.__all__ if kind in name and name.islower()}
        listed = re.findall(r"^\| `(\w+)` \|", (GUIDES / "asgi.md").read_text(), re.MULTILINE)
        assert there == {name for name in listed if kind in name}
