"""Real disks that are full or read-only, in a mount namespace of their own; a script for `test_damage`.

``damage.py SCENE FOLDER`` mounts in FOLDER what it needs, does what people do there, and prints what came of it as one
line of JSON, the last of stdout. Only the check of free room before a checkpoint is led astray: the room is there when
it is asked for, and taken by others before it is used.

    instants    each write of a run's files, on a disk with so many pages left, and with so many files left
    training    a run trains on a disk that fills up before its second checkpoint, with so much of one left
    readonly    every command on a file system that is mounted read-only
    nopages     every command on a disk on which files can be made, and nothing written into them
    nofiles     every command on a disk on which no file can be made
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pgsynth_core.errors import UserError
from pgsynth_core.runs import (
    EventLog,
    RunFolder,
    create_run,
    latest_checkpoint,
    list_checkpoints,
    list_runs,
    read_events,
    session,
    status_of,
    write_checkpoint,
    write_folder,
    write_lock,
)
from pgsynth_core.runs import control as wishes
from pgsynth_core.runs.queue import enqueue, leave_queue, waiting

Row = dict[str, Any]

PAGE = 4096
WORDS = (
    "tiny",
    "data=figures",
    "data.figures.identities=1",
    "data.figures.test_identities=1",
    "data.figures.poses=3",
    "encoder.qfft.depth=1",
    "train.batch_size=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "train.sample_every=0",
    "train.validate_pairs=0",
    "train.checkpoint_every=2",
    "train.steps=6",
    "sample.steps=1",
)
MOMENTS = 16
"""How many amounts of room are tried, from none to somewhat more than a checkpoint takes."""


# ------------------------------------------------------------------------------------------- disks
@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A disk in memory."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(["mode=755", *options]), "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(disk: Path, *, room: int | None = None, files: int | None = None) -> None:
    """Fill a disk, so that so many bytes and so many files find room."""
    taken = disk / ".taken"
    taken.mkdir(exist_ok=True)
    if room is not None:
        free = os.statvfs(disk).f_bavail * PAGE - room // PAGE * PAGE
        with open(taken / "pages", "ab") as file:
            file.write(bytes(max(0, free)))
    if files is not None:
        for number in range(os.statvfs(disk).f_favail - files):
            (taken / f"{number}").touch()


def freed(disk: Path) -> None:
    """Take away what `leave` put there."""
    shutil.rmtree(disk / ".taken")


def names(folder: Path) -> list[str]:
    """Everything in it but what `leave` put there."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name for name in found if not name.startswith(".taken"))


def whole(run: RunFolder) -> bool:
    """Whether every checkpoint that seems to stand does."""
    try:
        for one in list_checkpoints(run):
            one.verify()
    except UserError:
        return False
    return bool(list_checkpoints(run))


