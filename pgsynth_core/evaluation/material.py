"""What can be scored: pairs of pictures, wherever they come from, and pictures that sets are compared with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgsynth_core.errors import Problem
from pgsynth_core.metrics import Picture

__all__ = ["Bad", "Looked", "Material", "Pictures", "Reference", "Shown", "Size"]

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The pictures of a pair as they are stored.

    Attributes:
        predicted: What a method made.
        target: The truth.
        source: The photo it was made from: shown unchanged, it is the baseline. None for no baseline.
    """

    predicted: Picture
    target: Picture
    source: Picture | None = None


@dataclass(frozen=True)
class Looked:
    """What is known of a pair without decoding it.

    Attributes:
        hashes: Of prediction and truth; empty where they are not known.
        sizes: (height, width) of both.
        source: Hash of the source; empty if there is none or it is not known.
        files: Hashes of the files of truth and source, where these are pictures made of files.
    """

    hashes: tuple[str, str]
    sizes: tuple[Size, Size]
    source: str = ""
    files: tuple[str, str] = ("", "")


class Material(ABC):
    """Pairs that can be scored. All of it is called from several threads.

    Attributes:
        sources: Whether `read` gives the sources, too.
    """

    sources: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Which pair; unique."""

    def photos_of(self, index: int) -> tuple[str, ...]:
        """Names of its photos, source and target: pairs that share one are alike; empty if they are not known."""
        return ()

    def margins(self, indices: Sequence[int], aspect: float) -> str:
        """The cut between what look like margins of these predictions, which have one size; empty for none.

        Args:
            indices: Which pairs.
            aspect: Width over height that a prediction should have.
        """
        return ""

    @abstractmethod
    def look(self, index: int) -> Looked:
        """What can be known without decoding.

        Raises:
            UserError: If one of the pictures cannot be read; said of its file.
        """

    @abstractmethod
    def read(self, index: int) -> Shown:
        """The pictures.

        Raises:
            UserError: As `look`.
        """


class Pictures(ABC):
    """A reference of pictures, such as a training set. All of it is called from several threads."""

    @abstractmethod
    def __len__(self) -> int:
        """How many."""

    @abstractmethod
    def digests(self, told: Callable[[int, int], None]) -> Sequence[str]:
        """The hash of each; empty of one that cannot be read.

        Args:
            told: How many are hashed, and of how many.
        """

    @abstractmethod
    def read(self, index: int) -> Picture:
        """One of the pictures.

        Raises:
            UserError: If it cannot be read; said of its file.
        """


@dataclass(frozen=True)
class Bad:
    """A pair that cannot be scored."""

    name: str
    problem: Problem


@dataclass(frozen=True)
class Reference:
    """What sets of predictions are compared with.

    Attributes:
        pictures: None: the truths of the scored pairs, each once.
        problem: Why there is none where one is needed.
        folder: Where the pictures lie; empty for the truths.
    """

    pictures: Pictures | None = None
    problem: Problem | None = None
    folder: str = ""
