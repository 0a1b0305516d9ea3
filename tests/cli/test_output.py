"""The output on a terminal, in a pipe, for a program, and for a reader that stops early."""

import re
import signal
import subprocess
import sys

import pytest

from tests.cli.support import ALDIS

LIST = (*ALDIS, "signals", "list", "--app", "shop")

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3|9)[0-7]")

#: A module of a folder on PYTHONPATH that raises, as if a library were not installed.
MISSING = "raise ModuleNotFoundError(name={0!r})"


@pytest.fixture
def without(shop):
    """Give a function that returns environment variables that hide a library."""

    def make(name):
        shop.write(f"missing/{name}.py", MISSING.format(name))
        return {"PYTHONPATH": str(shop.folder / "missing")}

    return make


class TestTerminal:
    def test_the_output_is_in_colour(self, shop):
        """With rich, the output on a terminal has colours."""
        code, seen = shop.on_terminal(*LIST)
        assert 0 == code
        assert COLOUR.search(seen)
        assert "  order_paid\n    Sent once an order is paid.\n" in ESCAPES.sub("", seen)

    def test_no_color_is_respected(self, shop):
        """``NO_COLOR`` removes the colours and nothing else."""
        _, seen = shop.on_terminal(*LIST, NO_COLOR="1")
        assert not COLOUR.search(seen)
        _, in_colour = shop.on_terminal(*LIST)
        assert ESCAPES.sub("", in_colour) == ESCAPES.sub("", seen)

    def test_a_trace_respects_no_color(self, shop):
        """``NO_COLOR`` applies to a trace, too."""
        command = (*ALDIS, "signals", "trace", "--app", "shop", "/")
        assert COLOUR.search(shop.on_terminal(*command)[1])
        assert not COLOUR.search(shop.on_terminal(*command, NO_COLOR="1")[1])

    def test_without_rich_the_output_is_plain(self, shop, without):
        """Without rich, the text has no colours and is otherwise equal."""
        code, seen = shop.on_terminal(*LIST, **without("rich"))
        assert 0 == code
        assert "\x1b" not in seen
        _, in_colour = shop.on_terminal(*LIST)
        assert ESCAPES.sub("", in_colour) == seen

    @pytest.mark.parametrize("rich", [True, False])
    def test_lines_are_wrapped_between_words(self, shop, without, rich):
        """No line is wider than the terminal, and continuation lines are indented."""
        environ = {} if rich else without("rich")
        _, seen = shop.on_terminal(*LIST, columns=50, COLUMNS="50", **environ)
        lines = ESCAPES.sub("", seen).splitlines()
        assert max(map(len, lines)) <= 50
        place = next(n for n, line in enumerate(lines) if "no receivers: " in line)
        assert lines[place].startswith("  no receivers: template-rendered,")
        assert lines[place + 1].startswith("    before-render-template, ")

    def test_lines_in_a_pipe_are_not_wrapped(self, shop):
        """``COLUMNS`` has no effect on a pipe."""
        assert "request-tearing-down, got-request-exception, appcontext-" in (
            shop.run(*LIST, COLUMNS="40").stdout
        )

    @pytest.mark.parametrize(
        ("encoding", "branch", "micro"),
        [
            ("ascii", "+- ", "us"),
            ("latin-1", "+- ", "\xb5s"),
            ("cp1252", "+- ", "\xb5s"),
            ("cp437", "\u251c\u2500 ", "\xb5s"),
            ("utf-8", "\u251c\u2500 ", "\xb5s"),
        ],
    )
    @pytest.mark.parametrize("terminal", [False, True])
    def test_a_tree_in_an_encoding_without_box_characters(
        self, shop, without, encoding, branch, micro, terminal
    ):
        """The lines of a tree are ASCII if the encoding lacks them, also without UTF-8 mode."""
        command = (*ALDIS, "signals", "trace", "--app", "shop", "/")
        environ = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        if terminal:
            environ |= without("rich")
            code, seen = shop.on_terminal(*command, encoding=encoding, **environ)
        else:
            ended = shop.run(*command, encoding=encoding, **environ)
            code, seen = ended.returncode, ended.stdout
        assert 0 == code, seen
        assert f"\n{branch}request-started  " in seen
        # On a slow machine, no duration is shown in microseconds.
        assert re.search(rf"\d ({micro}|ms)  ", seen), seen


