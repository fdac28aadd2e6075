"""What an environment was before it is changed, kept so that it can be put back without the network. Floor 2.

Files that may be removed or written over are copied first, with their times and modes; folders and files that are not
there yet are noted. Putting back is then: what is new goes, what was there comes back, and both are looked at again.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.present import compiled, present, versions
from pgsynth_core.registry import normalised
from pgsynth_core.registry.stopping import heard
from pgsynth_core.runs.durable import remove, require_room

__all__ = ["Snapshot", "prune", "undisturbed"]


@dataclass(frozen=True)
class Snapshot:
    """How things were.

    Attributes:
        environment: Where.
        names: Distributions that may change.
        copies: File to its copy.
        absent: Files that may come and were not there.
        new_folders: Folders that may come and were not there, outer ones first.
        entries: What lay in the folders of packages and of scripts.
        before: Every distribution with its version.
        infos: Metadata folders of the distributions that may change.
    """

    environment: Environment
    names: frozenset[str]
    copies: Mapping[Path, Path]
    absent: tuple[Path, ...]
    new_folders: tuple[Path, ...]
    entries: Mapping[Path, frozenset[str]]
    before: Mapping[str, str]
    infos: tuple[Path, ...]

    @staticmethod
    def take(environment: Environment, names: Iterable[str], coming: Iterable[Path], folder: Path) -> Snapshot:
        """Copy what may change.

        Args:
            environment: Where.
            names: Distributions that may change or go.
            coming: Files that may be written.
            folder: Where the copies go; nothing is there yet.

        Raises:
            UserError: If there is no room for them.
        """
        found, asked = tuple(present()), frozenset(names)
        theirs = [one for one in found if one.name in asked and one.site in environment.sites]
        own = [path for one in theirs for path in one.files()]
        written = list(dict.fromkeys(coming))
        there = dict.fromkeys(path for path in (*own, *written) if _is_there(path))
        for path in tuple(there):
            there |= dict.fromkeys(compiled(path))
        require_room(folder, sum(os.lstat(path).st_size for path in there), "a copy of what may change")
        folder.mkdir(parents=True)
        copies = {path: folder / str(number) for number, path in enumerate(there)}
        for path, copy in copies.items():
            shutil.copy2(path, copy, follow_symlinks=False)
        return Snapshot(
            environment,
            asked,
            copies,
            tuple(path for path in written if path not in there),
            tuple(_missing_folders(written)),
            {place: _names_in(place) for place in _places(environment)},
            versions(found),
            tuple(one.info for one in theirs),
        )

    def put_back(self) -> tuple[str, ...]:
        """Make everything as it was.

        Returns:
            What differs all the same, a sentence each; empty if nothing does.
        """
        for one in tuple(present(self.environment.sites)):
            if one.name in self.names:
                _take_away(filter(self._came, one.files()), self.copies)
                if one.info not in self.infos:
                    remove(one.info)
        more = tuple(self._more_metadata())
        _take_away(more, self.copies)
        prune((path.parent for path in more), self.infos)
        _take_away(self.absent, self.copies)
        for folder in self.new_folders:
            remove(folder)
        self._remove_what_came()
        for path, copy in self.copies.items():
            _restore(path, copy)
        return tuple(self._differences())

    def _came(self, path: Path) -> bool:
        """Whether a file that something new lists is new as well: a list may name what is somebody else's."""
        places = [place for place in self.entries if place in path.parents]
        return any(path.relative_to(place).parts[0] not in self.entries[place] for place in places)

    def _more_metadata(self) -> Iterator[Path]:
        """What lies in a metadata folder that was there, and was not in it: of the same version, put over itself."""
        for info in self.infos:
            if not info.is_symlink():
                yield from (path for path in info.rglob("*") if _is_there(path) and path not in self.copies)

    def _remove_what_came(self) -> None:
        """What an interrupted pip, or an editable package, left beside: it is new, and by its name theirs."""
        theirs = re.compile(rf"(^|_)({'|'.join(name.replace('-', '_') for name in self.names)})(_|$)")
        for place in self.environment.sites:
            for name in _names_in(place) - self.entries.get(place, frozenset()):
                if name.startswith("~") or theirs.search(normalised(name).replace("-", "_")):
                    remove(place / name)

    def _differences(self) -> Iterator[str]:
        for path, copy in self.copies.items():
            if not _same(path, copy):
                yield f"{path} is not as it was; its copy is {copy}"
        for path in dict.fromkeys((*self.absent, *self._more_metadata())):
            if _is_there(path):
                yield f"{path} was not there before"
        after = versions()
        for name in sorted(self.before.keys() | after.keys()):
            if self.before.get(name) != after.get(name):
                yield f"{name} is {after.get(name, 'not here')}, and was {self.before.get(name, 'not here')}"
        for place, names in self.entries.items():
            for name in sorted(_names_in(place) - names):
                if place in self.environment.sites and name != "__pycache__":
                    yield f"{place / name} was not there before"


def _same(path: Path, copy: Path) -> bool:
    try:
        if copy.is_symlink():
            return path.is_symlink() and os.readlink(path) == os.readlink(copy)
        return filecmp.cmp(path, copy, shallow=False)
    except OSError:
        return False


def _places(environment: Environment) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((*environment.sites, environment.paths["scripts"])))


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _is_there(path: Path) -> bool:
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _missing_folders(files: Iterable[Path]) -> Iterator[Path]:
    """The outermost folders that would have to be made for these files."""
    found: dict[Path, None] = {}
    for path in files:
        folder = path.parent
        while not folder.exists() and not folder.parent.exists():
            folder = folder.parent
        if not folder.exists():
            found[folder] = None
    yield from found


def _take_away(files: Iterable[Path], kept: Mapping[Path, Path]) -> None:
    for path in files:
        if path not in kept:
            with suppress(OSError):
                path.unlink()


def _restore(path: Path, copy: Path) -> None:
    """Put a file back, so that it is there whole or not at all; what will not go is told by `_differences`."""
    beside = path.with_name(f".{path.name}.back")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(copy, beside, follow_symlinks=False)
        os.replace(beside, path)


def prune(folders: Iterable[Path], within: Iterable[Path]) -> None:
    """Remove folders that hold nothing any more, or only an empty cache of Python's, and so on upwards.

    Args:
        folders: Where something was removed.
        within: Folders that stay, as does all above them; what lies in none of them stays, too.
    """
    roots = tuple(within)
    for folder in sorted(set(folders), key=lambda one: len(one.parts), reverse=True):
        at = folder
        while any(root in at.parents for root in roots) and at.is_dir() and not at.is_symlink():
            cache = at / "__pycache__"
            try:
                if os.listdir(at) == ["__pycache__"] and not os.listdir(cache):
                    cache.rmdir()
                at.rmdir()
            except OSError:  # it holds something
                break
            at = at.parent


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and requests to end are passed over: what is half put back is worse. Only in the main thread."""
    with heard(lambda number, frame: None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield
