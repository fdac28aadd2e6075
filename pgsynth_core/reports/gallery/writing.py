"""The gallery's page: every picture as a tile that says what is known of it, what chooses among them, an enlarged one.

Tiles are small copies within the page; the files themselves are linked, relative to where the page is, and shown when a
picture is enlarged. Without its script the page shows everything all the same.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pgsynth_core.reports.document import document, lightbox, made
from pgsynth_core.reports.gallery.found import Found, Shown, natural
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.pictures import MOST_BYTES, Album, Level, Picture, beside_each_other
from pgsynth_core.runs.durable import amount

__all__ = ["MADE_BY", "MOST_PICTURES", "Gallery", "make_gallery"]

MADE_BY: Final = "pgsynth gallery"
MOST_PICTURES: Final = 5000
"""That a page shows unless more are asked for."""

_LEVELS: Final = (Level(320, 80), Level(224, 75), Level(144, 70))
"""Of small copies, from the best to the smallest."""
_TRIED: Final = 12
"""Pictures from whose bytes those of all are foreseen."""
_AT_ONCE: Final = 64
"""Pictures that are made between two words about how far it is."""
_CHOICES: Final = 1000
"""Values of a fact up to which one may be chosen from a list."""
_KINDS: Final = {"result": "results", "sheet": "sheets", "input": "inputs"}
_CHOSEN_BY: Final = ("run", "source", "pose", "reference", "seed", "made_with", "pair", "folder")
_DAY: Final = re.compile(r"^\d{8}-\d{6}-", re.ASCII)
_KEYS: Final = "← → to others, Z or a click: closer, Esc closes"


@dataclass(frozen=True)
class Gallery:
    """A page that is made.

    Attributes:
        html: All of it.
        pictures: How many it shows.
        notes: What was left out, or could not be read, in sentences.
    """

    html: str
    pictures: int
    notes: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Its size as a file."""
        return len(self.html.encode())


def make_gallery(  # noqa: PLR0913 - what is shown, and how the page is to be
    folder: Path,
    found: Found,
    *,
    out: Path,
    command: str,
    most: int = MOST_BYTES,
    on_picture: Callable[[int], None] | None = None,
) -> Gallery:
    """Make the page of a folder.

    Args:
        folder: That was looked through.
        found: What lies there.
        out: Where the page will be, from where pictures are linked.
        command: That makes it, to be said on it.
        most: Bytes that its small copies may have together.
        on_picture: Told how many pictures are done.
    """
    album = Album(most=most)
    level = _level(found.pictures, most)
    tiles: list[Markup] = []
    done = 0
    for begin in range(0, len(found.pictures), _AT_ONCE):
        some = found.pictures[begin : begin + _AT_ONCE]
        if album.full:
            break
        drawn = beside_each_other(lambda one: _copy(one, album, level), some)
        tiles += [_tile(one, copy, out) for one, copy in zip(some, drawn, strict=True) if copy is not None]
        done = begin + len(some)
        if on_picture:
            on_picture(done)
    controls, unlisted = _controls(found.pictures[:done])
    notes = [*_left_out(found, done, level), *unlisted, *found.problems, *album.problems]
    name = folder.absolute().name or str(folder)
    page = document(
        _header(name, len(tiles), command),
        controls,
        element("main", tiles, class_="tiles"),
        element("p", "No picture is like this.", id="none", class_="note", hidden=True),
        _foot(album, notes),
        lightbox(_KEYS, _beside()),
        element("script", _block(found.settings), type="application/json", id="settings"),
        title=f"{name}: {len(tiles):,} pictures",
        made_by=MADE_BY,
        own=Path(__file__).with_name("gallery"),
        pictures="data: 'self' file:",
    )
    return Gallery(page, len(tiles), tuple(notes))


def _left_out(found: Found, done: int, level: Level) -> list[str]:
    notes, shown = [], len(found.pictures)
    if shown < found.count:
        notes.append(f"{found.count - shown:,} older pictures are left out: --limit takes the newest {shown:,}.")
    if done < shown:
        notes.append(f"{shown - done:,} pictures are left out: the page would be too large. Give one of the folders.")
    if level is not _LEVELS[0]:
        notes.append(f"Small copies are reduced to {level.side} pixels, for the page would be too large.")
    if found.unsaid:
        notes.append(f"The settings of {found.unsaid:,} pictures are left out: the page would be too large.")
    return notes


# ------------------------------------------------------------------------------------------- pictures
def _copy(one: Shown, album: Album, level: Level) -> tuple[Markup, tuple[int, int]] | None:
    """A picture's small copy as a button, and its (width, height); None if it cannot be read."""
    picture: Picture | str = album.read(one.path)
    if isinstance(picture, str):
        return None
    return album.shown(picture, one.name, level), (picture.shape[1], picture.shape[0])


