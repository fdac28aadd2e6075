"""A fresh Python states facts whatever else it prints, is given up when it is silent, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.errors import PgsynthError
from pgsynth_core.registry.fresh import FreshPython

Asked = Callable[..., FreshPython]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Call it with the body of the function that a fresh Python calls."""

    def ask(body: str, *words: str, **more: object) -> FreshPython:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        head = "import json, os, subprocess, sys, time\nfrom pgsynth_core.registry.fresh import state_fact\n\n"
        (tmp_path / "asked.py").write_text(f"{head}def answer():\n{lines}\n", "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return FreshPython("asked:answer", *words, **more)  # type: ignore[arg-type]

    return ask


def gone(process: int) -> None:
    """It ends within seconds: whoever adopts it needs a moment to bury it."""
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(process, 0)
            time.sleep(0.1)


def test_facts_and_print_do_not_mix(asked: Asked, tmp_path: Path) -> None:
    body = (
        "print('loud', end='')\nstate_fact({'words': sys.argv[1:], 'given': json.load(sys.stdin), 'at': os.getcwd()})\n"
    )
    with asked(body + "print('\\nlast', file=sys.stderr)", "a", "b", given=[1], folder=tmp_path) as child:
        assert list(child.facts(60.0)) == [{"words": ["a", "b"], "given": [1], "at": str(tmp_path)}]
        assert not child.late and child.ended == "(exit code 0): last" and set(child.printed) == {"loud", "last"}


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        ("raise SystemExit('no luck')", "(exit code 1): no luck"),
        ("os.kill(os.getpid(), 9)", "(signal 9)."),
        ("1 / 0", "(exit code 1): ZeroDivisionError: division by zero"),
    ],
    ids=["exit", "killed", "raised"],
)
def test_what_ends_it_is_told_after_what_it_stated(asked: Asked, body: str, ended: str) -> None:
    with asked(f"state_fact({{'n': 1}})\n{body}") as child:
        assert list(child.facts(60.0)) == [{"n": 1}] and child.ended == ended


def test_nothing_is_given_unless_asked_and_large_facts_arrive(asked: Asked) -> None:
    with asked("state_fact({'read': sys.stdin.read(), 'large': 'x' * 300000})") as child:
        (fact,) = child.facts(60.0)
    assert fact == {"read": "", "large": "x" * 300_000}


@pytest.mark.parametrize("stubborn", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"], ids=["", "stubborn"])
def test_who_is_silent_too_long_ends_with_all_it_started(asked: Asked, stubborn: str) -> None:
    start = "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    with asked(f"import signal\n{stubborn}{start}state_fact({{'other': other.pid}})\ntime.sleep(600)") as child:
        (fact,) = child.facts(0.5, starting=60.0)
        assert child.late
    gone(fact["other"])


def test_who_prints_without_end_is_given_up(asked: Asked) -> None:
    with asked("while True: print('x' * 65536)") as child:
        assert not list(child.facts(60.0)) and not child.late
        assert child.ended == "(it printed more than 16 MiB)."


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_who_is_asked_to_end_takes_it_along(asked: Asked, tmp_path: Path, number: int) -> None:
    with asked("state_fact({'pid': os.getpid()})\ntime.sleep(600)") as child:
        assert next(child.facts(60.0))
    code = "from pgsynth_core.registry.fresh import FreshPython\n"
    code += (
        "with FreshPython('asked:answer') as child:\n    for fact in child.facts(600.0): print(fact['pid'], flush=True)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-P", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as outer:
        assert outer.stdout is not None
        inner = int(outer.stdout.readline())
        outer.send_signal(number)
        outer.wait(30)
    gone(inner)


def test_what_cannot_be_started_leaves_nothing_open(asked: Asked, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with pytest.raises(PgsynthError, match="cannot be started: No such file"):
        asked("pass", folder=tmp_path / "nowhere")
    assert not before or len(os.listdir("/proc/self/fd")) == before
