"""``aldis run`` installs aldis as blinker in a command and in the processes that it starts."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aldis
from aldis.cli.commands.run import STARTUP, environment
from tests.cli.support import PYTHON, RUN

#: A program that prints which library has the class of its signals.
PRINT = "import blinker; print(blinker.Signal.__module__)"

OURS, BLINKERS = "aldis.core.signal\n", "blinker.base\n"


def other_python(version):
    """Return another interpreter of this machine, or skip the test without one."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in sorted(folder.glob(f"{version}.*/bin/python")):
        return str(found)
    found = shutil.which(f"python{version}")
    if found is None or subprocess.call([found, "-c", ""], stderr=subprocess.DEVNULL) != 0:
        pytest.skip(f"this machine has no Python {version}")
    return found


class TestCommands:
    def test_python_code(self, project):
        """In ``python -c``, aldis is blinker from the first import on."""
        ended = project.run(*RUN, *PYTHON, "-c", PRINT)
        assert ("", OURS, 0) == (ended.stderr, ended.stdout, ended.returncode)

    def test_without_aldis_run_blinker_is_not_replaced(self, project):
        """Without ``aldis run``, the program runs on blinker, so these tests can fail."""
        assert project.run(*PYTHON, "-c", PRINT).stdout == BLINKERS

    def test_child_processes(self, project):
        """Blinker is aldis in the command's children and their children."""
        nest = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PRINT!r}])"
        again = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {nest!r}])"
        assert project.run(*RUN, *PYTHON, "-c", again).stdout == OURS

    def test_a_python_that_a_shell_script_starts(self, project):
        """Blinker is aldis if a shell script starts Python."""
        project.write("code.py", PRINT)
        assert project.run(*RUN, "sh", "-c", f"{sys.executable} code.py; :").stdout == OURS

    def test_multiprocessing(self, project):
        """Blinker is aldis in a process that multiprocessing spawns."""
        project.write(
            "code.py",
            """
            import multiprocessing

            def print_library():
                import blinker
                print(blinker.Signal.__module__)

            if __name__ == "__main__":
                process = multiprocessing.get_context("spawn").Process(target=print_library)
                process.start()
                process.join(20)
            """,
        )
        assert project.run(*RUN, *PYTHON, "code.py").stdout == OURS

    def test_a_console_script(self, project):
        """A command of this virtual environment comes before those on PATH."""
        beside = Path(sys.executable).parent / "pytest"
        if sys.prefix == sys.base_prefix or not beside.exists():
            pytest.skip("the tests do not run in a virtual environment with pytest's command")
        ended = project.run(*RUN, "pytest", "--version", PATH="/usr/bin:/bin")
        assert (0, "pytest") == (ended.returncode, ended.stdout.split()[0])

    def test_a_python_script_by_its_name(self, project):
        """The Python of aldis runs a ``.py`` file that is not executable, with its arguments."""
        project.write("code.py", f"import sys; {PRINT}; print(sys.argv)")
        ended = project.run(*RUN, "code.py", "--flag", "x")
        assert f"{OURS}['code.py', '--flag', 'x']\n" == ended.stdout

    @pytest.mark.parametrize("first_line", ["", f"#!{sys.executable}\n"])
    def test_an_executable_python_script(self, project, first_line):
        """An executable ``.py`` file runs on the Python of its first line, or on that of aldis."""
        project.write("code.py", first_line + PRINT).chmod(0o755)
        assert project.run(*RUN, "./code.py").stdout == OURS

    def test_the_command_gets_its_options(self, project):
        """The options after COMMAND belong to COMMAND, with and without the dashes."""
        ended = project.run(*RUN[:-1], *PYTHON, "--version")
        assert ended.stdout.startswith("Python 3")

    def test_pytest_with_a_plugin_that_imports_blinker(self, project):
        """A plugin of pytest that imports blinker gets aldis."""
        project.write("early.py", "import blinker")
        project.write(
            "test_it.py",
            """
            import early

            import aldis

            def test_it():
                assert early.blinker.Signal is aldis.Signal
            """,
        )
        command = [*PYTHON, "-m", "pytest", "-q", "-p", "early", "-p", "no:cacheprovider"]
        environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        assert project.run(*RUN, *command, "test_it.py", **environ).returncode == 0
        # Without `aldis run`, the plugin gets blinker.
        late = project.run(*command, "test_it.py", **environ)
        assert (1, True) == (late.returncode, "1 failed" in late.stdout)


