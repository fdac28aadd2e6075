"""Which files are a package's own, so that removing it takes nobody else's. Floor 2, imports nobody's code.

A list of files is written by whoever made the package, and pip takes it over as it stands: it may name the interpreter.
What is certainly a package's own lies in the folder of packages, is one of its start scripts, or lies among the data of
the environment; all else stays, and is told.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgsynth_core.errors import PgsynthError
from pgsynth_core.manifest import read_manifest
from pgsynth_core.packages.present import Present, compiled, present
from pgsynth_core.registry import normalised

__all__ = ["Owned", "owned"]

_DATA: Final = ("share", "etc")
_CACHE: Final = "__pycache__"


@dataclass(frozen=True)
class Owned:
    """What of a distribution goes when it is removed.

    Attributes:
        files: Its files.
        outside: Those of them that lie in no folder that bears its name or holds its manifest.
        left: What stays and may be its own, a sentence each.
    """

    files: tuple[Path, ...]
    outside: tuple[Path, ...]
    left: tuple[str, ...]


def owned(one: Present) -> Owned:
    """What is certainly its own, and what is not."""
    files, left = _not_shared(one)
    if not one.listed:
        more, said = _of_a_ghost(one)
        files, left = [*files, *more], [*left, *said]
    found = tuple(dict.fromkeys(files))
    return Owned(found, tuple(_outside(one, found)), tuple(left))


def _not_shared(one: Present) -> tuple[list[Path], list[str]]:
    """Its files but for those that another package lists as well or that are not certainly its own, and why."""
    files = one.files()
    certain = set(_certain(one, files))
    mine, theirs = {str(path): path for path in files}, dict[Path, str]()
    for other in present():
        if other.info != one.info and other.name != one.name:
            for path in (mine[text] for text in other.written() if text in mine):
                theirs |= dict.fromkeys((path, *compiled(path)), other.name)
    said = []
    if shared := [path for path in files if path in theirs]:
        said.append(f"{shared[0]} stays: it is on the list of {theirs[shared[0]]}, too ({len(shared)} such)")
    if doubtful := [path for path in files if path not in certain and path not in theirs and os.path.lexists(path)]:
        said.append(f"{doubtful[0]} stays: {one.name} lists it, and it is not certainly its own ({len(doubtful)} such)")
    return [path for path in files if path in certain and path not in theirs], said


def _certain(one: Present, files: Iterable[Path]) -> Iterator[Path]:
    """Those in the folders of packages, of its start scripts, and among the data of the environment."""
    prefix = sys.prefix
    at = {name: Path(path) for name, path in sysconfig.get_paths(vars={"base": prefix, "platbase": prefix}).items()}
    sites = {one.site, at["purelib"], at["platlib"]}
    places = [*sites, *(Path(prefix) / name for name in _DATA)]
    started = {at["scripts"] / name for name in one.scripts()}
    python = os.path.realpath(sys.executable)
    really = {folder: _leads_into(folder, places) for folder in {path.parent for path in files}}
    for path in files:
        if path.parent in sites and path.suffix == ".pth":  # read at every start; a source folder's bears its name
            certain = one.name in normalised(path.stem)
        else:
            certain = really[path.parent] or (path in started and os.path.realpath(path) != python)
        if certain:
            yield path


def _leads_into(folder: Path, places: Iterable[Path]) -> bool:
    """Whether the folder lies in one of the places, both as written and where links lead."""
    real = Path(os.path.realpath(folder))
    for place in places:
        if folder.is_relative_to(place) and real.is_relative_to(os.path.realpath(place)):
            return True
    return False


def _outside(one: Present, files: Iterable[Path]) -> Iterator[Path]:
    """Those that lie in none of its own top-level folders; compiled forms are told with their modules."""
    tops = {one.info.name, *(entry.value.partition(":")[0].partition(".")[0] for entry in one.manifests())}
    for path in files:
        first = path.relative_to(one.site).parts if path.is_relative_to(one.site) else ()
        own = len(first) > 1 and (first[0] in tops or normalised(first[0]) == one.name)
        if not own and path.parent.name != _CACHE:
            yield path


# ------------------------------------------------------------------------------------------- without a list of files
def _of_a_ghost(one: Present) -> tuple[list[Path], list[str]]:
    """Of one that does not list its files: what is certainly its own all the same, and what to look at by hand."""
    certain: list[Path] = []
    said: list[str] = []
    for entry in one.manifests():
        top, _, inside = entry.value.partition(":")
        folder = one.site / top
        if not top.isidentifier() or not folder.is_dir() or folder.is_symlink():
            continue
        if _is_its_own(folder / inside, one) and not _somebody_elses(folder, one):
            certain += [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        else:
            said.append(f"{one.name} does not list its files. If this folder is its own, delete it: {folder}")
    if not certain and not said:
        said.append(f"{one.name} does not list its files. If it left any, they are in {one.site}")
    return certain, said


def _is_its_own(manifest: Path, one: Present) -> bool:
    """Whether the folder holds a manifest that bears the package's name, one that cannot be read counts as none."""
    try:
        return read_manifest(manifest)[0].package.name == one.name
    except PgsynthError:
        return False


def _somebody_elses(folder: Path, one: Present) -> bool:
    return any(other.lists(folder) for other in present() if other.info != one.info)
