"""Look at what a run has learned: sample the pairs of a split, side by side with the truth, and score them.

An evaluation is a folder: ``settings.json``, a picture for each pair, ``scores.json`` and ``scores.csv``, a sheet, and
in ``shown`` the first pairs' source, pose and target to look at. Every picture is written whole, and noise goes by the
pair's name: an evaluation that was cut short goes on, and several processes can share one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pgsynth_core.api import compose
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.model import Model, load
from pgsynth_core.api.pictures import HEADINGS, Sampled, write_picture
from pgsynth_core.api.run import Run
from pgsynth_core.api.scoring import OnScored, Scoring, scores_name, write_scores, yardstick_of
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data import FitMode, fit_person, read_image
from pgsynth_core.data.records import BadRecord, Dataset, Person, Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.evaluation import (
    WHOLE,
    Bad,
    Earlier,
    FolderPictures,
    Looked,
    Material,
    Reference,
    ScoreTable,
    Shown,
    Yardstick,
    score,
)
from pgsynth_core.evaluation.folder import looked
from pgsynth_core.evaluation.share import Share
from pgsynth_core.metrics import Picture
from pgsynth_core.registry import OWN_NAME
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import OUTPUT, json_text, read_json, remove, replace_text

SHEET_ROWS: Final = 8
"""How many pairs a sheet shows."""

KEPT_ROWS: Final = 24
"""Of how many pairs source, pose and target are kept beside the outputs."""

SKIPPED_NAMED: Final = 20
"""Of what was left out, how much `about` names."""

_SETTINGS: Final = "settings.json"
_SHOWN: Final = "shown"

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
        scores: The table as JSON; as CSV it is beside it.
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


# ------------------------------------------------------------------------------------------- evaluating a run
def evaluate(  # noqa: PLR0913 - the words of a command, all but one optional
    run: Run | Model | str | Path,
    *,
    split: Split = "test",
    limit: int | None = None,
    scoring: Scoring | None = None,
    fresh: bool = False,
    runs: str | Path | None = None,
    on_picture: OnPicture | None = None,
    on_scored: OnScored | None = None,
) -> Evaluated:
    """Sample a split of a run's dataset and score it, against the target and beside copying the source.

    Writes pictures, sheet and scores into the run's folder, ``evaluation/<split>-<step>/``; with a limit, ``-first<N>``
    is added, so that a quick look does not take the place of the whole. An evaluation with other settings is never
    written over, the new one gets a number. One with the same settings goes on: pictures that are there are taken up,
    and so is what was scored of them. For a checkpoint that was copied elsewhere, they go beside it, into
    ``<its name>-evaluation/``.

    Args:
        run: A run as in `load`, or a model that is loaded.
        split: Which pairs.
        limit: Only the first so many.
        scoring: How; by default by the default protocol, at the size the method works at.
        fresh: Sample all anew, as after a change of the data's files.
        runs: Where runs are.
        on_picture: Told how many pictures there are.
        on_scored: Told how far scoring is.

    Raises:
        UserError: What `load` and `sample_pairs` raise; or if pictures are too small to be scored, or the protocol
            does not suit how the run fits photos.
    """
    model = run if isinstance(run, Model) else load(run, runs=runs)
    scoring = scoring or Scoring()
    evaluation = Evaluation(model, split, limit)
    yardstick = evaluation.yardstick(scoring)  # before hours of sampling
    if fresh:
        evaluation.clear()
    evaluation.sample(on_picture=on_picture)
    return evaluation.score(yardstick, workers=scoring.workers, on_scored=on_scored)


class Evaluation:
    """One evaluation of a run: a folder that pictures come into, from one process or several.

    Args:
        model: What is evaluated.
        split: Which pairs.
        limit: Only the first so many; None for all.

    Attributes:
        folder: Where it is; made with its first picture.
        skipped: Pairs and rows that cannot be used.

    Raises:
        UserError: If the limit is none, or the dataset cannot be read.
    """

    def __init__(self, model: Model, split: Split, limit: int | None) -> None:
        self._model, self._split, self._limit = model, split, limit
        step = model.checkpoint.step
        name = f"{split}-{step:08d}" if limit is None else f"{split}-{step:08d}-first{limit}"
        home = model.run.path / "evaluation" if model.run else model.home.with_name(f"{model.name}-evaluation")
        self.folder = _place(home / name, self.settings)
        self.skipped: dict[str, BadRecord] = {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that pictures follow from."""
        model = self._model
        spec = model.assembly.spec.to_mapping()
        about = {"run": model.name, "step": model.checkpoint.step, "ema": model.ema}
        about |= {"checkpoint": model.checkpoint.digest, "split": self._split, "limit": self._limit}
        return {**about, "seed": model.assembly.spec.sample.seed, "sample": spec["sample"], "data": spec["data"]}

    @cached_property
    def _dataset(self) -> Dataset:
        return dataset_of(self._model.assembly.spec, self._model.assembly.registry, self._split)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the pairs, in order."""
        return tuple(map(self._dataset.name, range(len(self._dataset))[: self._limit]))

    def has(self, name: str) -> bool:
        """Whether a pair's picture is there."""
        return (self.folder / f"{name}.png").is_file()

    def clear(self) -> None:
        """Remove what is there."""
        remove(self.folder)

    # ------------------------------------------------------------------ sampling
    def sample(self, share: Share | None = None, *, on_picture: OnPicture | None = None) -> None:
        """Sample the pairs that have no picture yet.

        Args:
            share: Which of them; None for all.
            on_picture: Told how many pictures of the share there are.

        Raises:
            UserError: As `sample_pairs`.
        """
        share = share or Share()
        mine = [name for index, name in enumerate(self.names) if share.has(index)]
        wanted = {name for name in mine if not self.has(name)}
        there = len(mine) - len(wanted)
        kept = {*self.names[:KEPT_ROWS]}
        made = self._model.sample_pairs(
            split=self._split, limit=self._limit, only=wanted.__contains__, on_skip=self._left_out
        )
        for done, one in enumerate(made, there + 1):
            self._write(one, shown=one.name in kept)
            if on_picture:
                on_picture(done)

    def _left_out(self, name: str, record: BadRecord) -> None:
        self.skipped[name] = record

    def _write(self, one: Sampled, *, shown: bool) -> None:
        """Write a picture; last, so that whoever sees it sees what goes with it."""
        with refusing("a picture cannot be written", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / _SETTINGS).exists():
                replace_text(self.folder / _SETTINGS, json_text(self.settings))
            if shown:
                (self.folder / _SHOWN).mkdir(exist_ok=True)
                for what in ("source", "pose", "target"):
                    picture = Image.fromarray(getattr(one, what))
                    write_picture(picture, self.folder / _SHOWN / f"{one.name}.{what}.png")
            write_picture(Image.fromarray(one.output), self.folder / f"{one.name}.png")

    # ------------------------------------------------------------------ scoring
    def yardstick(self, scoring: Scoring) -> Yardstick:
        """By what it is scored.

        Raises:
            UserError: If the protocol's size asks for whole photos and the run pads or crops them.
        """
        spec, registry = self._model.assembly.spec, self._model.assembly.registry
        yardstick = yardstick_of(scoring, registry, reference=self._reference(scoring))
        if yardstick.size is not None and spec.fit != "squash":
            message = f"the protocol {yardstick.protocol.name} compares whole photos, and this run has fit={spec.fit}."
            raise SpecError(message, where="--protocol", cure="Score it at its own size: --protocol standard.")
        return yardstick

    def _reference(self, scoring: Scoring) -> Reference | None:
        """The dataset's own training images, where it can tell them one by one."""
        if scoring.reference or scoring.of(self._model.assembly.registry).reference != "training":
            return None
        train = dataset_of(self._model.assembly.spec, self._model.assembly.registry, "train")
        files = [train.photo_file(name) for name in train.people()]
        known = tuple(file for file in files if file is not None)
        return Reference(FolderPictures(known)) if known and len(known) == len(files) else None

    def score(self, yardstick: Yardstick, *, workers: int = 0, on_scored: OnScored | None = None) -> Evaluated:
        """Score what was sampled, and write it.

        Raises:
            UserError: If pictures cannot be scored, or scores cannot be written.
        """
        model = self._model
        place = self.folder / scores_name(yardstick, model.assembly.registry)
        names = tuple(name for name in self.names if self.has(name))
        earlier = Earlier.of(place, yardstick.way, yardstick.libraries)
        spec = model.assembly.spec
        pairs = RunPairs(
            dataset=self._dataset,
            every=self.names,
            names=names,
            folder=self.folder,
            size=spec.size,
            fit=spec.fit,
            whole=yardstick.size is not None,
            earlier=earlier,
        )
        bad = [Bad(name, Problem(str(record))) for name, record in self.skipped.items() if name in {*self.names}]
        first = {name: str(record) for name, record in islice(self.skipped.items(), SKIPPED_NAMED)}
        table = score(
            pairs,
            yardstick,
            found_bad=bad,
            skip=self._dataset.bad == "skip",
            earlier=earlier,
            about={**self.settings, "skipped": {"count": len(self.skipped), "first": first}},
            workers=workers,
            on_scored=on_scored,
        )
        sheet = self._sheet(names)
        write_scores(table, place)
        shown = SampledPairs(self.folder, sheet, tuple(row.name for row in table.rows), self.skipped)
        hooks = Hooks(model.assembly.registry)
        hooks.sampled(model.home, model.checkpoint.step, shown.paths)
        hooks.evaluated(model.home, model.checkpoint.step, table.mean)
        return Evaluated(table, shown, place)

    def _sheet(self, names: Sequence[str]) -> Path:
        """The first pairs side by side."""
        sheet, rows = self.folder / "sheet.png", list[list[Picture]]()
        for name in names[:KEPT_ROWS]:
            files = [self.folder / _SHOWN / f"{name}.{what}.png" for what in ("source", "pose", "target")]
            if all(file.is_file() for file in files) and len(rows) < SHEET_ROWS:
                rows.append([read_image(file) for file in (*files, self.folder / f"{name}.png")])
        if rows:
            with refusing("a sheet cannot be written", self.folder):
                write_picture(Sheet(HEADINGS, rows).picture(), sheet)
        return sheet


