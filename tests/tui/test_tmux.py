"""Over a real terminal multiplexer, by keys alone: watch a run, lose the terminal, find the run again, stop it, resume it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgsynth_core.runs import RunFolder, list_runs, status_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

SPEC = ["tiny", "data=figures", "train.batch_size=2", "train.workers=0", "train.sample_every=0", "train.steps=100000"]


class Tmux:
    """A tmux server of the test's own, with one window."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._socket, self._environ = folder / "tmux", environ

    def _call(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False).stdout

    def start(self, *words: str, size: tuple[int, int] = (120, 36)) -> None:
        """Run a command in a new window of a new server."""
        self._call("new", "-d", "-x", str(size[0]), "-y", str(size[1]), *words)

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self._call("send-keys", *keys)

    def escape(self) -> None:
        """Press Escape: what follows at once, a terminal takes for its second half."""
        self.keys("Escape")
        time.sleep(0.5)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return self._call("capture-pane", "-p")

    def until(self, words: str, seconds: float = 60.0) -> str:
        """Wait until something stands there."""
        return str(wait(lambda: re.search(words, self.text), seconds, lambda: self.text)[0])

    def kill(self) -> None:
        """As a terminal that is closed: everything in it gets a hangup. A server that still ends would take no other."""
        self._call("kill-server")
        wait(lambda: not self._call("list-sessions"), 30)


def wait(there: Callable[[], object], seconds: float, told: Callable[[], object] = lambda: "") -> object:
    """Wait for something without knowing how long it takes."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come:\n{told()}")


@pytest.fixture
def environ(tmp_path: Path, repository: Path) -> dict[str, str]:
    """Nobody's settings, runs or queue; this checkout; no tmux around it, and no size but that of the window."""
    paths = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    own = {"PGSYNTH_CONFIG": "settings", "XDG_STATE_HOME": "state", "PGSYNTH_RUNS": "runs"}
    given = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    return {**given, **{name: str(tmp_path / folder) for name, folder in own.items()}, "PYTHONPATH": paths}


@pytest.fixture
def tmux(tmp_path: Path, environ: dict[str, str]) -> Iterator[Tmux]:
    """Gone in the end, and with it whatever still trains."""
    tmux = Tmux(tmp_path, environ)
    yield tmux
    tmux.kill()
    for folder in list_runs(tmp_path / "runs"):
        if status_of(folder).live:
            subprocess.run([*PGSYNTH, "runs", "stop", str(folder.path), "--kill"], env=environ, check=False)


_OTHERS = ("TMUX", "TMUX_PANE", "COLUMNS", "LINES")
PGSYNTH = [sys.executable, "-P", "-m", "pgsynth_core"]


