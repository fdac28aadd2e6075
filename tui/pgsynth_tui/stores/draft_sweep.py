"""An ablation of a draft, as ``pgsynth sweep`` reads the same words: every combination, the pruned ones, hours.

What is drawn, asked and launched follows from one command line, so the shell and the screen cannot say two things.
Checking hundreds of combinations takes seconds: call `read_ablation` in a thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgsynth_core.cli.console import one_line
from pgsynth_core.cli.sweep_said import hours_text, sweep_sentence
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.registry import FOREIGN_FAULTS, reason_of
from pgsynth_core.sweeps import Combination, Sweep, earlier_paces, pace_keys, sweep_hours, sweep_of
from pgsynth_tui.stores.draft_reading import Reading
from pgsynth_tui.stores.draft_shortest import command_of
from pgsynth_tui.stores.draft_sources import ablations
from pgsynth_tui.stores.draft_values import said
from pgsynth_tui.stores.draft_words import ADAPT, Draft, path_of

__all__ = ["Ablation", "ablation_words", "read_ablation"]


@dataclass(frozen=True)
class Ablation:
    """An ablation, read.

    Attributes:
        draft: Of which it is.
        sweep: What the shell makes of it; None if it cannot be read.
        problems: Why nothing of it can be trained; the shell refuses it with the same.
        hours: Of each combination, by earlier runs; None where nothing is known.
    """

    draft: Draft
    sweep: Sweep | None = None
    problems: tuple[Problem, ...] = ()
    hours: tuple[float | None, ...] = ()

    @property
    def rows(self) -> tuple[Combination, ...]:
        """Every combination, pruned ones too."""
        return self.sweep.combinations if self.sweep else ()

    @property
    def good(self) -> int:
        """How many can be trained."""
        return 0 if self.problems else sum(row.ok for row in self.rows)

    @property
    def sentence(self) -> str:
        """How many runs and hours."""
        return sweep_sentence(self.rows, self.hours, measure="R takes a few steps")

    def timed(self, facts: Mapping[str, Any]) -> Ablation:
        """With the hours that ``pgsynth sweep --time --dry-run`` found."""
        found = tuple(row.get("hours") for row in facts.get("combinations", ()))
        return replace(self, hours=found) if len(found) == len(self.rows) else self

    def described(self, row: Combination) -> str:
        """What the factors are in a combination."""
        return ", ".join(self.sweep.grid.described(row.values)) if self.sweep else ""

    def lines(self) -> Iterator[tuple[str, Combination]]:
        """Each combination in a line: its values; then its hours, or why it is pruned."""
        for number, (row, hours) in enumerate(zip(self.rows, self.hours, strict=True), 1):
            time = f"  {hours_text(hours)}" if hours is not None else ""
            said = f": {one_line(f'{row.problems[0].message} {row.problems[0].cure}')}" if row.problems else time
            yield f"{number:>3} {' ' if row.ok else 'x'} {one_line(self.described(row))}{said}", row

    def command(self, row: Combination) -> str:
        """What trains one combination alone."""
        source = self.sweep.source if self.sweep else None
        return command_of(Draft(source, row.words, self.draft.adapt), "train")


def ablation_words(draft: Draft, reading: Reading) -> tuple[str, ...]:
    """What is typed behind ``pgsynth`` for an ablation.

    Args:
        draft: With what it varies. That of a manifest is called by its name, which says what is not typed.
        reading: Of the draft as it is where nothing is varied.
    """
    varied = {path_of(word) for word in draft.sweeps}
    words = [*(word for word in draft.overrides if path_of(word) not in varied), *draft.sweeps]
    if table := ablations(reading.registry).get(draft.ablation):
        own = (*table.fixed, *table.vary)
        given = {path_of(word) for word in words}
        words = [word for word in words if word not in own]
        words += [f"{path}={_value(reading, path)}" for path in map(path_of, own) if path not in given]
    typed = Draft(draft.ablation or draft.source, tuple(words), draft.adapt)
    return tuple(shlex.split(command_of(typed, "sweep"))[1:])


def _value(reading: Reading, path: str) -> str:
    """What stands at a path, as it would be typed: of what the manifest varies, and the draft does not."""
    if path in reading.slots:
        return "+".join(part.label for part in reading.parts(path)) or "none"
    return said(reading.values.get(path))


def read_ablation(draft: Draft, reading: Reading, root: Path) -> Ablation:
    """Ask the contract about every combination, and earlier runs for their pace.

    Args:
        draft: With what it varies.
        reading: As in `ablation_words`.
        root: Where runs are.
    """
    source = draft.ablation or draft.source
    words = [word for word in ablation_words(draft, reading)[1 + bool(source) :] if word != ADAPT]
    try:
        sweep = sweep_of(words, reading.registry, source=source, adapt=draft.adapt)
        problems = sweep.mistyped
        paces = {}
        with suppress(UserError):  # where runs cannot be read, none is like them
            paces = earlier_paces(root, [key for key in pace_keys(sweep) if key])
    except SpecError as error:
        return Ablation(draft, None, error.problems)
    except FOREIGN_FAULTS as error:
        why = Problem(f"the contract cannot be asked about every combination: {reason_of(error)}.")
        return Ablation(draft, None, (why,))
    if not problems and not any(row.ok for row in sweep.combinations):
        problems = (Problem("no combination can be trained."),)
    return Ablation(draft, sweep, problems, sweep_hours(sweep, paces))
