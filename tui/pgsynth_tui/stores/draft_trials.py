"""What is tried with a draft: proof, rehearsal, launch, a file; and what came of it, in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pgsynth_core.api.describe import millions
from pgsynth_core.cli.progress import duration
from pgsynth_core.cli.sweep_said import hours_text
from pgsynth_core.runs.durable import amount
from pgsynth_core.spec import Spec
from pgsynth_core.sweeps import NOT_BEGUN
from pgsynth_tui.shell import Answer, command_line
from pgsynth_tui.stores.draft_words import Draft

__all__ = ["Kind", "Launched", "Trial", "proof_lines", "rehearsal_lines", "timed_lines"]

Kind = Literal["proof", "rehearsal", "launch", "file"]
_DOING: Final[Mapping[Kind, str]] = {
    "proof": "proving",
    "rehearsal": "rehearsing",
    "launch": "launching",
    "file": "writing",
}
_STAGE: Final[Mapping[Kind, str]] = {
    "proof": "Every part is built without weights and taken one step forward and backward. The first time, torch is "
    "loaded: seconds more.",
    "rehearsal": "It is proved, then takes a few real steps, is saved and loaded again. On a CPU that takes a minute "
    "or more. No run is made.",
    "launch": "It is proved, its spec is frozen, and it is handed to the queue.",
    "file": "The complete spec is written.",
}
_STAGE_OF_SWEEP: Final[Mapping[Kind, str]] = {
    "rehearsal": "Each kind of combination of which no earlier run says how long it takes is proved, and takes a few "
    "real steps. On a CPU that takes a minute or more each. No run is made.",
    "launch": "Each method is proved once, every spec is frozen, and the runs are handed to the queue.",
}
_KEY: Final[Mapping[Kind, str]] = {"proof": "p", "rehearsal": "R", "launch": "L", "file": "w"}


@dataclass(frozen=True)
class Launched:
    """A run that was made.

    Attributes:
        id: Of the run.
        path: Of its folder.
        state: As it stood: queued, starting, running.
        position: In the queue; None if it has begun.
    """

    id: str
    path: Path
    state: str
    position: int | None = None


@dataclass(frozen=True)
class Trial:
    """Something that is tried, or was.

    Attributes:
        kind: What.
        command: Words after ``pgsynth``; those of an ablation begin with ``sweep``.
        draft: Of which it speaks; once that is another, what it found is of an earlier one.
        began: Clock, in seconds.
        spec: Of the draft.
        answer: What the command said; None while it runs.
        ended: Clock; None while it is under way.
        given_up: Whether the user did so.
    """

    kind: Kind
    command: tuple[str, ...]
    draft: Draft
    began: float
    spec: Spec | None = None
    answer: Answer | None = field(default=None, compare=False)
    ended: float | None = None
    given_up: bool = False

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return not self.under_way and not self.given_up and self.answer is not None and self.answer.ok

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the command said; empty while it runs."""
        return self.answer.facts if self.answer else {}

    @property
    def of_sweep(self) -> bool:
        """Whether it is of an ablation."""
        return self.command[0] == "sweep"

    @property
    def launched(self) -> tuple[Launched, ...]:
        """The runs that were made; of an ablation some may have failed to."""
        if self.kind == "launch" and self.facts.get("sweep"):
            root = Path(self.facts["path"]).parent.parent
            rows = [row for row in self.facts.get("combinations", ()) if row.get("run")]
            made = [(str(row["run"]), str(row.get("state", ""))) for row in rows if row.get("state") != NOT_BEGUN]
            return tuple(Launched(run, root / run, state) for run, state in made)
        if not self.ok or "run" not in self.facts:
            return ()
        run, one = str(self.facts["run"]), self.facts
        return (Launched(run, Path(one.get("path", run)), str(one.get("state", "")), one.get("position")),)

    @property
    def hours(self) -> float | None:
        """Of the training, or of every run of an ablation, as a rehearsal found it; None if it is none."""
        found = self.facts.get("hours") if self.ok and self.kind == "rehearsal" else None
        return float(found) if isinstance(found, int | float) else None

    def stale(self, draft: Draft) -> bool:
        """Whether the draft has changed since; marks of an ablation are no change of the method."""
        if self.kind in ("launch", "file"):
            return False
        return draft != self.draft if self.of_sweep else draft.method != self.draft.method

    # ---------------------------------------------------------------------------------------- in words
    def sentence(self, draft: Draft, now: float) -> str:
        """How it stands, in a few words for one line."""
        if self.under_way:
            seconds = f"{max(0.0, now - self.began):.0f} s"
            leave = "" if self.kind == "file" else "; esc gives it up"
            return f"{_DOING[self.kind]}: {seconds}{leave}"
        if self.given_up:
            return f"{self.kind} given up"
        if self.stale(draft):
            return f"the {self.kind} is of an earlier draft; {_KEY[self.kind]} repeats it"
        if not self.ok:
            return f"the {self.kind} failed: see result"
        if self.kind == "proof":
            proof = self.facts.get("proof", {})
            return f"proved: {millions(proof.get('trainable', 0))} parameters train"
        if self.kind == "rehearsal":
            what = "all of the ablation" if self.of_sweep else "the training"
            return "rehearsed" if self.hours is None else f"rehearsed: about {_hours(self.hours)} for {what}"
        if self.kind == "launch":
            if draft != self.draft:  # what was launched is a run by now, and says nothing of this draft
                return ""
            return f"launched {len(self.launched)}" if self.of_sweep else "launched"
        return "written"

    def lines(self, draft: Draft, now: float) -> tuple[str, ...]:
        """All of it."""
        return tuple(self._lines(draft, now))

    def _lines(self, draft: Draft, now: float) -> Iterator[str]:
        if self.under_way:
            yield f"{self.sentence(draft, now)}"
            yield ""
            yield (_STAGE_OF_SWEEP if self.of_sweep else _STAGE)[self.kind]
            yield ""
            yield f"$ {command_line(self.command)}"
            return
        if self.given_up:
            kept = " What of it was made already stays: 2 shows it." if self.kind == "launch" else ""
            yield f"The {self.kind} was given up; {_KEY[self.kind]} begins it again.{kept}"
            return
        if self.stale(draft):
            yield f"! This {self.kind} is of the draft before your last changes; {_KEY[self.kind]} repeats it."
            yield ""
        if self.answer:
            yield from self._of(self.answer)
        if self.launched:
            yield ""
            yield "They train whether you stay or leave; 2 shows all runs, 3 watches the chosen one."

    def _of(self, answer: Answer) -> Iterator[str]:
        if self.kind == "launch" and answer.facts.get("sweep"):
            yield from _swept(answer.facts, len(self.launched))
        elif not answer.ok:
            yield f"The {self.kind} failed. Nothing of the draft is lost."
            for problem in answer.problems:
                yield ""
                yield f"! {': '.join(filter(None, (problem.where, problem.message)))}"
                if problem.cure:
                    yield f"  {problem.cure}"
            yield ""
            yield f"$ {command_line(answer.words)}"
        elif not answer.facts:
            yield f"The {self.kind} ended well, but what it said cannot be read."
            yield ""
            yield f"$ {command_line(answer.words)}"
        elif self.kind == "proof":
            yield from proof_lines(answer.facts, self.spec)
        elif self.kind == "rehearsal":
            yield from timed_lines(answer.facts) if self.of_sweep else rehearsal_lines(answer.facts, self.spec)
        elif self.kind == "launch":
            place = answer.facts.get("position")
            waits = f", number {place} in the queue" if place else ""
            yield f"{answer.facts.get('run', '')}: {answer.facts.get('state', '')}{waits}"
        else:
            written = str(answer.facts.get("written", ""))
            yield f"Written: {os.path.relpath(written) if written else 'the spec'}"
            yield f"$ pgsynth train {os.path.relpath(written) if written else ''}"


