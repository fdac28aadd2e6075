"""The warm process: the answers of a shell, sooner; whatever a command does in it, the next finds it as new."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_tui import shell, warm_child
from pgsynth_tui.warm import Warm

from ..fixtures.fake_packages import FakePackages

NAME = "pgsynth-plugin-x"
TOP = "pgsynth_plugin_x"

COMMANDS = '''\
import json, os, signal, sys, threading, time

SEEN = []


def act(words):
    """Do what the first word says; then say what there is to see of this process."""
    what, *rest = [word for word in words if word != "--json"]
    print(what, "to stderr", file=sys.stderr)
    if what == "flood":
        os.write(1, b"fd one" * 9)
        os.write(2, b"fd two" * 9)
        os.system("echo from a shell")
    elif what == "endless":
        while True:
            os.write(1, b"x" * 65536)
    elif what == "exit":
        os._exit(int(rest[0]))
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "sleep":
        if rest[1:] == ["deaf"]:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with open(rest[0], "w") as file:
            file.write(str(os.getpid()))
        try:
            time.sleep(600)
        finally:
            os.rename(rest[0], rest[0] + ".tidied")
    elif what == "spoil":
        os.environ["SPOILED"] = "yes"
        os.chdir("/")
        sys.path.insert(0, "/nowhere")
        sys.modules["csv"] = None
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    elif what == "late":
        threading.Timer(0.3, lambda: open(rest[0], "w").close()).start()
    SEEN.append(what)
    here = {"cwd": os.getcwd(), "path": sys.path[0], "seen": SEEN, "spoiled": os.environ.get("SPOILED"), "csv": "csv" in sys.modules}
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print(__import__("json").dumps({"ok": True, "heard": heard, "session": os.getsid(0) == os.getpid(), **here}))
    return 0
'''
COMMAND = f'[[command]]\nname = "act"\ntarget = "{TOP}.commands:act"\nsummary = "Act."\n'
HOOK = f'[[hook]]\ntarget = "{TOP}.hooks:Hook"\nimplements = ["composed"]\n'


@pytest.fixture(autouse=True)
def acting(fake_packages: FakePackages, repository: Path, monkeypatch: pytest.MonkeyPatch) -> FakePackages:
    """A package with a command that does harm, for processes too."""
    manifest = fake_packages.manifest(NAME, COMMAND)
    fake_packages.install(NAME, manifest=manifest, files={"commands.py": COMMANDS})
    roots = (fake_packages.site, repository, repository / "plugins", repository / "tui")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, roots)))
    return fake_packages


@pytest.fixture
def warm() -> Iterator[Warm]:
    """One that imports nothing ahead."""
    with Warm(ahead=False) as made:
        yield made


def until(met: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process is there no more; one that nobody has waited for yet is not."""
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return True


def background(warm: Warm, *words: str, **how: Any) -> tuple[threading.Thread, list[shell.Answer]]:
    answers: list[shell.Answer] = []
    thread = threading.Thread(target=lambda: answers.append(warm.run(*words, **how)))
    thread.start()
    return thread, answers


# ------------------------------------------------------------------------------------------- as the shell
def without_times(facts: dict[str, Any]) -> dict[str, Any]:
    proof = {name: value for name, value in facts["proof"].items() if name != "seconds"}
    return {**facts, "proof": proof}


@pytest.mark.slow
def test_a_proof_is_the_same_warm_twice_and_cold() -> None:
    with Warm() as warm:
        warm.start()
        process = warm.pid
        first, second = warm.run("compose", "tiny"), warm.run("compose", "tiny")
        assert warm.pid == process is not None
    cold = shell.run("compose", "tiny")
    assert first.ok and without_times(first.facts) == without_times(second.facts) == without_times(cold.facts)
    assert first.words == cold.words and first.err == second.err == cold.err


