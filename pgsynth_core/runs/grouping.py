"""Which pairs are alike because they share photos: of one group are all that hang together so. Floor 1, no torch.

Scores of pairs of one photo are like each other, and so are those of pairs of one person in one set of clothes: on
DeepFashion's 8,570 test pairs, of 876 such sets, intervals that take pairs for independent are far too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["groups_of"]


def groups_of(photos: Iterable[Sequence[str]]) -> tuple[int, ...]:
    """The number of each pair's group, from 0 in order of appearance.

    Args:
        photos: Of each pair, by what its photos are known; a pair of which nothing is known is a group of its own.
    """
    above: dict[str, str] = {}

    def first(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = name = above[above[name]]
        return name

    pairs = [[*some] or [f"\0{number}"] for number, some in enumerate(photos)]
    for some in pairs:
        for other in some[1:]:
            above[first(other)] = first(some[0])
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(first(some[0]), len(numbers)) for some in pairs)