def _swept(facts: Mapping[str, Any], launched: int) -> Iterator[str]:
    """What was launched of an ablation, and what was not, each reason once."""
    yield f"{facts['sweep']}: {launched} of {facts.get('runs', 0)} runs are launched."
    failed: dict[str, list[str]] = {}
    for failure in facts.get("failures", ()):
        failed.setdefault(str(failure.get("problem", "")), []).append(str(failure.get("run", "")))
    for reason, runs in failed.items():
        yield ""
        yield f"! {runs[0] if len(runs) == 1 else f'{len(runs)} runs'}: {reason}"
    for command in facts.get("next", ()):
        yield ""
        yield f"$ {command}"


def timed_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """How long each run of an ablation takes.

    Args:
        facts: Of ``pgsynth sweep --time --dry-run --json``.
    """
    rows = [row for row in facts.get("combinations", ()) if not row.get("problems")]
    yield f"{hours_text(facts.get('hours'))} for all {len(rows)} runs, one after another. No run was made."
    yield "Looks at unseen pairs, sheets and evaluations come besides. R with nothing varied tells memory and disk."
    yield ""
    for row in rows:
        yield f"{hours_text(row.get('hours'))}  {row.get('name', '')}"


def proof_lines(facts: Mapping[str, Any], spec: Spec | None = None) -> tuple[str, ...]:
    """What a proof found: parameters, memory, shapes, what each part costs.

    Args:
        facts: Of ``pgsynth compose --json``.
        spec: Of what was proved.
    """
    proof: Mapping[str, Any] = facts.get("proof", {})
    train, frozen = proof.get("trainable", 0), proof.get("frozen", 0)
    seconds = f" in {proof['seconds']:.0f} s" if "seconds" in proof else ""
    lines = [f"Proved{seconds}: it can be built, every input is read, every gradient arrives."]
    of = f" of {millions(train + frozen)}; the rest is frozen" if frozen else ", all there are"
    lines += ["", f"parameters  {millions(train)} train{of}"]
    batch = f" at batch {spec.train.batch_size}, {spec.train.precision}" if spec else ""
    if "training_bytes" in proof:
        lines.append(f"memory      about {amount(proof['training_bytes'])} to train{batch}")
    if "sampling_bytes" in proof:
        batch = f" at batch {spec.sample.batch_size}" if spec else ""
        lines.append(f"            about {amount(proof['sampling_bytes'])} to sample{batch}")
    if facts.get("size"):
        lines.append(f"pictures    {'x'.join(map(str, facts['size']))} (height x width)")
    for port, shape in (proof.get("ports") or {}).items():
        lines.append(f"shapes      {port}: {' x '.join(map(str, shape[1:]))} for each picture")
    lines += _sites(proof.get("sites") or ())
    for note in (*facts.get("warnings", ()), *facts.get("notes", ())):
        lines += ["", f"- {note}"]
    return (*lines, *_parts(facts.get("parts") or ()))