def test_it_brings_no_torch_into_the_ui() -> None:
    code = "import sys, pgsynth_tui.warm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ("compose", "tiny", "--no-proof"),
        ("compose", "attn=hpfa", "encoder=qfft", "--no-proof"),
        ("compsoe",),
        ("plugins", "show", "pma"),
        ("plugins", "show"),
        ("plugins", "lst"),
        ("--version",),
        ("act", "flood"),
    ],
)
def test_answers_are_those_of_a_shell(warm: Warm, words: tuple[str, ...]) -> None:
    said, cold = warm.run(*words), shell.run(*words)
    assert (said.words, said.code, said.problems) == (cold.words, cold.code, cold.problems)
    if words != ("act", "flood"):
        assert (said.facts, said.err) == (cold.facts, cold.err)


def test_what_is_printed_never_gets_among_the_answers(warm: Warm, acting: FakePackages) -> None:
    said = warm.run("act", "flood")
    assert said.ok and said.facts["ok"] and said.facts["session"]
    for part in ("fd one", "fd two", "flood to stderr", "from a shell"):
        assert part in said.err
    hook = (
        'import os\nprint("at import")\nclass Hook:\n    def composed(self, spec, verdict):\n        print("a part")\n'
    )
    hook += "        os.write(1, b'descriptor')\n"
    files = {"hooks.py": hook.replace("class", "from pgsynth_core.events import hookimpl\nclass", 1)}
    files["hooks.py"] = files["hooks.py"].replace("    def", "    @hookimpl\n    def", 1)
    acting.install(NAME, manifest=acting.manifest(NAME, COMMAND, HOOK), files=files)
    said = warm.run("compose", "tiny", "--no-proof")
    assert said.ok and said.facts["ok"], said.err
    assert "at import" in said.err and "a part" in said.err and "descriptor" in said.err


def test_what_a_command_spoils_is_whole_for_the_next(warm: Warm, tmp_path: Path) -> None:
    fresh = warm.run("act", "look").facts
    process = warm.pid
    assert fresh["heard"] and fresh["seen"] == ["look"] and fresh["cwd"] == os.getcwd()
    assert warm.run("act", "spoil").facts["spoiled"] == "yes"
    assert warm.run("act", "look").facts == fresh and warm.pid == process
    assert warm.run("act", "late", str(tmp_path / "late")).ok and (tmp_path / "late").exists(), "threads are waited for"


def test_where_one_is_and_what_is_set_is_looked_up_anew(
    warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.run("act", "look")
    process = warm.pid
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "mine"))
    assert warm.run("act", "look").facts["cwd"] == str(tmp_path)
    assert warm.run("runs", "list").facts["root"] == str(tmp_path / "mine") and warm.pid == process
    monkeypatch.setenv("SPOILED", "from outside")
    assert warm.run("act", "look").facts["spoiled"] == "from outside"
    assert warm.pid != process, "what was imported may have read it"
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    (tmp_path / "away").rmdir()
    assert "the folder you are in" in warm.run("runs", "list").problems[0].message


# ------------------------------------------------------------------------------------------- what is installed
def test_what_is_installed_meanwhile_is_there(warm: Warm, acting: FakePackages) -> None:
    def names() -> set[str]:
        return {row["name"] for row in warm.run("plugins", "list").facts["plugins"]}

    before = names()
    assert "act" in before and "x" not in before and warm.run("act", "look").ok
    acting.install("pgsynth-plugin-y", manifest=acting.manifest("pgsynth-plugin-y"))
    assert names() == before | {"x"}
    commands = acting.site / TOP / "commands.py"
    commands.write_text(COMMANDS.replace('"seen": SEEN', '"seen": "edited"'), encoding="utf-8")
    process = warm.pid
    assert warm.run("act", "look").facts["seen"] == "edited"
    assert warm.pid == process, "what others wrote is imported by copies only, so nothing has to be replaced for it"


