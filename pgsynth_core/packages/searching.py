"""Find parts, presets and packages by words: in names, summaries, papers, ports and options. Floor 2, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgsynth_core.axes import port_info
from pgsynth_core.manifest import Component
from pgsynth_core.packages.listing import Row, listing
from pgsynth_core.registry import NOUNS, Registry
from pgsynth_core.shipped import Paper

__all__ = ["Hit", "search"]

_WEIGHTS: Final = {"name": 8, "kind": 4, "port": 4, "package": 3, "paper": 3, "summary": 3, "option": 1}
"""How much it counts where a word is found; one that begins a word there counts half as much again."""


@dataclass(frozen=True)
class Hit:
    """Something that was found.

    Attributes:
        row: What it is.
        places: Where the words were found, e.g. ``option mask: Which columns the mask closes.``
    """

    row: Row
    places: tuple[str, ...]


def search(registry: Registry, words: Sequence[str]) -> tuple[Hit, ...]:
    """Everything in which every word is found, the best first.

    Args:
        registry: What is installed, and which packages are known.
        words: Parts of words, upper or lower case.
    """
    wanted = [word.casefold() for word in words if word.strip()]
    texts = {(entry.kind, entry.qualified): tuple(_said(entry.component)) for entry in registry.entries}
    papers = {("preset", found.qualified): tuple(_paper(found.preset.paper)) for found in registry.presets}
    scored: list[tuple[float, Hit]] = []
    for row in listing(registry):
        said = [*_of_row(row), *(texts | papers).get((row.kind, row.qualified), ())]
        found = [_best(word, said) for word in wanted]
        if found and all(score > 0 for score, _ in found):
            places = tuple(dict.fromkeys(place for _, place in found if place))
            scored.append((sum(score for score, _ in found), Hit(row, places)))
    return tuple(hit for _, hit in sorted(scored, key=lambda pair: -pair[0]))


Said = tuple[str, str, str]
"""Where (a key of `_WEIGHTS`), the text, and what to show of it; nothing where the row shows it already."""


def _best(word: str, said: Sequence[Said]) -> tuple[float, str]:
    """Where the word counts most: its score, 0 if it is nowhere, and what to show."""
    hits = [(_score(word, text.casefold(), where), shown) for where, text, shown in said if word in text.casefold()]
    return max(hits, key=lambda hit: hit[0], default=(0.0, ""))


def _score(word: str, text: str, where: str) -> float:
    begins = text.startswith(word) or any(
        text[at + 1 :].startswith(word) for at, char in enumerate(text) if char in " _-:("
    )
    return _WEIGHTS[where] * (1.5 if begins else 1.0) + (4.0 if text == word else 0.0)


def _of_row(row: Row) -> Iterator[Said]:
    yield "name", row.name, ""
    yield "package", row.package, ""
    yield "kind", " ".join(NOUNS.get(row.kind, (row.kind,))), ""
    yield "summary", row.summary, ""


def _said(part: Component) -> Iterator[Said]:
    yield from _paper(part.paper)
    for verb, ports in (("reads", part.needs), ("gives", part.provides)):
        for port in ports:
            info = port_info(port)
            meaning = f": {info.meaning}" if info else ""
            yield "port", f"{port} {meaning}", f"{verb} {port}{meaning}"
    for name, option in part.options.items():
        yield "option", f"{name} {option.help} {' '.join(map(str, option.choices))}", f"option {name}: {option.help}"
    for weights in part.weights:
        yield "option", weights.id, f"weights {weights.id}"


def _paper(paper: Paper | None) -> Iterator[Said]:
    if paper:
        text = f"{paper.title} {paper.arxiv} {paper.bibtex}"
        yield "paper", text, f"paper {paper.title}"
