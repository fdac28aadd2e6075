"""Draws by name: every property of a person is a hash of (seed, who, which property), never a place in a stream.

So a new property changes none of the old ones, any picture can be made alone and in any order, and the result is the
same with every Python and numpy on every machine, which numpy promises for none of its generators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar, final

__all__ = ["Chance"]

T = TypeVar("T")


@final
class Chance:
    """A source of draws for one thing; `of` gives the source of a thing inside it."""

    def __init__(self, *key: int | str) -> None:
        self._key = "/".join(str(part) for part in key)

    def of(self, *key: int | str) -> Chance:
        """The draws of something inside this."""
        return Chance(self._key, *key)

    def unit(self, name: str) -> float:
        """Uniform in [0, 1), a multiple of 2**-53."""
        digest = blake2b(f"{self._key}/{name}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / 9007199254740992.0

    def between(self, name: str, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit(name)

    def around(self, name: str, middle: float, spread: float) -> float:
        """Middle plus or minus at most `spread`, the middle likelier (the mean of two uniform draws)."""
        return middle + spread * (self.unit(f"{name}.a") + self.unit(f"{name}.b") - 1.0)

    def index(self, name: str, count: int) -> int:
        """Uniform in 0 .. count - 1."""
        return int(self.unit(name) * count)

    def pick(self, name: str, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[self.index(name, len(choices))]

    def weighted(self, name: str, choices: Mapping[T, int]) -> T:
        """One of the choices, likely in proportion to its weight."""
        return self.pick(name, [choice for choice, weight in choices.items() for _ in range(weight)])

    def happens(self, name: str, probability: float) -> bool:
        """True with the probability."""
        return self.unit(name) < probability
