"""The verbs: what the shell, the terminal UI and Python call. Floor 4; each verb imports its work when it is called."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.api.composition import Composition, OnEvent, with_steps
from pgsynth_core.api.run import Run
from pgsynth_core.api.telling import Hooks
from pgsynth_core.contract import Verdict, check, with_adapters
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import (
    Checkpoint,
    RunFolder,
    find_beginning,
    latest_checkpoint,
    list_checkpoints,
    require_writable,
    runs_root,
    status_of,
)
from pgsynth_core.runs.differences import check_frozen
from pgsynth_core.runs.sessions import attempting
from pgsynth_core.spec import RESUMABLE, Resolved, other_axes, resolve

if TYPE_CHECKING:
    from pgsynth_core.api.detaching import detach as detach
    from pgsynth_core.api.detaching import detach_run as detach_run
    from pgsynth_core.api.edit_inputs import Reference as Reference
    from pgsynth_core.api.evaluating import demo as demo
    from pgsynth_core.api.evaluating import evaluate as evaluate
    from pgsynth_core.api.evaluating import sample_pairs as sample_pairs
    from pgsynth_core.api.model import Model as Model
    from pgsynth_core.api.model import load as load
    from pgsynth_core.api.own import Framing as Framing

__all__ = [
    "Composition",
    "Framing",
    "Model",
    "Reference",
    "Run",
    "compose",
    "continue_run",
    "demo",
    "detach",
    "detach_run",
    "evaluate",
    "load",
    "sample_pairs",
]

_LATER = {
    "Framing": "own",
    "Model": "model",
    "Reference": "edit_inputs",
    "demo": "evaluating",
    "detach": "detaching",
    "detach_run": "detaching",
    "evaluate": "evaluating",
    "load": "model",
    "sample_pairs": "evaluating",
}
"""Names whose work is imported when it is asked for, and the module of this package that has them."""

KEPT = (
    f"a run that is resumed keeps its spec; of it only train.{', '.join(RESUMABLE)} may be given, and options of its "
    "dataset, data.NAME.OPTION, for data may move"
)
_OVERRIDE = 'Write it as in the shell, e.g. "train.steps=300".'


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(importlib.import_module(f"pgsynth_core.api.{_LATER[name]}"), name)
    raise AttributeError(f"pgsynth_core.api has no {name!r}; it has {', '.join(__all__)}")


def compose(
    source: str | Path | Mapping[str, Any] | None = None,
    *overrides: str,
    adapt: bool = False,
    registry: Registry | None = None,
) -> Composition:
    """Resolve a spec and check that its parts fit; imports no torch and nobody's code.

    Args:
        source: A preset's name, a path to a YAML file, a mapping, or an override (``encoder=qfft``); without one, or
            None: the defaults alone, which are Stable Diffusion with nothing added.
        overrides: The shell's own words, e.g. ``"attn.pma.mask=eq9"``; applied left to right.
        adapt: Take the adapters that the check proposes where only widths differ.
        registry: What exists; found anew if None.

    Returns:
        The composition; prove it, describe it, write it down.

    Raises:
        UserError: If an argument is of another type.
        SpecError: With every problem of reading and resolving.
        ContractError: With every reason why the parts do not fit, and its cure.

    Example:
        >>> print(compose("qen", "attn.pma.mask=eq9").describe())  # doctest: +SKIP
    """
    _refuse_types(source, overrides)
    words = list(overrides)
    if isinstance(source, str) and "=" in source:
        words.insert(0, source)
        source = None
    registry = registry or discover()
    resolved = resolve(source, words, registry)
    verdict = check(resolved.spec, registry)
    if adapt and verdict.adapters:
        resolved = _adapted(resolved, verdict)
        verdict = check(resolved.spec, registry)
    verdict.raise_if_refused()
    resolved = _with_other_axes(resolved, verdict)
    Hooks(registry).composed(resolved.spec, verdict)
    return Composition(resolved=resolved, verdict=verdict, registry=registry)


def _refuse_types(source: object, overrides: Sequence[object]) -> None:
    problems = [
        Problem(f"an override is a text; {word!r} is of type {type(word).__name__}.", f"argument {number}", _OVERRIDE)
        for number, word in enumerate(overrides, 2)
        if not isinstance(word, str)
    ]
    if not isinstance(source, str | Path | Mapping | None):
        message = "the spec is a preset's name, a path, a mapping or an override; "
        message += f"{source!r} is of type {type(source).__name__}."
        problems.insert(0, Problem(message, "argument 1", 'Write e.g. compose("tiny").'))
    if problems:
        raise UserError(problems)


def _with_other_axes(resolved: Resolved, verdict: Verdict) -> Resolved:
    origins = (origin for path, origin in resolved.origins.items() if path.startswith("base"))
    others = other_axes(resolved.lock, verdict.axes, origins)
    return replace(resolved, differences=(*resolved.differences, *others))


def _adapted(resolved: Resolved, verdict: Verdict) -> Resolved:
    taken = {f"adapters.{adapter.label}.{adapter.port}": "--adapt" for adapter in verdict.adapters}
    spec = with_adapters(resolved.spec, verdict.adapters)
    return replace(resolved, spec=spec, origins={**resolved.origins, **taken})


def continue_run(
    run: Run | str | Path,
    *changes: str,
    steps: int | None = None,
    runs: str | Path | None = None,
    on_event: OnEvent | None = None,
    registry: Registry | None = None,
) -> Run:
    """Train a run on from its last checkpoint, or from one that is given; one that has none, from its first step.

    A run that has all its steps and was ended before it was finished is finished: its last sheet is drawn.

    Args:
        run: A run, its id, a unique prefix, ``latest`` or its folder; or the path of one of its checkpoints. Later
            ones are set aside, as ``step-NUMBER.superseded``, once the run has saved its next.
        *changes: Settings for this time only, e.g. ``"train.workers=0"``: those of `spec.RESUMABLE`, which leave what
            is learned as it is, and the options of its dataset, e.g. ``"data.folder.root=PATH"``, for data may move.
            Pairs of other names or of another number are told; what else these options change is not looked at.
        steps: Train up to this step instead of the spec's; for this time only, the spec keeps its own.
        runs: Where runs are.
        on_event: Told of what happens.
        registry: What exists; found anew if None.

    Raises:
        UserError: If there is no such run or checkpoint, it is damaged, has finished, or waits in the queue; or
            something else is to be changed.
    """
    registry = registry or discover()
    place = run.path if isinstance(run, Run) else run
    folder, checkpoint = find_beginning(place, runs_root(None if runs is None else str(runs)))
    with attempting(folder):
        goal = Goal(steps, changes)
        return _continued(folder, checkpoint, goal, on_event=on_event, registry=registry)


@dataclass(frozen=True)
class Goal:
    """What a run that goes on is given for this time; its spec keeps its own.

    Attributes:
        steps: Train up to this step; None for the spec's.
        changes: Overrides of what may be changed.
    """

    steps: int | None = None
    changes: tuple[str, ...] = ()


def _continued(
    folder: RunFolder, checkpoint: Checkpoint | None, goal: Goal, *, on_event: OnEvent | None, registry: Registry
) -> Run:
    require_writable(
        folder.path, "the run cannot be gone on with", elsewhere=f"cp -r {shlex.quote(str(folder.path))} FOLDER"
    )
    composition, before = to_continue(folder, checkpoint, goal, registry)
    end, warnings = composition.spec.train.steps, [*composition.resolved.changed_options]
    if goal.changes:
        warnings.append(f"for this time only: {' '.join(goal.changes)}.")
    if checkpoint and checkpoint.step == end:
        warnings.append(f"it has taken its {end} steps, and was ended before it had finished: that is made up for.")
    if goal.steps is None and before != end:
        kept = f"the run goes on to step {end}, its spec's train.steps. Last time it was to end at step {before}, by"
        warnings.append(f"{kept} train.steps={before}, which is not kept: to end elsewhere, give train.steps again.")
    training = importlib.import_module("pgsynth_core.api.training")
    if checkpoint is None:
        if status_of(folder).step:
            warnings.append("the run has no checkpoint: it begins at its first step again.")
        begun: Run = training.begin(folder, composition, on_event=on_event, warnings=warnings)
        return begun
    continued: Run = training.resume(checkpoint, composition, on_event=on_event, warnings=warnings)
    return continued


def to_continue(
    folder: RunFolder, checkpoint: Checkpoint | None, goal: Goal, registry: Registry
) -> tuple[Composition, int]:
    """What goes on, with the steps it is to have, and how many it was to have last time; imports no torch.

    Raises:
        SpecError: If its spec cannot be read here.
        UserError: If something is to be changed that may not be; or it has finished, its spec is not the one it was
            saved with, or a library that its settings ask for is not installed.
    """
    if checkpoint:
        check_frozen(folder, checkpoint)
    composition = compose(folder.spec_file, *goal.changes, registry=registry)
    if others := [word for word in goal.changes if not may_change(word)]:
        cure = f"Start another from its spec: {shlex.join(['pgsynth', 'train', str(folder.spec_file), *others])}."
        raise UserError(f"{KEPT}, not {others[0]}.", where=folder.id, cure=cure)
    if goal.steps is not None:
        composition = with_steps(composition, goal.steps)
    composition.require_libraries()
    end = composition.spec.train.steps
    before = status_of(folder).steps or end
    if checkpoint and checkpoint.step >= end and not _unfinished(folder, checkpoint, goal, end, before):
        raise _nothing_left(folder, checkpoint, goal.steps, end, before)
    return composition, before


def _unfinished(folder: RunFolder, checkpoint: Checkpoint, goal: Goal, end: int, before: int) -> bool:
    """Whether a run with all its steps was ended behind the last of them; one that is told to end earlier was not."""
    last = checkpoint.step == end and checkpoint == latest_checkpoint(folder)
    return last and (goal.steps is None or before == end) and status_of(folder).state != "finished"


def may_change(word: str) -> bool:
    """Whether an override may be given to a run that goes on."""
    section, _, key = word.partition("=")[0].partition(".")
    return bool(key) and (section == "data" or (section == "train" and key in RESUMABLE))


def _nothing_left(folder: RunFolder, checkpoint: Checkpoint, given: int | None, goal: int, before: int) -> UserError:
    """What to say if a run has its steps; `before` is how many it was to have last time."""
    wanted = f"the spec's train.steps is {goal}" if given is None else f"{given} are asked for"
    message = f"it has taken {checkpoint.step} steps already, and {wanted}: there is nothing left to do."
    further = before if before > checkpoint.step else 2 * checkpoint.step
    resume = "pgsynth train --resume"
    cure = f"To go further, give more steps: {resume} {shlex.quote(str(folder.path))} train.steps={further}."
    if earlier := [one for one in list_checkpoints(folder) if one.step < goal]:
        again = "" if given is None else f" train.steps={given}"
        cure += f" To go back to an earlier checkpoint: {resume} {shlex.quote(str(earlier[-1].path))}{again}."
    return UserError(message, where=folder.id, cure=cure)
