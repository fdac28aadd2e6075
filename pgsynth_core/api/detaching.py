"""`detach`: a composition, or a run that is to go on, is put into the queue, and trained whoever stays or leaves.

No torch: what the run is made of is frozen into its folder; a worker of the queue (`pgsynth_core.runs.supervisor`)
starts the process that trains it.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from pgsynth_core.api import Composition, Goal, Run, to_continue
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import create_run, find_beginning, latest_checkpoint, require_writable, runs_root
from pgsynth_core.runs.devices import kind_wanted
from pgsynth_core.runs.differences import check_processes, processes_before
from pgsynth_core.runs.durable import IN_RUNS, remove
from pgsynth_core.runs.queue import enqueue, forget, refuse_devices, waiting
from pgsynth_core.runs.status import refuse_running
from pgsynth_core.runs.workers import start_workers

__all__ = ["detach", "detach_run"]


def detach(
    composition: Composition, *, runs: str | Path | None = None, steps: int | None = None, devices: int = 1
) -> Run:
    """Put a new run into the queue; it begins as soon as its turn has come and a device is free.

    Args:
        composition: What to train.
        runs: Where the run's folder is made; by default ``$PGSYNTH_RUNS``, else ``./runs``.
        steps: In place of the spec's, for this time; the spec keeps its own.
        devices: On how many GPUs.

    Returns:
        The run; it waits, or has begun.

    Raises:
        UserError: If there are not so many devices, nothing can be written there, or no worker can be started; then
            there is no run.
    """
    composition.require_libraries()
    root, kind = runs_root(None if runs is None else str(runs)), kind_wanted()
    require_writable(root, "no run can be made here", elsewhere=IN_RUNS)
    refuse_devices(devices, kind)
    folder = create_run(root, slug=composition.spec.slug, spec_yaml=composition.to_yaml(), lock=None)
    try:
        enqueue(folder, wanted=devices, steps=steps, kind=kind)
    except BaseException:
        remove(folder.path)
        raise
    try:
        start_workers(kind)
    except UserError:
        if forget(folder):  # else it is trained by now
            remove(folder.path)
            raise
    return Run(folder)


def detach_run(
    run: Run | str | Path,
    *changes: str,
    steps: int | None = None,
    runs: str | Path | None = None,
    devices: int | None = None,
    registry: Registry | None = None,
) -> Run:
    """As `api.continue_run`, in the queue. A run that waits already keeps its place; the queue goes on if it stood.

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
    place = run.path if isinstance(run, Run) else run
    folder, checkpoint = find_beginning(place, runs_root(None if runs is None else str(runs)))
    found = next((one for one in waiting() if one.folder == folder), None)
    if found:
        start_workers(found.kind)
        return Run(folder)
    refuse_running(folder)
    require_writable(
        folder.path, "the run cannot be gone on with", elsewhere=f"cp -r {shlex.quote(str(folder.path))} FOLDER"
    )
    to_continue(folder, checkpoint, Goal(steps, changes), registry or discover())
    kind = kind_wanted()
    before = (processes_before(folder) if kind == "gpu" and checkpoint else None) or 1
    wanted = devices or before
    if checkpoint:
        checkpoint.verify(hashes=False)  # its hashes are for who trains it
        check_processes(folder, wanted)
    given = checkpoint.path.name if checkpoint and checkpoint != latest_checkpoint(folder) else ""
    enqueue(folder, wanted=wanted, checkpoint=given, steps=steps, changes=changes, kind=kind)
    try:
        start_workers(kind)
    except UserError:
        if forget(folder):
            raise
    return Run(folder)
