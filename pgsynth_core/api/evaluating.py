"""`sample_pairs`, `evaluate` and `demo`: pictures of a split, their scores, and the whole way in one call."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pgsynth_core.api import compose
from pgsynth_core.api.model import Model, load
from pgsynth_core.api.pictures import HEADINGS, Sampled, write_picture
from pgsynth_core.api.run import Run
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data.records import BadRecord, Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.evaluation import Compared, ScoreTable, score_pairs
from pgsynth_core.registry import OWN_NAME
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import OUTPUT, read_json, remove, temporary

SHEET_ROWS: Final = 8
"""How many pairs a sheet shows."""

SKIPPED_NAMED: Final = 20
"""Of what was left out, how much `about` names."""

OnPicture = Callable[[int], None]
"""Told how many pictures are made."""


@dataclass(frozen=True)
class SampledPairs:
    """Pictures on disk.

    Attributes:
        folder: Holds ``NAME.png`` for each pair.
        sheet: The first pairs side by side: source, pose, target, output.
        names: Of the pairs, in order.
        skipped: What the dataset has and was left out because it cannot be used, a pair's name or a row of a table ->
            what is wrong with it.
    """

    folder: Path
    sheet: Path
    names: tuple[str, ...]
    skipped: Mapping[str, BadRecord] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """The pictures, in order."""
        return [self.folder / f"{name}.png" for name in self.names]

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence about what was left out, if anything was."""
        if not self.skipped:
            return ()
        (first, record), number = next(iter(self.skipped.items())), len(self.skipped)
        which = f"{number:,} pairs or rows cannot be used and were left out, the first is {first}"
        return (f"{which if number > 1 else f'{first} cannot be used and was left out'}: {record}",)


@dataclass(frozen=True)
class Evaluated:
    """Pictures and their scores.

    Attributes:
        table: Scores per picture and their means.
        pictures: Where the pictures are.
        scores: The table as ``scores.json``; ``scores.csv`` is beside it.
    """

    table: ScoreTable
    pictures: SampledPairs
    scores: Path


@dataclass(frozen=True)
class DemoResult:
    """What a demo leaves.

    Attributes:
        run: The run it trained.
        evaluated: Its pictures and scores.
        seconds: What it took.
    """

    run: Run
    evaluated: Evaluated
    seconds: float


def sample_pairs(
    model: Model, out: Path, *, split: Split = "test", limit: int | None = None, on_picture: OnPicture | None = None
) -> SampledPairs:
    """Sample the pairs of a split into a folder, with a sheet.

    Raises:
        UserError: If a pair cannot be used and the dataset has bad=fail, none can, or pictures cannot be written.
    """
    pictures = _Pictures(out, elsewhere=OUTPUT)
    for _ in pictures.keep(model.sample_pairs(split=split, limit=limit, on_skip=pictures.left_out), on_picture):
        pass
    shown = pictures.done()
    Hooks(model.assembly.registry).sampled(model.home, model.checkpoint.step, shown.paths)
    return shown


def evaluate(
    run: Run | Model | str | Path,
    *,
    split: Split = "test",
    limit: int | None = None,
    runs: str | Path | None = None,
    on_picture: OnPicture | None = None,
) -> Evaluated:
    """Sample a split of a run's dataset and score it, against the target and beside copying the source.

    Writes pictures, sheet and scores into the run's folder, ``evaluation/<split>-<step>/``; with a limit, ``-first<N>``
    is added, so that a quick look does not take the place of the whole. An evaluation with other settings is never
    written over, the new one gets a number; one with the same settings is replaced as a whole. For a checkpoint that
    was copied elsewhere, they go beside it, into ``<its name>-evaluation/``.

    Args:
        run: A run as in `load`, or a model that is loaded.
        split: Which pairs.
        limit: Only the first so many.
        runs: Where runs are.
        on_picture: Told how many pictures are made.

    Raises:
        UserError: What `load` and `sample_pairs` raise; or if pictures are too small to be scored.
    """
    model = run if isinstance(run, Model) else load(run, runs=runs)
    step = model.checkpoint.step
    folder = f"{split}-{step:08d}" if limit is None else f"{split}-{step:08d}-first{limit}"
    home = model.run.path / "evaluation" if model.run else model.home.with_name(f"{model.name}-evaluation")
    settings = _settings(model, split, limit)
    pictures = _Pictures(temporary(home / folder))
    try:
        made = model.sample_pairs(split=split, limit=limit, on_skip=pictures.left_out)
        table = score_pairs(
            Compared(one.name, one.output, one.target, one.source) for one in pictures.keep(made, on_picture)
        )
        shown = pictures.done()
        first = {name: str(record) for name, record in islice(shown.skipped.items(), SKIPPED_NAMED)}
        skipped = {"count": len(shown.skipped), "first": first}
        table = replace(table, about={**settings, "skipped": skipped})
        table.to_csv(shown.folder / "scores.csv")
        table.to_json(shown.folder / "scores.json")
        out = _settled(shown.folder, home / folder, settings)
    finally:
        remove(pictures.folder)  # where it still is
        with suppress(OSError):  # it holds others
            home.rmdir()
    shown = replace(shown, folder=out, sheet=out / shown.sheet.name)
    hooks = Hooks(model.assembly.registry)
    hooks.sampled(model.home, step, shown.paths)
    hooks.evaluated(model.home, step, table.mean)
    return Evaluated(table, shown, out / "scores.json")


