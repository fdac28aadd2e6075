"""Which pairs one process takes, where several share them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """Every `of`-th pair, from the `number`-th on.

    Attributes:
        number: From 1 to `of`.
        of: How many processes there are.
    """

    number: int = 1
    of: int = 1

    def has(self, index: int) -> bool:
        """Whether the pair at an index, from 0, is in it."""
        return index % self.of == self.number - 1
