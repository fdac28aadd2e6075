"""The photos that paths mean: files, and folders with all below them, however many there are. No torch.

A folder is read as the system lists it and its names are never held in memory; within some thousand they come in
order. Two photos of one name, ``a.png`` and ``a.webp``, would share their annotations: each knows of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from pgsynth_core.data import PARSING_SUFFIX
from pgsynth_core.data.stamp import is_sheet
from pgsynth_core.errors import Problem, UserError, not_there
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
        Problem("there is no such file or folder.", str(path), not_there(path))
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
    """Each photo once, in order; folders with what is below them, without hidden files, links to folders, and sheets.

    Args:
        paths: Files and folders; what is named again, or lies in a folder that is named, comes once.
        out: Folder for what is found in them; None: beside each photo.

    Raises:
        UserError: If a folder cannot be listed.
    """
    named, first, walked = set[Path](), dict[Path, Path](), set[tuple[int, int]]()
    roots = [path.resolve() for path in map(Path, paths) if path.is_dir()]
    for path in map(Path, paths):
        if path.is_dir():
            for names, twins in _below(path, walked):
                yield from (_in_folder(file, path, out, twins) for file in names)
            continue
        file = path.parent.resolve() / path.name
        if file in named or _found_below(file, roots):
            continue
        named.add(file)
        place = (out or path.parent) / path.stem
        other = first.setdefault(file.with_suffix(""), path)
        yield PhotoFile(path, place, "" if other is path else other.name)


def _in_folder(file: Path, root: Path, out: Path | None, twins: Mapping[str, str]) -> PhotoFile:
    stem = file.with_suffix("")
    twin = twins.get(file.stem, file.name)
    return PhotoFile(file, out / stem.relative_to(root) if out else stem, "" if twin == file.name else twin)


def _found_below(file: Path, roots: Sequence[Path]) -> bool:
    """Whether a folder that is named has this photo."""
    inner = (file.relative_to(root) for root in roots if file.is_relative_to(root))
    return any(not any(part.startswith(".") for part in path.parts) for path in inner) and _is_photo(file)


def _below(folder: Path, walked: set[tuple[int, int]]) -> Iterator[tuple[list[Path], Mapping[str, str]]]:
    """The photos of a folder and all below it, some at a time, with `_twins` of the folder they are in."""
    with refusing("this folder cannot be listed", folder):
        about = folder.stat()
        if (about.st_dev, about.st_ino) in walked:
            return
        walked.add((about.st_dev, about.st_ino))
        below, twins = [], _twins(folder)
        with os.scandir(folder) as entries:
            for some in _some(entries):
                below += [Path(one.path) for one in some if one.is_dir(follow_symlinks=False)]
                yield [Path(one.path) for one in some if _is_photo(one)], twins
    for inner in sorted(below):
        yield from _below(inner, walked)


def _twins(folder: Path) -> dict[str, str]:
    """Of each stem that several photos of a folder have, the first of them by name; eight bytes are held of each photo.

    Raises:
        OSError: If the folder cannot be listed.
    """

    def photos() -> Iterator[tuple[str, str]]:
        with os.scandir(folder) as entries:
            yield from ((Path(one.name).stem, one.name) for one in entries if _is_photo(one))

    hashes = np.sort(np.fromiter((hash(stem) for stem, _ in photos()), np.int64))
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    names: dict[str, list[str]] = {}
    for stem, name in photos() if repeated else ():
        if hash(stem) in repeated:
            names.setdefault(stem, []).append(name)
    return {stem: min(its) for stem, its in names.items() if len(its) > 1}


def _some(entries: Iterable[os.DirEntry[str]]) -> Iterator[list[os.DirEntry[str]]]:
    seen = (entry for entry in entries if not entry.name.startswith("."))
    while some := sorted(islice(seen, _SORTED), key=lambda entry: entry.name):
        yield some


def _is_photo(entry: os.DirEntry[str] | Path) -> bool:
    name = entry.name.lower()
    photo = name.endswith(IMAGE_SUFFIXES) and not name.startswith(".") and not name.endswith(PARSING_SUFFIX)
    return photo and entry.is_file() and not is_sheet(Path(entry))