class TestOtherInterpreters:
    @pytest.mark.parametrize("version", ["3.12", "3.13", "3.6", "2.7"])
    def test_another_python_is_not_changed(self, project, version):
        """Another Python below the command is not changed, and nothing is printed."""
        python = other_python(version)
        code = "import sys; print(sorted(each for each in sys.modules if 'aldis' in each))"
        ended = project.run(*RUN, "sh", "-c", f'"{python}" -c "{code}"; :')
        assert ("[]\n", "") == (ended.stdout, ended.stderr)

    def test_a_message_names_another_python_that_is_the_command(self, project):
        """The message explains that nothing is changed in that Python."""
        python = other_python("3.12")
        ended = project.run(*RUN, python, "-c", "print('ran')")
        assert ("ran\n", 0) == (ended.stdout, ended.returncode)
        assert f"aldis run: nothing is changed in {python}" in ended.stderr
        assert sys.prefix in ended.stderr

    def test_another_aldis_is_not_installed_as_blinker(self, project):
        """If another aldis comes first on the path, it is not changed."""
        project.write("elsewhere/aldis/__init__.py", "raise RuntimeError")
        environ = {**environment(), "PYTHONPATH": f"{STARTUP}{os.pathsep}elsewhere"}
        ended = project.run(*PYTHON, "-c", PRINT, **environ)
        assert ("", BLINKERS) == (ended.stderr, ended.stdout)

    def test_a_message_names_another_aldis_that_the_command_finds(self, project):
        """The message has the path of the Python."""
        project.write("elsewhere/aldis/__init__.py", "raise RuntimeError")
        environ = {**environment(), "PYTHONPATH": f"{STARTUP}{os.pathsep}elsewhere"}
        shell = 'export ALDIS_RUN_PID=$$; exec "$0" -c "$1"'
        ended = project.run("sh", "-c", shell, sys.executable, PRINT, **environ)
        assert (BLINKERS, 0) == (ended.stdout, ended.returncode)
        assert f"aldis run: nothing is changed in {sys.executable}, which finds" in ended.stderr
        assert str(Path("elsewhere", "aldis", "__init__.py")) in ended.stderr

    def test_a_message_reports_that_the_command_finds_no_aldis(self, project):
        """The message has the path of the aldis that started the command."""
        python = Path(sys.base_prefix, "bin", "python3")
        if sys.prefix == sys.base_prefix or not python.exists():
            pytest.skip("no Python of this machine shares its prefix and finds no aldis")
        environ = {**environment(), "PYTHONPATH": STARTUP, "ALDIS_RUN_PREFIX": sys.base_prefix}
        shell = 'export ALDIS_RUN_PID=$$; exec "$0" -c "print()"'
        ended = project.run("sh", "-c", shell, python, **environ)
        assert ("\n", 0) == (ended.stdout, ended.returncode)
        assert "which does not find the aldis that started it (" in ended.stderr

    @pytest.mark.parametrize("option", ["-I", "-E", "-sI", "-Ec"])
    def test_a_python_that_ignores_its_environment_causes_a_warning(self, project, option):
        """With -I and -E, Python ignores PYTHONPATH, so aldis cannot be installed."""
        options = [option] if option.endswith("c") else ["-X", "utf8", option, "-c"]
        ended = project.run(*RUN, *PYTHON, *options, PRINT)
        assert (0, BLINKERS) == (ended.returncode, ended.stdout)
        assert "aldis run: with -I and -E, Python ignores the environment" in ended.stderr

    def test_a_script_whose_first_line_ignores_the_environment(self, project):
        """A console script with -I or -E in its first line causes the warning, too."""
        project.write("script", f"#!{sys.executable} -sE\n{PRINT}").chmod(0o755)
        ended = project.run(*RUN, "./script")
        assert "Python ignores the environment" in ended.stderr

    @pytest.mark.parametrize("command", [["-c", "print()", "-I"], ["-m", "this", "-E"]])
    def test_an_option_of_the_program_causes_no_warning(self, project, command):
        """The options after the program are not options of Python."""
        assert "" == project.run(*RUN, *PYTHON, *command).stderr

    @pytest.mark.parametrize("option", ["-I", "-E"])
    def test_an_import_of_aldis_installs_it(self, project, option):
        """Under ``aldis run``, the import of aldis replaces blinker."""
        code = f"import blinker as early, aldis; {PRINT}; print(early.Signal is blinker.Signal)"
        ended = project.run(*RUN, *PYTHON, option, "-c", code)
        assert f"{OURS}True\n" == ended.stdout

    def test_a_python_without_its_site_module_fails(self, project):
        """With -S, Python finds neither blinker nor aldis, so the program does not use blinker."""
        ended = project.run(*RUN, *PYTHON, "-S", "-c", "import blinker")
        assert (1, True) == (ended.returncode, "No module named 'blinker'" in ended.stderr)