def _level(pictures: Sequence[Shown], most: int) -> Level:
    """How large copies may be, foreseen from some that lie all over the folder."""
    some = pictures[:: max(1, len(pictures) // _TRIED)][:_TRIED]
    for level in _LEVELS:
        tried = Album(most=most)
        beside_each_other(lambda one, tried=tried, level=level: _copy(one, tried, level), some)  # type: ignore[misc]
        if tried.bytes * len(pictures) <= most * max(1, len(some)):
            return level
    return _LEVELS[-1]


def _block(settings: Sequence[str]) -> Markup:
    """What stamps say of settings as JSON, in which nothing ends a script."""
    return Markup(f"[{','.join(settings)}]".replace("<", "\\u003c"))


def _tile(one: Shown, copy: tuple[Markup, tuple[int, int]], out: Path) -> Markup:
    button, (width, height) = copy
    name = element("a", one.path.stem, href=_link(one.path, out), title=one.name)
    (where, *_) = one.facts.get("run") or one.facts.get("folder") or ("",)
    brief = _DAY.sub("", where)  # of a run, its method: the day takes all the room
    facts = {f"data_{key}": "\n".join(values) for key, values in one.facts.items()}
    return element(
        "figure",
        button,
        element("figcaption", name, " ", element("small", brief, title=where) if where else None),
        class_="tile",
        data_time=round(one.time),
        data_kind=one.kind,
        data_size=f"{width}x{height}",
        data_settings=one.settings,
        **facts,
    )


def _link(path: Path, out: Path) -> str:
    """A file as it is named from the page: relative, so that both can be moved; nothing in it is read as an address."""
    relative = Path(os.path.relpath(path, out.parent)).as_posix()
    return quote(os.fsencode(relative))


# ------------------------------------------------------------------------------------------- around them
def _header(name: str, count: int, command: str) -> Markup:
    theme = element("button", "dark", type="button", id="theme", hidden=True)
    return element(
        "header",
        element("h1", name),
        element("p", f"{count:,} pictures. {made()} ", element("code", command), class_="note"),
        theme,
    )


def _controls(pictures: Sequence[Shown]) -> tuple[Markup, list[str]]:
    """What chooses and orders; of use with JavaScript only, and shown by it. And which facts have no list, and why."""
    kinds = {kind: said for kind, said in _KINDS.items() if any(one.kind == kind for one in pictures)}
    fields: list[Child] = []
    notes = []
    if len(kinds) > 1:
        fields.append(_select("kind", "show", {**{f"={kind}": said for kind, said in kinds.items()}, "": "everything"}))
    orders = {"name": "by name", "newest": "newest first", "oldest": "oldest first"}
    for key in _CHOSEN_BY:
        values = Counter(value for one in pictures for value in one.facts.get(key, (None,)))
        apart = len(values) > 1 and min(values.values()) < len(pictures)
        if not apart or (key == "folder" and _same(pictures, "run", "folder")):
            continue
        label = key.replace("_", " ")
        orders[key] = f"by {label}"
        known = sorted((value for value in values if value is not None), key=natural)
        if len(known) > _CHOICES:
            notes.append(
                f"There is no list to choose a {label} from: it has {len(known):,} values. Search for its words."
            )
            continue
        choices = {"": "all", **{f"={value}": value for value in known}}
        if None in values:
            choices["-"] = "not known"
        fields.append(_select(key, label, choices))
    search = element("input", type="search", name="words", placeholder="words (/)", aria_label="words of the name")
    size = element("input", type="range", name="tile", min=64, max=480, step=16, value=160, aria_label="size")
    fields += [_select("order", "order", orders), search, element("label", "size ", size)]
    fields += [element("output", ""), element("button", "reset", type="reset")]
    return element("form", fields, class_="controls", id="choose", hidden=True), notes


def _same(pictures: Sequence[Shown], one: str, other: str) -> bool:
    """Whether two facts tell pictures apart in the same way."""
    told = {(picture.facts.get(one), picture.facts.get(other)) for picture in pictures}
    return len({first for first, _ in told}) == len(told) == len({second for _, second in told})


def _select(name: str, label: str, choices: Mapping[str, str]) -> Markup:
    options = [element("option", said, value=value) for value, said in choices.items()]
    return element("span", element("label", label, for_=name), " ", element("select", options, name=name, id=name))


def _beside() -> Markup:
    """What is said of an enlarged picture; the script fills it."""
    link = element("p", element("a", "open the file", href="#", id="file"))
    folded = element("details", element("summary", "settings"), element("pre", ""))
    return element("aside", element("dl", ""), link, folded)


def _foot(album: Album, notes: Sequence[str]) -> Markup:
    size = f"{amount(album.bytes)} of small copies are in this page. It needs no network; enlarged, a picture is "
    size += "its file, as long as that stays where it is from here."
    left = [element("li", note) for note in notes]
    return element(
        "footer",
        element("div", element("h2", "Left out"), element("ul", left)) if left else None,
        element("p", size, class_="note"),
    )