def test_a_file_that_was_imported_and_has_changed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acting: FakePackages
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "imported_here.py"
    file.write_text("", encoding="utf-8")
    __import__("imported_here")
    seen = warm_child._Seen()
    seen.note()
    assert not seen.changed()
    os.utime(file, ns=(1, 1))
    assert seen.changed()
    seen = warm_child._Seen()
    seen.note()
    (tmp_path / "editable.pth").write_text(str(tmp_path), encoding="utf-8")
    assert seen.changed(), "a folder that only a fresh Python adds to its path"
    seen = warm_child._Seen()
    assert not seen.changed()
    acting.metadata("library", version="2.0")
    assert seen.changed()


# ------------------------------------------------------------------------------------------- deaths
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("exit", "7"), 7, "exit code 7"),
        (("exit", "0"), 1, "exit code 0"),
        (("kill",), 1, "signal 9, SIGKILL). Out of memory?"),
    ],
)
def test_a_command_that_dies_has_a_problem_and_the_next_none(
    warm: Warm, words: tuple[str, ...], code: int, said: str
) -> None:
    answer = warm.run("act", *words)
    assert (answer.code, answer.ok, answer.facts) == (code, False, {})
    assert "ended without a result" in answer.problems[0].message and said in answer.problems[0].message
    assert f"{words[0]} to stderr" in answer.err
    assert warm.run("act", "look").ok


def test_what_prints_without_end_is_ended(warm: Warm) -> None:
    answer = warm.run("act", "endless")
    assert not answer.ok and "printed more than 16 MiB" in answer.problems[0].message
    assert warm.run("act", "look").ok


def test_a_process_that_was_killed_is_started_again(warm: Warm, tmp_path: Path) -> None:
    assert warm.run("act", "look").ok
    first = warm.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert warm.run("act", "look").ok and warm.pid != first
    thread, answers = background(warm, "act", "sleep", str(tmp_path / "pid"))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text("utf-8"))
    assert warm.pid is not None
    os.kill(warm.pid, signal.SIGKILL)
    thread.join(30)
    assert "signal 9" in answers[0].problems[0].message and not answers[0].ok
    until(lambda: gone(int((tmp_path / "pid").read_text("utf-8"))))
    assert warm.run("act", "look").ok


def test_one_that_cannot_live_is_done_without(monkeypatch: pytest.MonkeyPatch, warm: Warm, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\ncase "$*" in *warm_child*) exit 3;; esac\nexec {sys.executable} "$@"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    assert warm.run("act", "look").ok
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    answer = warm.run("act", "look")
    assert not answer.ok and "cannot be started" in answer.problems[0].message


# ------------------------------------------------------------------------------------------- given up
@pytest.mark.parametrize("how", ["", "deaf"])
def test_what_nobody_wants_any_more_is_ended_and_what_was_imported_stays(warm: Warm, tmp_path: Path, how: str) -> None:
    wanted = threading.Event()
    wanted.set()
    words = ["act", "sleep", str(tmp_path / "pid"), *how.split()]
    thread, answers = background(warm, *words, wanted=wanted.is_set)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text("utf-8"))
    pid, process = int((tmp_path / "pid").read_text("utf-8")), warm.pid
    began = time.monotonic()
    wanted.clear()
    thread.join(30)
    assert time.monotonic() - began < 1.9 and answers[0].code == 130 and "given up" in answers[0].problems[0].message
    assert warm.run("act", "look").ok and gone(pid) and warm.pid == process
    assert (tmp_path / "pid.tidied").exists() == (not how), "it is asked first"


def test_what_takes_too_long_is_given_up(warm: Warm, tmp_path: Path) -> None:
    assert warm.run("act", "look").ok
    process = warm.pid
    answer = warm.run("act", "sleep", str(tmp_path / "pid"), seconds=2)
    assert answer.problems[0].message == "it was given up after 2 seconds." and answer.code == 1
    assert warm.run("act", "look").ok and warm.pid == process and (tmp_path / "pid.tidied").exists()


