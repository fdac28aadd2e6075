"""What a registry holds: things with a name and where they come from; packages that are broken or switched off.

Floor 1, no torch. Plain data; `registry` finds them by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from pgsynth_core.errors import Problem
from pgsynth_core.manifest import Component, Kind
from pgsynth_core.shipped import Preset, ProtocolTable, ResultsFile, SweepTable

__all__ = [
    "NOUNS",
    "OWN_NAME",
    "AbstractNamed",
    "Broken",
    "Contributed",
    "DisabledPackage",
    "Entry",
    "Origin",
    "PresetEntry",
    "ResultsEntry",
    "TableEntry",
    "removal",
]

OWN_NAME: Final = "pgsynth"
"""The distribution whose manifest is `registry.toml`."""

NOUNS: Final[Mapping[str, tuple[str, str]]] = {
    "base": ("base", "bases"),
    "encoder": ("encoder", "encoders"),
    "pose": ("pose branch", "pose branches"),
    "attention": ("attention processor", "attention processors"),
    "dataset": ("dataset", "datasets"),
    "annotator": ("annotator", "annotators"),
    "metric": ("metric", "metrics"),
}
"""Kind of part to the words for one and for several."""

T = TypeVar("T")
W = TypeVar("W", ProtocolTable, SweepTable)


@dataclass(frozen=True)
class Origin:
    """Where something comes from.

    Attributes:
        package: Normalised name of the distribution.
        version: Its version.
        manifest_path: The file that declares it.
        manifest_sha256: Hash of that file, which locks record.
        first_party: Whether it is pgsynth itself.
    """

    package: str
    version: str
    manifest_path: Path
    manifest_sha256: str
    first_party: bool

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class AbstractNamed(ABC):
    """What a user chooses by name.

    Attributes:
        origin: The package that adds it.
    """

    origin: Origin

    @property
    @abstractmethod
    def name(self) -> str:
        """The plain name."""

    @property
    def qualified(self) -> str:
        """``package:name``, unique among its kind."""
        return f"{self.origin.package}:{self.name}"


@dataclass(frozen=True)
class Entry(AbstractNamed):
    """A part that can be chosen."""

    component: Component
    origin: Origin

    @property
    def kind(self) -> Kind:
        """The part's kind."""
        return self.component.kind

    @property
    def name(self) -> str:
        """The plain name."""
        return self.component.name


@dataclass(frozen=True)
class PresetEntry(AbstractNamed):
    """A spec that can be chosen; `path` is its YAML file, which existed when it was found."""

    preset: Preset
    origin: Origin
    path: Path

    @property
    def name(self) -> str:
        """The plain name."""
        return self.preset.name


@dataclass(frozen=True)
class TableEntry(AbstractNamed, Generic[W]):
    """What stands whole in a manifest: a protocol that results can be scored by, an ablation that can be trained."""

    table: W
    origin: Origin

    @property
    def name(self) -> str:
        """The plain name."""
        return self.table.name


@dataclass(frozen=True)
class ResultsEntry:
    """A file of published tables; `path` existed when it was found, and is read when somebody asks for a table."""

    results: ResultsFile
    origin: Origin
    path: Path


@dataclass(frozen=True)
class Contributed(Generic[T]):
    """A hook, command, panel or replacement with its origin."""

    item: T
    origin: Origin


@dataclass(frozen=True)
class Broken:
    """What is wrong with an installed package.

    A manifest that cannot be used drops the whole package; a preset without its file drops only that preset.

    Attributes:
        package: Normalised name of the distribution.
        version: Its version; empty if its metadata has none.
        problems: What, why, and the command that removes it.
    """

    package: str
    version: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class DisabledPackage:
    """An installed package that the user's list switches off.

    Attributes:
        package: Normalised name of the distribution.
        version: Its version; empty if its metadata has none.
        adds: ``kind:name`` of what it adds, see `Manifest.adds`; empty if its manifest cannot be used.
    """

    package: str
    version: str
    adds: tuple[str, ...]


def removal(package: str) -> str:
    """The cure for a package that is broken: to mend it or remove it, or to restore pgsynth itself."""
    if package == OWN_NAME:
        return "Mend the file, or reinstall: pip install --force-reinstall --no-deps pgsynth."
    return f"Mend it if it is yours, or remove it: pgsynth plugins uninstall {package}."
