"""A leaderboard: published rows and one's own in one table for each dataset and size, and what must not be compared.

Ranked among each other are only numbers made in one way: by the board's protocol, of the same pairs, by the published
definition of the metric with the published weights, and sets against as many training photos. All others stand apart,
each with a note that says why. Floor 2, no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.reports.own_scores import OwnScores
from pgsynth_core.reports.published import Column, Published, Row, Way

__all__ = ["Board", "Line", "Wanted", "boards"]

_Kind = tuple[str, str, str]
"""Pairs, definition, and what sets are compared with."""
FOLDER: Final = "folder"
"""Stands for the dataset of pictures in a folder where nothing is published at their size."""


@dataclass(frozen=True)
class Wanted:
    """What is to be shown.

    Attributes:
        dataset: Only of this one; empty for all.
        size: Only at this ``HxW``; empty for all.
        metric: What to sort by; empty for a board's first column.
        protocol: By which to rank; empty: the one of the published table.
    """

    dataset: str = ""
    size: str = ""
    metric: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a board.

    Attributes:
        name: The method, or the run or folder.
        values: Column -> value; without those that are missing.
        yours: Whether it is no published one.
        rank: From 1; None where it is not ranked.
        way: How its numbers were made: name of a protocol or of a way.
        venue: Where it was published, with the year.
        mark: The paper's own sign.
        notes: Numbers of the board's notes on it.
        cells: Column -> numbers of the notes on that value.
        settings: Of an ablation.
        source: Where the numbers stand: a paper and its table, or a file.
        own: How the numbers in the method's own paper were made, if otherwise.
        implied: Whether `way` or the size is a conclusion that nobody states.
        copied: Whether the source took them from another paper.
        reevaluated: Whether they are another's scoring of the method's pictures.
        pairs: How many were scored; None if that is not said.
    """

    name: str
    values: Mapping[str, float]
    yours: bool
    rank: int | None
    way: str
    venue: str = ""
    mark: str = ""
    notes: tuple[int, ...] = ()
    cells: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    own: str = ""
    implied: bool = False
    copied: bool = False
    reevaluated: bool = False
    pairs: int | None = None


