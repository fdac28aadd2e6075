"""What the view of pictures shows: the table at the cursor, where that is, what else there is, why there is nothing.

The view asks for something else (other runs, another step), a thread looks, and what it hands back does not change any
more: nothing that is drawn is read meanwhile. No Textual.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, latest_checkpoint
from pgsynth_tui.shell import command_line
from pgsynth_tui.stores.looks import SAMPLES, LookStore, Table
from pgsynth_tui.stores.runs import RunRow

__all__ = ["Looked", "Looking", "why_nothing"]

_LIMITED: Final = re.compile(r"(?P<split>.+?)(?:-first(?P<limit>\d+))?(?:\.\d+)?", re.ASCII)
"""A kind of evaluation: of which split, of how many pairs, which of several."""


@dataclass(frozen=True)
class Looked:
    """What there is to look at, at one moment.

    Attributes:
        table: The pictures at the cursor.
        runs: Whose they are.
        kind: Samples, or which evaluation.
        kinds: What else there is.
        steps: At which there is something, ascending.
        step: Where the cursor is; None if there is nothing.
        follows: Whether the newest is shown as it comes.
        every: Where there is nothing: steps between two samples, as the first run's spec says; None if it does not.
        saved: Likewise, whether that run has a checkpoint.
        commands: Of each run, words of what draws or names the pictures.
    """

    table: Table = field(default_factory=Table)
    runs: tuple[RunFolder, ...] = ()
    kind: str = SAMPLES
    kinds: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    step: int | None = None
    follows: bool = True
    every: int | None = None
    saved: bool = False
    commands: tuple[tuple[str, ...], ...] = ()

    @property
    def next_kind(self) -> str:
        """What `Looking.next_kind` would show; empty if there is nothing else."""
        if len(self.kinds) < 2:
            return ""
        return self.kinds[(self.kinds.index(self.kind) + 1) % len(self.kinds)]


class Looking:
    """Pictures of some runs, looked at from two threads: one asks, the other reads.

    `show`, `step` and `next_kind` may be called anywhere and read nothing; `look` does what was asked for.
    """

    def __init__(self) -> None:
        self._store = LookStore(())
        self._asked: deque[Callable[[], object]] = deque()
        self._before: Looked | None = None
        self._every: dict[Path, int | None] = {}

    def show(self, runs: Sequence[RunFolder]) -> None:
        """Look at these; the step stays."""
        self._asked.append(lambda: self._show(tuple(runs)))

    def step(self, by: int) -> None:
        """Go so many steps of those there are on, or back; as far as there are any."""
        self._asked.append(lambda: self._store.move(by))

    def next_kind(self) -> None:
        """Look at the samples, then at each evaluation."""
        self._asked.append(self._turn)

    def look(self) -> Looked | None:
        """Do what was asked for, and read what is new.

        Returns:
            What there is; None if that is as before.
        """
        store, asked = self._store, bool(self._asked)
        while self._asked:
            self._asked.popleft()()
        changed = store.look()
        if not (changed or asked or self._before is None or store.step is None):
            return None
        kinds = store.kinds
        store.kind = store.kind if store.kind in kinds or not kinds else kinds[0]
        first = store.runs[0] if store.runs and store.step is None else None
        looked = Looked(
            store.table(),
            store.runs,
            store.kind,
            kinds,
            store.steps,
            store.step,
            store.cursor is None,
            self._every_of(first) if first else None,
            _newest(first) is not None if first else False,
            tuple(self._command(run) for run in store.runs),
        )
        self._before, before = looked, self._before
        return looked if looked != before else None

    def _show(self, runs: tuple[RunFolder, ...]) -> None:
        self._store.runs = runs
        self._store.look()

    def _turn(self) -> None:
        kinds = self._store.kinds
        if self._store.kind in kinds:
            self._store.kind = kinds[(kinds.index(self._store.kind) + 1) % len(kinds)]

    def _every_of(self, run: RunFolder) -> int | None:
        """As its spec says, which was frozen with every value in it."""
        if run.path not in self._every:
            self._every[run.path] = None
            with suppress(OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
                spec: Any = yaml.safe_load(run.spec_file.read_text(encoding="utf-8"))
                every = spec.get("train", {}).get("sample_every")
                self._every[run.path] = every if isinstance(every, int) else None
        return self._every[run.path]

    def _command(self, run: RunFolder) -> tuple[str, ...]:
        album, named = self._store.album(run), _LIMITED.fullmatch(self._store.kind)
        if album is None or album.kind == SAMPLES or not named:
            return "runs", "show", run.id
        newest = _newest(run)
        of = run.id if newest in (None, album.step) else str(run.checkpoints / f"step-{album.step:08}")
        limit = ("--limit", named["limit"]) if named["limit"] else ()
        return "evaluate", of, "--split", named["split"], *limit


def why_nothing(row: RunRow | None, looked: Looked, root: Path) -> str:
    """Why there is no picture, and what to do.

    Args:
        row: The run that is looked at; None if there is none.
        looked: What was found.
        root: Where runs are.
    """
    if row is None:
        return f"there is no run in {root}\n\npgsynth train tiny data=figures --detach begins one"
    status = row.status
    when = "at its last step" if looked.every == 0 else "every so often"
    if looked.every:
        when = f"every {looked.every} steps, and at its last (train.sample_every)"
    at = f" of {status.steps}" if status.steps else ""
    lines = [f"{row.id} has drawn nothing yet: it is {status.state}, at step {status.step}{at}."]
    if status.live or status.state == "queued":
        lines += [f"It draws {when}: the pictures will stand here."]
    elif looked.saved:
        lines += ["This draws pairs of its test split, and scores them, to be looked at here:", ""]
        lines += [command_line(("evaluate", row.id, "--limit", "8"))]
    else:
        lines += ["It has no checkpoint to draw with, either."]
    return "\n".join(lines)


def _newest(run: RunFolder) -> int | None:
    with suppress(UserError, OSError):
        newest = latest_checkpoint(run)
        return newest.step if newest else None
    return None
