"""Which evaluations of several runs may stand side by side: of the same pairs, sampled and scored alike. Floor 1.

Scored alike are two by the same protocol at the same size.

Sampled alike are two that were sampled with the same settings. Where no such settings are common to all, also two of
which each was sampled as its own spec says, for how it samples is part of a method; that is then noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pgsynth_core.runs.evaluations import Evaluation
from pgsynth_core.runs.reader import RunFacts

__all__ = ["Block", "blocks"]

_OWN: Final = "as its spec says"
_PASSED_OVER: Final = ("sample.batch_size",)
"""Settings of sampling upon which no picture depends."""


@dataclass(frozen=True)
class Block:
    """Evaluations that may stand side by side.

    Attributes:
        title: Split, pairs, size, protocol.
        found: Of each variant, run id -> its evaluation, the last if it has several.
        notes: What to know of them.
    """

    title: str
    found: tuple[Mapping[str, Evaluation], ...]
    notes: tuple[str, ...] = ()

    @property
    def any(self) -> Evaluation:
        """One of them."""
        return next(one for found in self.found for one in found.values())


@dataclass(frozen=True)
class _Held:
    """An evaluation, whose it is, and whether it was sampled as the run's spec says."""

    variant: int
    run: RunFacts
    one: Evaluation

    @property
    def sampling(self) -> str:
        return _text(self.one.sample)

    @property
    def is_own(self) -> bool:
        own = {key: value for key, value in self.run.settings.items() if key.startswith("sample.")}
        return _text(own) == self.sampling


def blocks(variants: Sequence[Sequence[RunFacts]], names: Sequence[str]) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """Bring together what may stand side by side.

    Args:
        variants: The runs of each.
        names: Of the variants.

    Returns:
        The blocks, those that most variants have first; and a sentence for each variant that has no evaluation.
    """
    held = [_Held(number, run, one) for number, runs in enumerate(variants) for run in runs for one in run.evaluations]
    made = [_block(some, len(variants), names) for same in _same_pairs(held) for some in _sampled_alike(same)]
    made.sort(key=lambda block: (-sum(map(bool, block.found)), block.any.split, -block.any.images))
    has = {one.variant for one in held}
    without = [
        f"{name} has no evaluation; to have one: pgsynth evaluate {variants[number][0].id}"
        for number, name in enumerate(names)
        if number not in has
    ]
    if not has:
        without = ["None of them has an evaluation; pgsynth evaluate RUN makes one."]
    return tuple(_told_apart(_titled(made), variants, names)), tuple(without)


def _same_pairs(held: Sequence[_Held]) -> list[list[_Held]]:
    """Those together that are of the same pairs, by the same protocol.

    What knows most of its pictures comes first: whichever run is named first, they are put together alike.
    """
    found: list[list[int]] = []
    for number in sorted(range(len(held)), key=lambda number: -len(held[number].one.pictures)):
        one = held[number].one
        same = (some for some in found if _scored_alike(first := held[some[0]].one, one) and first.has_pairs_of(one))
        into = next(same, None)
        if into is None:
            found.append([number])
        else:
            into.append(number)
    return [[held[number] for number in some] for some in sorted(map(sorted, found))]


def _scored_alike(one: Evaluation, other: Evaluation) -> bool:
    return (one.split, one.protocol, one.prepared) == (other.split, other.protocol, other.prepared)


def _text(sample: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in sample.items() if key not in _PASSED_OVER}
    return json.dumps(sorted(kept.items()), default=str)  # but the order within a value counts


def _sampled_alike(held: Sequence[_Held]) -> Iterator[list[_Held]]:
    """Evaluations of the same pairs, those together that were sampled alike."""
    here = {one.variant for one in held}
    alike = _grouped(held, [one.sampling for one in held])
    if not any({one.variant for one in some} == here for some in alike):
        alike = _grouped(held, [_OWN if one.is_own else one.sampling for one in held])
    yield from alike


def _grouped(held: Iterable[_Held], keys: Iterable[str]) -> list[list[_Held]]:
    found: dict[str, list[_Held]] = {}
    for one, key in zip(held, keys, strict=True):
        found.setdefault(key, []).append(one)
    return list(found.values())