def _sites(sites: Any) -> Iterator[str]:
    """How many attention layers there are, on which grids, and which of them are changed."""
    if not sites:
        return
    grids = dict.fromkeys("x".join(map(str, site["grid"])) for site in sites)
    yield f"attention   {len(sites)} layers on grids {', '.join(grids)}"
    changed: dict[str, int] = {}
    for site in sites:
        for name in site.get("processors", ()):
            changed[name] = changed.get(name, 0) + 1
    for name, count in changed.items():
        yield f"            {name} acts at {count}"


def _parts(parts: Any) -> Iterator[str]:
    costs = [part for part in parts if "trainable" in part]
    if costs:
        yield ""
    for part in costs:
        train, frozen = part["trainable"], part.get("frozen", 0)
        said = [f"{millions(train)} train"] if train else []
        said += [f"{millions(frozen)} frozen"] if frozen else []
        work = f", {part['flops'] / 1e9:.2g} GFLOP a pass" if part.get("flops") else ""
        yield f"{part.get('slot', '')} {part['label']}: {' and '.join(said) or 'no parameters of its own'}{work}"


def rehearsal_lines(facts: Mapping[str, Any], spec: Spec | None = None) -> tuple[str, ...]:
    """What a rehearsal measured: memory, pace, hours for the training, disk.

    Args:
        facts: Of ``pgsynth train --rehearse --json``.
        spec: Of what was rehearsed.
    """
    peak, hours, pace = facts.get("peak_bytes"), facts["hours"], facts["seconds_per_step"]
    estimated = f"; {amount(facts['estimated_bytes'])} were estimated" if facts.get("estimated_bytes") else ""
    memory = "this system does not tell" if peak is None else f"{amount(peak)} at the peak{estimated}"
    steps = f" for {spec.train.steps} steps" if spec else ""
    lines = [
        f"Rehearsed: {facts['steps']} real steps on {facts['device']}, saved and loaded again. No run was made.",
        "",
        f"memory      {memory}",
        f"pace        {pace:.3g} s a step",
        f"time        about {_hours(hours)}{steps}",
    ]
    lines.append(
        f"disk        {amount(facts['checkpoint_bytes'])} a checkpoint, {amount(facts['needed_bytes'])} at most, "
        f"{amount(facts['free_bytes'])} free"
    )
    same = facts.get("difference") == 0
    loaded = "the same losses, bit for bit" if same else f"the same but for rounding, {facts.get('difference'):.1e}"
    lines.append(f"loaded      {loaded}")
    for warning in facts.get("warnings", ()):
        lines += ["", f"- {warning}"]
    return tuple(lines)


def _hours(hours: float) -> str:
    return duration(3600 * hours)