class TestStopping:
    def test_a_reader_that_stops_early(self, shop):
        """``aldis signals list | head`` ends quietly with its usual exit code."""
        shop.write(
            "many.py",
            """
            import aldis
            lamps = aldis.Namespace()
            for number in range(5000):
                lamps.signal(f"lamp-{number}", "Sent when it is lit.").connect(print)
            app = print
            """,
        )
        code = "import sys; sys.stdout.write(sys.stdin.readline())"
        with subprocess.Popen(
            [*ALDIS, "signals", "list", "--app", "many"],
            cwd=shop.folder,
            env=shop.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as writer:
            head = subprocess.run(
                [sys.executable, "-c", code],
                stdin=writer.stdout,
                capture_output=True,
                check=True,
                text=True,
                timeout=30,
            )
            writer.stdout.close()
            assert "many.lamps  5000 signals, 5000 with receivers\n" == head.stdout
            assert ("", 0) == (writer.stderr.read(), writer.wait(timeout=30))

    def test_ctrl_c(self, shop):
        """Ctrl-C during the import exits with 130 and a message."""
        shop.write("slow.py", "import time; print('begun', flush=True); time.sleep(20)")
        with shop.start(*ALDIS, "signals", "list", "--app", "slow") as process:
            assert "begun\n" == process.stdout.readline()
            process.send_signal(signal.SIGINT)
            expected, _ = process.communicate(timeout=10)
        assert ("\nInterrupted.\n", 130) == (expected, process.returncode)

    def test_ctrl_c_in_a_request(self, shop):
        """Ctrl-C during a request exits with 130 and a message."""
        shop.write(
            "slow.py",
            """
            import time
            def app(environ, start_response):
                print("begun", flush=True)
                time.sleep(20)
            """,
        )
        with shop.start(*ALDIS, "signals", "trace", "--app", "slow", "/") as process:
            assert "begun\n" == process.stdout.readline()
            process.send_signal(signal.SIGINT)
            expected, _ = process.communicate(timeout=10)
        assert ("\nInterrupted.\n", 130) == (expected, process.returncode)


class TestMain:
    def test_the_version(self, project):
        """``--version`` shows the version, the engine and the Python."""
        shown = project.run(*ALDIS, "--version").stdout
        assert re.fullmatch(r"aldis \d+\.\d+\.\d+\S*, (C|Python) engine, \w+ 3\.\S+\n", shown)
        shown = project.run(*ALDIS, "--version", ALDIS_NO_EXTENSIONS="1").stdout
        assert ", Python engine, " in shown

    @pytest.mark.parametrize("command", [(), ("signals",), ("run",), ("signals", "list")])
    def test_the_help_fits_a_terminal(self, project, command):
        """The help of each command has 80 columns. The help of a group lists the exit codes."""
        ended = project.run(*ALDIS, *command, "--help", COLUMNS="80")
        assert 0 == ended.returncode
        assert max(map(len, ended.stdout.splitlines())) <= 80
        assert ("Exit codes: " in ended.stdout) is (command != ("signals", "list"))

    @pytest.mark.parametrize("command", ["list", "explain", "check", "trace"])
    def test_the_help_has_an_example(self, project, command):
        """Each command's help has an example that can be copied."""
        ended = project.run(*ALDIS, "signals", command, "-h")
        assert f"\n    aldis signals {command} " in ended.stdout

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            (("signls",), "unknown command 'signls'; did you mean 'signals'?"),
            (("trace",), "unknown command 'trace'; did you mean `aldis signals trace`?"),
            (("upgrade",), "unknown command 'upgrade'; did you mean `aldis db upgrade`?"),
            (("deliveries", "worker"), "unknown command 'worker'; did you mean `aldis worker`?"),
            (
                ("signals", "current"),
                "unknown command 'current'; did you mean `aldis db current`?",
            ),
            (
                ("deliveries", "check"),
                "did you mean `aldis check` or `aldis signals check` or `aldis db check`?",
            ),
            (("signals", "lst"), "unknown command 'lst'; did you mean 'list'?"),
            (
                ("zzz",),
                (
                    "unknown command 'zzz'; choose one of check, db, deliveries, run, signals, "
                    "web, worker."
                ),
            ),
            (("signals", "list", "--jsn"), "Did you mean --json?"),
        ],
    )
    def test_a_misspelt_command(self, project, command, expected):
        """A misspelt command is an error with the closest one."""
        ended = project.run(*ALDIS, *command)
        assert 2 == ended.returncode
        text = " ".join(ended.stderr.split())
        assert expected in (
            text if "did you" in expected or "unknown" in expected else text.replace("'", "")
        )  # click may quote differently

    def test_without_click(self, shop, without):
        """Without click, the message names the extra, and there is no traceback."""
        ended = shop.run(*LIST, **without("click"))
        expected = (
            "aldis: the command line needs click, which is not installed: "
            "pip install 'aldis[cli]'\n"
        )
        assert (2, expected) == (ended.returncode, ended.stderr)

    def test_a_broken_click_is_not_reported_as_missing(self, shop):
        """If the import of click fails, its own error is shown."""
        shop.write("broken/click.py", "import no_such_module")
        ended = shop.run(*LIST, PYTHONPATH=str(shop.folder / "broken"))
        assert "No module named 'no_such_module'" in ended.stderr

    def test_the_commands_are_installed(self):
        """``aldis`` is an entry point, and so is ``signals`` for Flask's command line."""
        from importlib.metadata import entry_points

        from aldis import cli

        [command] = entry_points(group="console_scripts", name="aldis")
        assert command.load() is cli.main
        [plugin] = entry_points(group="flask.commands", name="signals")
        assert plugin.load().find() is cli.signals

    def test_other_commands_of_flask_import_little(self, project):
        """Flask imports every plugin, so ``aldis.cli`` imports neither asyncio nor rich."""
        code = (
            "import sys, click, aldis.cli; aldis.cli.signals; "
            "print(sorted({'asyncio', 'rich', 'flask', 'pluggy'} & set(sys.modules)))"
        )
        assert "[]\n" == project.run(sys.executable, "-c", code).stdout

    def test_an_unknown_attribute_of_the_package(self):
        """An unknown attribute of ``aldis.cli`` raises AttributeError."""
        from aldis import cli

        with pytest.raises(AttributeError, match="no attribute 'signls'"):
            _ = cli.signls