def _place(wanted: Path, settings: Mapping[str, Any]) -> Path:
    """Where an evaluation of these settings is, or may be begun: the first name that nothing else has."""
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}") for number in count(1))
    return next(path for path in names if not path.exists() or _same(path, settings))


def _same(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an evaluation was made with these settings; the order of guidance is one of them."""
    return json.dumps(read_json(folder / _SETTINGS)) == json.dumps(settings)


@dataclass(kw_only=True)
class RunPairs(Material):
    """What was sampled from a run's dataset, as what can be scored; see `evaluation.Material`.

    At the method's own size the truth is what the method was shown; at another it is the photo as it is stored.

    Attributes:
        dataset: The pairs; asked by one thread at a time.
        every: Names of all its pairs.
        names: Of those that have a picture.
        folder: Where the pictures are.
        size: (height, width) of the method's pictures.
        fit: How it fits a photo into them.
        whole: Whether the truth is the photo as it is stored.
        earlier: What was scored before; tells the hash of a truth that need not be read again.
    """

    dataset: Dataset
    every: Sequence[str]
    names: Sequence[str]
    folder: Path
    size: tuple[int, int]
    fit: FitMode
    whole: bool
    earlier: Earlier

    sources = True

    def __post_init__(self) -> None:
        self._index = {name: index for index, name in enumerate(self.every)}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The pair's name."""
        return self.names[index]

    def photos(self, index: int) -> tuple[str, ...]:
        """As the dataset names them."""
        return self.dataset.photos_of(self._index[self.names[index]]) or ()

    def look(self, index: int) -> Looked:
        """The hash of the picture, and of the truth if it is known."""
        name = self.names[index]
        digest, size = looked(self.folder / f"{name}.png", WHOLE)
        return Looked((digest, self.earlier.targets.get((name, digest), "")), (size, self.size))

    def read(self, index: int) -> Shown:
        """The pictures of a pair."""
        name = self.names[index]
        with self._lock:
            pair = self.dataset.pair(self._index[name])
        source, target = (self._seen(person) for person in (pair.source, pair.target))
        return Shown(read_image(self.folder / f"{name}.png"), target, source)

    def _seen(self, person: Person) -> Picture:
        return person.image if self.whole else fit_person(person, self.size, self.fit).image


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