def test_a_run_outlives_the_terminal(tmux: Tmux, environ: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([*PGSYNTH, "train", *SPEC, "--no-proof", "--detach"], env=environ, check=True, capture_output=True)
    (run,) = list_runs(tmp_path / "runs")
    tmux.start(*PGSYNTH, "tui")
    tmux.until("The parts fit together")
    tmux.keys("2")
    tmux.until("running")
    tmux.keys("Enter")
    first = step(tmux)
    wait(lambda: step(tmux) > first, 60, lambda: tmux.text)
    tmux.keys("q")
    wait(lambda: not tmux.text, 10, lambda: tmux.text)
    tmux.kill()
    assert status_of(run).state == "running"

    before = status_of(run).step
    tmux.start(*PGSYNTH, "tui", size=(80, 24))
    tmux.until("at step [0-9]")  # it was left in the view of curves
    tmux.kill()  # the terminal is lost, not left
    wait(lambda: status_of(run).step > before + 1, 60)

    tmux.start(*PGSYNTH, "tui", size=(80, 24))
    tmux.until("at step [0-9]")
    tmux.keys("2")
    tmux.until("running")
    tmux.keys("x")
    tmux.until("Nothing is")
    tmux.keys("y")
    tmux.until("■ stopped", 90)
    stopped = status_of(run).step
    tmux.keys("r")
    tmux.until("● running", 90)
    wait(lambda: status_of(run).step > stopped, 60)
    assert [folder.id for folder in list_runs(tmp_path / "runs")] == [run.id]
    tmux.keys("q")
    wait(lambda: not tmux.text, 10, lambda: tmux.text)
    assert status_of(run).state == "running"


def test_from_composing_to_comparing_by_keys_alone(tmux: Tmux, environ: dict[str, str], tmp_path: Path) -> None:
    """Compose, launch, watch, lose the terminal, find the run, stop it, resume it; another one; compare the two."""
    tmux.start(*PGSYNTH, "tui", size=(140, 40))
    tmux.until("from tiny")
    tmux.keys("Right")
    take(tmux, "defaults", "from the defaults")
    for slot, part in (("base", "tiny"), ("encoder", "qfft")):
        go(tmux, f"{slot}: parts")
        take(tmux, part, rf"\* +{part} +chosen")
    go(tmux, "qfft: options")
    give(tmux, "encoder.qfft.backbone", "conv4")  # one that needs no weights
    go(tmux, "attn: parts")
    take(tmux, "pma", r"\* +pma +chosen")
    go(tmux, "data: parts")
    take(tmux, "figures", "figures: options")  # it is chosen already: to its options
    assert "Nothing is wrong" in tmux.text
    tmux.until(r"\$ pgsynth train base=tiny encoder=qfft encoder\.qfft\.backbone=conv4 attn=pma")
    go(tmux, "train: options")
    for option, value in (("steps", "100000"), ("batch_size", "2"), ("sample_every", "5"), ("workers", "0")):
        give(tmux, f"train.{option}", value)
        tmux.keys("Right")
    launch(tmux)
    tmux.until("at step [0-9]")  # it leads to where the run is watched
    (run,) = list_runs(tmp_path / "runs")
    first = step(tmux)
    wait(lambda: step(tmux) > first, 60, lambda: tmux.text)
    tmux.kill()  # the terminal is lost

    tmux.start(*PGSYNTH, "tui", size=(140, 40))
    tmux.until("2 Runs")
    tmux.keys("2")
    tmux.until("● running")
    stop(tmux)
    stopped = status_of(run).step
    tmux.keys("r")
    tmux.until("● running", 90)
    wait(lambda: status_of(run).step > stopped, 60)
    stop(tmux)

    tmux.keys("1")
    tmux.until("The parts fit together")  # the draft is as it was
    tmux.escape()
    tmux.keys(*["Up"] * 20)
    go(tmux, "pma: options")
    find(tmux, "mask")
    tmux.keys("Enter")
    tmux.until("type to filter|enter takes")
    tmux.keys("-l", "eq9")
    tmux.keys("Enter")
    tmux.until("attn.pma.mask=eq9")
    launch(tmux)
    tmux.until("at step [0-9]")
    tmux.keys("2")
    tmux.until("● running")
    tmux.keys("Up", "Up")  # the newest is first
    stop(tmux)
    other = next(folder for folder in list_runs(tmp_path / "runs") if folder.id != run.id)

    tmux.keys("Space", "Space", "c")
    tmux.until("what differs")
    text = tmux.until(r"attn\.pma\.mask +eq[59] +eq[59]") and tmux.text
    assert run.id in text and other.id in text and "mean loss of last" in text
    tmux.keys("s")
    tmux.until("target")
    assert re.search(r"samples @ [0-9]+", tmux.text), tmux.text
    tmux.keys("q")
    wait(lambda: not tmux.text, 10, lambda: tmux.text)


def take(tmux: Tmux, part: str, then: str) -> None:
    """Find a choice by its words, take it, and go back to the slots."""
    find(tmux, part)
    tmux.keys("Enter")
    tmux.until(then)
    tmux.escape()
    tmux.keys("Left")


def go(tmux: Tmux, title: str) -> None:
    """Down among the slots until the choices have that title, and to them."""
    for _ in range(15):
        before = heading(tmux)
        tmux.keys("Down")
        wait(lambda before=before: heading(tmux) != before, 10, lambda: tmux.text)  # type: ignore[misc]
        if title in tmux.text:
            tmux.keys("Right")
            return
    raise AssertionError(f"no {title}:\n{tmux.text}")


def heading(tmux: Tmux) -> str:
    """Of the choices: of which slot or part they are."""
    found = re.search(r"begin with|\w+: (?:parts|options)", tmux.text)
    return found[0] if found else ""


def find(tmux: Tmux, words: str) -> None:
    """Show only choices with these words; the first has the cursor."""
    tmux.keys("/")
    tmux.keys("-l", words)
    tmux.until(rf"(?m)^{words}\s*\n│ method +│")  # the keys are the filter's
    tmux.keys("Enter")
    tmux.until(
        rf"(?m)█ .*: options.*\n.*█   {words}|█ .*: parts.*\n.*█ [* ] {words}|begin with.*\n.*█ [* ] the {words}"
    )


def give(tmux: Tmux, path: str, value: str) -> None:
    """Give an option of what is chosen a value, and go back to the slots."""
    find(tmux, path.rpartition(".")[2])
    tmux.keys("Enter")
    tmux.until(f"{path}.*█")
    tmux.keys("-l", value)  # in place of what stands there
    tmux.until(rf"▊ +{value} +▎")
    tmux.keys("Enter")
    tmux.until(rf"\* {path.rpartition('.')[2]} +{value} ")
    tmux.escape()
    tmux.keys("Left")


def launch(tmux: Tmux) -> None:
    """Begin the training, and watch it."""
    tmux.keys("L")
    tmux.until(r"\(y\)")
    tmux.keys("y")
    tmux.until(r"Watch.*\(y\)", 90)
    tmux.keys("y")


def stop(tmux: Tmux) -> None:
    """Stop the run under the cursor, and see that it has."""
    tmux.keys("x")
    tmux.until("Nothing is")
    tmux.keys("y")
    wait(lambda: "● running" not in tmux.text and "◑ stopping" not in tmux.text, 90, lambda: tmux.text)
    assert "■ stopped" in tmux.text


def step(tmux: Tmux) -> int:
    """The step that the curve's legend names."""
    return int(re.findall(r"[0-9]+", tmux.until(r"at step [0-9]+"))[-1])


def test_without_unicode_or_colours(tmux: Tmux, environ: dict[str, str], tmp_path: Path) -> None:
    from pgsynth_core.runs import create_run

    created: RunFolder = create_run(tmp_path / "runs", slug="x", spec_yaml="base: tiny\n", lock={})
    environ["NO_COLOR"] = "1"
    tmux.start(*PGSYNTH, "tui", "--ascii", size=(80, 24))
    tmux.until("The parts fit together")
    tmux.keys("2")
    tmux.until("lost")
    assert created.id in tmux.text
    table = tmux.text.splitlines()[1:4]
    assert all(line.isascii() for line in table), table
