"""What lies in a run's folder to look at: evaluations with their scores, samples of training, attention pictures.

Nothing is decoded here. Whatever is missing or is no such thing is not found, never an error; names in files lead
nowhere but to files that were listed.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs import Curve, RunFolder
from pgsynth_core.runs.curves import Points, validations
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.scores import number_of, tables_in

__all__ = ["GIVEN", "Evaluated", "Look", "Scores", "curves_of", "evaluations_of", "looks_of", "samples_of"]

GIVEN: Final = ("source", "pose", "target")
_SHEET: Final = "sheet.png"
_OVERVIEW: Final = "overview.png"
_LOOK: Final = "inspect-"
_NAMED: Final = re.compile(r"(?P<split>.+?)-(?P<step>\d{8,})(-first\d+)?(\.\d+)?", re.ASCII)
_SAMPLE: Final = re.compile(r"\d{4,}\.png", re.ASCII)


@dataclass(frozen=True)
class Scores:
    """One table of scores of an evaluation.

    Attributes:
        title: Its protocol and size, or what its file is called.
        facts: All that stands in the file.
        measures: Metric -> what its numbers are.
        values: Pair -> metric -> value; infinite where the file has null.
    """

    title: str
    facts: Mapping[str, Any]
    measures: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, Mapping[str, float]]

    def told(self, key: str) -> Mapping[str, Any]:
        """A mapping in the file; empty if it has none."""
        found = self.facts.get(key)
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class Evaluated:
    """The pictures of one evaluation.

    Attributes:
        folder: Where they are.
        step: Of the checkpoint that drew them.
        split: Of the dataset.
        outputs: Pair -> picture, in the order of the scores, then those that have none.
        given: Pair -> `GIVEN` -> picture, of the pairs of which all three are kept.
        scores: The default protocol's first; empty if it was not scored.
        settings: How it was sampled.
    """

    folder: Path
    step: int
    split: str
    outputs: Mapping[str, Path]
    given: Mapping[str, Mapping[str, Path]]
    scores: tuple[Scores, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """A folder of `pgsynth inspect`: what it is called, and its pictures, the overview first."""

    folder: Path
    pictures: tuple[Path, ...]


def evaluations_of(run: RunFolder) -> list[Evaluated]:
    """Every evaluation that has a picture or a score, in the order of steps and names."""
    found = [made for folder in _folders(run.path / "evaluation") if (made := _evaluated(folder))]
    return sorted(found, key=lambda one: (one.step, len(one.folder.name), one.folder.name))


def samples_of(run: RunFolder) -> dict[int, list[Path]]:
    """Step -> the pictures that were drawn then, by their number."""
    found = {}
    for folder in _folders(run.samples):
        if folder.name.isascii() and folder.name.isdigit():
            names = sorted(filter(_SAMPLE.fullmatch, _files(folder)), key=lambda name: (len(name), name))
            if names:
                found[int(folder.name)] = [folder / name for name in names]
    return dict(sorted(found.items()))


def looks_of(run: RunFolder, *besides: Path) -> list[Look]:
    """What `pgsynth inspect` left in the run's folder, in one of its folders, or in folders besides; newest first."""
    homes = [run.path, *_folders(run.path), *besides]
    found = {folder.resolve(): folder for home in homes for folder in _folders(home) if folder.name.startswith(_LOOK)}
    looks = []
    for folder in found.values():
        files = sorted(name for name in _files(folder) if name.endswith(".png"))
        files.sort(key=lambda name: (name != _OVERVIEW, not name.startswith("attn-")))
        if files:
            looks.append((folder.stat().st_mtime, Look(folder, tuple(folder / name for name in files))))
    return [look for _, look in sorted(looks, key=lambda one: -one[0])]


def curves_of(run: RunFolder) -> tuple[Points, dict[int, float]]:
    """Losses by step, and losses on unseen pairs: step -> loss.

    Raises:
        UserError: If the system refuses to read the log.
    """
    curve = Curve(run.events_file)
    try:
        while curve.read():
            pass
        return curve.points(), dict(sorted(validations(curve.others).items()))
    finally:
        curve.close()


# ------------------------------------------------------------------------------------------- evaluations
def _evaluated(folder: Path) -> Evaluated | None:
    named = _NAMED.fullmatch(folder.name)
    if not named:
        return None
    files, shown = _files(folder), _files(folder / "shown")
    scores = tuple(_scores(folder))
    pictures = {name.removesuffix(".png") for name in files if name.endswith(".png") and name != _SHEET}
    order = dict.fromkeys(name for some in scores for name in some.values if name in pictures)
    order |= dict.fromkeys(sorted(pictures))
    given = {
        name: {what: folder / "shown" / f"{name}.{what}.png" for what in GIVEN}
        for name in order
        if all(f"{name}.{what}.png" in shown for what in GIVEN)
    }
    if not pictures and not scores:
        return None
    settings = read_json(folder / "settings.json") or (scores[0].told("about") if scores else {})
    outputs = {name: folder / f"{name}.png" for name in order}
    return Evaluated(folder, int(named["step"]), named["split"], outputs, given, scores, settings)


def _scores(folder: Path) -> Iterator[Scores]:
    for file in tables_in(folder):
        facts = read_json(file) or {}
        measures, rows, about = facts.get("measures"), facts.get("rows"), facts.get("about")
        if not isinstance(measures, dict) or not isinstance(rows, list):
            continue
        known = {str(key): one for key, one in measures.items() if isinstance(one, dict)}
        rows = [row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)]
        values = {row["name"]: _values(row, known) for row in rows}
        yield Scores(_title(file.name, about if isinstance(about, dict) else {}), facts, known, values)


def _title(file: str, about: Mapping[str, Any]) -> str:
    """``cfld, 256x176``."""
    protocol, size = about.get("protocol"), about.get("size")
    said = size if isinstance(size, str) else "x".join(map(str, size)) if isinstance(size, list) else ""
    words = [str(protocol), said] if isinstance(protocol, str) else [file.removesuffix(".json")]
    return ", ".join(filter(None, words))


def _values(row: Mapping[str, Any], measures: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name in measures:
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            found[name] = number_of(row[name])
    return {name: value for name, value in found.items() if math.isinf(value) or abs(value) < 1e300}


def _folders(home: Path) -> list[Path]:
    with suppress(OSError), os.scandir(home) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    return []


def _files(home: Path) -> set[str]:
    with suppress(OSError), os.scandir(home) as entries:
        return {entry.name for entry in entries if entry.is_file()}
    return set()
