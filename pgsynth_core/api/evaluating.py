"""`sample_pairs`, `evaluate` and `demo`: pictures of a split, their scores, and the whole way in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pgsynth_core.api import compose
from pgsynth_core.api.model import Model, load
from pgsynth_core.api.pictures import HEADINGS, Sampled
from pgsynth_core.api.run import Run
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data.records import Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.evaluation import Compared, ScoreTable, score_pairs
from pgsynth_core.runs import refusing

SHEET_ROWS: Final = 8
"""How many pairs a sheet shows."""

OnPicture = Callable[[int], None]
"""Told how many pictures are made."""


@dataclass(frozen=True)
class SampledPairs:
    """Pictures on disk.

    Attributes:
        folder: Holds ``NAME.png`` for each pair.
        sheet: The first pairs side by side: source, pose, target, output.
        names: Of the pairs, in order.
    """

    folder: Path
    sheet: Path
    names: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        """The pictures, in order."""
        return [self.folder / f"{name}.png" for name in self.names]


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
    """Sample the pairs of a split into a folder, with a sheet."""
    pictures = _Pictures(out)
    for _ in pictures.keep(model.sample_pairs(split=split, limit=limit), on_picture):
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
    is added, so that a quick look does not take the place of the whole. For a checkpoint that was copied elsewhere,
    they go beside it, into ``<its name>-evaluation/``.

    Args:
        run: A run as in `load`, or a model that is loaded.
        split: Which pairs.
        limit: Only the first so many.
        runs: Where runs are.
        on_picture: Told how many pictures are made.
    """
    model = run if isinstance(run, Model) else load(run, runs=runs)
    step = model.checkpoint.step
    folder = f"{split}-{step:08d}" if limit is None else f"{split}-{step:08d}-first{limit}"
    place = model.run.path / "evaluation" if model.run else model.home.with_name(f"{model.name}-evaluation")
    out = place / folder
    pictures = _Pictures(out)
    compared = (
        Compared(one.name, one.output, one.target, one.source)
        for one in pictures.keep(model.sample_pairs(split=split, limit=limit), on_picture)
    )
    settings = model.assembly.spec.sample
    about = {"run": model.name, "step": step, "split": split, "limit": limit, "seed": settings.seed}
    table = score_pairs(compared, about={**about, "sample": settings.model_dump(mode="json")})
    shown = pictures.done()
    table.to_csv(out / "scores.csv")
    scores = table.to_json(out / "scores.json")
    hooks = Hooks(model.assembly.registry)
    hooks.sampled(model.home, step, shown.paths)
    hooks.evaluated(model.home, step, table.mean)
    return Evaluated(table, shown, scores)


class _Pictures:
    """Writes pictures as they come, and keeps the first for the sheet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: list[str] = []
        self._first: list[Sampled] = []

    def keep(self, made: Iterator[Sampled], on_picture: OnPicture | None) -> Iterator[Sampled]:
        """Pass pictures on, writing each as NAME.png."""
        with refusing("pictures cannot be written", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        for one in made:
            with refusing("a picture cannot be written", self.folder):
                Image.fromarray(one.output).save(self.folder / f"{one.name}.png")
            self._names.append(one.name)
            self._first = [*self._first, one][:SHEET_ROWS]
            if on_picture:
                on_picture(len(self._names))
            yield one

    def done(self) -> SampledPairs:
        """Draw the sheet."""
        sheet = self.folder / "sheet.png"
        Sheet(HEADINGS, [one.row for one in self._first]).picture().save(sheet)
        return SampledPairs(self.folder, sheet, tuple(self._names))


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
    run = compose("demo").train(runs=folder, steps=steps, on_event=on_event)

    def counted(done: int) -> None:
        if on_event:
            on_event({"kind": "count", "doing": "drawing and scoring", "done": done, "of": SHEET_ROWS})

    evaluated = evaluate(run, split="test", limit=SHEET_ROWS, on_picture=counted)
    return DemoResult(run, evaluated, time.perf_counter() - began)
