"""What was sampled from a run's dataset, as pairs that can be scored."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.data import FitMode, fit_person, read_image
from pgsynth_core.data.records import Dataset, Person
from pgsynth_core.evaluation import WHOLE, Earlier, Looked, Material, Shown
from pgsynth_core.evaluation.folder import looked
from pgsynth_core.metrics import Picture

__all__ = ["RunPairs"]


@dataclass(kw_only=True)
class RunPairs(Material):
    """What was sampled from a run's dataset, as what can be scored; see `evaluation.Material`.

    At the method's own size the truth is what the method was shown; at another it is the photo as it is stored.

    Attributes:
        dataset: The pairs; asked by one thread at a time.
        every: Names of all its pairs.
        names: Of those that have a picture.
        folder: Where the pictures are.
        size: (height, width) of the method's pictures.
        fit: How it fits a photo into them.
        whole: Whether the truth is the photo as it is stored.
        earlier: What was scored before; tells the hashes of photos that need not be read again.
        photos: Name of a pair -> hashes of the files of target and source; none of those that are in no files, which
            change only with the package that draws or unpacks them.
    """

    dataset: Dataset
    every: Sequence[str]
    names: Sequence[str]
    folder: Path
    size: tuple[int, int]
    fit: FitMode
    whole: bool
    earlier: Earlier
    photos: Mapping[str, tuple[str, str]]

    sources = True

    def __post_init__(self) -> None:
        self._index = {name: index for index, name in enumerate(self.every)}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The pair's name."""
        return self.names[index]

    def photos_of(self, index: int) -> tuple[str, ...]:
        """As the dataset names them."""
        return self.dataset.photos_of(self._index[self.names[index]]) or ()

    def look(self, index: int) -> Looked:
        """The hash of the picture; those of truth and source if they are known, and their files are what they were."""
        name, nothing = self.names[index], ("", "")
        digest, size = looked(self.folder / f"{name}.png", WHOLE)
        files = self.photos.get(name, nothing)
        then, hashes = self.earlier.photos.get(name, (nothing, nothing))
        target, source = hashes if then == files else nothing
        return Looked((digest, target), (size, self.size), source, files)

    def read(self, index: int) -> Shown:
        """The pictures of a pair."""
        name = self.names[index]
        with self._lock:
            pair = self.dataset.pair(self._index[name])
        source, target = (self._seen(person) for person in (pair.source, pair.target))
        return Shown(read_image(self.folder / f"{name}.png"), target, source)

    def _seen(self, person: Person) -> Picture:
        return person.image if self.whole else fit_person(person, self.size, self.fit).image