@dataclass(frozen=True)
class Board:
    """One table.

    Attributes:
        dataset: Of all its rows.
        size: Of all its rows; empty if the paper does not say.
        protocol: What the ranked rows were scored by.
        metric: The column that it is sorted by.
        columns: Metric -> what it is, in order.
        heads: Column -> numbers of the notes on all of it.
        ranked: Those that may be compared, the best first; those without a value of `metric` last, without a rank.
        apart: Those that may not.
        notes: What must be known; the first is note 1.
        remarks: Of the tables as a whole: their own notes, and what of them is missing.
        title: Of the only table, where one was asked for.
    """

    dataset: str
    size: str
    protocol: str
    metric: str
    columns: Mapping[str, Column]
    heads: Mapping[str, tuple[int, ...]]
    ranked: tuple[Line, ...]
    apart: tuple[Line, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    title: str = ""


def boards(tables: Sequence[Published], own: Sequence[OwnScores], wanted: Wanted | None = None) -> tuple[Board, ...]:
    """Every board: those with published rows first, then those of one's own alone.

    Args:
        tables: Whose rows are shown.
        own: One's own scores.
        wanted: What is to be shown; by default all.

    Raises:
        SpecError: If no board has what is wanted.
    """
    wanted = wanted or Wanted()
    places = _published_places(tables)
    at: dict[tuple[str, str], list[OwnScores]] = {}
    alone: dict[tuple[str, str, str], list[OwnScores]] = {}
    for scores in own:
        if here := [place for place in places if _belongs(scores, place)]:
            at.setdefault(here[0], []).append(scores)
        else:
            alone.setdefault((scores.dataset or FOLDER, scores.size, scores.protocol), []).append(scores)
    keys = [*places, *(key[:2] for key in alone)]
    for what, asked, number in (("dataset", wanted.dataset, 0), ("size", wanted.size, 1)):
        _require(what, asked, [key[number] for key in keys])
        keys = [key for key in keys if asked in ("", key[number])]
    if not keys:
        raise SpecError(f"nothing of {wanted.dataset} is at {wanted.size}.", where="--size", cure="Leave one out.")
    makers = [_Maker(place[0], place[1], found, at.get(place, [])) for place, found in places.items() if place in keys]
    makers += [_Maker(key[0], key[1], [], some) for key, some in alone.items() if key[:2] in keys]
    _require("protocol", wanted.protocol, [way for maker in makers for way in maker.ways()])
    _require("metric", wanted.metric, [name for maker in makers for name in maker.columns])
    return tuple(maker.board(wanted) for maker in makers)


def _published_places(tables: Sequence[Published]) -> dict[tuple[str, str], list[Published]]:
    """Dataset and size -> tables that have rows there."""
    places: dict[tuple[str, str], list[Published]] = {}
    for table in tables:
        for size in dict.fromkeys(row.size for row in table.table.row):
            places.setdefault((table.table.dataset, size), []).append(table)
    return places


def _belongs(scores: OwnScores, place: tuple[str, str]) -> bool:
    return scores.size == place[1] and scores.dataset in ("", place[0])


def _require(what: str, asked: str, there: Iterable[str]) -> None:
    known = list(dict.fromkeys(name for name in there if name))
    if asked and asked not in known:
        cure = suggestion(asked, known, what=f"{what}s")
        raise SpecError(f"no row has the {what} {asked!r}.", where=f"--{what}", cure=cure)


# ------------------------------------------------------------------------------------------- one board
class _Maker:
    """Makes one board."""

    def __init__(self, dataset: str, size: str, tables: Sequence[Published], own: Sequence[OwnScores]) -> None:
        self._dataset, self._size, self._tables, self._own = dataset, size, tables, own
        self._notes: dict[str, int] = {}
        self.columns: dict[str, Column] = {}
        for table in tables:
            for name, column in table.table.columns.items():
                self.columns.setdefault(name, column)
        for scores in own:
            for name, one in scores.measures.items():
                better = "higher" if one.better == "higher" else "lower"
                column = Column(title=name, better=better, digits=one.digits, unit=one.unit)
                self.columns.setdefault(name, column)

    def ways(self) -> Iterator[str]:
        """The label of how each row's numbers were made."""
        yield from (table.way_of(row).label for table, row in self._rows())
        yield from (scores.protocol for scores in self._own)

    def board(self, wanted: Wanted) -> Board:
        """The board."""
        named = [table.way.label for table in self._tables if table.way.protocol]
        protocol = wanted.protocol or next(iter([*named, *self.ways()]))
        metric = wanted.metric if wanted.metric in self.columns else next(iter(self.columns))
        heads = {name: self._noted([column.note]) for name, column in self.columns.items() if column.note}
        ranked, apart = list[Line](), list[Line]()
        for table, row in self._rows():
            (ranked if table.way_of(row).label == protocol else apart).append(self._published(table, row, protocol))
        alike = self._alike(metric)
        for scores in self._own:
            reasons = [*self._reasons(scores, protocol, metric, alike)]
            (apart if reasons else ranked).append(self._yours(scores, reasons, protocol))
        best = tuple(_ranked(ranked, metric, self.columns[metric]))
        others = tuple(_sorted(apart, metric, self.columns[metric]))
        new = _as_read(heads, (*best, *others))
        return Board(
            self._dataset,
            self._size,
            protocol,
            metric,
            self.columns,
            {name: _renumbered(notes, new) for name, notes in heads.items()},
            tuple(_with_notes(line, new) for line in best),
            tuple(_with_notes(line, new) for line in others),
            tuple(sorted(self._notes, key=lambda text: new[self._notes[text]])),
            tuple(self._remarks()),
            self._tables[0].table.title if len(self._tables) == 1 else "",
        )

    def _rows(self) -> Iterator[tuple[Published, Row]]:
        for table in self._tables:
            yield from ((table, row) for row in table.table.row if row.size == self._size)

    def _noted(self, texts: Iterable[str]) -> tuple[int, ...]:
        """The numbers of notes; equal ones are one."""
        return tuple(self._notes.setdefault(text, len(self._notes) + 1) for text in texts if text)

    def _remarks(self) -> Iterator[str]:
        for table in self._tables:
            yield from (f"{table.table.name}: {note}" for note in table.table.notes)
            if table.table.missing:
                yield f"{table.table.name}: not known here: {table.table.missing}"

    def _published(self, table: Published, row: Row, protocol: str) -> Line:
        way = table.way_of(row)
        texts = [] if way.label == protocol else [f"{way.label}, not {protocol}: {way.summary}"]
        return Line(
            row.method,
            row.values,
            yours=False,
            rank=None,
            way=way.label,
            venue=f"{row.venue} {row.year or ''}".strip(),
            mark=row.mark,
            notes=self._noted([*texts, row.note]),
            settings=row.settings,
            source=table.cited,
            own=row.own,
            implied=row.implied,
            copied=row.copied,
            reevaluated=row.reevaluated,
            pairs=table.table.pairs,
        )

    # ------------------------------------------------------------------ one's own
    def _alike(self, metric: str) -> _Kind:
        """What most of one's own share, those of the most pairs first."""
        shared = Counter(_kind(scores, metric) for scores in self._own)
        images = {_kind(scores, metric): scores.images for scores in self._own}
        return max(shared, key=lambda kind: (bool(kind[1]), images[kind], shared[kind]), default=("", "", ""))

    def _reasons(self, scores: OwnScores, protocol: str, metric: str, alike: _Kind) -> Iterator[str]:
        """Why it may not be ranked."""
        if scores.protocol != protocol:
            yield f"{scores.protocol}, not {protocol}: pictures are resized and measured otherwise."
        if not math.isfinite(scores.values.get(metric, 0)):
            yield f"{metric} is infinite, as where a prediction is its target."
        if metric in scores.measures and not self._ways(metric, protocol) and _kind(scores, metric) != alike:
            yield f"of other pairs than the ranked rows ({scores.images:,}), or by another definition of {metric}."
        if not self._tables:
            return
        official = next((table.table.pairs for table in self._tables if table.table.pairs), None)
        if official is None:
            yield "of how many and which pairs the published numbers are is not known."
        elif scores.images != official:
            yield f"{scores.images:,} pairs, not {official:,}{_fewer(scores)}."
        if scores.split not in ("", "test"):
            yield f"of the split {scores.split}, not test."
        if "truth" in scores.cuts:
            yield "compared with a part of every photo, not with all of it."
        yield from self._of_value(scores, metric, protocol)

    def _yours(self, scores: OwnScores, reasons: Sequence[str], protocol: str) -> Line:
        texts = list(reasons)
        if self._tables and not scores.dataset:
            texts.append(f"a folder does not say its dataset: that it is {self._dataset} is taken on trust.")
        if not self._tables and (scores.limit is not None or scores.left_out):
            texts.append(f"{scores.images:,} pairs, not all{_fewer(scores)}.")
        texts += [f"cut out of every {what}: {rule}." for what, rule in scores.cuts.items()]
        return Line(
            scores.name,
            scores.values,
            yours=True,
            rank=None,
            way=scores.protocol,
            notes=self._noted(texts),
            cells={
                name: found for name in scores.values if (found := self._noted(self._of_value(scores, name, protocol)))
            },
            source=str(scores.file),
            pairs=scores.images,
        )

    def _of_value(self, scores: OwnScores, name: str, protocol: str) -> Iterator[str]:
        """Why a value may not be ranked among those of its column, if it was scored by this protocol."""
        measure = scores.measures.get(name)
        if measure is None or scores.protocol != protocol:
            return
        ways = self._ways(name, protocol)
        if not measure.official:
            yield f"{name} is by weights that are not the published ones."
        elif ways and measure.id != ways[0].ids.get(name):
            yield f"{name} is by another definition than the published one: {measure.id}."
        if ways and measure.of == "set":
            yield from _of_reference(scores, name, ways[0].reference)

    def _ways(self, metric: str, protocol: str) -> list[Way]:
        """How the published values that a metric is ranked with were made."""
        return [table.way for table in self._tables if table.way.label == protocol and metric in table.table.columns]


def _of_reference(scores: OwnScores, name: str, published: int | None) -> Iterator[str]:
    """Why a value of a set was not compared with what the published ones were."""
    if scores.reference is None or not scores.sets.get(name):
        yield f"{name} is against pictures that are not known; published ones are against all training photos."
    elif scores.reference != published:
        all_of = "all" if published is None else f"all {published:,}"
        yield f"{name} is against {scores.reference:,} pictures; published ones are against {all_of} training photos."


def _fewer(scores: OwnScores) -> str:
    """Why they are fewer than there are."""
    limit = f", the first {scores.limit:,} by --limit" if scores.limit is not None else ""
    return limit + (f", {scores.left_out:,} could not be scored" if scores.left_out else "")


def _kind(scores: OwnScores, metric: str) -> _Kind:
    """What values of a metric must share to be ranked where nothing is published."""
    measure = scores.measures.get(metric)
    return scores.alike, measure.id if measure else "", scores.sets.get(metric, "")


# ------------------------------------------------------------------------------------------- in order
def _sorted(lines: Iterable[Line], metric: str, column: Column) -> list[Line]:
    """The best first; those without a value last."""
    sign = -1 if column.better == "higher" else 1
    return sorted(lines, key=lambda line: (metric not in line.values, sign * line.values.get(metric, 0)))


def _ranked(lines: Iterable[Line], metric: str, column: Column) -> Iterator[Line]:
    """In order, with ranks; who prints the same shares one."""
    rank, last = 0, ""
    for number, line in enumerate(_sorted(lines, metric, column), 1):
        if metric not in line.values:
            yield line
            continue
        printed = f"{line.values[metric]:.{column.digits}f}"
        rank, last = (rank, last) if printed == last else (number, printed)
        yield replace(line, rank=rank)


# ------------------------------------------------------------------------------------------- notes
def _as_read(heads: Mapping[str, tuple[int, ...]], lines: Sequence[Line]) -> dict[int, int]:
    """The number of each note, to that in the order in which a reader meets them."""
    met = [note for notes in heads.values() for note in notes]
    met += [note for line in lines for notes in (line.notes, *line.cells.values()) for note in notes]
    return {old: new for new, old in enumerate(dict.fromkeys(met), 1)}


def _renumbered(notes: Iterable[int], new: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(sorted(new[note] for note in notes))


def _with_notes(line: Line, new: Mapping[int, int]) -> Line:
    cells = {name: _renumbered(notes, new) for name, notes in line.cells.items()}
    return replace(line, notes=_renumbered(line.notes, new), cells=cells)
