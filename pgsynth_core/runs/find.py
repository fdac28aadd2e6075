"""Find a run or a checkpoint by what a user writes. Floor 1, no torch.

    20260131-1204   a run's id, or as much of its beginning as no other shares
    latest          the newest; of replays only where nothing else is there
    latest@best     of a run, where a checkpoint is meant: the one with the lowest loss on unseen pairs
    latest@200      the one of step 200; without either, the last
    runs/x, ./x     a path: whatever holds a separator, begins with ~, or is . or ..

An id is compared with the names in the folder of runs and never joined to a path, so it cannot lead out of it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pgsynth_core.errors import UserError, nearest
from pgsynth_core.runs.checkpoints import (
    STATE,
    STEP_NAME,
    SUMS,
    Checkpoint,
    best_checkpoint,
    latest_checkpoint,
    list_checkpoints,
)
from pgsynth_core.runs.durable import read_json, refusing
from pgsynth_core.runs.folder import RunFolder

__all__ = ["LATEST", "find_beginning", "find_checkpoint", "find_run", "find_start", "list_runs", "run_of"]

LATEST: Final = "latest"
BEST: Final = "best"
_DATED: Final = re.compile(r"\d{8}-\d{6}-.+")
_MOST_LISTED: Final = 8


def list_runs(root: Path) -> tuple[RunFolder, ...]:
    """Every run in a folder, oldest first; folders whose name has no date come before all others.

    Raises:
        UserError: If the folder cannot be read; one that does not exist holds no runs.
    """
    with refusing("the runs cannot be listed", root):
        if not root.exists():
            return ()
        folders = [path for path in root.iterdir() if not path.name.startswith(".") and _shows_a_run(path)]
    return tuple(map(RunFolder, sorted(folders, key=lambda path: (bool(_DATED.fullmatch(path.name)), path.name))))


def find_run(text: str | Path, root: Path) -> RunFolder:
    """The run that is meant.

    Args:
        text: Id, unique beginning of one, ``latest``, or a path; a `Path` is a path.
        root: Where runs are kept.

    Raises:
        UserError: If there is none, with the nearest; or several, with all of them.
    """
    if (path := _as_path(text)) is not None:
        return _run_at(path)
    runs = {run.id: run for run in list_runs(root)}
    word = str(text)
    if word in runs:
        return runs[word]
    if not runs:
        cure = _folder_here(word) or "Train one with `pgsynth train`, or say where they are: --runs FOLDER."
        raise UserError(f"there is no run {word!r}: there are no runs here.", where=str(root), cure=cure)
    if word == LATEST:
        newest = list(reversed(runs.values()))
        return next((run for run in newest if not run.replayed), newest[0])
    hits = [name for name in runs if word and name.startswith(word)]
    if len(hits) > 1:
        raise UserError(f"{word!r} begins {len(hits)} runs.", where=str(root), cure=f"Write one of: {_listing(hits)}.")
    if not hits:
        cure = _folder_here(word) or _instead(word, [*runs], LATEST)
        raise UserError(f"there is no run {word!r}.", where=str(root), cure=cure)
    return runs[hits[0]]


def find_checkpoint(text: str | Path, root: Path) -> Checkpoint:
    """The checkpoint that is meant: a path to one, or of the run that `find_run` finds the one named, or the last.

    A checkpoint that was copied elsewhere, under any name, is found by its path.

    Raises:
        UserError: As `find_run`, or if the run has none yet, or not the one that is meant.
    """
    path = _as_path(text)
    if path is not None and _is_checkpoint(path):
        _refuse_foreign(path)
        return Checkpoint(path, _step_of(path))
    run, which = _meant(text, path, root)
    _refuse_replay(run)
    checkpoint = latest_checkpoint(run)
    if checkpoint is not None and which:
        return _chosen(run, which)
    if checkpoint is None:
        anew = f"pgsynth train {shlex.quote(str(run.spec_file))}"
        cure = f"If it is training, wait for its first, train.checkpoint_every steps on; else train it anew: {anew}."
        raise UserError(f"the run {run.id} has no checkpoint yet.", where=str(run.checkpoints), cure=cure)
    return checkpoint


def find_start(text: str | Path, root: Path) -> tuple[RunFolder, Checkpoint]:
    """The run to go on with, and the checkpoint to go on from: the one at a path, or the latest of a run.

    Raises:
        UserError: As `find_checkpoint`, or if the checkpoint is not among those of a run.
    """
    checkpoint = find_checkpoint(text, root)
    run = run_of(checkpoint)
    if run is None:
        cure = "Give the folder of a run, or a checkpoint in its folder checkpoints."
        raise UserError("this checkpoint is in no run to go on with.", where=str(checkpoint.path), cure=cure)
    if checkpoint not in list_checkpoints(run):
        message = "this checkpoint was set aside: the run went on from before it."
        cure = f"Give one of {run.checkpoints} named step-NUMBER, or take back its name: step-{checkpoint.step:08}."
        raise UserError(message, where=str(checkpoint.path), cure=cure)
    return run, checkpoint


def find_beginning(text: str | Path, root: Path) -> tuple[RunFolder, Checkpoint | None]:
    """As `find_start`; of a run that has no checkpoint None: it begins at its first step.

    Raises:
        UserError: As `find_start`.
    """
    path = _as_path(text)
    if path is None or not _is_checkpoint(path):
        run, which = _meant(text, path, root)
        _refuse_replay(run)
        if not which and latest_checkpoint(run) is None:
            return run, None
    return find_start(text, root)


def _meant(text: str | Path, path: Path | None, root: Path) -> tuple[RunFolder, str]:
    """The run, and what stands behind the last ``@``; a folder may have that sign in its name."""
    word, _, which = str(text).rpartition("@")
    if not word or (path and path.exists()):
        word, which = str(text), ""
    elif not which:
        cure = f"Write {word}@best or {word}@STEP; without the sign, the last is meant."
        raise UserError("there is nothing behind the @.", where=str(text), cure=cure)
    return find_run(Path(word) if isinstance(text, Path) else word, root), which


def _refuse_replay(run: RunFolder) -> None:
    """What plays another run has no weights, and there is nothing in it to begin.

    Raises:
        UserError: If it is one.
    """
    if played := run.replayed:
        cure = f"Give the run that it plays: {shlex.quote(played)}."
        raise UserError("this is a replay: it trains nothing, and has no weights.", where=run.id, cure=cure)


def _chosen(run: RunFolder, which: str) -> Checkpoint:
    """The checkpoint that a word behind ``@`` means."""
    if which == BEST:
        best = best_checkpoint(run)
        if best is not None:
            return best
        message = f"no checkpoint of {run.id} has a loss on unseen pairs, so none is the best."
        cure = "Leave out @best for the last; train.validate_pairs=16 has it taken, where the data has a test split."
        raise UserError(message, where=str(run.checkpoints), cure=cure)
    steps = {str(one.step): one for one in list_checkpoints(run)}
    if which.lstrip("0") in steps:
        return steps[which.lstrip("0")]
    cure = f"There are: {_listing([BEST, *reversed(steps)])}."
    raise UserError(f"{run.id} has no checkpoint {which!r}.", where=str(run.checkpoints), cure=cure)


def run_of(checkpoint: Checkpoint) -> RunFolder | None:
    """The run that a checkpoint belongs to; None for one that was copied elsewhere."""
    run = RunFolder(checkpoint.path.parent.parent)
    return run if run.checkpoints == checkpoint.path.parent and _is_run(run.path) else None


def _is_run(path: Path) -> bool:
    return (path / "spec.yaml").is_file() and not (path / SUMS).exists()  # a checkpoint holds a spec too


def _is_checkpoint(path: Path) -> bool:
    """Also one that lost its list of hashes, if it stands among those of a run: `Checkpoint.verify` says so."""
    if (path / SUMS).is_file():
        return True
    return path.is_dir() and STEP_NAME.fullmatch(path.name) is not None and path.parent.name == "checkpoints"


def _refuse_foreign(path: Path) -> None:
    """`pgsynth export --diffusers` writes a folder with hashes too, and its list names no state.

    Raises:
        UserError: If it is one.
    """
    with refusing("the checkpoint cannot be read", path):
        listed = (path / SUMS).is_file() and STATE in (path / SUMS).read_text(encoding="utf-8", errors="replace")
        if listed or (path / STATE).exists() or STEP_NAME.fullmatch(path.name):
            return
    message = "this is no checkpoint of pgsynth: it holds what trained in diffusers' layout, for diffusers to read."
    cure = "Export the run in pgsynth's own form: pgsynth export RUN -o FOLDER, with --bundle to take it elsewhere."
    raise UserError(message, where=str(path), cure=cure)


def _folder_here(word: str) -> str:
    """What to write if the folder one is in holds one of that name that is meant; empty if it holds none."""
    with suppress(OSError, ValueError):
        if word and (_is_run(Path(word)) or _is_checkpoint(Path(word))):
            return f"There is a folder of that name here; give its path: ./{shlex.quote(word)}."
    return ""


def _shows_a_run(path: Path) -> bool:
    with suppress(OSError):  # somebody else's folder does not hide the others
        return _is_run(path)
    return False


def _as_path(text: str | Path) -> Path | None:
    """The path, absolute; None if it is a word."""
    word = str(text)
    is_path = isinstance(text, Path) or "/" in word or os.sep in word or word in (".", "..") or word.startswith("~")
    if not is_path:
        return None
    try:
        return Path(word).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{error}.", where=word, cure="Write the folder without '~'.") from error


def _run_at(path: Path) -> RunFolder:
    where = str(path)
    with refusing("the run cannot be read", path):
        if _is_run(path):
            return RunFolder(path)
        if (path / SUMS).exists():
            raise UserError(
                "this is a checkpoint, not a run.", where=where, cure=f"Give its run: {path.parent.parent}."
            )
        if path.exists():
            cure, saved = "Give the folder of a run.", latest_checkpoint(RunFolder(path))
            if saved:
                cure = f"Put it back: cp {shlex.quote(str(saved.path / 'spec.yaml'))} {shlex.quote(where)}."
            elif held := list_runs(path) if path.is_dir() else []:
                cure = f"It holds runs: give one of them. {_instead('', [run.id for run in held])}"
            raise UserError("this is no run: it holds no spec.yaml.", where=where, cure=cure)
        near = list_runs(path.parent)
    cure = _instead(path.name, [run.id for run in near]) if near else "Check the path, or give the id of a run."
    raise UserError("there is no such folder.", where=where, cure=cure)


def _step_of(path: Path) -> int:
    if match := STEP_NAME.fullmatch(path.name):
        return int(match[1])
    step = (read_json(path / "state.json") or {}).get("step")
    return step if isinstance(step, int) else 0


def _instead(word: str, names: Sequence[str], *words: str) -> str:
    holding = [name for name in reversed(names) if word and word in name]
    hit = holding[0] if holding else nearest(word, [*names, *words])
    newest = f"The newest: {_listing([*reversed(names)])}."
    return f"Did you mean {hit!r}? {newest}" if hit else newest


def _listing(names: Sequence[str]) -> str:
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
