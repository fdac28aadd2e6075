"""The photos that paths mean: files, and folders with all below them, however many there are. No torch.

A folder is read as the system lists it and never held in memory; within some thousand names they come in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from pgsynth_core.data import PARSING_SUFFIX
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import refusing

__all__ = ["IMAGE_SUFFIXES", "PhotoFile", "photo_files", "require_photos"]

IMAGE_SUFFIXES: Final = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".tif", ".tiff", ".webp")
"""Files of a folder that are taken for photos; a file that is named itself is, whatever it is called."""

_SORTED: Final = 4096


@dataclass(frozen=True)
class PhotoFile:
    """A photo on disk.

    Attributes:
        path: The file.
        stem: What its annotations are called before their suffix: beside it, or at the same place below a folder.
        twin: The other photo of that stem, which is meant by it; empty if there is none.
    """

    path: Path
    stem: Path
    twin: str = ""


def require_photos(paths: Sequence[str | Path], out: Path | None) -> None:
    """Refuse paths that are not there, and several whose annotations would meet in one folder.

    Raises:
        UserError: With each of them.
    """
    missing = [
        Problem("there is no such file or folder.", str(path), "Give the path of a photo, or of a folder of them.")
        for path in paths
        if not Path(path).exists()
    ]
    if missing or not paths:
        raise UserError(missing or [Problem("no photo is named.", "annotate", "Give a photo, or a folder of them.")])
    stems = [Path(path).stem for path in paths]
    if out and len(paths) > 1 and (any(Path(path).is_dir() for path in paths) or len(set(stems)) < len(stems)):
        message = "several folders, or files of one name, would be annotated into the same folder."
        raise UserError(message, where=f"-o {out}", cure="Run it once for each, or leave -o out.")


def photo_files(paths: Sequence[str | Path], out: Path | None = None) -> Iterator[PhotoFile]:
    """Each photo once, in order; folders with what is below them, without hidden files and links to folders.

    Args:
        paths: Files and folders.
        out: Folder for what is found in them; None: beside each photo.

    Raises:
        UserError: If a folder cannot be listed.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield PhotoFile(path, (out or path.parent) / path.stem)
            continue
        for file in _below(path):
            yield from _with_twins(file, path, out)


def _with_twins(names: Sequence[Path], root: Path, out: Path | None) -> Iterator[PhotoFile]:
    first: dict[Path, Path] = {}
    for path in names:
        stem = path.with_suffix("")
        place = out / stem.relative_to(root) if out else stem
        first.setdefault(stem, path)
        yield PhotoFile(path, place, "" if first[stem] is path else first[stem].name)


def _below(folder: Path) -> Iterator[list[Path]]:
    """The photos of a folder and all below it, some at a time."""
    with refusing("this folder cannot be listed", folder):
        below = []
        with os.scandir(folder) as entries:
            for some in _some(entries):
                below += [Path(one.path) for one in some if one.is_dir(follow_symlinks=False)]
                yield [Path(one.path) for one in some if _is_photo(one)]
    for inner in sorted(below):
        yield from _below(inner)


def _some(entries: Iterable[os.DirEntry[str]]) -> Iterator[list[os.DirEntry[str]]]:
    seen = (entry for entry in entries if not entry.name.startswith("."))
    while some := sorted(islice(seen, _SORTED), key=lambda entry: entry.name):
        yield some


def _is_photo(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    return name.endswith(IMAGE_SUFFIXES) and not name.endswith(PARSING_SUFFIX) and entry.is_file()
