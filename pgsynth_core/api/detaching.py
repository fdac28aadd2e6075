"""`detach`: a composition, or a run that is to go on, is put into the queue, and trained whoever stays or leaves.

No torch: what the run is made of is frozen into its folder; a worker of the queue (`pgsynth_core.runs.supervisor`)
starts the process that trains it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pgsynth_core.api import Composition, Goal, Run, to_continue
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import (
    RunFolder,
    create_run,
    find_beginning,
    find_run,
    latest_checkpoint,
    require_writable,
    runs_root,
    status_of,
)
from pgsynth_core.runs.devices import kind_wanted
from pgsynth_core.runs.differences import check_processes, processes_before
from pgsynth_core.runs.durable import IN_RUNS, refusing, remove
from pgsynth_core.runs.entry import entry_of
from pgsynth_core.runs.folder import run_name
from pgsynth_core.runs.queue import enqueue, forget, position, refuse_devices
from pgsynth_core.runs.sessions import alone_with, refuse_running
from pgsynth_core.runs.status import base_state
from pgsynth_core.runs.workers import start_workers

__all__ = ["detach", "detach_run"]


def detach(
    composition: Composition,
    *,
    runs: str | Path | None = None,
    steps: int | None = None,
    devices: int = 1,
    name: str | None = None,
) -> Run:
    """Put a new run into the queue; it begins as soon as its turn has come and a device is free.

    Args:
        composition: What to train.
        runs: Where the run's folder is made; by default ``$PGSYNTH_RUNS``, else ``./runs``.
        steps: In place of the spec's, for this time; the spec keeps its own.
        devices: On how many GPUs.
        name: As in `Composition.train`.

    Returns:
        The run; it waits, or has begun.

    Raises:
        UserError: If there are not so many devices, nothing can be written there, it cannot be named so, or no worker
            can be started; then there is no run.
    """
    slug = composition.spec.slug if name is None else run_name(name)
    composition.require_libraries()
    root, kind = runs_root(None if runs is None else str(runs)), kind_wanted()
    require_writable(root, "no run can be made here", elsewhere=IN_RUNS)
    refuse_devices(devices, kind)
    folder = create_run(root, slug=slug, spec_yaml=composition.to_yaml(), lock=None)
    try:
        enqueue(folder, wanted=devices, steps=steps, kind=kind)
    except BaseException:
        remove(folder.path)
        raise
    with _taken_back(folder, new=True):
        start_workers(kind)
    return Run(folder)


def detach_run(
    run: Run | str | Path,
    *changes: str,
    steps: int | None = None,
    runs: str | Path | None = None,
    devices: int | None = None,
    registry: Registry | None = None,
) -> Run:
    """As `api.continue_run`, in the queue; the queue goes on if it stood.

    A run that waits already keeps its place, and what is not given stays as it was.

    Args:
        run: As in `api.continue_run`.
        *changes: As there.
        steps: As there.
        runs: Where runs are.
        devices: On how many GPUs; None for as many as last time.
        registry: What exists; found anew if None.

    Raises:
        UserError: If there is no such run or checkpoint, it is not whole, is being trained, has all its steps, or was
            trained by another number of processes; or no worker can be started. Then it does not wait.
    """
    place, root = run.path if isinstance(run, Run) else run, runs_root(None if runs is None else str(runs))
    folder, checkpoint = find_beginning(place, root)
    there = entry_of(folder) if base_state(folder) == "queued" else None
    require_writable(
        folder.path, "the run cannot be gone on with", elsewhere=f"cp -r {shlex.quote(str(folder.path))} FOLDER"
    )
    if there is None:
        with refusing("the run cannot be gone on with", folder.path), alone_with(folder):
            refuse_running(folder)
    named = checkpoint is not None and not _is_a_run(place, root)
    said = named or bool(changes) or (steps, devices) != (None, None)
    if there and not said and position(folder):
        start_workers(there.kind)
        return Run(folder)
    if there:  # what is not said anew stays as it was
        steps, devices = there.steps if steps is None else steps, devices or there.devices
        changes = changes or there.changes
        if there.checkpoint and not named:
            checkpoint = find_beginning(folder.checkpoints / there.checkpoint, root)[1]
    to_continue(folder, checkpoint, Goal(steps, changes), registry or discover())
    kind = kind_wanted()
    before = (processes_before(folder) if kind == "gpu" and checkpoint else None) or 1
    wanted = devices or before
    if checkpoint:
        checkpoint.verify(hashes=False)  # its hashes are for who trains it
        check_processes(folder, wanted)
    given = checkpoint.path.name if checkpoint and checkpoint != latest_checkpoint(folder) else ""
    enqueue(folder, wanted=wanted, checkpoint=given, steps=steps, changes=changes, kind=kind)
    with _taken_back(folder):
        start_workers(kind)
    return Run(folder)


def _is_a_run(place: str | Path, root: Path) -> bool:
    """Whether a run was named, and no checkpoint of it."""
    try:
        find_run(place, root)
    except UserError:
        return False
    return True


@contextmanager
def _taken_back(folder: RunFolder, *, new: bool = False) -> Iterator[None]:
    """What fails inside, or is interrupted, leaves no run in the queue; or it is said that one waits there.

    Raises:
        UserError: If it waits, or is trained by now; and whatever the block raises.
    """
    try:
        yield
    except BaseException as error:
        gone = False
        with suppress(UserError):
            gone = forget(folder)
        if gone and new:
            remove(folder.path)
        if gone:
            raise
        cure = f"Do not begin it again: pgsynth runs resume {shlex.quote(str(folder.path))} --detach goes on with it."
        message = f"the run {folder.id} is {status_of(folder).state} now, though this failed: {error or 'interrupted'}"
        raise UserError(message, where=str(folder.path), cure=cure) from error