class TestSitecustomize:
    def test_another_sitecustomize_runs_too(self, project):
        """Python also imports the ``sitecustomize`` that the one of aldis hides."""
        project.write("site/sitecustomize.py", "import blinker; ours = blinker.Signal.__module__")
        ended = project.run(
            *RUN,
            *PYTHON,
            "-c",
            "import sitecustomize; print(sitecustomize.ours)",
            PYTHONPATH=str(project.folder / "site"),
        )
        assert OURS == ended.stdout

    @pytest.mark.parametrize(
        "mistake", ["import no_such_module", "raise ImportError('why')", "1 / 0"]
    )
    def test_a_broken_sitecustomize_is_reported(self, project, mistake):
        """Python reports a broken ``sitecustomize``, and aldis is still installed."""
        project.write("site/sitecustomize.py", mistake)
        environ = {"PYTHONPATH": str(project.folder / "site")}
        ended = project.run(*RUN, *PYTHON, "-c", PRINT, **environ)
        assert OURS == ended.stdout
        assert "Error in sitecustomize" in ended.stderr

    def test_an_earlier_receiver_that_cannot_be_taken_over_is_named(self, project):
        """If a receiver was connected to blinker before ``sitecustomize``, a warning names it."""
        code = (
            "import blinker; sender = []; "
            "blinker.signal('lit').connect(print, sender, weak=False); "
            f"import runpy, sys; sys.path.insert(0, {STARTUP!r}); "
            f"runpy.run_path({STARTUP!r} + '/sitecustomize.py', run_name='sitecustomize')"
        )
        ended = project.run(*PYTHON, "-c", code, ALDIS_RUN_PREFIX=sys.prefix)
        assert "aldis run: " in ended.stderr
        assert "is connected to 'lit' of blinker" in ended.stderr
        assert ended.returncode == 0

    @pytest.mark.parametrize(
        "start",
        [
            "os.execv(command[0], command)",
            "os.execvpe(command[0], command, dict(os.environ))",
            "sys.exit(subprocess.call(command))",
            "sys.exit(subprocess.call(command, env=dict(os.environ)))",
            "os.waitpid(os.posix_spawn(command[0], command, dict(os.environ)), 0)",
            "sys.exit(os.system(shlex.join(command)))",
        ],
        ids=["execv", "execvpe", "Popen", "Popen with env", "posix_spawn", "system"],
    )
    def test_a_launcher_with_its_own_sitecustomize(self, project, start):
        """A launcher puts its ``sitecustomize`` first on the path. Both files run on aldis."""
        project.write("theirs/sitecustomize.py", "print('theirs')")
        project.write(
            "launch.py",
            f"""
            import os, shlex, subprocess, sys
            folder = os.path.abspath("theirs")
            os.environ["PYTHONPATH"] = folder + os.pathsep + os.environ["PYTHONPATH"]
            command = [sys.executable, "-c", {PRINT!r}]
            {start}
            """,
        )
        ended = project.run(*RUN, *PYTHON, "launch.py")
        assert (f"theirs\n{OURS}", "") == (ended.stdout, ended.stderr)

    @pytest.mark.parametrize(
        "launch",
        [
            'PYTHONPATH="$PWD/theirs:$PYTHONPATH" "$0" -c "$1"',
            'PYTHONPATH="$PYTHONPATH:$PWD/theirs" "$0" -c "$1"',
            'export PYTHONPATH="$PWD/theirs:$PYTHONPATH"; exec "$0" -c "$1"',
        ],
    )
    def test_a_launcher_that_is_not_python(self, project, launch):
        """If a shell script changes PYTHONPATH, ``import blinker`` still gets aldis."""
        project.write("theirs/sitecustomize.py", "")
        ended = project.run(*RUN, "sh", "-c", launch, sys.executable, f"import flask; {PRINT}")
        assert (OURS, "") == (ended.stdout, ended.stderr)

    def test_blinker_in_another_python_behind_a_launcher(self, project):
        """In a Python of another environment, ``import blinker`` gets blinker or fails."""
        project.write("theirs/sitecustomize.py", "")
        code = "PYTHONPATH=$PWD/theirs:$PYTHONPATH ALDIS_RUN_PREFIX=/elsewhere $0 -c '$1'"
        launch = code.replace("'$1'", '"$1"')
        ended = project.run(
            *RUN, "sh", "-c", launch, sys.executable, f"{PRINT}; import blinker.base"
        )
        assert (BLINKERS, "") == (ended.stdout, ended.stderr)

    @pytest.mark.parametrize(
        "change", ["os.environ['PYTHONPATH'] = 'theirs'", "del os.environ['PYTHONPATH']"]
    )
    def test_a_launcher_that_replaces_the_path(self, project, change):
        """If a Python launcher drops the folder of ``aldis run``, aldis restores the folder."""
        project.write(
            "launch.py",
            f"""
            import os, sys
            {change}
            os.execv(sys.executable, [sys.executable, "-c", {PRINT!r}])
            """,
        )
        assert OURS == project.run(*RUN, *PYTHON, "launch.py").stdout

    def test_a_program_with_a_new_environment(self, project):
        """If a program starts another one with a new environment, that one runs without aldis."""
        code = (
            "import subprocess, sys; "
            f"subprocess.run([sys.executable, '-c', {PRINT!r}], env={{'PYTHONPATH': ''}})"
        )
        assert BLINKERS == project.run(*RUN, *PYTHON, "-c", code).stdout

    @pytest.mark.slow
    def test_pytest_with_warnings_as_errors(self, project):
        """Pytest does not warn that aldis was imported before its own start."""
        project.write("test_it.py", "def test_it(): ...")
        ended = project.run(*RUN, *PYTHON, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio")
        assert "1 passed" in ended.stdout, ended.stdout + ended.stderr

    def test_the_order_of_pythonpath_is_kept(self, project):
        """A nested ``aldis run`` adds nothing to PYTHONPATH."""
        show = "import os; print(os.environ['PYTHONPATH'])"
        ended = project.run(*RUN, *RUN, *PYTHON, "-c", show, PYTHONPATH="/one::/two")
        assert [STARTUP, "/one", "", "/two"] == ended.stdout.strip().split(os.pathsep)


class TestEnding:
    @pytest.mark.parametrize("code", [0, 3])
    def test_the_exit_code_is_that_of_the_command(self, project, code):
        """``aldis run`` exits with the code of the command."""
        assert project.run(*RUN, "sh", "-c", f"exit {code}").returncode == code

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_signals_reach_the_command(self, project, name):
        """The command has the process id of ``aldis run``, so signals reach it."""
        number = getattr(signal, name)
        code = (  # the handler is reset, because nohup lets programs ignore signals
            "import os, signal, time; "
            f"signal.signal(signal.{name}, signal.SIG_DFL); "
            "print(os.getpid(), flush=True); time.sleep(20)"
        )
        process = project.start(*RUN, *PYTHON, "-c", code)
        with process:
            assert str(process.pid) == process.stdout.readline().strip()
            process.send_signal(number)
            assert -number == process.wait(timeout=10)

    def test_a_closed_pipe_ends_the_command(self, project):
        """SIGPIPE, which Python ignores, has its default effect in the command."""
        ended = project.run(*RUN, "sh", "-c", "kill -PIPE $$; echo survived")
        assert (-signal.SIGPIPE, "") == (ended.returncode, ended.stdout)

    def test_the_command_has_the_standard_streams(self, project):
        """Input, output and errors pass through unchanged."""
        ended = subprocess.run(
            [*RUN, "sh", "-c", "cat; echo problem >&2"],
            input="words\n",
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
            env=project.environment(),
        )
        assert ("words\n", "problem\n") == (ended.stdout, ended.stderr)


class TestMistakes:
    def error_of(self, project, *command):
        """Run a command that cannot be executed, and return the exit code and the error."""
        ended = project.run(*RUN, *command)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stderr

    def test_no_command(self, project):
        """Without a command, the error shows how to write one."""
        code, text = self.error_of(project)
        assert 2 == code
        assert "the command to run is missing: write it after the dashes, as in " in text

    def test_an_app(self, project):
        """``--app`` is an error for ``run``."""
        ended = project.run(*RUN[:3], "--app", "shop", "run", "--", *PYTHON, "--version")
        assert 2 == ended.returncode
        assert "`run` has no --app: name the app in COMMAND, as in " in ended.stderr

    def test_an_unknown_command(self, project):
        """An unknown command exits with 127, as in a shell."""
        assert (127, "Error: the command 'no-such' was not found on PATH\n") == self.error_of(
            project, "no-such"
        )
        assert (127, "Error: the command './no-such' was not found\n") == self.error_of(
            project, "./no-such"
        )

    def test_a_command_in_one_word(self, project):
        """If the whole command is in quotes, the error asks to leave them out."""
        code, text = self.error_of(project, "flask run")
        assert 127 == code
        assert (
            "'flask run' was not found on PATH; leave out the quotes around the whole command"
            in text
        )

    def test_a_folder(self, project):
        """A folder exits with 126, as in a shell."""
        text = "Error: './bin' is a folder, not a command\n"
        (project.folder / "bin").mkdir()
        assert (126, text) == self.error_of(project, "./bin")

    def test_a_file_that_is_not_executable(self, project):
        """A file that is not executable exits with 126, and the message has the remedy."""
        project.write("script", "#!/bin/sh\n")
        code, text = self.error_of(project, "./script")
        assert 126 == code
        assert "'./script' is neither executable nor a Python script: chmod +x" in text

    def test_a_file_that_is_not_a_program(self, project):
        """An executable file that is not a program exits with 126."""
        project.write("script", "words").chmod(0o755)
        code, text = self.error_of(project, "./script")
        assert 126 == code
        assert "'./script' cannot be executed: it is not a program and has no first line" in text

    def test_a_first_line_that_names_a_missing_program(self, project):
        """A script whose first line names a missing program exits with 126."""
        project.write("script", "#!/no/such/python\n").chmod(0o755)
        code, text = self.error_of(project, "./script")
        assert 126 == code
        assert "the program in its first line does not exist" in text


def test_the_startup_file_is_installed_with_the_package():
    """The distribution contains ``sitecustomize.py``. It is not a module of the package."""
    assert Path(aldis.__file__).parent / "cli" / "startup" == Path(STARTUP)
    assert (Path(STARTUP) / "sitecustomize.py").is_file()