def _block(held: Sequence[_Held], variants: int, names: Sequence[str]) -> Block:
    """The last evaluation of each run, and what differs between them without keeping them apart.

    Of a run that has several, one with the weights that every run was evaluated with comes first: averaged, or else as
    trained.
    """
    found: list[dict[str, Evaluation]] = [{} for _ in range(variants)]
    runs = {one.run.id for one in held}
    with_all = [kind for kind in (True, False) if {one.run.id for one in held if one.one.averaged == kind} == runs]
    for one in sorted(held, key=lambda one: (one.one.averaged in with_all[:1], one.one.step)):
        found[one.variant][one.run.id] = one.one
    kept = [(names[number], one) for number, some in enumerate(found) for one in some.values()]
    steps = _unlike((name, f"{one.step:,}") for name, one in kept)
    weights = _unlike((name, "their average" if one.averaged else "as trained") for name, one in kept)
    libraries = _unlike((name, " ".join(map(" ".join, one.libraries.items()))) for name, one in kept)
    notes = [f"They were evaluated after different numbers of steps: {steps}."] if steps else []
    notes += [f"They were evaluated with different weights: {weights}."] if weights else []
    notes += [f"They were scored by different libraries: {libraries}."] if libraries else []
    if own := _sampling_apart(kept):
        notes.append(f"Each was sampled as its own spec says, which is not the same: {own}.")
    return Block("", tuple(found), tuple(notes))


def _sampling_apart(kept: Sequence[tuple[str, Evaluation]]) -> str:
    """The settings of sampling that are not the same, with each one's value; empty if all are."""
    keys = dict.fromkeys(key for _, one in kept for key in one.sample if key not in _PASSED_OVER)
    apart = ((key, _unlike((name, _said(one.sample.get(key))) for name, one in kept)) for key in keys)
    return "; ".join(f"{key} {values}" for key, values in apart if values)


def _unlike(said: Iterable[tuple[str, str]]) -> str:
    """``x (A), y (B, C)``; empty if all say the same."""
    of: dict[str, list[str]] = {}
    for name, value in said:
        of.setdefault(value, []).append(name)
    if len(of) < 2:
        return ""
    return ", ".join(f"{value} ({', '.join(dict.fromkeys(names))})" for value, names in of.items())


def _said(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _titled(made: Sequence[Block]) -> list[Block]:
    """Each with a title of its own."""
    titles: list[str] = []
    for block in made:
        one = block.any
        pairs = f"{one.images:,} pair{'' if one.images == 1 else 's'} of {' and '.join(one.sizes)}"
        title = f"{one.split}, {pairs}, {one.protocol}"
        again = sum(other.partition(" (")[0] == title for other in titles)
        titles.append(f"{title} ({again + 1})" if again else title)
    return [replace(block, title=title) for block, title in zip(made, titles, strict=True)]


def _told_apart(made: Sequence[Block], variants: Sequence[Sequence[RunFacts]], names: Sequence[str]) -> Iterator[Block]:
    """Of each variant that is missing in a block and was evaluated otherwise: how."""
    for block in made:
        told = []
        for number, name in enumerate(names):
            others = [other for other in made if other.found[number]]
            if block.found[number] or not others:
                continue
            near = min(others, key=lambda other: _unlikeness(other.any, block.any))
            sentence = f"{name} is not beside them in {block.title!r}, it was evaluated otherwise: {_how(near, block)}."
            if near.any.protocol != block.any.protocol:
                command = f"pgsynth evaluate {variants[number][0].id} --protocol {block.any.protocol}"
                sentence += f" To have it there, too: {command}"
            told.append(sentence)
        yield replace(block, notes=(*block.notes, *told))


def _unlikeness(one: Evaluation, other: Evaluation) -> tuple[bool, ...]:
    """The less, the smaller."""
    return (one.split != other.split, one.protocol != other.protocol, not one.has_pairs_of(other))


def _how(near: Block, block: Block) -> str:
    """How one block is otherwise than another."""
    one, other = near.any, block.any
    if one.split != other.split:
        return f"on the split {one.split}"
    if one.protocol != other.protocol:
        return f"by the protocol {one.protocol}"
    if one.sizes != other.sizes:
        return f"at {' and '.join(one.sizes)}"
    if one.prepared != other.prepared:
        return "of pictures that were cut or resized otherwise"
    if one.images != other.images:
        return f"on {one.images:,} pairs, not {other.images:,}"
    if not one.has_pairs_of(other):
        return "on other pairs, or other pictures of the same names"
    return _sampling_apart([("there", one), ("here", other)])
