"""The shortest command line of a draft: what changes nothing is left out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, Resolved, Spec, is_path, resolve
from pgsynth_tui.stores.draft_values import below, parts_in, values_of
from pgsynth_tui.stores.draft_words import ADAPT, Draft, path_of

__all__ = ["command_of", "shortest"]


def command_of(draft: Draft, verb: str) -> str:
    """What to type in a shell for a draft, as it stands."""
    spec = [draft.source] if draft.source else []
    if spec and (spec[0].startswith("-") or ("=" in spec[0] and not is_path(spec[0].partition("=")[0]))):
        spec = [f"./{spec[0]}"]  # else it reads as a flag, or as an override
    return shlex.join(["pgsynth", *verb.split(), *spec, *draft.overrides, *([ADAPT] if draft.adapt else [])])


def shortest(draft: Draft, spec: Spec, source: Resolved | None, registry: Registry) -> tuple[str, ...]:
    """The overrides without which the spec would be another.

    Each is left out in turn, the last first, since the one said last stands.

    Args:
        draft: A draft without faults.
        spec: What it comes to.
        source: What its source alone comes to.
        registry: What is installed.
    """
    if source is None:
        return draft.overrides
    words = list(draft.overrides)
    now, then = values_of(spec), values_of(source.spec)
    for number in reversed(range(len(words))):
        left = [*words[:number], *words[number + 1 :]]
        possible = _may_go(words[number], left, (now, spec), (then, source.spec))
        if possible and _comes_to(spec, draft.source, left, registry):
            words = left
    return tuple(words)


Valued = tuple[Mapping[str, Any], Spec]


def _may_go(word: str, others: Sequence[str], now: Valued, then: Valued) -> bool:
    """Whether it may be said already, by the source or by another word; cheaper than trying each."""
    path = path_of(word)
    slot = path.partition(".")[0]
    if path in KIND_OF_SLOT:
        same = [one.label for one in parts_in(now[1], slot)] == [one.label for one in parts_in(then[1], slot)]
        return same or any(path_of(other).startswith(f"{slot}.") for other in others)
    if any(path_of(other) == path for other in others):
        return True
    return path not in then[0] or below(now[0], path) == below(then[0], path)


def _comes_to(spec: Spec, source: str | None, words: Sequence[str], registry: Registry) -> bool:
    try:
        return resolve(source, words, registry).spec == spec
    except SpecError:
        return False
