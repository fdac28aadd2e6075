"""Look at what a run has learned: sample the pairs of a split, side by side with the truth, and score them.

An evaluation is a folder: ``settings.json``, a picture for each pair, ``scores.json`` and ``scores.csv``, a sheet, and
in ``shown`` the first pairs' source, pose and target to look at. Every picture is written whole, and noise goes by the
pair's name: an evaluation that was cut short goes on, and several processes can share one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from PIL import Image

from pgsynth_core.api import compose
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.evaluation_place import SETTINGS, alone_on, begin, place_for
from pgsynth_core.api.model import Model, load
from pgsynth_core.api.pictures import HEADINGS, Sampled, write_picture
from pgsynth_core.api.run import Run
from pgsynth_core.api.run_pairs import RunPairs
from pgsynth_core.api.scoring import OnScored, Scoring, no_longer, scores_name, write_scores, yardstick_of
from pgsynth_core.api.stamping import about_picture
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data import read_image
from pgsynth_core.data.records import BadRecord, Dataset, Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.evaluation import (
    Bad,
    Earlier,
    FolderPictures,
    Reference,
    ScoreTable,
    Yardstick,
    score,
)
from pgsynth_core.evaluation.digests import file_digests
from pgsynth_core.evaluation.share import Share
from pgsynth_core.evaluation.versions import series
from pgsynth_core.metrics import Picture
from pgsynth_core.registry import OWN_NAME
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import OUTPUT, remove, require_writable
from pgsynth_core.runs.lock import installed
from pgsynth_core.spec.locked import locked_packages

SHEET_ROWS: Final = 8
"""How many pairs a sheet shows."""

KEPT_ROWS: Final = 24
"""Of how many pairs source, pose and target are kept beside the outputs."""

SKIPPED_NAMED: Final = 20
"""Of what was left out, how much `about` names."""

_DRAWING: Final = ("torch", "diffusers", "transformers", "timm")
"""Libraries that draw. Only their release series count (see `evaluation.versions`), of packages with parts all does: to
draw thousands of pictures anew after each release that mends would cost hours and change nothing."""

_REFERENCE: Final = "--reference DIR"
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
        notes: What else is to be known of them.
    """

    folder: Path
    sheet: Path
    names: tuple[str, ...]
    skipped: Mapping[str, BadRecord] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """The pictures, in order."""
        return [self.folder / f"{name}.png" for name in self.names]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes, and a sentence about what was left out, if anything was."""
        if not self.skipped:
            return self.notes
        (first, record), number = next(iter(self.skipped.items())), len(self.skipped)
        which = f"{number:,} pairs or rows cannot be used and were left out, the first is {first}"
        return (
            *self.notes,
            f"{which if number > 1 else f'{first} cannot be used and was left out'}: {record}",
        )


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
    seed = model.assembly.spec.sample.seed
    about = about_picture(model, made_with="sample", seed=seed, split=split)
    dataset = dataset_of(model.assembly.spec, model.assembly.registry, split)
    pictures = _Pictures(out, about, dataset, elsewhere=OUTPUT)
    for _ in pictures.keep(model.sample_pairs(split=split, limit=limit, on_skip=pictures.left_out), on_picture):
        pass
    shown = pictures.done()
    Hooks(model.assembly.registry).sampled(model.home, model.checkpoint.step, shown.paths)
    return shown


class _Pictures:
    """Writes pictures as they come, stamped, and keeps the first for the sheet."""

    def __init__(self, folder: Path, about: Mapping[str, Any], dataset: Dataset, elsewhere: str = "") -> None:
        self.folder, self._about, self._elsewhere = folder, about, elsewhere
        self._dataset, self._indices = dataset, iter(range(len(dataset)))
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
                index = next(index for index in self._indices if self._dataset.name(index) == one.name)
                about = {**self._about, **_of_pair(self._dataset, index)}
                write_picture(Image.fromarray(one.output), self.folder / f"{one.name}.png", about)
            self._names.append(one.name)
            self._first = [*self._first, one][:SHEET_ROWS]
            if on_picture:
                on_picture(len(self._names))
            yield one

    def done(self) -> SampledPairs:
        """Draw the sheet."""
        sheet = self.folder / "sheet.png"
        with refusing("a sheet cannot be written", self.folder, elsewhere=self._elsewhere):
            about = {**self._about, "made_with": "sheet"}
            write_picture(Sheet(HEADINGS, [one.row for one in self._first]).picture(), sheet, about)
        return SampledPairs(self.folder, sheet, tuple(self._names), self._skipped)


def _of_pair(dataset: Dataset, index: int) -> dict[str, str]:
    """What a stamp says of a pair: its name, and the photos of source and pose, where the dataset knows them."""
    source, target = dataset.photos_of(index) or ("", "")
    photos = {"source": source, "pose": target} if source else {}
    return {"pair": dataset.name(index), **photos}


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
        UserError: What `load` and `sample_pairs` raise; or if another process works on this evaluation, pictures are
            too small to be scored, or the protocol does not suit how the run fits photos.
    """
    model = run if isinstance(run, Model) else load(run, runs=runs)
    scoring = scoring or Scoring()
    evaluation = Evaluation(model, split, limit)
    yardstick = evaluation.yardstick(scoring)  # before hours of sampling
    with alone_on(evaluation.folder):
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
        notes: What is to be known before anything is sampled.

    Raises:
        UserError: If the limit is none, or the dataset cannot be read.
    """

    def __init__(self, model: Model, split: Split, limit: int | None) -> None:
        self._model, self._split, self._limit = model, split, limit
        step = model.checkpoint.step
        name = f"{split}-{step:08d}" if limit is None else f"{split}-{step:08d}-first{limit}"
        home = model.run.path / "evaluation" if model.run else model.home.with_name(f"{model.name}-evaluation")
        self.folder, self.notes = place_for(home / name, self.settings)
        self.skipped: dict[str, BadRecord] = {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that pictures follow from."""
        model = self._model
        spec = model.assembly.spec.to_mapping()
        about = {"run": model.name, "step": model.checkpoint.step, "ema": model.ema}
        about |= {"checkpoint": model.checkpoint.digest, "split": self._split, "limit": self._limit}
        about |= {"seed": model.assembly.spec.sample.seed, "sample": spec["sample"], "data": spec["data"]}
        packages = locked_packages(model.assembly.spec, model.assembly.registry)
        libraries = {name: series(version) for name, version in installed(_DRAWING).items()}
        return {**about, "versions": {name: one.version for name, one in packages.items()} | libraries}

    @cached_property
    def _dataset(self) -> Dataset:
        return dataset_of(self._model.assembly.spec, self._model.assembly.registry, self._split)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the pairs, in order."""
        return tuple(map(self._dataset.name, range(len(self._dataset))[: self._limit]))

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @property
    def _stamp(self) -> dict[str, Any]:
        """What the stamps of all pictures say: nothing by which files of the same picture would differ, for scores
        go by their hashes. Run and settings stand beside them."""
        seed = self._model.assembly.spec.sample.seed
        return {"made_with": "evaluate", "split": self._split, "seed": seed}

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
            if not (self.folder / SETTINGS).exists():
                begin(self.folder, self.settings)
            if shown:
                (self.folder / _SHOWN).mkdir(exist_ok=True)
                for what in ("source", "pose", "target"):
                    picture = Image.fromarray(getattr(one, what))
                    write_picture(picture, self.folder / _SHOWN / f"{one.name}.{what}.png")
            about = {**self._stamp, **_of_pair(self._dataset, self._indices[one.name])}
            write_picture(Image.fromarray(one.output), self.folder / f"{one.name}.png", about)

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
        """All photos of the dataset's training split, where it knows them."""
        if scoring.reference or scoring.of(self._model.assembly.registry).reference != "training":
            return None
        try:
            train = dataset_of(self._model.assembly.spec, self._model.assembly.registry, "train")
            photos = tuple(train.photos())
        except UserError as error:
            lost = error.problems[0]
            message = f"it is compared with all training photos, and not all are there: {lost.where}: {lost.message}"
            return Reference(problem=Problem(message, cure=f"Add them, or give the folder that has all: {_REFERENCE}."))
        if not photos:
            message = "it is compared with all training photos, and the dataset does not say which these are."
            cure = f"Give their folder: {_REFERENCE}; or put train.lst, which lists DeepFashion's, beside its tables."
            return Reference(problem=Problem(message, cure=cure))
        return Reference(FolderPictures(photos), folder=os.path.commonpath({str(one.parent) for one in photos}))

    def score(self, yardstick: Yardstick, *, workers: int = 0, on_scored: OnScored | None = None) -> Evaluated:
        """Score what was sampled, and write it. A pair without a picture is one that cannot be scored.

        Raises:
            UserError: If pictures cannot be scored, or scores cannot be written.
        """
        model = self._model
        place = self.folder / scores_name(yardstick, model.assembly.registry)
        require_writable(self.folder, "scores cannot be written")
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
            photos=self._photos(names, on_scored),
        )
        first = {name: str(record) for name, record in islice(self.skipped.items(), SKIPPED_NAMED)}
        table = score(
            pairs,
            yardstick,
            found_bad=self._without_picture(names),
            skip=self._dataset.bad == "skip",
            earlier=earlier,
            about={**self.settings, "skipped": {"count": len(self.skipped), "first": first}},
            workers=workers,
            on_scored=on_scored,
            keep=lambda table: write_scores(table, place),
        )
        sheet = self._sheet(names)
        write_scores(table, place)
        notes = (*self.notes, *no_longer(table, earlier))
        shown = SampledPairs(self.folder, sheet, tuple(row.name for row in table.rows), self.skipped, notes)
        hooks = Hooks(model.assembly.registry)
        hooks.sampled(model.home, model.checkpoint.step, shown.paths)
        hooks.evaluated(model.home, model.checkpoint.step, table.mean)
        return Evaluated(table, shown, place)

    def _without_picture(self, there: Sequence[str]) -> list[Bad]:
        """The pairs that have none, and why."""
        lost = Problem("its picture is not there.", cure="The same command again draws what is missing.")
        known = {name: Problem(str(record)) for name, record in self.skipped.items()}
        having = frozenset(there)
        return [Bad(name, known.get(name, lost)) for name in self.names if name not in having]

    def _photos(self, names: Sequence[str], on_scored: OnScored | None) -> dict[str, tuple[str, str]]:
        """Name of a pair -> hashes of the files of target and source; of those whose photos are files."""
        wanted, dataset = frozenset(names), self._dataset
        pairs = {name: dataset.photos_of(index) for index, name in enumerate(self.names) if name in wanted}
        photos = {photo: dataset.photo_file(photo) for two in pairs.values() if two for photo in two}
        files = {photo: file for photo, file in photos.items() if file is not None}
        told = on_scored or (lambda doing, done, of: None)
        digests = file_digests([*files.values()], lambda done, of: told("hashing the photos", done, of))
        of = dict(zip(files, digests, strict=True))
        return {name: (of.get(two[1], ""), of.get(two[0], "")) for name, two in pairs.items() if two}

    def _sheet(self, names: Sequence[str]) -> Path:
        """The first pairs side by side."""
        sheet, rows = self.folder / "sheet.png", list[list[Picture]]()
        for name in names[:KEPT_ROWS]:
            files = [self.folder / _SHOWN / f"{name}.{what}.png" for what in ("source", "pose", "target")]
            if all(file.is_file() for file in files) and len(rows) < SHEET_ROWS:
                rows.append([read_image(file) for file in (*files, self.folder / f"{name}.png")])
        if rows:
            with refusing("a sheet cannot be written", self.folder):
                write_picture(Sheet(HEADINGS, rows).picture(), sheet, {**self._stamp, "made_with": "sheet"})
        return sheet


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
