"""Datasets of photos in files: pairs with unique names, photos found in their folders, bad records in one place.

What the readers of stored datasets have in common. A reader says which photos make pairs and how one photo is read.
"""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pgsynth_core.data.files import Listing, inside, without_suffix
from pgsynth_core.data.records import LONGEST_NAME, BadRecord, DataContext, DataError, Dataset, Pair, Person
from pgsynth_core.data.taking import SKIP_CURE
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig

__all__ = ["FileDataset", "PhotoFolders", "existing_root", "no_label_map", "pair_names"]


def existing_root(root: str, *, part: str) -> Path:
    """The dataset's folder.

    Args:
        root: What the user gave; relative to where the command runs.
        part: The part's name, for the message.

    Raises:
        UserError: If none was given, or there is no such folder.
    """
    if not root:
        raise UserError(f"{part} was given no folder to read.", cure=f"Set data.{part}.root=FOLDER.")
    path = Path(root).expanduser()
    if not path.is_dir():
        above = next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())
        what = "is a file, not a folder" if path.exists() else "does not exist"
        cure = f"Set data.{part}.root to the folder of the dataset; {above} is there."
        raise UserError(f"the folder {root!r} {what}.", where=f"data.{part}.root", cure=cure)
    return path


def pair_names(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A name for each pair: ``SOURCE___TARGET``, paths without their suffix and with ``-`` for ``/``.

    A name that occurred before gets ``.2``, ``.3`` and so on, so that all are different; one too long for the name
    of a file ends in ``~`` and a digest of the whole.
    """
    seen: set[str] = set()
    stems: dict[str, str] = {}
    for pair in pairs:
        for photo in pair:
            if photo not in stems:
                stems[photo] = without_suffix(photo).replace("/", "-")
        name = plain = _fitting(f"{stems[pair[0]]}___{stems[pair[1]]}")
        count = 1
        while name in seen:
            count += 1
            name = _fitting(f"{plain}.{count}")
        seen.add(name)
        yield name


def _fitting(name: str) -> str:
    whole = name.encode(errors="surrogateescape")
    if len(whole) <= LONGEST_NAME:
        return name
    ending = f"~{hashlib.blake2b(whole, digest_size=6).hexdigest()}"
    return whole[: LONGEST_NAME - len(ending)].decode(errors="ignore") + ending


class PhotoFolders:
    """Where photos lie: several folders, looked through in order. Lists the folders' names once, opens nothing.

    Args:
        root: The dataset's folder.
        folders: Folders relative to it, ``.`` for itself; those that do not exist are passed over.
    """

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self.root = root
        self.folders = tuple(folder for folder in dict.fromkeys(folders) if (root / folder).is_dir())
        self._folder_of: dict[str, str] = {}
        for folder in reversed(self.folders):
            with os.scandir(root / folder) as entries:
                self._folder_of |= dict.fromkeys((entry.name for entry in entries), folder)

    def find(self, name: str) -> str | None:
        """The photo's path relative to the root, with forward slashes; None if no folder has it.

        Raises:
            ValueError: If the name leads out of the root; the message is a reason for a `BadRecord`.
        """
        if "/" not in name and "\\" not in name and name in self._folder_of:
            return _joined(self._folder_of[name], name)
        inside(self.root, name)
        for folder in self.folders if "/" in name else ():
            if (self.root / folder / name).is_file():
                return _joined(folder, name)
        return None


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


class FileDataset(Dataset):
    """A dataset of photos in files, below one folder.

    A subclass reads its tables in its own `__init__`, calls `use`, and implements `person`.

    Args:
        config: The part's options.
        build: As for every dataset.
        root: The folder; see `existing_root`.
        bad: The option of that name.

    Attributes:
        root: The folder.
        files: What is in it, without a look at each file.
    """

    def __init__(self, config: PartConfig, build: DataContext, *, root: Path, bad: Literal["fail", "skip"]) -> None:
        super().__init__(config, build)
        self.root = root
        self.files = Listing(root)
        self.bad = bad
        self._pairs: tuple[tuple[str, str], ...] = ()
        self._names: tuple[str, ...] = ()

    @abstractmethod
    def person(self, name: str) -> Person:
        """The photo of that name; reads its files."""

    def use(self, pairs: Sequence[tuple[str, str]], problems: Sequence[BadRecord]) -> None:
        """Take these pairs of photos' names, and what was found wrong with the tables.

        Raises:
            DataError: If something is wrong and the option `bad` is ``fail``, or no pair is left.
        """
        if problems and (self.bad == "fail" or not pairs):
            raise DataError.of(problems, cure=SKIP_CURE if pairs else "No pair is left without them: mend them.")
        if not pairs:
            raise UserError(f"there is not one pair in {self.root}.", cure="Look at it: pgsynth data check.")
        self.report(problems)
        self._pairs = tuple(pairs)
        self._names = tuple(pair_names(pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, index: int) -> str:
        """`Pair.name` of the pair at `index`, without reading a file."""
        return self._names[self._checked(index)]

    def pair(self, index: int) -> Pair:
        """The pair at `index`; reads its photos.

        Raises:
            DataError: If a file of the pair cannot be used.
            IndexError: If there is no such pair.
        """
        source, target = self.photos_of(index)
        return Pair(self._names[index], self.person(source), self.person(target))

    def photos_of(self, index: int) -> tuple[str, str]:
        """Names of source and target of the pair at `index`, without reading a file."""
        return self._pairs[self._checked(index)]

    def people(self) -> Sequence[str]:
        """Names of all photos of the pairs, each once, in order of appearance."""
        return tuple(dict.fromkeys(name for pair in self._pairs for name in pair))

    def targets(self) -> Collection[str]:
        """Names of the photos that are targets."""
        return frozenset(target for _, target in self._pairs)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self._pairs):
            raise IndexError(f"there is no pair {index}; there are 0 to {len(self._pairs) - 1}")
        return index


def known_photos(
    wanted: Mapping[str, tuple[str, int]], folders: PhotoFolders
) -> tuple[dict[str, str], list[BadRecord]]:
    """Where each photo lies, and those that are not there or may not be read.

    Args:
        wanted: Name of a photo -> (file, line) that names it.
        folders: Where to look.

    Returns:
        Name -> path relative to the root; and one `BadRecord` for each of the others.
    """
    found: dict[str, str] = {}
    problems: list[BadRecord] = []
    places = ", ".join("the folder itself" if folder == "." else f"{folder}/" for folder in folders.folders)
    for name, (file, line) in wanted.items():
        try:
            path = folders.find(name)
        except ValueError as failure:
            problems.append(BadRecord(file, line, str(failure)))
            continue
        if path is None:
            reason = f"there is no such photo in {places} (named in {file}:{line})."
            problems.append(BadRecord(name, 0, reason, "missing"))
        else:
            found[name] = path
    return found, problems


def no_label_map(file: str, photo: str, named: str) -> BadRecord:
    """What is said of a label map that is not there: every source has one where label maps are read.

    Args:
        file: The label map.
        photo: The source it would be of.
        named: Which row makes the photo a source, ``pairs.csv:3``.
    """
    reason = f"there is no such label map of the source {photo} ({named}); without label maps: parsing=false."
    return BadRecord(file, 0, reason, "missing")