def _settings(model: Model, split: Split, limit: int | None) -> dict[str, Any]:
    """Everything that pictures and scores follow from."""
    spec = model.assembly.spec.to_mapping()
    about = {"run": model.name, "step": model.checkpoint.step, "ema": model.ema, "split": split, "limit": limit}
    return {**about, "seed": model.assembly.spec.sample.seed, "sample": spec["sample"], "data": spec["data"]}


def _settled(made: Path, wanted: Path, settings: Mapping[str, Any]) -> Path:
    """Move an evaluation to its place: over one of the same settings, else to the first name that is free."""
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}") for number in count(1))
    place = next(path for path in names if not path.exists() or _same(path, settings))
    with refusing("the evaluation cannot be written", place):
        old = temporary(place)
        if place.exists():
            os.rename(place, old)
        try:
            os.rename(made, place)
        except OSError:
            if old.exists():
                os.rename(old, place)
            raise
    remove(old)
    return place


def _same(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an evaluation was made with these settings; the order of guidance is one of them."""
    about = (read_json(folder / "scores.json") or {}).get("about")
    there = {name: about[name] for name in about if name in settings} if isinstance(about, dict) else {}
    return json.dumps(there) == json.dumps(settings)


class _Pictures:
    """Writes pictures as they come, and keeps the first for the sheet."""

    def __init__(self, folder: Path, elsewhere: str = "") -> None:
        self.folder, self._elsewhere = folder, elsewhere
        self._names: list[str] = []
        self._first: list[Sampled] = []
        self._skipped: dict[str, BadRecord] = {}

    def left_out(self, name: str, record: BadRecord) -> None:
        """Note a pair that cannot be used."""
        self._skipped[name] = record

    def keep(self, made: Iterator[Sampled], on_picture: OnPicture | None) -> Iterator[Sampled]:
        """Pass pictures on, writing each as NAME.png."""
        for one in made:
            with refusing("a picture cannot be written", self.folder, elsewhere=self._elsewhere):
                self.folder.mkdir(parents=True, exist_ok=True)  # now that there is something to write
                write_picture(Image.fromarray(one.output), self.folder / f"{one.name}.png")
            self._names.append(one.name)
            self._first = [*self._first, one][:SHEET_ROWS]
            if on_picture:
                on_picture(len(self._names))
            yield one

    def done(self) -> SampledPairs:
        """Draw the sheet."""
        sheet = self.folder / "sheet.png"
        with refusing("a sheet cannot be written", self.folder, elsewhere=self._elsewhere):
            write_picture(Sheet(HEADINGS, [one.row for one in self._first]).picture(), sheet)
        return SampledPairs(self.folder, sheet, tuple(self._names), self._skipped)


def demo(
    folder: Path, *, steps: int | None = None, on_event: Callable[[Mapping[str, Any]], None] | None = None
) -> DemoResult:
    """Compose, train, sample and score a small method on drawn figures, on whatever machine this is.

    Args:
        folder: Where the run is made.
        steps: In place of the demo's own.
        on_event: Told of everything that happens.
    """
    began = time.perf_counter()
    run = compose(f"{OWN_NAME}:demo").train(runs=folder, steps=steps, on_event=on_event)

    def counted(done: int) -> None:
        if on_event:
            on_event({"kind": "count", "doing": "drawing and scoring", "done": done, "of": SHEET_ROWS})

    evaluated = evaluate(run, split="test", limit=SHEET_ROWS, on_picture=counted)
    return DemoResult(run, evaluated, time.perf_counter() - began)
