"""The frame around every command: help, unknown words and flags, exit codes, pipes, interrupts."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

import pytest

import pgsynth_core
from pgsynth_core.cli import console
from pgsynth_core.cli import main as main_function
from pgsynth_core.cli.verbs import VERBS, Command
from pgsynth_core.errors import PgsynthError

Run = Callable[..., Any]


def test_the_version(run: Run) -> None:
    assert run("--version").out == f"pgsynth {pgsynth_core.__version__}\n"
    assert run("-V").code == 0


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["--help", "compose"]])
def test_the_help_names_every_command(run: Run, words: list[str]) -> None:
    said = run(*words)
    assert (said.code, said.err) == (0, "")
    assert all(f"{' '.join(verb.words)} " in said.out and verb.summary in said.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb.words))
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_with_its_flags(run: Run, verb: Any, flag: str) -> None:
    said = run(*verb.words, flag)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: pgsynth {' '.join(verb.words)}")
    assert "--json" in said.out and "--debug" in said.out
    assert max(map(len, said.out.splitlines())) <= 95, "a help text fits a terminal"


EXAMPLES = [
    pytest.param(verb, shlex.split(line), id=line)
    for verb in VERBS
    for line in re.findall(
        rf"^  pgsynth {' '.join(verb.words)} (.*?)(?:   .*)?$", verb.load().parser().epilog or "", re.MULTILINE
    )
]


@pytest.mark.parametrize(("verb", "words"), EXAMPLES)
def test_the_examples_of_the_help_are_right(run: Run, verb: Any, words: list[str]) -> None:
    verb.load().parser().read(words)
    if verb.words[0] in ("compose", "train") and "--resume" not in words and "method.yaml" not in words:
        words = [word for word in words if not word.startswith("-") and word != "method.yaml"]
        said = run("compose", *words, "--no-proof")
        assert said.code == 0, said.err


def test_a_group_alone_lists_its_commands(run: Run) -> None:
    for words in (["plugins"], ["plugins", "--help"]):
        said = run(*words)
        assert said.code == 0 and "plugins show" in said.out and "doctor" not in said.out


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["compsoe"], "'compose'"),
        (["plugin", "list"], "'plugins'"),
        (["plugins", "lst"], "'list'"),
        (["list"], "'runs list' or 'plugins list'"),
        (["qen", "train.steps=3"], "pgsynth compose qen train.steps=3"),
        (["encoder=qfft"], "pgsynth compose encoder=qfft"),
        (["method.yaml"], "pgsynth compose method.yaml"),
        (
            ["zzz"],
            "Commands: compose, train, sample, pose, annotate, edit, interpolate, inspect, evaluate, compare, report, gallery, study, leaderboard, export, sweep, replay, demo, runs, cache, data, plugins, doctor, completion, tui.",
        ),
        (["--jsn"], "--version"),
        (["--json", "plugins", "list"], "pgsynth plugins list --json"),
        (["compose", "--jsn"], "'--json'"),
        (["compose", "--encoder=qfft"], "encoder=qfft"),
        (["compose", "--attn.pma.mask", "eq9"], "attn.pma.mask=VALUE"),
        (["compose", "qen", "tiny"], "a composition has one"),
        (["compose", "-o"], "expected one argument"),
        (["plugins", "list", "--kind", "encodr"], "'encoder'"),
        (["plugins", "list", "more"], "one argument too many"),
        (["plugins", "show"], "NAME"),
        (["completion", "bsh"], "'bash'"),
        (["plugins", "list", "--js"], "'--json'"),
    ],
)
def test_a_wrong_command_line_names_the_nearest_right_one(run: Run, words: list[str], cure: str) -> None:
    said = run(*words)
    assert said.code == 2
    assert cure in said.err and "Traceback" not in said.err and "usage" not in said.err


def test_all_wrong_flags_are_told_at_once(run: Run) -> None:
    said = run("compose", "--jsn", "--expalin", "tiny")
    assert "'--json'" in said.err and "'--explain'" in said.err and said.err.startswith("error: 2 problems")


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make every command raise."""

    def fail(*_: object) -> NoReturn:
        raise error

    verb = next(verb for verb in VERBS if verb.words == ("doctor",))
    command = verb.load()
    monkeypatch.setattr(type(verb), "load", lambda _: Command(command.parser, fail))


