"""What else is installed, for the check's hints: who could give a port, read one, or bring a site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pgsynth_core.contract.plan import TOKENS
from pgsynth_core.contract.sites import SitePattern
from pgsynth_core.manifest import SLOTS, Component
from pgsynth_core.registry import Entry, Registry

__all__ = ["Catalogue"]

_MOST_NAMES: Final = 8


class Catalogue:
    """Parts of the registry that can be composed, as the manifests order them.

    Those that need an optional extra come last: it may not be installed, and what is suggested first should work.

    Args:
        registry: What is installed.
    """

    def __init__(self, registry: Registry) -> None:
        slots = list(SLOTS)
        able = [entry for entry in registry.entries if entry.kind in SLOTS]
        self._entries = sorted(able, key=lambda entry: (slots.index(entry.kind), bool(entry.component.extra)))
        self._uses = Counter((entry.kind, entry.name) for entry in able)

    def written(self, entry: Entry) -> str:
        """Its name as it may be written: qualified where two packages use the name."""
        return entry.name if self._uses[entry.kind, entry.name] == 1 else entry.qualified

    def names(self, entries: Iterable[Entry]) -> str:
        """Their names as they may be written; the first few, if there are very many."""
        names = list(dict.fromkeys(self.written(entry) for entry in entries))
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return ", ".join(names[:_MOST_NAMES]) + more

    def givers(self, port: str) -> tuple[Entry, ...]:
        """Parts other than datasets that can give the port, with some options at least."""
        return self._where(lambda component: component.kind != "dataset" and port in component.provides)

    def token_encoders(self) -> tuple[Entry, ...]:
        """Encoders whose tokens can be sent to any port."""
        return self._where(lambda component: component.kind == "encoder" and TOKENS in component.provides)

    def datasets(self, ports: Iterable[str]) -> tuple[Entry, ...]:
        """Datasets that can give all these ports."""
        wanted = set(ports)
        return self._where(lambda component: component.kind == "dataset" and wanted <= set(component.provides))

    def readers(self, port: str) -> tuple[Entry, ...]:
        """Parts that can read the port, with some options at least."""
        return self._where(lambda component: port in component.needs)

    def with_sites(self, patterns: Sequence[SitePattern]) -> tuple[Entry, ...]:
        """Parts that bring a network with such sites, open to chains."""
        return self._where(
            lambda component: (
                component.kind != "encoder"
                and any(
                    pattern.covers(network, kind)
                    for pattern in patterns
                    for network, kinds in component.networks.items()
                    for kind in kinds
                )
            )
        )

    def _where(self, wanted: Callable[[Component], bool]) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if wanted(entry.component))
