"""Errors as interface: every problem says what was given, what is allowed, the nearest match and the cure.

Floor 0. Imports nothing but the standard library.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final

__all__ = [
    "ContractError",
    "PartError",
    "PgsynthError",
    "Problem",
    "ProofError",
    "SpecError",
    "UserError",
    "nearest",
    "not_there",
    "suggestion",
]


_MOST_BESIDE: Final = 2_000
"""Of a folder of millions, the first: a cure must come at once."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, said so that the reader can mend it.

    Attributes:
        message: What was given and what is allowed, one or two sentences.
        where: The place in the user's own input, e.g. ``method.yaml:12`` or ``argument 2: attn=pmq``; empty if none.
        cure: What to write or run instead, one sentence; empty if the message already says it.
    """

    message: str
    where: str = ""
    cure: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.cure}" if self.cure else text


class PgsynthError(Exception):
    """Base of every error raised on purpose. `exit_code` is what the shell sees."""

    exit_code: ClassVar[int] = 1


class UserError(PgsynthError):
    """Something the user can mend: exit code 2. Holds every problem found, not only the first.

    Args:
        problems: One message, one problem, or several.
        where: For a message given as text: its place.
        cure: For a message given as text: its cure.

    Raises:
        ValueError: If no problem is given; an error about nothing helps nobody.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: str | Problem | Iterable[Problem], *, where: str = "", cure: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, where=where, cure=cure)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        if not self.problems:
            raise ValueError("UserError was given no problem; pass at least one")
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpecError(UserError):
    """The spec or an override cannot be read: syntax, unknown name, wrong type, out of range."""


class ContractError(UserError):
    """The parts do not fit together; found without torch, from the manifests alone."""


class ProofError(UserError):
    """A part does not keep its contract; found on the meta device, without weights."""


class PartError(UserError):
    """A package or part is broken: it cannot be read, imported or built. Names the package and how to remove it."""


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed name closest to `word`, or None if nothing is close.

    Case and the separators ``-``, ``_`` and ``.`` do not count as differences.
    """

    def plain(name: str) -> str:
        return name.lower().replace("-", "_").replace(".", "_")

    by_plain = {plain(name): name for name in allowed}
    hits = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=0.6)
    return by_plain[hits[0]] if hits else None


def suggestion(word: str, allowed: Sequence[str], *, what: str = "") -> str:
    """The cure for an unknown name: the nearest match first, then everything that is allowed.

    Args:
        word: What was given.
        allowed: Every allowed name, in the order to show.
        what: Plural noun for the list, e.g. ``encoders``; empty for plain ``allowed``.
    """
    if not allowed:
        return f"There are no {what or 'names'} to choose from."
    hit = nearest(word, allowed)
    listing = f"{what[0].upper() + what[1:] if what else 'Allowed'}: {', '.join(allowed)}."
    return f"Did you mean {hit!r}? {listing}" if hit else listing


def not_there(path: str | Path, *, wanted: Callable[[Path], bool] = lambda beside: True) -> str:
    """The cure for a path where nothing is: the nearest name beside it, or the folder that is not there either.

    Args:
        path: What was given.
        wanted: Whether a path beside it could have been meant, e.g. `Path.is_dir`; asked of the first 2,000.
    """
    path = Path(path)
    beside: list[Path] = []
    with suppress(OSError):  # it is not there, or may not be listed
        beside = [one for one in islice(path.parent.iterdir(), _MOST_BESIDE) if wanted(one)]
    stem = nearest(path.stem, [one.stem for one in beside])  # endings are alike by themselves
    if hit := nearest(path.name, [one.name for one in beside if one.stem == stem]):
        return f"Did you mean {shlex.quote(str(path.parent / hit))}?"
    with suppress(OSError):
        if not path.parent.is_dir():
            return f"There is no folder {str(path.parent)!r} either."
    return "Give the path of one that is there."