def test_a_process_that_hangs_is_replaced(warm: Warm) -> None:
    assert warm.run("act", "look").ok
    process = warm.pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    assert not warm.run("act", "look", seconds=0.3).ok
    assert not warm.run("act", "look", seconds=0.3).ok
    assert warm.run("act", "look").ok and warm.pid != process


def test_many_threads_get_each_their_own_answer(warm: Warm) -> None:
    asked = [background(warm, "act", f"word-{number}") for number in range(6)]
    for number, (thread, answers) in enumerate(asked):
        thread.join(60)
        assert answers[0].ok and answers[0].facts["seen"] == [f"word-{number}"]


def test_who_waits_for_its_turn_may_leave(warm: Warm, tmp_path: Path) -> None:
    first, _ = background(warm, "act", "sleep", str(tmp_path / "pid"), seconds=2)
    until(lambda: (tmp_path / "pid").exists())
    began = time.monotonic()
    assert warm.run("act", "look", wanted=lambda: False).code == 130 and time.monotonic() - began < 1
    first.join(30)


# ------------------------------------------------------------------------------------------- ends
def test_closed_it_is_gone_with_what_it_runs(tmp_path: Path) -> None:
    with Warm(ahead=False) as warm:
        thread, answers = background(warm, "act", "sleep", str(tmp_path / "pid"))
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text("utf-8"))
        pid, process = int((tmp_path / "pid").read_text("utf-8")), warm.pid
    thread.join(30)
    assert process is not None and gone(process) and gone(pid) and (tmp_path / "pid.tidied").exists()
    assert answers[0].code == 130 and warm.run("act", "look").code == 130 and warm.pid is None
    warm.start()
    warm.close()
    assert warm.pid is None


def test_idle_it_ends_and_comes_back() -> None:
    with Warm(ahead=False, idle=0.2) as warm:
        warm.start()
        first = warm.pid
        until(lambda: warm.pid is None)
        assert warm.run("act", "look").ok and warm.pid != first


PARENT = """\
import sys, time
from pgsynth_tui.warm import Warm
warm = Warm(ahead=sys.argv[1] == "ahead")
warm.start()
print(warm.pid, flush=True)
if sys.argv[1] == "asks":
    warm.run("act", "sleep", sys.argv[2])
time.sleep(600)
"""


@pytest.mark.parametrize("what", ["idle", "asks", "ahead"])
def test_it_goes_with_its_parent_however_that_goes(tmp_path: Path, what: str) -> None:
    words = [sys.executable, "-c", PARENT, what, str(tmp_path / "pid")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        if what == "asks":
            until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text("utf-8"))
        os.killpg(parent.pid, signal.SIGINT)  # as Ctrl-C in a terminal: it hears nothing of that, and of the end
        parent.send_signal(signal.SIGKILL)
    until(lambda: gone(child))
    if what == "asks":
        until(lambda: (tmp_path / "pid.tidied").exists())


def test_ctrl_c_in_the_terminal_does_not_reach_it(warm: Warm) -> None:
    assert warm.run("act", "look").ok
    process = warm.pid
    assert process is not None and os.getsid(process) == process
    os.kill(process, signal.SIGINT)
    assert warm.run("act", "look").ok and warm.pid == process


def test_a_run_that_is_left_training_outlives_it(warm: Warm, acting: FakePackages, tmp_path: Path) -> None:
    """As a worker: it has a session of its own."""
    code = f"import time; open({str(tmp_path / 'alive')!r}, 'w').close(); time.sleep(1); open({str(tmp_path / 'done')!r}, 'w')"
    text = "import subprocess, sys\ndef act(words):\n    subprocess.Popen([sys.executable, '-c', "
    text += f"{code!r}], start_new_session=True)\n    print('{json.dumps({'ok': True})}')\n"
    (acting.site / TOP / "commands.py").write_text(text, encoding="utf-8")
    assert warm.run("act", "look").facts == {"ok": True}
    warm.close()
    until(lambda: (tmp_path / "done").exists())
