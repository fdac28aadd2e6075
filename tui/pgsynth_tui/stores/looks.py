"""What there is to look at of some runs, side by side: rows are pairs; columns source, pose, target, each run's output.

One cursor steps through all of them: each run shows what it drew last at or before it. Nothing here is drawn; where the
pictures come from is said in `pgsynth_tui.stores.albums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from PIL import ImageChops, ImageStat

from pgsynth_core.runs import RunFolder
from pgsynth_tui.stores.albums import GIVEN, SAMPLES, Album, Place, places, read_album
from pgsynth_tui.stores.reading import Piece, Unreadable, read_picture

__all__ = ["GIVEN", "SAMPLES", "LookStore", "Row", "Table", "Tile"]

_SAME: Final = 0.01
"""Mean difference, 0 to 1, below which two pictures are one, drawn in other batches or on another device."""
_OWN: Final = ("run", "step", "skipped")
"""Of what an evaluation says of itself: what differs between runs anyway."""


@dataclass(frozen=True)
class Tile:
    """One picture of the table.

    Attributes:
        heading: Of its column.
        piece: The picture; None if there is none.
        words: Why there is none, or what is to be said of it.
        values: Scores, by measure; infinite for PSNR of equal pictures.
        scored: The evaluation they are of; empty without any.
    """

    heading: str
    piece: Piece | None = None
    words: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    scored: str = ""

    @property
    def scores(self) -> str:
        """The scores in a line."""
        return "  ".join(
            f"{name} {value:.3f}" if name != "psnr" else f"{name} {value:.1f}" for name, value in self.values.items()
        )


@dataclass(frozen=True)
class Row:
    """One pair: its tiles, as many as the table has headings."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Table:
    """What is shown at a step.

    Attributes:
        headings: Of the columns.
        rows: The pairs.
        notes: What keeps them from being compared, in sentences.
        drawn: Of each run its name, and at which step it drew what is shown; None if it drew nothing until then.
    """

    headings: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    drawn: tuple[tuple[str, int | None], ...] = ()


