"""From what the user names to the layers to lay on each other: the file, what it extends, what that extends.

A file may name any path in `extends`: what is read there is data, checked like every other layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import sep
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec.grammar import LAID_KEYS, SPEC_KEYS, is_path, unknown_key
from pgsynth_core.spec.locked import SpecLock, read_lock
from pgsynth_core.spec.model import SPEC_VERSION
from pgsynth_core.spec.nodes import Mark, Node, Problems, node_of
from pgsynth_core.spec.yaml_nodes import read_file

MAX_EXTENDS: Final = 16
"""How many files may extend each other in a row."""


@dataclass(frozen=True)
class Layer:
    """One file, preset or mapping.

    Attributes:
        tree: Its known top-level keys.
        package: Where its part names are looked up first; empty for a user's own.
        lock: What it was written with.
    """

    tree: dict[str, Node]
    package: str
    lock: SpecLock


@dataclass(frozen=True)
class _Source:
    """Something to read.

    Attributes:
        name: What messages call it.
        path: The file.
        package: As in `Layer`.
        preset: Name of the preset it is or belongs to; empty for a user's own.
    """

    name: str
    path: Path
    package: str = ""
    preset: str = ""


@dataclass
class _Reader:
    registry: Registry
    problems: Problems
    complete: bool = True

    def layers(self, given: str | Path | Mapping[str, Any]) -> list[Layer]:
        """The layers of what was given, the one to lay first in front."""
        if isinstance(given, Mapping):
            root: Node | None = node_of(given, Mark("mapping"), self.problems)
            source: _Source | None = _Source("mapping", Path("mapping"))
        else:
            source = self._given(given)
            root = read_file(source.path, source.name, self.problems) if source else None
        found: list[Layer] = []
        chain: list[_Source] = []
        while source is not None and root is not None:
            chain.append(source)
            found.insert(0, Layer(self._known(root), source.package, self._lock(root, source)))
            extends = root.value.get("extends")
            if extends is None:
                return found
            source = self._extended(extends, source, chain)
            root = read_file(source.path, source.name, self.problems, named_at=extends.mark) if source else None
        self.complete = False
        return found

    def _given(self, given: str | Path) -> _Source | None:
        if isinstance(given, Path) or is_path(given):
            path = Path(given)
            if path.stem in self.registry.preset_names() and not _exists(path):
                cure = f"Did you mean the preset {path.stem}, without {path.suffix or 'a path'}?"
                self.problems.add("there is no such file.", Mark(str(given)), cure)
                return None
            return _Source(str(given), path)
        mark = Mark(f"spec {given!r}")
        if not given.strip():
            self.problems.add("the spec has no name.", mark, "Give a preset, or a path that ends in .yaml.")
            return None
        source = self._preset(given, mark, "")
        if source is None and _exists(Path(given)) and Path(given).is_file():
            self.problems.add("there is a file of this name.", mark, f"To read it, write .{sep}{given}.")
        return source

    def _preset(self, name: str, mark: Mark, package: str) -> _Source | None:
        try:
            entry = self.registry.find_preset(name, where=str(mark), package=package)
        except SpecError as error:
            self.problems.extend(error.problems, mark)
            return None
        return _Source(f"preset {name}", entry.path, entry.origin.package, name)

    def _extended(self, extends: Node, source: _Source, chain: list[_Source]) -> _Source | None:
        name, mark = extends.value, extends.mark
        if not isinstance(name, str) or not name.strip():
            found = f"extends is {extends.said()}; it takes one preset or path."
            self.problems.add(found, mark, "Write extends: NAME.")
            return None
        following = self._file_beside(name, source) if is_path(name) else self._preset(name, mark, source.package)
        if following is None:
            return None
        names = [item.name for item in chain] + [following.name]
        places = [_identity(item.path) for item in chain if item.name != "mapping"]
        if _identity(following.path) in places:
            self.problems.add(f"extends goes in a circle: {' -> '.join(names)}.", mark, "Take one of them out.")
            return None
        if len(names) > MAX_EXTENDS:
            found = f"more than {MAX_EXTENDS} specs extend each other: {' -> '.join(names[:3])} -> …"
            self.problems.add(found, mark, "Put what they share into fewer files.")
            return None
        return following

    def _file_beside(self, name: str, source: _Source) -> _Source:
        folder = Path() if source.name == "mapping" else source.path.parent
        path = folder / name
        shown = f"preset {source.preset} ({name})" if source.preset else str(path)
        return _Source(shown, path, source.package, source.preset)

    def _known(self, root: Node) -> dict[str, Node]:
        """The keys there are; the others are reported."""
        for key, node in root.value.items():
            if key not in SPEC_KEYS:
                cure = "Dots are for the command line: nest it." if "." in key else unknown_key(key)
                self.problems.add(f"there is no key {key!r}.", node.mark, cure)
        version = root.value.get("pgsynth")
        if version is not None and (version.value != SPEC_VERSION or isinstance(version.value, bool)):
            cure = "Upgrade pgsynth." if isinstance(version.value, int) else f"Write pgsynth: {SPEC_VERSION}."
            found = f"the spec is of version {version.said()}; this pgsynth reads version {SPEC_VERSION}."
            self.problems.add(found, version.mark, cure)
        return {key: node for key, node in root.value.items() if key in LAID_KEYS}

    def _lock(self, root: Node, source: _Source) -> SpecLock:
        lock = root.value.get("lock")
        return SpecLock() if lock is None else read_lock(lock, self.problems, quiet=bool(source.preset))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _identity(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError):  # not readable either: reading says so
        return str(path)


def read_layers(
    given: str | Path | Mapping[str, Any] | None, registry: Registry, problems: Problems
) -> tuple[list[Layer], bool]:
    """The layers of a spec.

    Args:
        given: A path, a preset's name, a mapping, or None for nothing.
        registry: Where presets come from.
        problems: Gets everything wrong with reading.

    Returns:
        The layers, the one to lay first in front, and whether all of them could be read.
    """
    if given is None:
        return [], True
    reader = _Reader(registry, problems)
    return reader.layers(given), reader.complete