def test_an_unexpected_error_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ValueError("two\nlines"))
    said = run("doctor")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: ValueError: two lines\nRun again with --debug for the full traceback.\n"
    debugged = run("doctor", "--debug")
    assert debugged.code == 1 and "Traceback" in debugged.err and "Run again" not in debugged.err
    assert run("doctor", "--json").facts["problems"][0]["message"] == "ValueError: two lines"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (PgsynthError("it broke off"), 1, "error: it broke off\n"),
        (SystemExit(0), 1, "SystemExit"),
        (RecursionError("too deep"), 1, "RecursionError"),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
        (OSError(28, "No space left on device"), 1, "No space left"),
    ],
)
def test_whatever_is_raised_becomes_an_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    raising(monkeypatch, error)
    said = run("doctor")
    assert said.code == code and words in said.err and "Traceback" not in said.err
    assert bool(said.err) == bool(words)


def test_the_console_script_is_this_function() -> None:
    (script,) = entry_points(group="console_scripts", name="pgsynth")
    assert script.value == "pgsynth_core.cli:main"
    assert callable(main_function)


def test_a_process_ends_with_the_code(spawn: Run) -> None:
    assert spawn("compsoe").code == 2
    assert spawn("--version").code == 0


def piped(roots: str, words: str, code: str) -> tuple[int, str]:
    """The exit code and stderr of a command whose reader closes its end at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words.split()],
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    with process.stderr as stderr:
        return process.wait(60), stderr.read().decode()


MAIN = "import sys; from pgsynth_core.cli import main; sys.exit(main())"


def test_a_reader_that_leaves_is_no_error(roots: str) -> None:
    for words in ("plugins list", "plugins list --json", "--help", "completion bash"):
        assert piped(roots, words, MAIN) == (0, "")
    code, said = piped(roots, "compose encoder=qftf --json", MAIN)
    assert code == 2 and "Did you mean 'qfft'?" in said, "the refusal stays a refusal"


def test_without_the_boundary_it_would_be_one(roots: str) -> None:
    code, said = piped(roots, "", "import sys; print('x' * 100000); sys.exit(0)")
    assert code != 0 and "BrokenPipeError" in said


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_what_is_said_about_the_work_never_stops_it(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Gone:
        encoding = "utf-8"

        def write(self, text: str) -> None:
            raise OSError(number, os.strerror(number))

        def fileno(self) -> int:
            raise OSError("a captured stream has none")

    monkeypatch.setattr(sys, "stderr", Gone())
    console.tell("a word")
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(OSError):
        console.say("a result")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_told(roots: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "plugins", "list"],
            env={**os.environ, "PYTHONPATH": roots},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr and b"Exception ignored" not in done.stderr


def test_an_interrupt_ends_with_130(roots: str, tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = (
        "import sys, time, pathlib; from pgsynth_core.cli import main, verbs\n"
        "from pgsynth_core.cli.doctor import COMMAND\n"
        "def wait(*_): pathlib.Path(sys.argv[1]).touch(); time.sleep(60)\n"
        "verbs.Verb.load = lambda self: verbs.Command(COMMAND.parser, wait)\n"
        "sys.exit(main(['doctor']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(started)],
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not started.exists() and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")


def test_a_terminal_without_unicode_gets_ascii(spawn: Run) -> None:
    said = spawn("compose", "tiny", "--no-proof", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert said.code == 0 and said.out.isascii() and "`- " in said.out


def test_a_working_folder_that_is_gone_is_told(run: Callable[..., Any], tmp_path: Path) -> None:
    gone, before = tmp_path / "gone", Path.cwd()
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        said = run("runs", "list")
        assert run("--help").code == 0
    finally:
        os.chdir(before)
    assert said.code == 2 and "is not there any more" in said.err and "cd ~" in said.err
