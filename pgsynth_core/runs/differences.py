"""Is what a run was made with, and trained with last, still here? Floor 1, no torch; imports no part.

What differs and only may matter is a warning; what is missing, so that the run cannot be built, is an error with the
command that installs it.
"""

from __future__ import annotations

import filecmp
import platform
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.manifest import CONTRACT_CURRENT, CONTRACT_FLOOR
from pgsynth_core.registry import OWN_NAME, Registry
from pgsynth_core.runs.checkpoints import Checkpoint
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.lock import LOCK_VERSION, RESTORE, Lock, LockedPart, installed
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_core.spec.locked import absence, install_command, reinstall_command

__all__ = [
    "LockProblem",
    "again",
    "check_frozen",
    "check_lock",
    "check_pairs",
    "check_processes",
    "check_weights",
    "other_processes",
    "processes_before",
]

_UPGRADE: Final = f"Upgrade it: pip install --upgrade {OWN_NAME}."


@dataclass(frozen=True)
class LockProblem(Problem):
    """A difference between a run's lock and what is here.

    Attributes:
        level: ``error``: the run cannot be built; ``warning``: it can, and may give other results.
        package: The package concerned; empty if it is about none.
    """

    level: Literal["error", "warning"] = "error"
    package: str = ""


def check_frozen(run: RunFolder, checkpoint: Checkpoint) -> None:
    """Compare a run's spec and lock with what they were when it was saved: neither ever changes.

    Nothing else would show a bit that flipped in there: a spec with another digit is a spec.

    Raises:
        UserError: If one is missing or another, and the checkpoint's own is whole; with the command that puts it back.
    """
    problems = []
    for file in (run.spec_file, run.lock_file):
        saved = checkpoint.path / file.name
        if not checkpoint.is_whole(file.name) or (file.is_file() and filecmp.cmp(file, saved, shallow=False)):
            continue
        what = "is damaged, or was changed" if file.exists() else "is missing"
        message = f"the run's {file.name} {what}: it is not what it was when step {checkpoint.step} was saved."
        cure = f"Put it back: cp {shlex.quote(str(saved))} {shlex.quote(str(file))}."
        problems.append(Problem(message, str(file), cure))
    if problems:
        raise UserError(problems)


def check_lock(lock: Mapping[str, Any], registry: Registry) -> list[LockProblem]:
    """What differs between a run's lock and what is installed, errors first; empty if nothing does."""
    form = lock.get("lock")
    if isinstance(form, int) and form > LOCK_VERSION:
        return [LockProblem(f"lock.json is of form {form}; this pgsynth reads up to {LOCK_VERSION}.", cure=_UPGRADE)]
    try:
        made = Lock.model_validate(lock)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        return [LockProblem(f"lock.json is damaged: {faults}.", cure=RESTORE)]
    found = [*_contract(made), *_missing_parts(made, registry), *_packages(made, registry), *_libraries(made)]
    return sorted(found, key=lambda problem: problem.level)


def check_weights(lock: Mapping[str, Any], here: Mapping[str, Mapping[str, str]]) -> list[LockProblem]:
    """Pretrained weights that are others than those the run was made with.

    Args:
        lock: A lock that `check_lock` found no error in.
        here: Weight id -> the SHA-256 of each file that was read now; of others nothing is said.
    """
    found = []
    for weight_id, made in Lock.model_validate(lock).weights.items():
        now = here.get(weight_id, {})
        files = made.keys() - {"revision", "folder"}
        if others := sorted(name for name in files if now.get(name, made[name]) != made[name]):
            message = f"the pretrained weights {weight_id} are not those the run was made with: {', '.join(others)}."
            cure = f"Put those of revision {made['revision']} there." if "revision" in made else "Put those back."
            found.append(LockProblem(message, cure=cure, level="warning"))
    return found


def check_processes(run: RunFolder, here: int) -> None:
    """Whether as many processes train as did last: the batch of a step, its pairs and draws follow from their number.

    Raises:
        UserError: If not.
    """
    if message := other_processes(run, here):
        anew = f"pgsynth train {shlex.quote(str(run.spec_file))}"
        cure = f"Go on as before: {again(run)}; or start another run: {anew}."
        raise UserError(message, where=run.id, cure=cure)


def other_processes(run: RunFolder, here: int) -> str:
    """What it means if not as many processes train as did last; empty if as many do, or none did."""
    before = processes_before(run)
    if before in (None, here):
        return ""
    return (
        f"the run was trained by {_counted(before, 'process', 'processes')}, and now {here} would: from here on its "
        "steps would see batches of another size, of pairs that were seen before or are passed over."
    )


