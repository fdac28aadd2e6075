"""`train` and `continue_run`: a composition becomes a run folder with checkpoints and samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgsynth_core.api.composition import Composition, OnEvent
from pgsynth_core.api.run import Run
from pgsynth_core.api.session import TrainingSession
from pgsynth_core.composition.hub import Weights, made_with
from pgsynth_core.errors import UserError
from pgsynth_core.runs import (
    Checkpoint,
    RunFolder,
    check_lock,
    check_weights,
    read_lock,
    require_room,
    run_of,
)
from pgsynth_core.runs.differences import check_pairs, check_processes, other_processes
from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.saving import clear_unfinished
from pgsynth_core.runs.sessions import alone_with, refuse_running
from pgsynth_core.training.processes import accelerator_for


def start(composition: Composition, *, runs: Path, slug: str, on_event: OnEvent | None) -> Run:
    """Train a composition from its first step, in a new folder below `runs` that is called `slug` behind its time.

    Raises:
        UserError: For everything the user can mend; nothing is left half-written.
    """
    spec, verdict = composition.spec, composition.verdict
    opened = TrainingSession.open(spec, composition.registry, verdict, accelerator_for(spec.train), Weights())
    opened.stream.first()  # data that cannot be used shows before there is a folder
    folder = opened.new_folder(runs, slug)
    return opened.run(folder, on_event, begin=None)


def begin(run: RunFolder, composition: Composition, *, on_event: OnEvent | None, warnings: Sequence[str] = ()) -> Run:
    """Train a run that has a folder and no checkpoint from its first step.

    Args:
        run: Its folder; a lock that stands in it is kept to, and else written.
        composition: The run's spec, checked.
        on_event: Told of what happens.
        warnings: To be told when it begins.

    Raises:
        UserError: If another process trains the run; and as `start`.
    """
    accelerator = accelerator_for(composition.spec.train)
    if accelerator.is_main_process:
        _alone(run)
    if other := other_processes(run, accelerator.num_processes):
        warnings = [*warnings, other]
    lock = read_lock(run.lock_file) if run.lock_file.exists() else {}
    differences = check_lock(lock, composition.registry) if lock else []
    if errors := [problem for problem in differences if problem.level == "error"]:
        raise UserError(errors)
    weights = Weights(made_with(lock)) if lock else Weights()
    opened = TrainingSession.open(composition.spec, composition.registry, composition.verdict, accelerator, weights)
    opened.stream.first()
    require_room(run.path, opened.trained.size(), "a checkpoint")
    differences += check_weights(lock, weights.identities()) if lock else []
    return opened.run(run, on_event, begin=None, warnings=[*warnings, *map(str, differences)])


def _alone(run: RunFolder) -> None:
    """Nobody else trains it; then what a kill left of checkpoints half written takes no room any more.

    Raises:
        UserError: If somebody does.
    """
    with refusing("the run cannot be gone on with", run.path), alone_with(run):
        refuse_running(run)
        clear_unfinished(run)


def resume(
    checkpoint: Checkpoint, composition: Composition, *, on_event: OnEvent | None, warnings: Sequence[str] = ()
) -> Run:
    """Train on from a run's checkpoint; the losses join those of a run that was never interrupted.

    Args:
        checkpoint: One of a run; later ones are set aside once the next is saved.
        composition: The run's spec, checked.
        on_event: Told of what happens.
        warnings: To be told when it begins.

    Raises:
        UserError: If the checkpoint is damaged; or if another process trains the run, or another number of them is to
            than did before.
    """
    run, registry = run_of(checkpoint), composition.registry
    if run is None:
        raise ValueError(f"{checkpoint.path} is in no run")
    spec = composition.spec
    accelerator = accelerator_for(spec.train)
    if accelerator.is_main_process:
        _alone(run)  # before minutes are spent on hashes and weights
    check_processes(run, accelerator.num_processes)
    checkpoint.verify()
    lock = read_lock(checkpoint.path / "lock.json")
    differences = check_lock(lock, registry)
    if errors := [problem for problem in differences if problem.level == "error"]:
        raise UserError(errors)
    opened = TrainingSession.open(spec, registry, composition.verdict, accelerator, Weights(made_with(lock)))
    require_room(run.path, opened.trained.size(), "a checkpoint")
    opened.restore(checkpoint, run)
    differences += check_weights(lock, opened.weights.identities())
    differences += check_pairs(run, len(opened.stream.examples), opened.data_digest)
    return opened.run(run, on_event, begin=checkpoint, warnings=[*warnings, *map(str, differences)])
