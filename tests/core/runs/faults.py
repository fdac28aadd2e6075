"""Stop a writer of checkpoints at every step it takes on the file system, and look at what stands afterwards.

Run as a script, in a process of its own: ``faults.py WRITER SCENE MODE FOLDER``. The steps are those that Python
announces (open, mkdir, rename, remove, rmdir, chmod) and every fsync; data not flushed by then is lost, as in a kill.

    WRITER   ours, or one of the careless ones that show what the test sees
    SCENE    what stands before, see SCENES
    MODE     kill: the process ends there. fail: that step fails, and only that. trace: nothing, steps are printed.
             chain: kills at random places, one after the other, each upon what the one before left.

Prints one JSON list.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, latest_checkpoint, list_checkpoints, write_checkpoint

STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.truncate"}
KILLED, NOT_REACHED, RAISED, OTHERWISE = 9, 0, 3, 6

armed: Callable[[str, str], None] | None = None


def announced(event: str, arguments: tuple[Any, ...]) -> None:
    """What Python calls before it acts."""
    if armed is not None and event in STEPS:
        armed(event, " ".join(str(argument) for argument in arguments if isinstance(argument, str | Path)))


def counted_fsync(descriptor: int) -> None:
    """In place of os.fsync, which Python does not announce. Nothing is flushed: only power could tell, and it is slow."""
    if armed is not None:
        armed("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))


# ------------------------------------------------------------------------------------------- writers
def content(text: str) -> Callable[[Path], None]:
    """Writes a file in two halves, as big files are written."""

    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)

    return write


def files_of(text: str) -> dict[str, Callable[[Path], None]]:
    """A small checkpoint."""
    return {"weights.safetensors": content(text), "state.json": content("{}")}


def ours(run: RunFolder, step: int, text: str) -> None:
    """The one under test."""
    write_checkpoint(run, step, files_of(text), bytes_needed=100, keep=1)


def in_place(run: RunFolder, step: int, text: str) -> None:
    """Writes under the final name."""
    folder = run.checkpoints / f"step-{step:08}"
    shutil.rmtree(folder, ignore_errors=True)
    other = RunFolder(run.path.parent / "elsewhere")
    shutil.rmtree(other.path, ignore_errors=True)
    shutil.copytree(run.path, other.path, ignore=shutil.ignore_patterns("checkpoints"))
    shutil.copytree(write_checkpoint(other, step, files_of(text), bytes_needed=1, keep=1), folder)


def old_first(run: RunFolder, step: int, text: str) -> None:
    """Makes room before the new one stands."""
    for checkpoint in list_checkpoints(run):
        shutil.rmtree(checkpoint.path)
    ours(run, step, text)


WRITERS = {"ours": ours, "in_place": in_place, "old_first": old_first}


# ------------------------------------------------------------------------------------------- scenes
def first(run: RunFolder) -> None:
    """There is no checkpoint yet."""


def second(run: RunFolder) -> None:
    """There is one, which goes."""
    ours(run, 100, "old")


def same_step(run: RunFolder) -> None:
    """There is one of the very step."""
    ours(run, 200, "old")


def back(run: RunFolder) -> None:
    """There is one of a later step: the run went on from before it."""
    ours(run, 300, "old")


def after_kills(run: RunFolder) -> None:
    """Earlier kills left what they were writing, deleting and replacing."""
    second(run)
    for name in ("step-00000200.0badcafe.tmp", "step-00000050.0badcafe.gone"):
        shutil.copytree(run.checkpoints / "step-00000100", run.checkpoints / name)
    os.rename(run.checkpoints / "step-00000100", run.checkpoints / "step-00000100.old")


SCENES = {scene.__name__: scene for scene in (first, second, same_step, back, after_kills)}


def standing(run: RunFolder) -> dict[str, Any]:
    """The latest checkpoint: its step, its text, and what verifying says ('' if all is well)."""
    latest = latest_checkpoint(run)
    if latest is None:
        return {"step": None, "text": None, "damage": ""}
    try:
        latest.verify()
    except UserError as error:
        return {"step": latest.step, "text": None, "damage": str(error)}
    text = (latest.path / "weights.safetensors").read_text(encoding="utf-8")
    return {"step": latest.step, "text": text[: len(text) // 2], "damage": ""}


def left_over(run: RunFolder) -> list[str]:
    """What stands beside checkpoints."""
    whole = {checkpoint.path.name for checkpoint in list_checkpoints(run)}
    return sorted({path.name for path in run.checkpoints.iterdir()} - whole)


# ------------------------------------------------------------------------------------------- faults
def in_child(work: Callable[[], None]) -> int:
    """Do it in a child; give what it ended with."""
    child = os.fork()
    if child == 0:
        code = OTHERWISE
        try:
            work()
            code = NOT_REACHED
        except UserError as error:
            code = RAISED if "Input/output error" in str(error) else OTHERWISE
        finally:
            if code == OTHERWISE:
                traceback.print_exc()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def broken_at(place: int, mode: str) -> Callable[[str, str], None]:
    """What happens at that step."""
    left = [place]

    def strike(event: str, path: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            if mode == "kill":
                os._exit(KILLED)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return strike


def struck(work: Callable[[], None], strike: Callable[[str, str], None]) -> Callable[[], None]:
    """The work, with that happening."""

    def run() -> None:
        global armed
        armed = strike
        try:
            work()
        finally:
            armed = None

    return run


def every_place(writer: str, scene: str, mode: str, folder: Path) -> Iterator[dict[str, Any]]:
    """One trial per step, and one more in which nothing happens."""

    def prepared(name: str) -> RunFolder:
        run = create_run(folder / name, slug="x", spec_yaml="pgsynth: 1\n", lock={})
        SCENES[scene](run)
        return run

    def write(run: RunFolder) -> Callable[[], None]:
        return lambda: WRITERS[writer](run, 200, "new")

    steps: list[str] = []
    struck(write(prepared("counted")), lambda event, path: steps.append(event))()
    for place in range(1, len(steps) + 2):
        run = prepared(str(place))
        code = in_child(struck(write(run), broken_at(place, mode)))
        row = {"place": place, "code": code, "left": left_over(run)} | standing(run)
        ours(run, 201, "next")
        yield row | {"next": standing(run), "left_next": left_over(run)}
        shutil.rmtree(run.path.parent)


def chain(folder: Path) -> Iterator[dict[str, Any]]:
    """Kills upon kills, at steps of the run that go forth, stay and go back."""
    for seed in range(40):
        chance = random.Random(seed)
        run = create_run(folder / str(seed), slug="x", spec_yaml="pgsynth: 1\n", lock={})
        ours(run, 100, "0")
        stood = {standing(run)["text"]}
        for serial in range(1, 9):
            step, place = chance.choice([100, 200, 300]), chance.randrange(1, 60)
            write = partial(ours, run, step, str(serial))
            code = in_child(struck(write, broken_at(place, "kill")))
            now = standing(run)
            yield now | {"code": code, "allowed": sorted({*stood, str(serial)}), "seed": seed}
            stood = {now["text"]}
        shutil.rmtree(run.path.parent)


def trace(scene: str, folder: Path) -> Iterator[list[str]]:
    """The steps of one write: [what, path in the folder of checkpoints]."""
    run = create_run(folder, slug="x", spec_yaml="pgsynth: 1\n", lock={})
    SCENES[scene](run)
    seen: list[list[str]] = []
    struck(lambda: ours(run, 200, "new"), lambda event, path: seen.append([event, path]))()
    yield from ([event, path.replace(f"{run.checkpoints}", ".")] for event, path in seen)


def main(writer: str, scene: str, mode: str, folder: Path) -> None:
    """Print what was seen."""
    sys.addaudithook(announced)
    os.fsync = counted_fsync
    rows = {"chain": lambda: chain(folder), "trace": lambda: trace(scene, folder)}
    json.dump(list(rows.get(mode, lambda: every_place(writer, scene, mode, folder))()), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
