"""The terminal UI over a real terminal: first paint, from key to paint while runs train, idle cost, memory.

Bars: 1 s, 50 ms, 2 % of a core, 150 MB; a run of a million events opens in 2 s. What is asserted is wider, for the
machine has other work too.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgsynth_core.runs import EventLog, create_run, start_session

from ..fixtures.terminals import Terminal

pytestmark = pytest.mark.bench

MILLION = 1_000_000
LIVE = 4
EVENTS_PER_SECOND = 10


@pytest.fixture
def environ(tmp_path: Path, repository: Path) -> dict[str, str]:
    """Nobody's settings, this checkout."""
    paths = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    state = {"PGSYNTH_CONFIG": str(tmp_path / "settings"), "XDG_STATE_HOME": str(tmp_path / "state")}
    return {"PYTHONPATH": paths, "COLORTERM": "truecolor", **state}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a run of a million events, which has ended."""
    folder = create_run(tmp_path / "runs", slug="million", spec_yaml="base: tiny\n", lock={})
    held = start_session(folder)
    with open(folder.events_file, "w", encoding="utf-8") as file:
        file.write(json.dumps({"t": 1.0, "kind": "run", "step": 0, "steps": MILLION}) + "\n")
        for step in range(1, MILLION + 1):
            loss = 1 / step**0.3 + (step * 2654435761 % 1000) / 5000
            file.write(
                f'{{"t": {1.7e9 + step}, "kind": "step", "step": {step}, "loss": {loss}, "steps": {MILLION}, '
                f'"mse": {loss}, "learning_rate": 1e-05, "grad_norm": {loss}, "seconds_per_step": 0.35}}\n'
            )
    held.end("finished", step=MILLION)
    return tmp_path / "runs"


@pytest.fixture
def live(root: Path) -> Iterator[None]:
    """Beside it four that train, ten events a second each."""
    stopped = threading.Event()
    logs = []
    for number in range(LIVE):
        folder = create_run(root, slug=f"live-{number}", spec_yaml="base: tiny\n", lock={})
        held = start_session(folder)
        log = EventLog(folder.events_file)
        log.write("run", step=0, steps=10**6, device="cpu", session=held.id)
        logs.append(log)

    def train() -> None:
        step = 0
        while not stopped.wait(1 / EVENTS_PER_SECOND):
            step += 1
            for log in logs:
                log.write("step", step=step, loss=1 / step, steps=10**6, seconds_per_step=0.1, eta_seconds=9.0)

    thread = threading.Thread(target=train)
    thread.start()
    yield
    stopped.set()
    thread.join()
    for log in logs:
        log.close()


def command(root: Path) -> list[str]:
    """What a user types."""
    return [sys.executable, "-P", "-m", "pgsynth_core", "tui", "--runs", str(root)]


def test_first_paint(root: Path, environ: dict[str, str]) -> None:
    times = []
    for _ in range(5):
        with Terminal(command(root), environ) as terminal:
            terminal.until("The parts fit together")
            times.append(time.perf_counter() - terminal.began)
    print(
        f"\npgsynth tui, until a method is shown and checked: median {statistics.median(times):.2f} s, best {min(times):.2f} s (bar 1 s)"
    )
    assert min(times) < 2


def test_a_million_events_open(root: Path, environ: dict[str, str]) -> None:
    with Terminal(command(root), environ) as terminal:
        terminal.until("The parts fit together")
        terminal.press("2")
        terminal.until("million")
        terminal.quiet(1)
        terminal.press("\r")
        first = terminal.until("│")
        whole = first + terminal.until(f"at step {MILLION}")
        terminal.quiet(1)
        memory = terminal.memory_bytes / 1e6
    print(
        f"\na run of {MILLION} events: a curve after {first:.2f} s, all of it after {whole:.2f} s (bar 2 s), {memory:.0f} MB"
    )
    assert whole < 8 and memory < 400


def test_from_key_to_paint_while_runs_train(root: Path, live: None, environ: dict[str, str]) -> None:
    with Terminal(command(root), environ) as terminal:
        terminal.until("The parts fit together")
        terminal.press("2")
        terminal.until("million")
        terminal.quiet(1)
        terminal.press("\x1b[B" * LIVE + "\r")
        terminal.until(f"at step {MILLION}")
        terminal.quiet(2)
        waits = []
        for number in range(40):
            terminal.press("l")
            waits.append(terminal.until(", smoothed" if number % 2 else "log scale"))
            terminal.quiet(0.25)
        memory = terminal.memory_bytes / 1e6
    ordered = sorted(waits)
    median, most = statistics.median(waits) * 1e3, ordered[int(len(ordered) * 0.95)] * 1e3
    print(
        f"\nfrom key to paint, {LIVE} live runs and a million events open: median {median:.0f} ms, 95 % {most:.0f} ms (bar 50 ms)"
    )
    print(f"memory {memory:.0f} MB (bar 150 MB)")
    assert median < 250


def test_idle_cost(root: Path, environ: dict[str, str]) -> None:
    with Terminal(command(root), environ) as terminal:
        terminal.until("The parts fit together")
        terminal.press("2")
        terminal.until("million")
        terminal.quiet(3)
        before = terminal.cpu_seconds
        terminal.quiet(20)
        spent = (terminal.cpu_seconds - before) / 20
        memory = terminal.memory_bytes / 1e6
    print(f"\nidle: {spent:.2%} of a core (bar 2 %), {memory:.0f} MB (bar 150 MB)")
    assert spent < 0.1