class LookStore:
    """Pictures of some runs. Everything but the properties reads files: call it in a thread.

    Args:
        runs: Whose; the first one's source, pose and target are shown.

    Attributes:
        kind: What is looked at: `SAMPLES` or an evaluation.
        cursor: The step at which everything is looked at; None follows the newest.
    """

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        self.runs = tuple(runs)
        self.kind = SAMPLES
        self.cursor: int | None = None
        self._albums: dict[Path, tuple[Album, ...]] = {}
        self._known: dict[Path, tuple[int, Album]] = {}

    def look(self) -> bool:
        """Look at every folder of pictures; one that is as before is not read again.

        Returns:
            Whether anything is otherwise than before.
        """
        found = {run.path: self._of(run) for run in self.runs}
        known = {album.folder: self._known[album.folder] for albums in found.values() for album in albums}
        before, self._albums, self._known = self._albums, found, known
        return before != found

    @property
    def kinds(self) -> tuple[str, ...]:
        """What there is to look at; samples first."""
        found = {album.kind for albums in self._albums.values() for album in albums}
        return tuple(sorted(found, key=lambda kind: (kind != SAMPLES, kind)))

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps at which any of the runs drew what is looked at, ascending."""
        found = {album.step for albums in self._albums.values() for album in albums if album.kind == self.kind}
        return tuple(sorted(found))

    @property
    def step(self) -> int | None:
        """Where the cursor is; None if there is nothing."""
        steps = self.steps
        if self.cursor is None or not steps:
            return steps[-1] if steps else None
        return max((step for step in steps if step <= self.cursor), default=steps[0])

    def move(self, by: int) -> bool:
        """Go so many steps of those there are on, or back; at the last one, the newest is followed.

        Returns:
            Whether that led anywhere else.
        """
        steps, step = self.steps, self.step
        if step is None:
            return False
        at = min(len(steps) - 1, max(0, steps.index(step) + by))
        self.cursor = None if at == len(steps) - 1 else steps[at]
        return steps[at] != step

    def album(self, run: RunFolder) -> Album | None:
        """The run's nearest at or before the cursor; None if it drew nothing until then."""
        step = self.step
        fitting = [album for album in self._albums.get(run.path, ()) if album.kind == self.kind]
        return max((album for album in fitting if step is not None and album.step <= step), key=_step, default=None)

    def table(self) -> Table:
        """Everything at the cursor, aligned."""
        albums = [self.album(run) for run in self.runs]
        there = [album for album in albums if album]
        names = list(dict.fromkeys(row for album in there for row in album.outputs))
        headings = [
            f"{run.id} @ {album.step}" if album else run.id for run, album in zip(self.runs, albums, strict=True)
        ]
        several = len(there) > 1
        rows = []
        for name in names:
            first = next((album for album in there if name in album.given), None)
            given = first.given[name] if first else None
            tiles = [
                Tile(heading, given[number] if given else None, "" if given else "not on disk")
                for number, heading in enumerate(GIVEN)
            ]
            for run, album, heading in zip(self.runs, albums, headings, strict=True):
                tile = self._output(run, album, name, heading)
                if several and album and first and _other_pair(first, album, name):
                    tile = replace(tile, words="of another pair")
                tiles.append(tile)
            rows.append(Row(name, tuple(tiles)))
        drawn = tuple((run.id, album.step if album else None) for run, album in zip(self.runs, albums, strict=True))
        return Table((*GIVEN, *headings), tuple(rows), tuple(_notes(there)), drawn)

    def _output(self, run: RunFolder, album: Album | None, name: str, heading: str) -> Tile:
        if album is None:
            return Tile(heading, words=f"nothing at or before step {self.step}")
        if name not in album.outputs:
            return Tile(heading, words="it drew none of this pair")
        piece = Piece(album.outputs[name])
        if album.kind != SAMPLES:
            return Tile(heading, piece, values=album.values.get(name, {}), scored=album.folder.name)
        return self._scored(run, album, name, Tile(heading, piece))

    def _scored(self, run: RunFolder, album: Album, name: str, tile: Tile) -> Tile:
        """A sample with the scores of its pair in an evaluation of the same step, if one drew the same picture.

        That drew it anew from the same noise, maybe in another batch: where it is the same but not to the bit, that is
        said. One that was made with other settings drew another picture, and its scores are not this one's.
        """
        sought, nearly = album.prints.get(name), tile
        for other in self._albums.get(run.path, ()):
            if sought is None or other.kind == SAMPLES or other.step != album.step:
                continue
            for pair, known in other.prints.items():
                apart = _apart(album.outputs[name], other.outputs[pair]) if known == sought else 1.0
                if not apart:
                    return replace(tile, values=other.values[pair], scored=other.folder.name)
                if apart < _SAME and nearly is tile:
                    nearly = replace(tile, values=other.values[pair], scored=f"{other.folder.name}, drawn anew")
        return nearly

    def _of(self, run: RunFolder) -> tuple[Album, ...]:
        found = [album for place in places(run) if (album := self._read(place)).outputs]
        return tuple(sorted(found, key=lambda album: (album.kind, album.step)))

    def _read(self, place: Place) -> Album:
        try:
            stamp = place.folder.stat().st_mtime_ns  # every file is put there by renaming it
        except OSError:
            return Album(place.folder, place.step, place.kind)
        known = self._known.get(place.folder)
        if known and known[0] == stamp:
            return known[1]
        album = read_album(place)
        self._known[place.folder] = stamp, album
        return album


def _step(album: Album) -> int:
    return album.step


def _other_pair(one: Album, other: Album, row: str) -> bool:
    """Whether two runs' pictures of one row are seen to be of different pairs; sizes that differ show nothing."""
    if one is other or row not in other.given or one.size(row) != other.size(row):
        return False
    prints = one.prints.get(row), other.prints.get(row)
    return None not in prints and prints[0] != prints[1]


def _apart(one: Path, other: Path) -> float:
    """The mean difference of two pictures, 0 to 1; 1 where that cannot be said."""
    first, second = read_picture(Piece(one)), read_picture(Piece(other))
    if isinstance(first, Unreadable) or isinstance(second, Unreadable):
        return 1.0
    if (first.size, first.mode) != (second.size, second.mode):
        return 1.0
    return max(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 255


def _notes(albums: Sequence[Album]) -> list[str]:
    """What keeps the pictures of several runs from being compared."""
    notes = []
    sizes = {album.size(row): None for album in albums for row in list(album.given)[:1]}
    if len(sizes) > 1:
        said = " and ".join(f"{width} x {height}" for width, height in sizes)
        notes.append(f"The runs draw at {said} pixels, so whether rows are the same pairs was not seen.")
    if len(albums) > 1:
        names = dict.fromkeys(name for album in albums for name in album.about if name not in _OWN)
        unlike = [name for name in names if any(album.about.get(name) != albums[0].about.get(name) for album in albums)]
        if unlike:
            notes.append(f"The evaluations were made with different settings: {', '.join(unlike)}.")
    return notes
