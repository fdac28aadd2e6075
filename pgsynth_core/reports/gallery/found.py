"""Which pictures lie in a folder, and what is known of each: from its stamp, else from its name and its folders.

Nothing is decoded here. A stamp may say anything: of it, only short plain values are taken, and the text of the rest,
each once and all together no longer than a page may hold. A stamp of a KiB may unpack to a MiB: none is kept as it was.
"""

from __future__ import annotations

import heapq
import json
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
_SEVERAL: Final = 16
"""Values of a fact that are kept, where a stamp lists several."""
_MOST_SETTINGS: Final = 5_000_000
"""Bytes of what stamps say besides the facts, of all pictures together."""
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
        facts: Of `FACTS` and ``folder``, those that are known, each with its values: one, but where a picture is of
            several photos or poses.
        settings: Which of `Found.settings` is what its stamp says besides; None if it says nothing, or there was no
            room.
    """

    path: Path
    name: str
    time: float
    kind: str
    facts: Mapping[str, tuple[str, ...]]
    settings: int | None = None


@dataclass(frozen=True)
class Found:
    """What lies in a folder.

    Attributes:
        pictures: In the order of their names, as a person counts.
        count: How many there are; more than `pictures` where older ones were left out.
        problems: What could not be read, a sentence each.
        settings: What stamps say besides the facts, as JSON, each once, for most pictures of a folder share it.
        unsaid: Pictures whose settings had no room.
    """

    pictures: tuple[Shown, ...]
    count: int
    problems: tuple[str, ...]
    settings: tuple[str, ...] = ()
    unsaid: int = 0


@dataclass
class _Settings:
    """Texts of JSON that are kept, each with its number."""

    at: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    unsaid: int = 0

    def number(self, stamp: Mapping[str, Any]) -> int | None:
        """Where what a stamp says besides the facts stands; None if it says nothing, or there is no room.

        Raises:
            ValueError: If it cannot be said as JSON.
        """
        rest = {key: value for key, value in stamp.items() if key not in FACTS}
        if not rest:
            return None
        try:
            said = json.dumps(rest, allow_nan=False)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if said not in self.at:
            if self.bytes + len(said) > _MOST_SETTINGS:
                self.unsaid += 1
                return None
            self.bytes += len(said)
            self.at[said] = len(self.at)
        return self.at[said]


def look_through(folder: Path, most: int) -> Found:
    """Every picture below a folder, but for hidden ones; links to folders are not followed.

    Args:
        folder: That is there.
        most: Pictures that are taken: the newest.
    """
    problems: list[str] = []
    count = 0

    def counted() -> Iterator[tuple[Path, float]]:
        nonlocal count
        for one in _files(folder, problems):
            count += 1
            yield one

    newest = heapq.nlargest(most, counted(), key=lambda one: one[1])  # of a million, no more than these are held
    settings = _Settings()
    shown = [_shown(folder, path, time, settings, problems) for path, time in newest]
    pictures = tuple(sorted(shown, key=lambda one: natural(one.name)))
    return Found(pictures, count, tuple(problems), tuple(settings.at), settings.unsaid)


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


def _shown(folder: Path, path: Path, time: float, settings: _Settings, problems: list[str]) -> Shown:
    stamp: Mapping[str, Any] = {}
    number = None
    try:
        stamp = stamp_of(path) or {}
        number = settings.number(stamp)
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}")
    except ValueError as error:
        problems.append(f"what the stamp of {path} says of settings cannot be shown: {error}")
    name = path.relative_to(folder).as_posix()
    inside = name.rpartition("/")[0]
    named = _named(path) | ({"folder": inside} if inside else {})
    facts = {key: (_line(value),) for key, value in named.items()} | _stamped(stamp)
    return Shown(path, name, time, _kind(path, facts), facts, number)


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


def _stamped(stamp: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What a stamp says, each in a few words; names of files without what says their kind."""
    facts = {}
    for key in FACTS:
        value = stamp.get(key)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        several = value[:_SEVERAL] if isinstance(value, list) else [value]
        words = (_said(one) for one in several if isinstance(one, str | int))
        if known := tuple(dict.fromkeys(filter(None, words))):
            facts[key] = known
    return facts


def _said(value: str | int) -> str:
    """A value of a stamp, of a file's name without its kind."""
    return _SUFFIX.sub("", _line(str(value)[: 4 * _LONGEST]))[:_LONGEST]


def _line(words: str) -> str:
    """Words as one line: in the page, each value of a fact has its own."""
    return " ".join(words.split())


def _kind(path: Path, facts: Mapping[str, tuple[str, ...]]) -> str:
    if facts.get("made_with") == ("sheet",) or ("made_with" not in facts and _SHEET.fullmatch(path.stem)):
        return "sheet"
    return "input" if path.parent.name == "shown" and _GIVEN.fullmatch(path.stem) else "result"


def natural(name: str) -> list[tuple[int, str]]:
    """A key that orders 2 before 10."""
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name.casefold())]
