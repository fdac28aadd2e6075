"""What is installed, as it lies on the disk: metadata folders and the files they list. Floor 2, imports nobody's code.

`importlib.metadata` names distributions; whoever installs and removes them needs their folders too, also of those that
are half there: a metadata folder without its name, without its list of files, or twice.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from pgsynth_core.registry import FOREIGN_FAULTS, GROUP, normalised

__all__ = ["Present", "compiled", "plain_version", "present", "versions"]

_LARGEST_TEXT: Final = 16 * 2**20


@dataclass(frozen=True)
class Present:
    """A distribution that lies in a folder of packages, or what is left of one.

    Attributes:
        name: Normalised; by its metadata, else by the folder's name.
        version: By its metadata; empty if that is not there.
        info: Its ``.dist-info`` folder.
    """

    name: str
    version: str
    info: Path

    @property
    def site(self) -> Path:
        """The folder of packages."""
        return self.info.parent

    @property
    def listed(self) -> bool:
        """Whether it lists its files; what does not is left over from something that was interrupted."""
        return (self.info / "RECORD").is_file()

    def text(self, name: str) -> str:
        """A file of its metadata; empty if it cannot be read."""
        try:
            with (self.info / name).open("rb") as file:
                return file.read(_LARGEST_TEXT).decode("utf-8", "replace")
        except OSError:
            return ""

    def announces(self) -> bool:
        """Whether it says that it is a plugin of pgsynth."""
        return GROUP in self.text("entry_points.txt")

    def manifests(self) -> tuple[EntryPoint, ...]:
        """Its entry points in our group; none if they cannot be read."""
        from importlib.metadata import Distribution

        try:
            found: EntryPoints = Distribution.at(self.info).entry_points.select(group=GROUP)
            return tuple(found)
        except FOREIGN_FAULTS:
            return ()

    def lists(self, path: Path) -> bool:
        """Whether a file, or a file in that folder, stands in its list: far cheaper than reading all of it."""
        written = os.path.relpath(path, self.site)
        text = "\n" + self.text("RECORD").replace('"', "")
        return f"\n{written}," in text or f"\n{written}/" in text

    def written(self) -> Iterator[str]:
        """Every path of its list, absolute, wherever it leads; a line that cannot be read is none."""
        rows = csv.reader(self.text("RECORD").splitlines())
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                continue
            if row and row[0] and "\0" not in row[0]:
                yield os.path.normpath(os.path.join(self.site, row[0]))

    def files(self) -> tuple[Path, ...]:
        """Every file that is certainly its own, whether or not it is still there; its metadata too.

        What the list places outside of the environment is nothing to touch, whoever wrote it there; nor is a folder.
        """
        prefix = Path(sys.prefix)
        places = (Path(text) for text in self.written())
        inside = (path for path in places if self.site in path.parents or prefix in path.parents)
        found = dict.fromkeys(path for path in inside if path.is_symlink() or not path.is_dir())
        for path in tuple(found):
            found |= dict.fromkeys(compiled(path))
        if self.info.is_dir() and not self.info.is_symlink():
            found |= dict.fromkeys(path for path in self.info.rglob("*") if not path.is_dir() or path.is_symlink())
        return tuple(found)


def compiled(path: Path) -> tuple[Path, ...]:
    """The compiled forms of a module that are there, of whichever Python."""
    if path.suffix != ".py":
        return ()
    try:
        return tuple((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    except OSError:
        return ()


def present(folders: Iterable[Path] | None = None) -> Iterator[Present]:
    """Every distribution in the folders, in their order; those on the import path unless told."""
    searched = [Path(entry or ".") for entry in sys.path] if folders is None else folders
    for folder in dict.fromkeys(searched):
        try:
            names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".dist-info"))
        except OSError:
            continue
        for name in names:
            yield _read(folder / name)


def _read(info: Path) -> Present:
    said = Present("", "", info)
    head = said.text("METADATA").partition("\n\n")[0].splitlines()
    fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in reversed(head))}
    name = info.name.removesuffix(".dist-info").partition("-")[0]
    if fields.get("name"):
        return Present(normalised(fields["name"]), fields.get("version", ""), info)
    return Present(normalised(name), "", info)


def versions(found: Sequence[Present] | None = None) -> dict[str, str]:
    """Name to version, as Python itself would answer: the first on the path counts, one without version never."""
    said: dict[str, str] = {}
    for one in present() if found is None else found:
        if one.version:
            said.setdefault(one.name, plain_version(one.version))
    return said


def plain_version(text: str) -> str:
    """The version as PEP 440 writes it; as it stands if it is none."""
    try:
        return str(Version(text))
    except InvalidVersion:
        return text
