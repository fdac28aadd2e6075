"""The pictures that a run leaves, one album for each time that it drew: what lies where, cut from what it lies in.

On disk is, of a step (`pgsynth_core.api.pictures.save_pictures`): ``samples/<step>/<index>.png``, the output alone, and
``sheet.png`` with source, pose, target and output of each. Source, pose and target are nowhere else: they are cut from
the sheet, whose layout `pgsynth_core.data.sheet` states, and brought back to their own pixels. Of an evaluation
(`pgsynth_core.api.evaluating.evaluate`): ``evaluation/<split>-<step>[-first<N>][.<number>]/<name>.png``, a sheet of its
first pairs, and each picture's scores. Samples do not say their pairs' names: they are known again by their pixels.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image as Pillow

from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.durable import read_json
from pgsynth_tui.stores.reading import Piece, Unreadable, read_picture

__all__ = ["GIVEN", "SAMPLES", "Album", "Place", "places", "read_album", "sheet_pieces"]

SAMPLES: Final = "samples"
"""What is drawn while a run trains; anything else is an evaluation, by its folder's name without the step."""
GIVEN: Final = ("source", "pose", "target")
_COLUMNS: Final = len(GIVEN) + 1
_EVALUATION: Final = re.compile(r"(?P<split>.+?)-(?P<step>\d{8,})(?P<rest>(-first\d+)?(\.\d+)?)", re.ASCII)
_SAMPLE: Final = re.compile(r"\d{4,}\.png", re.ASCII)


@dataclass(frozen=True)
class Album:
    """What one run drew at one step.

    Attributes:
        folder: Where it is.
        step: After which it was drawn.
        kind: `SAMPLES`, or which evaluation.
        outputs: Row to its picture: index of a sample, or name of an evaluated pair.
        given: Row to the pieces of the sheet that show its source, pose and target; of the first rows only.
        values: Row to its scores; empty of samples.
        about: What an evaluation was made with.
    """

    folder: Path
    step: int
    kind: str
    outputs: Mapping[str, Path] = field(default_factory=dict)
    given: Mapping[str, tuple[Piece, Piece, Piece]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def prints(self) -> Mapping[str, str]:
        """Row to what source and target are known again by; decodes the sheet."""
        found = {}
        for row, (source, _, target) in self.given.items():
            digest = hashlib.blake2b(digest_size=16)
            for piece in (source, target):
                picture = read_picture(piece)
                if isinstance(picture, Unreadable):
                    return {}
                digest.update(repr(picture.size).encode() + picture.tobytes())
            found[row] = digest.hexdigest()
        return found

    def size(self, row: str) -> tuple[int, int]:
        """Width and height of the row's source, in its own pixels; the row must be given."""
        piece = self.given[row][0]
        left, top, right, bottom = piece.box or (0, 0, 0, 0)
        return (right - left) // piece.scale, (bottom - top) // piece.scale


@dataclass(frozen=True)
class Place:
    """A folder that pictures of a step are in: where, of which step, and of which kind."""

    folder: Path
    step: int
    kind: str


def places(run: RunFolder) -> list[Place]:
    """Every folder of pictures that a run has; none is looked into."""
    found = []
    for folder in _folders(run.samples):
        if folder.name.isascii() and folder.name.isdigit():
            found.append(Place(folder, int(folder.name), SAMPLES))
    for folder in _folders(run.path / "evaluation"):
        if named := _EVALUATION.fullmatch(folder.name):
            found.append(Place(folder, int(named["step"]), named["split"] + named["rest"]))
    return found


def _folders(root: Path) -> list[Path]:
    with suppress(OSError), os.scandir(root) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    return []


def read_album(place: Place) -> Album:
    """What is in it; whatever cannot be read is not in the album."""
    folder, kind = place.folder, place.kind
    nothing = Album(folder, place.step, kind)
    try:
        with os.scandir(folder) as entries:
            files = {entry.name for entry in entries}
    except OSError:
        return nothing
    if kind == SAMPLES:
        outputs = {name[:-4]: folder / name for name in sorted(filter(_SAMPLE.fullmatch, files))}
        return replace(nothing, outputs=outputs, given=sheet_pieces(folder, outputs))
    facts = read_json(folder / "scores.json") or {}
    rows, measures, about = (facts.get(name) for name in ("rows", "measures", "about"))
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    scored = {str(row["name"]): row for row in rows if f"{row.get('name')}.png" in files}
    outputs = {name: folder / f"{name}.png" for name in scored}
    named = tuple(measures) if isinstance(measures, dict) else ()
    return replace(
        nothing,
        outputs=outputs,
        given=sheet_pieces(folder, outputs),
        values={name: _values(row, named) for name, row in scored.items()},
        about=about if isinstance(about, dict) else {},
    )


def _values(row: Mapping[str, Any], measures: tuple[str, ...]) -> Mapping[str, float]:
    """The scores of a row; what is null there is infinite."""
    given = {name: row[name] for name in measures if name in row}
    return {
        name: math.inf if value is None else float(value)
        for name, value in given.items()
        if value is None or isinstance(value, int | float)
    }


def sheet_pieces(folder: Path, outputs: Mapping[str, Path]) -> Mapping[str, tuple[Piece, Piece, Piece]]:
    """Where source, pose and target of the first pictures are on the sheet beside them.

    All tiles of such a sheet are of the outputs' size, enlarged by the same whole factor. One that does not measure
    what that makes was drawn otherwise: nothing is cut from it.

    Args:
        folder: Holds ``sheet.png``.
        outputs: Row to picture, in the order of the sheet.
    """
    from pgsynth_core.data.sheet import GAP, HEADING_HEIGHT, TILE_HEIGHT  # numpy, as in `stores.compare`

    sheet = folder / "sheet.png"
    try:
        with Pillow.open(next(iter(outputs.values())), formats=("PNG",)) as opened:
            width, height = opened.size
        with Pillow.open(sheet, formats=("PNG",)) as opened:
            across, down = opened.size
    except Exception:  # noqa: BLE001 - none, or one that is damaged: decoders raise anything
        return {}
    scale = max(1, round(TILE_HEIGHT / height))
    wide, high = width * scale, height * scale
    count, rest = divmod(down - HEADING_HEIGHT - GAP, high + GAP)
    if across != _COLUMNS * wide + (_COLUMNS + 1) * GAP or rest or not 0 < count <= len(outputs):
        return {}

    def piece(row: int, column: int) -> Piece:
        left, top = GAP + column * (wide + GAP), HEADING_HEIGHT + GAP + row * (high + GAP)
        return Piece(sheet, (left, top, left + wide, top + high), scale)

    names = list(outputs)[:count]
    return {name: (piece(row, 0), piece(row, 1), piece(row, 2)) for row, name in enumerate(names)}
