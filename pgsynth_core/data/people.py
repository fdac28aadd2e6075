"""Which of several people in a photo is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from pgsynth_core.data.keypoints import present
from pgsynth_core.data.records import Keypoints
from pgsynth_core.errors import UserError, suggestion

__all__ = ["PERSON_RULES", "chosen_person", "other_people", "require_person_rule", "said_choice"]


def _area(joints: Keypoints) -> float:
    width, height = np.ptp(joints[present(joints), :2], axis=0).tolist()
    return float(width * height)


def _middle(joints: Keypoints) -> float:
    return float(joints[present(joints), 0].mean())


_HIGHEST: Final[Mapping[str, Callable[[Keypoints], float]]] = {
    "most-certain": lambda joints: 0.0,
    "largest": _area,
    "leftmost": lambda joints: -_middle(joints),
    "rightmost": _middle,
}

PERSON_RULES: Final = tuple(_HIGHEST)
"""Words for one of several; besides, a number from 1 on, in the order they are given, the most certain first."""


def require_person_rule(rule: str, *, where: str) -> None:
    """Refuse what is neither of `PERSON_RULES` nor a number.

    Raises:
        UserError: With the nearest word.
    """
    if rule not in _HIGHEST and not _number(rule):
        cure = f"{suggestion(rule, PERSON_RULES)} Or a number: 1 is the most certain."
        raise UserError(f"{rule!r} says of no one which person is meant.", where=where, cure=cure)


def chosen_person(people: Sequence[Keypoints], rule: str) -> int | None:
    """The place of the one that is meant; None if there is no such one.

    Args:
        people: The most certain first; each has a joint at least.
        rule: Of `PERSON_RULES`, or a number from 1 on. Largest is the box around the joints; left and right go by
            their mean. Of two alike the more certain is taken.

    Raises:
        UserError: If there is no such rule.
    """
    require_person_rule(rule, where="person")
    if number := _number(rule):
        return number - 1 if number <= len(people) else None
    return max(range(len(people)), key=lambda place: _HIGHEST[rule](people[place]), default=None)


def said_choice(where: str, count: int, place: int, *, by: str = "--person, in Python person=") -> str:
    """The sentence that tells who of several was taken.

    Args:
        where: The photo or file.
        count: How many are in it.
        place: Of the one who was taken, from 0 on.
        by: How another is chosen.
    """
    others = f"Another by {by}: largest, leftmost, rightmost or a number."
    return f"{where}: {count} people are in it, and number {place + 1} is taken. {others}"


def other_people(count: int) -> str:
    """The cure where somebody who is not there is asked for, of `count` people, one at least."""
    if count == 1:
        return "Leave the choice out: there is one."
    return f"Give a number from 1 to {count}, or largest, leftmost or rightmost; left out, the most certain is taken."


def _number(rule: str) -> int:
    return int(rule) if rule.isascii() and rule.isdigit() and len(rule) < 10 else 0
