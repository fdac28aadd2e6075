"""Full and read-only disks, spoilt files, two trainers on one run: everything is told, and nothing is lost.

Disks are real, in a mount namespace of their own (`damage.py`); where the system grants none, that is said. Figures are
printed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from pgsynth_core import compose
from pgsynth_core.cli import main
from pgsynth_core.errors import UserError
from pgsynth_core.runs import (
    Checkpoint,
    RunFolder,
    list_checkpoints,
    read_events,
    read_losses,
    status_of,
)
from pgsynth_core.runs.checkpoints import SUMS
from pgsynth_core.runs.durable import read_json

from ..fixtures.queues import Queue, queue_of
from .smallest import SMALLEST

pytestmark = pytest.mark.slow

WORDS: Final = (*SMALLEST, "train.workers=0", "train.validate_pairs=0")
LONG: Final = 100_000
"""Steps that nobody waits for."""
PATIENCE: Final = 180
SPOTS: Final = 24
"""Places of a file that are spoilt, beside its first and its last byte."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Six steps, three checkpoints."""
    return compose(*WORDS).train(runs=tmp_path_factory.mktemp("runs"), steps=6).folder


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}")


# ------------------------------------------------------------------------------------------- disks
@cache
def entered() -> tuple[str, ...]:
    """The command that enters a namespace in which disks may be mounted; empty if there is none."""
    for command in (("unshare", "--user", "--map-root-user", "--mount"), ("unshare", "--mount")):
        tried = (*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
        if shutil.which("unshare") and subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return command
    return ()


def scene(name: str, folder: Path, repository: Path) -> list[dict[str, Any]]:
    """What came of a scene of `damage.py`."""
    if not entered():
        pytest.skip("neither user namespaces nor root: the system mounts no disk for a test")
    roots = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    script = Path(__file__).with_name("damage.py")
    command = [*entered(), sys.executable, str(script), name, str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": roots}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def test_a_disk_that_fills_up_at_any_write(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = scene("instants", tmp_path, repository)
    for row in rows:
        assert row["good"] and row["before"] and row["after"] and not row["lost"] and not row["left_behind"], row
        assert not row.get("again"), row
        assert row["damaged"] <= (row["write"] == "train"), "a line that was begun when the disk was full"
        assert row["runs"] == 1 + (row["write"] == "make" and not row["told"]), row
    refused = Counter(row["write"] for row in rows if row["told"])
    assert {row["write"] for row in rows} == {*refused}, "each was refused at some instant"
    assert all(not row["told"] for row in rows if row["left"] >= 31), "canary: with room nothing is refused"
    told = ", ".join(f"{name} {count}" for name, count in refused.items())
    tell(
        capsys,
        f"{len(rows)} writes on a disk with little room, {sum(refused.values())} refused and told: {told}; 0 lost",
    )


def test_a_run_whose_disk_fills_up_while_it_saves(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = scene("training", tmp_path, repository)
    for row in rows:
        assert row["good"] and row["whole"] and not row["left_behind"] and row["joined"], row
        fits = row["steps"][1:2] == [4]
        assert row["warned"] == (not fits), row
        stays = row["again"] > 6
        assert row["steps"] == [2, *[4] * fits, *[6] * (not stays)] and row["told"] == stays, row
        assert row["state"] == ("finished" if not stays else "failed" if row["room"] else "lost"), row
        assert not stays or f"the last that is saved is step {row['steps'][-1]}" in row["said"]
    unsaved = sum(row["warned"] for row in rows) + sum(row["told"] for row in rows)
    tell(
        capsys,
        f"{len(rows)} runs on a disk with room for 0 to {rows[-1]['room'] / rows[-1]['size']:.2f} of a checkpoint of "
        f"{rows[0]['size']:,} bytes: {unsaved} checkpoints refused and told, {len(rows)} joined bitwise, 0 lost",
    )


@pytest.mark.parametrize("kind", ["readonly", "nopages", "nofiles"])
def test_every_command_on_a_disk_that_takes_nothing(
    kind: str, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = scene(kind, tmp_path, repository)
    for row in rows:
        assert row["code"] == row["wanted"] and not row["traceback"] and not row["changed"], row
        assert row["cure"] == (row["code"] == 2) and row["err"].count("error: ") == (row["code"] == 2), row
    (cached,) = [row for row in rows if "train.cache=latents" in row["words"]]
    assert "is not written any more" in cached["err"]
    assert rows[-2]["runs"] == 1, "a run that cannot be enqueued is none"
    tell(
        capsys,
        f"{kind}: {len(rows)} commands, {sum(row['code'] == 2 for row in rows)} refused with a cure, 0 tracebacks",
    )


# ------------------------------------------------------------------------------------------- spoilt files
def spoilt(content: bytes) -> Iterator[bytes]:
    """What a disk makes of a file: a bit flipped, a block of zeros, an end cut off, at many places."""
    spots = sorted({0, len(content) - 1, *(len(content) * spot // SPOTS for spot in range(SPOTS))})
    for spot in spots:
        yield content[:spot] + bytes([content[spot] ^ 1 << spot % 8]) + content[spot + 1 :]
        yield content[:spot]
        zeros = content[:spot] + bytes(min(4096, len(content) - spot)) + content[spot + 4096 :]
        if zeros != content:
            yield zeros
    yield content + b"\0"


def test_whatever_is_spoilt_in_a_checkpoint_is_named_with_one_that_is_whole(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.id)))
    *_, before, last = list_checkpoints(run)
    counts = Counter[str]()
    for file in sorted(last.path.iterdir()):
        content = file.read_bytes()
        for other in spoilt(content):
            file.write_bytes(other)
            with pytest.raises(UserError) as refused:
                last.verify()
            named = [problem.where for problem in refused.value.problems]
            assert str(file) in named or file.name == SUMS, "a hash that is spoilt is of another file"
            assert all(str(before.path) in problem.cure for problem in refused.value.problems)
            counts[file.name] += 1
        said = command("train", "--resume", str(run.path), "train.steps=8")
        assert said[0] == 2 and str(before.path) in said[1] and "Traceback" not in said[1], file.name
        file.write_bytes(content)
    last.verify()
    weights = last.path / "weights.safetensors"
    weights.write_bytes(next(spoilt(weights.read_bytes())))
    assert command("train", "--resume", str(before.path), "train.steps=6")[0] == 0
    assert read_losses(run.events_file) == read_losses(finished.events_file)
    assert all(not damages(one) for one in list_checkpoints(run))
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    tell(capsys, f"{counts.total()} damages of a checkpoint, {counts.total()} told with one that is whole: {told}")


def damages(checkpoint: Checkpoint) -> str:
    try:
        checkpoint.verify()
    except UserError as error:
        return str(error)
    return ""


def command(*words: str) -> tuple[int, str]:
    """Exit code of a command, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return code, err.getvalue() + out.getvalue()


@pytest.mark.parametrize(
    ("name", "every", "cut"),
    [("events.jsonl", 3, 29), ("process.json", 1, 1), ("exit.json", 1, 1), ("lock.json", 7, 29), ("spec.yaml", 7, 29)],
)
def test_whatever_is_spoilt_in_a_run_it_is_shown(
    name: str, every: int, cut: int, finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.id)))
    gone = {**(read_json(run.process_file) or {}), "pid": 2**22 + 1, "started": "1"}
    run.process_file.write_text(json.dumps(gone), encoding="utf-8")
    file, long_ago, tried, shown = run.path / name, time.time() - 7000, 0, 0
    content = file.read_bytes()
    versions = [
        content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        for place in range(0, len(content), every)
    ]
    versions += [content[:place] for place in range(0, len(content), cut)]
    for version in versions:
        file.write_bytes(version)
        os.utime(run.events_file, (long_ago, long_ago))
        status, losses = status_of(run), read_losses(run.events_file)
        if name not in ("process.json", "exit.json"):
            assert status.state == "finished"
        if name == "events.jsonl":  # a flipped bit costs its line, that of a line's end two; a cut what stood behind it
            assert len(losses) >= (4 if len(version) == len(content) else version.count(b'"kind": "step"') - 1)
        tried += 1
        if tried % 4 == 0 and not status.live:
            for words in (("show",), ("show", "--json"), ("follow",)):
                code, said = command("runs", words[0], str(run.path), *words[1:])
                assert code in (0, 1, 2, 130) and "Traceback" not in said and "Error: " not in said, said
            shown += 3
    tell(capsys, f"{name}: {tried} damages, status and losses read of all, {shown} commands in words")


# ------------------------------------------------------------------------------------------- two trainers
@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[Queue]:
    roots = os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))
    monkeypatch.setenv("PYTHONPATH", roots)
    yield from queue_of(tmp_path, monkeypatch)


def trainer(run: RunFolder, *words: str) -> subprocess.Popen[str]:
    """A process that goes on with a run for long, or leaves it to the queue."""
    command = [sys.executable, "-m", "pgsynth_core", "train", "--resume", str(run.path), f"train.steps={LONG}", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def until(met: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.05)


@pytest.mark.parametrize("second", ["foreground", "detached"])
def test_two_trainers_on_one_run(
    second: str, finished: RunFolder, queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.root.mkdir()
    run = RunFolder(Path(shutil.copytree(finished.path, queue.root / finished.id)))
    pair = [trainer(run), trainer(run, *["--detach"] * (second == "detached"))]
    until(lambda: max(read_losses(run.events_file), default=0) > 8)
    until(lambda: any(process.poll() is not None for process in pair))
    loser = next(process for process in pair if process.poll() is not None)
    _, err = loser.communicate()
    queued_first = loser is pair[1] and loser.returncode == 0  # it was in the queue before the other began
    if queued_first:
        loser = pair[0]
        _, err = loser.communicate(timeout=PATIENCE)
    assert loser.returncode == 2 and ("being trained already" in err or "waits in the queue" in err), err
    assert "Traceback" not in err and "cure: " in err
    assert sum(event["kind"] == "run" for event in read_events(run.events_file)) == 2, "one began, beside the first"
    pid = int((read_json(run.process_file) or {})["pid"])
    os.kill(pid, signal.SIGTERM)
    until(lambda: not status_of(run).live)
    for process in pair:
        process.communicate(timeout=PATIENCE)
    losses, events = read_losses(run.events_file), [*read_events(run.events_file)]
    assert [*losses] == [*range(1, max(losses) + 1)] and status_of(run).state == "stopped"
    assert not [event for event in events if event["kind"] == "damaged"]
    assert len([event for event in events if event["kind"] == "step"]) == len(losses), "no step was taken twice"
    assert all(not damages(one) for one in list_checkpoints(run))
    tell(capsys, f"foreground and {second} at once: one of two trained {len(losses) - 6} steps, the other was told")