# ------------------------------------------------------------------------------------------- instants
def content(size: int) -> Callable[[Path], None]:
    """Writes a file in parts."""

    def write(path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            file.writelines([bytes(1000)] * (size // 1000 or 1))

    return write


FILES = {"weights.safetensors": content(50_000), "optimizer.safetensors": content(20_000), "state.json": content(10)}


def save(run: RunFolder) -> None:
    write_checkpoint(run, 200, FILES, bytes_needed=0, keep=1)


def make(run: RunFolder) -> None:
    create_run(run.path.parent, slug="other", spec_yaml="pgsynth: 1\n" * 1000, lock={"lock": 1})


def train(run: RunFolder) -> None:
    with session(run), EventLog(run.events_file) as log:
        for step in range(100):
            with suppress(UserError):
                log.write("step", step=step, loss=0.5)


def wait(run: RunFolder) -> None:
    enqueue(run, kind="cpu")


def go(run: RunFolder) -> None:
    leave_queue(run)


def wish(run: RunFolder) -> None:
    wishes.wish(run, "stop")


def lock(run: RunFolder) -> None:
    write_lock(run, {"lock": 1})


def copy(run: RunFolder) -> None:
    write_folder(run.path.parent.parent / "copy", FILES, bytes_needed=0, what="copy")


WRITES = (save, make, train, wait, go, wish, lock, copy)


def instants(folder: Path) -> Iterator[Row]:
    """Each write at each number of pages and of files that are left."""
    shutil.disk_usage = lambda path: SimpleNamespace(free=2**40)  # type: ignore[assignment, return-value]
    for write in WRITES:
        for kind, most in (("room", 32), ("files", 16)):
            for left in range(most):
                with mounted(folder / "disk", "size=1m", "nr_inodes=200") as disk:
                    yield {"write": write.__name__, "kind": kind, "left": left} | instant(write, disk, kind, left)


def instant(write: Callable[[RunFolder], None], disk: Path, kind: str, left: int) -> Row:
    """What came of a write, and of the same when there was room again."""
    os.environ["XDG_STATE_HOME"] = str(disk / "state")
    run = create_run(disk / "runs", slug="x", spec_yaml="pgsynth: 1\n", lock={"lock": 1})
    write_checkpoint(run, 100, FILES, bytes_needed=0, keep=1)
    if write is go:
        enqueue(run, kind="cpu")
    if write is lock:
        run.lock_file.unlink()
    before = names(disk)
    leave(disk, **{kind: left * PAGE if kind == "room" else left})
    row = outcome(lambda: write(run))
    row |= {"left_behind": [name for name in names(disk) if name.endswith((".tmp", ".gone"))], "before": whole(run)}
    row["runs"] = len(list_runs(disk / "runs"))
    gone = [name for name in before if not (disk / name).exists()]
    row["lost"] = gone if row["told"] and write is not train else []  # else what is gone was to go
    freed(disk)
    if write is go and row["told"] and not waiting():
        row["lost"] += ["its place in the queue"]
    if row["told"] or write in (save, train, wish, lock):
        row["again"] = outcome(lambda: write(run))["said"]
    damaged = [event for event in read_events(run.events_file) if event["kind"] == "damaged"]
    return row | {"after": whole(run), "damaged": len(damaged), "state": status_of(run).state}


def outcome(work: Callable[[], object]) -> Row:
    """Whether a refusal was told, with a cure; any other error is what was said."""
    try:
        work()
    except UserError as error:
        good = all(problem.cure and problem.where for problem in error.problems)
        return {"told": True, "said": str(error), "good": good}
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        return {"told": False, "said": f"{type(error).__name__}: {error}", "good": False}
    return {"told": False, "said": "", "good": True}


# ------------------------------------------------------------------------------------------- training
def training(folder: Path) -> Iterator[Row]:
    """A run whose disk fills up, for good or for a while; its losses beside those of a run on a large one."""
    from pgsynth_core import compose
    from pgsynth_core.api import continue_run

    reference = compose(*WORDS).train(runs=folder / "reference")
    checkpoint = latest_checkpoint(reference.folder)
    assert checkpoint is not None
    size = sum(file.stat().st_size for file in checkpoint.path.iterdir())
    shutil.disk_usage = lambda path: SimpleNamespace(free=2**40)  # type: ignore[assignment, return-value]
    for moment in range(MOMENTS):
        room, again = 5 * size * moment // (4 * MOMENTS), (99, 5)[moment % 2]
        with mounted(folder / "disk", f"size={8 * size}") as disk:
            told: list[Mapping[str, Any]] = []
            row = outcome(lambda: compose(*WORDS).train(runs=disk / "runs", on_event=filling(disk, room, again, told)))  # noqa: B023
            (run,) = list_runs(disk / "runs")
            warned = [str(event["message"]) for event in told if event["kind"] == "warning"]
            row |= {"room": room, "size": size, "again": again, "whole": whole(run), "state": status_of(run).state}
            row |= {"warned": sum("is not saved" in message for message in warned)}
            row |= {"steps": [one.step for one in list_checkpoints(run)]}
            row |= {"left_behind": [name for name in names(run.path) if name.endswith((".tmp", ".gone"))]}
            if again > 6:
                freed(disk)
            joined = continue_run(run.path, steps=8).losses()
            yield row | {"joined": {step: joined[step] for step in range(1, 7)} == reference.losses()}


def filling(disk: Path, room: int, again: int, told: list[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], None]:
    """Listens to a run; fills the disk at its third step, and frees it at another."""

    def listen(event: Mapping[str, Any]) -> None:
        told.append(event)
        if event["kind"] == "step" and event["step"] == 3:
            leave(disk, room=room)
        if event["kind"] == "step" and event["step"] == again:
            freed(disk)

    return listen


# ------------------------------------------------------------------------------------------- commands
def command(*words: str) -> Row:
    """What a command said and ended with."""
    from pgsynth_core.cli import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    said = {"traceback": "Traceback" in err.getvalue() + out.getvalue(), "cure": "cure: " in err.getvalue()}
    return {"words": " ".join(words), "code": code, "err": err.getvalue(), **said}


def commands(disk: Path, open_place: Path, run: RunFolder) -> Iterator[tuple[int, tuple[str, ...], Mapping[str, str]]]:
    """Exit code that is wanted, words, and environment; what writes to the disk is refused, what only reads is not."""
    new, here, no = (*WORDS, "--no-proof", "--runs", str(disk / "more")), str(run.path), dict[str, str]()
    away, elsewhere = str(disk / "out"), str(open_place / "out")
    yield 2, ("train", *new), no
    yield 2, ("train", *new, "--rehearse"), no
    yield 2, ("train", *new, "--detach"), no
    yield 2, ("train", "--resume", here, "train.steps=8"), no
    yield 2, ("runs", "resume", here, "train.steps=8", "--detach"), no
    for verb in ("show", "follow", "stop"):
        yield 0, ("runs", verb, here), no
    yield 0, ("runs", "list", "--runs", str(run.path.parent)), no
    yield 0, ("runs", "show", here, "--verify"), no
    for code, place in ((2, away), (0, elsewhere)):
        yield code, ("sample", here, "--limit", "1", "-o", place), no
        yield code, ("inspect", here, "-o", place), no
        yield code, ("export", here, "-o", f"{place}-copy"), no
        yield code, ("export", here, "-o", f"{place}-diffusers", "--diffusers"), no
        yield code, ("compose", "tiny", "--no-proof", "-o", f"{place}.yaml"), no
    yield 2, ("evaluate", here, "--limit", "1"), no
    fresh = (*WORDS, "--no-proof", "--runs", str(open_place / "runs"))
    yield 0, ("train", *fresh, "train.cache=latents"), {"PGSYNTH_CACHE": str(disk / "cache")}
    yield 2, ("train", *fresh, "--detach"), {"XDG_STATE_HOME": str(disk / "state")}


def on_disk(folder: Path, kind: str) -> Iterator[Row]:
    """Every command, on a read-only or a full disk that holds a finished run."""
    from pgsynth_core import compose

    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    with mounted(folder / "disk", "size=256m", "nr_inodes=500") as disk:
        run = compose(*WORDS).train(runs=disk / "runs").folder
        if kind == "readonly":
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        else:
            leave(disk, room=0)
            if kind == "nofiles":
                leave(disk, files=0)
        before = names(disk)
        for code, words, environment in commands(disk, folder, run):
            kept = dict(os.environ)
            os.environ.update(environment)
            row = command(*words) | {"wanted": code}
            os.environ.clear()
            os.environ.update(kept)
            other = {*names(disk)} ^ {*before}
            changed = sorted(name for name in other if not (disk / name).is_dir() and not name.endswith(".lock"))
            yield row | {"changed": changed, "runs": len(list_runs(folder / "runs"))}
        row = command("runs", "rm", str(run.path), "--yes")
        yield row | {"wanted": 2 if kind == "readonly" else 0, "changed": [], "runs": 1}


def main(scene: str, folder: Path) -> None:
    """Print what came of it."""
    scenes: dict[str, Callable[[Path], Iterator[Row]]] = {
        "instants": instants,
        "training": training,
    }
    scenes |= {kind: partial(on_disk, kind=kind) for kind in ("readonly", "nopages", "nofiles")}
    print(json.dumps(list(scenes[scene](folder))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