def again(run: RunFolder, changes: str = "") -> str:
    """How to go on with a run in as many processes as trained it last: the command, if it was one.

    How several were launched, on which machines, sharded or not, only its user knows.

    Args:
        run: The run.
        changes: Settings for this time, e.g. ``train.workers=0``.
    """
    before, words = processes_before(run) or 1, f"--resume {shlex.quote(str(run.path))} {changes}".strip()
    if before == 1:
        return f"pgsynth train {words}"
    return f"start its {before} processes as you did, with this in place of the spec: {words}"


def processes_before(run: RunFolder) -> int | None:
    """How many processes trained the run last; None if none did, or nobody knows."""
    before = _last_begun(run).get("processes")
    return before if isinstance(before, int) else None


def check_pairs(run: RunFolder, here: int, data: str) -> list[LockProblem]:
    """Whether the dataset has the pairs that it had when the run was trained last: their order follows from that.

    No error: who had to take out a photo that broke the run would otherwise never end it.

    Args:
        run: The run.
        here: How many pairs there are now.
        data: What the dataset is known again by (`data.order.digest_of_pairs`).
    """
    begun = _last_begun(run)
    before, known = begun.get("pairs"), begun.get("data")
    if not isinstance(before, int) or (before == here and known in (None, "", data)):
        return []
    if before == here:
        changed = "pairs of other names, or in shards cut otherwise, when the run was trained last"
    else:
        changed = f"{_counted(before, 'pair', 'pairs')} when the run was trained last and has {here} now"
    message = (
        f"the dataset had {changed}: from here on they come in another order, and losses are not those of a run that "
        "was never interrupted."
    )
    return [LockProblem(message, cure="If that matters, put the pairs back and resume again.", level="warning")]


def _last_begun(run: RunFolder) -> Mapping[str, Any]:
    return next((event for event in last_events(run.events_file) if event["kind"] == "run"), {})


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _contract(made: Lock) -> Iterator[LockProblem]:
    if not CONTRACT_FLOOR <= made.contract <= CONTRACT_CURRENT:
        accepted = f"this pgsynth accepts {CONTRACT_FLOOR} to {CONTRACT_CURRENT}"
        message = f"the run was made under contract {made.contract}; {accepted}."
        yield LockProblem(
            message, cure=f"Install: {install_command(OWN_NAME, _version(made, OWN_NAME))}.", package=OWN_NAME
        )


def _missing_parts(made: Lock, registry: Registry) -> Iterator[LockProblem]:
    for part in made.parts:
        where = f"{part.slot}.{part.label}"
        if part.slot not in KIND_OF_SLOT:
            yield LockProblem(f"lock.json is damaged: there is no slot {part.slot!r}.", where, RESTORE)
            continue
        kind = KIND_OF_SLOT[part.slot]
        try:
            registry.find(kind, part.part)
        except SpecError:
            if registry.successor(kind, part.part) is None:  # under an old name it is found when the spec is read
                yield _missing(made, part, registry)


def _missing(made: Lock, part: LockedPart, registry: Registry) -> LockProblem:
    package, _, name = part.part.partition(":")
    version = _version(made, package)
    reason, cure = absence(package, version, registry)
    message = f"the part {name!r} comes from {f'{package} {version}'.rstrip()}, which {reason}"
    return LockProblem(message, f"{part.slot}.{part.label}", cure, package=package)


def _packages(made: Lock, registry: Registry) -> Iterator[LockProblem]:
    """Packages that are here in another version, or with another manifest."""
    here = {entry.origin.package: entry.origin for entry in registry.entries}
    for name, locked in made.packages.items():
        if name not in here:
            continue  # its parts are missing, which is told
        labels = [part.label for part in made.parts if part.part.partition(":")[0] == name]
        brings = f", which brings {', '.join(labels)}," if labels else ""
        if here[name].version != locked.version:
            message = f"the run was made with {name} {locked.version}{brings} and {here[name].version} is installed."
            cure = f"For the same: {install_command(name, locked.version)}."
            yield LockProblem(message, cure=cure, level="warning", package=name)
        elif here[name].manifest_sha256 != locked.manifest_sha256:
            message = f"{name} {locked.version}{brings} has another manifest than when the run was made."
            cure = f"If nobody changed it on purpose: {reinstall_command(name, locked.version)}."
            yield LockProblem(message, cure=cure, level="warning", package=name)


def _libraries(made: Lock) -> Iterator[LockProblem]:
    then, now = {"Python": made.python} | made.libraries, {"Python": platform.python_version()}
    now |= installed(made.libraries)
    if others := [name for name in then if now.get(name) != then[name]]:
        told = "; ".join(f"{name} {then[name]} then, {now.get(name, 'none')} now" for name in others)
        wanted = " ".join(f'"{name}=={then[name]}"' for name in others if name != "Python")
        cure = f"For the same: pip install {wanted}." if wanted else ""
        yield LockProblem(f"results may differ in their last digits: {told}.", cure=cure, level="warning")


def _version(made: Lock, package: str) -> str:
    return made.packages[package].version if package in made.packages else ""
