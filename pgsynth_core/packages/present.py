"""What is installed, as it lies on the disk: metadata folders and the files they list. Floor 2, imports nobody's code.

`importlib.metadata` names distributions; whoever installs and removes them needs their folders too, also of those that
are half there: a metadata folder without its name, without its list of files, or twice. What Python finds in an older
form (``.egg-info`` of conda and old setuptools, eggs) is here as well, and counts; see `older_forms`.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from pgsynth_core.registry import FOREIGN_FAULTS, GROUP, normalised

__all__ = ["Present", "compiled", "plain_version", "present", "versions"]

_FORM: Final = ".dist-info"
_SCRIPT_GROUPS: Final = ("console_scripts", "gui_scripts")
_LARGEST_TEXT: Final = 16 * 2**20


@dataclass(frozen=True)
class Present:
    """A distribution that lies in a folder of packages, or what is left of one.

    Attributes:
        name: Normalised; by its metadata, else by the folder's name.
        version: By its metadata; empty if that is not there.
        info: Its ``.dist-info`` folder; in an older form its ``.egg-info``, which may be a file, or an archive.
    """

    name: str
    version: str
    info: Path

    @property
    def site(self) -> Path:
        """The folder of packages."""
        return self.info.parent

    @property
    def older(self) -> bool:
        """Whether its metadata has another form than ``.dist-info``."""
        return self.info.suffix != _FORM

    @property
    def listed(self) -> bool:
        """Whether it lists its files; what does not is left over from something that was interrupted.

        An older form has no such list, and is whole without.
        """
        return self.older or (self.info / "RECORD").is_file()

    def text(self, name: str) -> str:
        """A file of its metadata; empty if it cannot be read. METADATA has another name in an older form."""
        place = self.info / name
        if self.older and name == "METADATA":
            place = self.info if self.info.is_file() else self.info / "PKG-INFO"
        try:
            with place.open("rb") as file:
                return file.read(_LARGEST_TEXT).decode("utf-8", "replace")
        except OSError:
            return ""

    def announces(self) -> bool:
        """Whether it says that it is a plugin of pgsynth."""
        return GROUP in self.text("entry_points.txt")

    def scripts(self) -> tuple[str, ...]:
        """Names of its start scripts; none if they cannot be read."""
        try:
            points = metadata.Distribution.at(self.info).entry_points
            return tuple(point.name for group in _SCRIPT_GROUPS for point in points.select(group=group))
        except FOREIGN_FAULTS:
            return ()

    def manifests(self) -> tuple[EntryPoint, ...]:
        """Its entry points in our group; none if they cannot be read."""
        try:
            found: EntryPoints = metadata.Distribution.at(self.info).entry_points.select(group=GROUP)
            return tuple(found)
        except FOREIGN_FAULTS:
            return ()

    def lists(self, path: Path) -> bool:
        """Whether a file, or a file in that folder, stands in its list: far cheaper than reading all of it."""
        if self.older:
            return any(text == str(path) or text.startswith(f"{path}{os.sep}") for text in self.written())
        written = os.path.relpath(path, self.site)
        text = "\n" + self.text("RECORD").replace('"', "")
        return f"\n{written}," in text or f"\n{written}/" in text

    def written(self) -> Iterator[str]:
        """Every path of its list, absolute, wherever it leads; a line that cannot be read is none."""
        if self.older:  # written by pip, and relative to that folder
            lines = self.text("installed-files.txt").splitlines()
            yield from (os.path.normpath(os.path.join(self.info, line)) for line in lines if line and "\0" not in line)
            return
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
        """Every file of its list that lies in the environment, whether or not it is still there; its metadata too.

        This is what pip takes away when it replaces it. What is certainly its own is less: `owned.owned`. What the
        list places outside of the environment is nothing to touch, whoever wrote it there; nor is a folder.
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
    """Every distribution in the folders, in their order; those on the import path unless told.

    An older form counts where Python would answer with it, not behind another distribution of that name in a folder
    before: setuptools leaves one beside the source of what is used as it lies.
    """
    before = set[str]()
    searched = [Path(entry or ".") for entry in sys.path] if folders is None else folders
    for folder in dict.fromkeys(searched):
        found = list(_within(folder))
        yield from (one for one in found if not one.older or one.name not in before)
        before |= {one.name for one in found}


def _within(folder: Path) -> Iterator[Present]:
    """The distributions in one folder or archive, those of the present form first."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except NotADirectoryError:
        yield from _in_archive(folder)
        return
    except OSError:
        return
    yield from (_read(folder / name) for name in names if name.endswith(_FORM))
    yield from (_read(folder / name) for name in names if name.lower().endswith(".egg-info"))
    if folder.suffix == ".egg":
        yield from (_read(folder / name) for name in names if name.lower() == "egg-info")


def _in_archive(path: Path) -> Iterator[Present]:
    try:
        for one in metadata.distributions(path=[str(path)]):
            yield Present(normalised(one.name), one.version, path)
    except FOREIGN_FAULTS:  # what Python cannot read either
        return


def _read(info: Path) -> Present:
    said = Present("", "", info)
    head = said.text("METADATA").partition("\n\n")[0].splitlines()
    fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in reversed(head))}
    if fields.get("name"):
        return Present(normalised(fields["name"]), fields.get("version", ""), info)
    own = info.stem if info.suffix else info.parent.stem
    return Present(normalised(own.partition("-")[0]), "", info)


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
