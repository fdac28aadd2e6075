"""Which pictures lie in a folder, and what is known of each: from its stamp, else from its name and its folders.

Nothing is decoded here. A stamp may say anything: of it, only short plain values are taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.data.stamp import stamp_of

__all__ = ["FACTS", "Found", "Shown", "look_through", "natural"]

FACTS: Final = ("run", "source", "pose", "reference", "seed", "made_with", "step", "ema", "pair", "split")
"""Of a stamp, what is said of a picture."""

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_LONGEST: Final = 120
"""Characters of a value that are kept."""
_SEEDED: Final = re.compile(r"(?P<of>.+)-seed(?P<seed>\d{1,18})(\.\d+)?", re.ASCII)
_SHEET: Final = re.compile(r"(.+-)?sheet(\.\d+)?|overview", re.ASCII)
_GIVEN: Final = re.compile(r".+\.(source|pose|target)", re.ASCII)
_RUN: Final = re.compile(r"\d{8}-\d{6}(-.+)?", re.ASCII)
_SUFFIX: Final = re.compile(r"(?<=.)(\.pose)?\.(png|jpe?g|webp|gif|bmp|tiff?|json|npy|csv)$", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Shown:
    """A picture.

    Attributes:
        path: Of the file.
        name: Its path in the folder, with forward slashes.
        time: When it was last written, in seconds since 1970.
        kind: ``result``, ``sheet`` or ``input``.
        facts: Of `FACTS` and ``folder``, those that are known.
        stamp: All that its file says; None if it has no stamp.
    """

    path: Path
    name: str
    time: float
    kind: str
    facts: Mapping[str, str]
    stamp: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Found:
    """What lies in a folder.

    Attributes:
        pictures: In the order of their names, as a person counts.
        count: How many there are; more than `pictures` where older ones were left out.
        problems: What could not be read, a sentence each.
    """

    pictures: tuple[Shown, ...]
    count: int
    problems: tuple[str, ...]


def look_through(folder: Path, most: int) -> Found:
    """Every picture below a folder, but for hidden ones; links to folders are not followed.

    Args:
        folder: That is there.
        most: Pictures that are taken: the newest.
    """
    problems: list[str] = []
    files = list(_files(folder, problems))
    files.sort(key=lambda one: -one[1])
    shown = [_shown(folder, path, time, problems) for path, time in files[:most]]
    return Found(tuple(sorted(shown, key=lambda one: natural(one.name))), len(files), tuple(problems))


def _files(folder: Path, problems: list[str]) -> Iterator[tuple[Path, float]]:
    """Pictures, each with its time."""

    def refused(error: OSError) -> None:
        problems.append(f"{error.filename} cannot be listed: {error.strerror}")

    for root, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(root, name)
            if name.startswith(".") or path.suffix.lower() not in _PICTURES:
                continue
            try:
                if path.is_file():
                    yield path, path.stat().st_mtime
            except OSError as error:
                problems.append(f"{path} cannot be read: {error.strerror}")


def _shown(folder: Path, path: Path, time: float, problems: list[str]) -> Shown:
    try:
        stamp = stamp_of(path)
    except OSError as error:
        stamp = None
        problems.append(f"{path} cannot be read: {error.strerror}")
    name = path.relative_to(folder).as_posix()
    inside = name.rpartition("/")[0]
    facts = _named(path) | _stamped(stamp or {})
    if inside:
        facts["folder"] = inside
    return Shown(path, name, time, _kind(path, facts), facts, stamp)


def _named(path: Path) -> dict[str, str]:
    """What names say: ``SOURCE-POSE-seedN`` of `pgsynth sample`, and a folder that is called as a run."""
    facts: dict[str, str] = {}
    if run := next((part for part in reversed(path.absolute().parts[:-1]) if _RUN.fullmatch(part)), ""):
        facts["run"] = run
    if seeded := _SEEDED.fullmatch(path.stem):
        facts["seed"] = seeded["seed"]
        if seeded["of"].count("-") == 1:  # of more dashes nobody knows which one stands between
            facts["source"], facts["pose"] = seeded["of"].split("-")
    return facts


def _stamped(stamp: Mapping[str, Any]) -> dict[str, str]:
    """What a stamp says, each in a few words; names of files without what says their kind."""
    facts = {}
    for key in FACTS:
        value = stamp.get(key)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        several = value if isinstance(value, list) else [value]
        words = [_SUFFIX.sub("", str(one)) for one in several if isinstance(one, str | int) and one != ""]
        if words:
            facts[key] = " + ".join(words)[:_LONGEST]
    return facts


def _kind(path: Path, facts: Mapping[str, str]) -> str:
    if facts.get("made_with") == "sheet" or ("made_with" not in facts and _SHEET.fullmatch(path.stem)):
        return "sheet"
    return "input" if path.parent.name == "shown" and _GIVEN.fullmatch(path.stem) else "result"


def natural(name: str) -> list[tuple[int, str]]:
    """A key that orders 2 before 10."""
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name.casefold())]
