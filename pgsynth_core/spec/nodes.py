"""What a spec is read into: values that know where they were written, and the list of everything found wrong.

YAML, overrides and Python mappings all become the same tree of `Node`, so that one set of checks serves them and every
message and every ``compose --explain`` row can name the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any, Final

from pgsynth_core.errors import Problem, SpecError

MAX_DEPTH: Final = 16
"""How deep mappings and lists may nest; a spec needs four."""

MAX_BITS: Final = 256
"""How large a whole number may be: beyond it Python may not even print it."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Mark:
    """A place in what the user gave.

    Attributes:
        source: ``method.yaml``, ``preset qen``, ``argument 2``, ``mapping``, ``default``.
        line: From 1; 0 where there are no lines.
        column: From 1; 0 where there are no columns.
        detail: Of an argument: its text, never empty; empty elsewhere.
    """

    source: str
    line: int = 0
    column: int = 0
    detail: str = ""

    @property
    def origin(self) -> str:
        """The place as `compose --explain` shows it."""
        return f"{self.source}:{self.line}" if self.line else self.source

    def __str__(self) -> str:
        return f"{self.origin}: {self.detail}" if self.detail else self.origin


DEFAULT: Final = Mark("default")
"""The place of whatever nobody wrote."""

NOWHERE: Final = Mark("")
"""The place of what is missing."""


@dataclass(frozen=True)
class Node:
    """A value and its place; for a mapping's value, the place of its key.

    Attributes:
        value: A scalar, a tuple of nodes, or a dict from key to node.
        mark: Where it was written.
        text: Of an unquoted scalar of an override: as typed, because a shell leaves no way to tell ``7`` from ``"7"``.
    """

    value: Any
    mark: Mark
    text: str | None = None

    def said(self) -> str:
        """The value in a message: short, as the user would write it."""
        value = self.value
        if isinstance(value, dict):
            return "a mapping" if value else "an empty mapping"
        if isinstance(value, tuple):
            return "a list" if value else "an empty list"
        if isinstance(value, bool):
            return "true" if value else "false"
        return "empty" if value is None else shortened(repr(value))


def shortened(text: str, length: int = 80) -> str:
    """The text, cut in the middle where it is too long for a message."""
    half = length // 2 - 1
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


@dataclass
class Problems:
    """Everything found wrong, gathered so that nothing hides anything else."""

    _found: list[tuple[Mark, Problem]] = field(default_factory=list)

    def add(self, message: str, mark: Mark, cure: str = "") -> None:
        """One more problem, at its place."""
        self._found.append((mark, Problem(message, where=str(mark), cure=cure)))

    def extend(self, problems: Iterable[Problem], mark: Mark) -> None:
        """Problems that another module found about this place."""
        self._found.extend((mark, problem) for problem in problems)

    def raise_if_any(self) -> None:
        """Raise all of them together: file by file in the order read, by line, then arguments; each once.

        Raises:
            SpecError: If there is any problem.
        """
        sources = list(dict.fromkeys(mark.source for mark, _ in self._found))

        def place(item: tuple[Mark, Problem]) -> tuple[bool, int, int]:
            mark = item[0]
            number = int(mark.source.split()[1]) if mark.detail else sources.index(mark.source)
            return bool(mark.detail), number, mark.line

        ordered = sorted(self._found, key=place)
        if unique := dict.fromkeys(problem for _, problem in ordered):
            raise SpecError(unique)

    def __len__(self) -> int:
        return len(self._found)


def node_of(value: object, mark: Mark, problems: Problems, path: str = "", depth: int = 0) -> Node:
    """A Python value as a tree of nodes, all at one place.

    Args:
        value: Mappings with text keys, lists, tuples, scalars, paths.
        mark: The place of all of it.
        problems: Gets what cannot be taken; such a value becomes None.
        path: Keys on the way here, for messages.
        depth: How many they are.
    """
    if value is None or isinstance(value, bool):
        return Node(value, mark)
    for exact in (str, float):  # numpy's and enum's subclasses become what they stand for
        if isinstance(value, exact):
            return Node(exact.__str__(value) if exact is str else float(value), mark)
    if isinstance(value, int) and value.bit_length() <= MAX_BITS:
        return Node(int(value), mark)
    if isinstance(value, PathLike):
        return Node(str(fspath(value)), mark)
    if depth >= MAX_DEPTH:
        problems.add(f"{path[:40]}…: nested deeper than {MAX_DEPTH} levels.", mark, "A spec needs four.")
    elif isinstance(value, Mapping):
        kept: dict[str, Node] = {}
        for key, item in value.items():
            if isinstance(key, str):
                kept[key] = node_of(item, mark, problems, f"{path}.{key}".lstrip("."), depth + 1)
            else:
                problems.add(f"{path or 'the mapping'}: the key {key!r} is no text.", mark, "Keys are names.")
        return Node(kept, mark)
    elif isinstance(value, list | tuple):
        return Node(tuple(node_of(item, mark, problems, f"{path}[]", depth + 1) for item in value), mark)
    else:
        kind = type(value).__name__
        cure = "Give numbers, text, true/false, lists or mappings."
        problems.add(f"{path or 'the spec'}: a value of type {kind}.", mark, cure)
    return Node(None, mark)
