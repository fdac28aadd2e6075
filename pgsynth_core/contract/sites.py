"""Site patterns, ``NETWORK:KIND[:GLOB over the diffusers path]``: one meaning for the check and for building.

The contract knows which networks a composition has and their kinds of site; paths are known once it is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from pgsynth_core.contract.verdict import Network
from pgsynth_core.options import SITE

__all__ = ["SitePattern", "pattern_list", "places"]

_ANY: Final = "*"


@dataclass(frozen=True)
class SitePattern:
    """Sites by network, kind and a glob over the path. The network ``pose`` also means every ``pose.<label>``.

    Attributes:
        network: Name or glob.
        kind: ``self``, ``cross`` or ``*``.
        path: Glob over the diffusers path.
    """

    network: str
    kind: str
    path: str = _ANY

    @staticmethod
    def parse(text: str) -> SitePattern:
        """Read a pattern.

        Raises:
            ValueError: If it is not of the form; says which form that is.
        """
        if SITE.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not of the form NETWORK:KIND[:GLOB], where KIND is self, cross or *")
        return SitePattern(*text.split(":", 2))

    def __str__(self) -> str:
        return f"{self.network}:{self.kind}" if self.path == _ANY else f"{self.network}:{self.kind}:{self.path}"

    def covers(self, network: str, kind: str) -> bool:
        """Whether it may mean sites of this kind in this network, whatever their path."""
        named = fnmatchcase(network, self.network) or fnmatchcase(network, f"{self.network}.*")
        return named and self.kind in (kind, _ANY)

    def selects(self, network: str, kind: str, path: str) -> bool:
        """Whether it means this very site."""
        return self.covers(network, kind) and fnmatchcase(path, self.path)

    def inside(self, outer: SitePattern) -> bool:
        """Whether every site it can mean is meant by `outer` too."""
        network = _within(self.network, outer.network) or _within(self.network, f"{outer.network}.*")
        return network and outer.kind in (self.kind, _ANY) and _within(self.path, outer.path)


def _within(inner: str, outer: str) -> bool:
    """Whether every text that the glob `inner` matches is matched by `outer`.

    Tried with nothing, and with more text than `outer` has characters, in the place of each ``*``: only a ``*`` of
    `outer` can take both.
    """
    long = "\0" * (len(outer) + 1)
    return all(fnmatchcase(inner.replace("*", filling), outer) for filling in ("", long))


def pattern_list(value: object) -> tuple[str, ...]:
    """The patterns of an option `sites`: one text, or several."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


def places(patterns: Iterable[SitePattern], networks: Iterable[Network]) -> tuple[SitePattern, ...]:
    """The patterns spelled out over the networks there are: each names one network and one kind."""
    return tuple(
        SitePattern(network.name, kind, pattern.path)
        for network in networks
        for kind in network.kinds
        for pattern in patterns
        if pattern.covers(network.name, kind)
    )
