"""What one run says of itself that can be compared: settings, numbers of its training, evaluations. Floor 1, no torch.

Everything is read from its folder; no part is imported, so that a run compares where its parts are not installed. A
reader keeps what it has read: of a run that trains, only what is new is read the next time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.curves import Curve, validations
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.evaluations import Evaluation, read_evaluation
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.scores import score_files
from pgsynth_core.runs.settings import read_settings
from pgsynth_core.runs.states import State
from pgsynth_core.runs.status import status_of

__all__ = ["LAST", "RunFacts", "RunReader", "read_facts"]

LAST: Final = 100
"""So many losses of the last steps are kept, at most."""
_NEAR_THE_END: Final = 1000
"""Events that are looked through for the last step."""


@dataclass(frozen=True)
class RunFacts:
    """What a run says of itself.

    Attributes:
        folder: The run.
        state: How it stands.
        settings: Of its frozen spec, in its order: path, e.g. ``train.steps``, to value; at a slot, the labels of its
            parts joined by ``+``.
        step: Steps taken.
        steps: Steps it is to take; 0 if nobody said.
        losses: Of the last steps, `LAST` at most.
        validation: The best loss on unseen pairs, and after which step; None if none was taken.
        seconds_per_step: As it said last; None if it did not.
        memory: The most that its first process held on its GPU, bytes; None on a CPU.
        device: What it trained on last; empty if it did not say.
        gpu: What that is, as its driver calls it; empty on a CPU, or if it did not say.
        parameters: How many numbers train; None if it did not say.
        data: What its pairs are known again by; empty if it did not say.
        made_with: Package, library or pretrained weights -> version.
        evaluations: In the order of their folders.
        problems: What could not be read, a sentence each.
        replay_of: Folder of the run whose events it plays, at first or second hand; empty for a training.
    """

    folder: RunFolder
    state: State
    settings: Mapping[str, Any]
    step: int = 0
    steps: int = 0
    losses: tuple[float, ...] = ()
    validation: tuple[int, float] | None = None
    seconds_per_step: float | None = None
    memory: int | None = None
    device: str = ""
    gpu: str = ""
    parameters: int | None = None
    data: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    problems: tuple[str, ...] = ()
    replay_of: str = ""

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.id


@final
class RunReader:
    """Reads one run again and again, each file only when it changed.

    Args:
        folder: The run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._curve = Curve(folder.events_file)
        self._kept: dict[Path, tuple[object, Any]] = {}

    def read(self, wanted: Callable[[], bool] = lambda: True) -> RunFacts | None:
        """Read what is new.

        Args:
            wanted: Asked between two pieces of a long log: whether to go on.

        Returns:
            What it says; None if it was no longer wanted.

        Raises:
            UserError: If its spec cannot be read; the run may be gone.
        """
        settings = self._once(self.folder.spec_file, read_settings)
        problems: list[str] = []
        try:
            while self._curve.read():
                if not wanted():
                    return None
        except UserError as error:
            problems.append(str(error))
        evaluations = []
        for file in score_files(self.folder):
            found = self._once(file, read_evaluation)
            if found is None:
                name = file.relative_to(self.folder.path)
                problems.append(f"{name} of {self.folder.id} cannot be read: it is passed over.")
            else:
                evaluations.append(found)
        status, points = status_of(self.folder), self._curve.points()
        begun = next((event for event in reversed(self._curve.others) if event["kind"] == "run"), {})
        last = self._once(self.folder.events_file, _last_step)
        return RunFacts(
            folder=self.folder,
            state=status.state,
            settings=settings,
            step=points.steps[-1] if points.steps else status.step,
            steps=status.steps or 0,
            losses=tuple(math.nan if math.isnan(value) else value for value in points.values[-LAST:]),  # one equals it
            validation=_best(self._curve.others),
            seconds_per_step=last.get("seconds_per_step"),
            memory=last.get("memory_bytes"),
            device=begun.get("device", ""),
            gpu=begun.get("gpu", ""),
            parameters=begun.get("parameters"),
            data=begun.get("data", ""),
            made_with=self._once(self.folder.lock_file, _made_with),
            evaluations=tuple(evaluations),
            problems=tuple(problems),
            replay_of=_played(self.folder),
        )

    def close(self) -> None:
        """Close the log; what was read is forgotten."""
        self._curve.close()
        self._kept = {}

    def _once(self, file: Path, read: Callable[[Path], Any]) -> Any:
        """What is in a file, read again only when it is another."""
        try:
            facts = os.stat(file)
            stamp = facts.st_ino, facts.st_mtime_ns, facts.st_size
        except OSError:
            stamp = None
        kept = self._kept.get(file)
        if kept is None or kept[0] != stamp:
            kept = self._kept[file] = stamp, read(file)
        return kept[1]


def read_facts(folder: RunFolder) -> RunFacts:
    """What a run says, read once.

    Raises:
        UserError: If its spec cannot be read.
    """
    reader = RunReader(folder)
    try:
        facts = reader.read()
        assert facts is not None  # it is always wanted
        return facts
    finally:
        reader.close()


def _played(folder: RunFolder) -> str:
    """Folder of the run that was trained: a replay may be played again."""
    seen = [folder.replayed]
    with suppress(OSError):  # a folder that may not be looked into
        while seen[-1] and (of := RunFolder(Path(seen[-1])).replayed) and of not in seen:
            seen.append(of)
    return seen[-1]


def _made_with(file: Path) -> dict[str, str]:
    """Versions in a lock; empty if there is none that can be read."""
    lock = read_json(file) or {}
    found = {"Python": lock["python"]} if isinstance(lock.get("python"), str) else {}
    for kind in ("packages", "libraries", "weights"):
        some = lock.get(kind)
        for name, about in some.items() if isinstance(some, dict) else ():
            if isinstance(about, dict) and kind == "weights":  # revision, or the hashes of its files
                found[name] = str(about.get("revision") or json.dumps(about, sort_keys=True))
            else:
                found[name] = str(about.get("version", "")) if isinstance(about, dict) else str(about)
    return found


# ------------------------------------------------------------------------------------------- training
def _best(others: Iterable[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Step and value of the lowest loss on unseen pairs."""
    here = validations(others)
    best = min(here, key=lambda step: here[step], default=None)
    return None if best is None else (best, here[best])


def _last_step(events: Path) -> Mapping[str, Any]:
    try:
        near = islice(last_events(events), _NEAR_THE_END)
        return next((event for event in near if event["kind"] == "step"), {})
    except UserError:
        return {}
