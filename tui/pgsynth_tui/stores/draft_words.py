"""A draft of a method is a command line: a spec, what is laid over it, and which values are varied.

Nothing else is kept. All that a screen shows of it follows, so undoing, saving and the shell need no second form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pgsynth_core.errors import UserError
from pgsynth_core.spec import KIND_OF_SLOT, PLAIN_OPTIONS, TABLES

__all__ = ["ADAPT", "Draft", "dropped", "from_json", "labels_of", "path_of", "put", "unchosen", "value_of"]

ADAPT: Final = "--adapt"
"""The flag that takes linear adapters; among the words of a remedy, too."""

_ORDER: Final = (*KIND_OF_SLOT, *PLAIN_OPTIONS, *TABLES)


@dataclass(frozen=True)
class Draft:
    """What would be typed in a shell.

    Attributes:
        source: A preset's name, the path of a spec file, or None for the defaults alone.
        overrides: ``path=value``, applied from left to right; they may be wrong.
        adapt: Whether the adapters that the contract proposes are taken.
        sweeps: ``path=value,value``: what an ablation varies, each path once.
        ablation: Name of the ablation of a manifest that it is; its rows are varied, too. Empty for any other.
    """

    source: str | None = None
    overrides: tuple[str, ...] = ()
    adapt: bool = False
    sweeps: tuple[str, ...] = ()
    ablation: str = ""

    @property
    def varied(self) -> bool:
        """Whether it is an ablation."""
        return bool(self.sweeps or self.ablation)

    @property
    def method(self) -> Draft:
        """The draft where nothing is varied."""
        return replace(self, sweeps=(), ablation="")

    def with_words(self, *words: str) -> Draft:
        """The draft with overrides put in, each in place of what was said there; ``--adapt`` is a word, too."""
        draft = self
        for word in words:
            if word == ADAPT:
                draft = replace(draft, adapt=True)
            else:
                draft = replace(draft, overrides=put(draft.overrides, word))
        return draft

    def override_at(self, path: str) -> str | None:
        """The text given last at that very path; None if there is none."""
        return next((value_of(word) for word in reversed(self.overrides) if path_of(word) == path), None)

    def to_json(self) -> str:
        """The draft as text, to be restored later. A path stays as it was typed."""
        kept: dict[str, Any] = {
            "source": self.source,
            "overrides": self.overrides,
            "adapt": self.adapt,
            "sweeps": self.sweeps,
        }
        kept |= {"ablation": self.ablation} if self.ablation else {}
        return json.dumps({"draft": 1, **kept}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Draft:
    """A draft that `Draft.to_json` wrote; what it names need not exist any more.

    Raises:
        UserError: If the text is no draft.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the kept draft cannot be read: {error}.", cure="Begin a new one.") from None
    if not isinstance(found, dict) or found.get("draft") != 1:
        raise UserError("this is no draft that this pgsynth keeps.", cure="Begin a new one.")
    source, words, sweeps = found.get("source"), found.get("overrides", []), found.get("sweeps", [])
    if not (source is None or isinstance(source, str)) or not _texts(words) or not _texts(sweeps):
        raise UserError("the kept draft is damaged.", cure="Begin a new one.")
    return Draft(source, tuple(words), found.get("adapt") is True, tuple(sweeps), str(found.get("ablation") or ""))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# ------------------------------------------------------------------------------------------- words
def path_of(word: str) -> str:
    """The path of an override; a part's package is left out: a label stands there."""
    slot, *rest = word.partition("=")[0].strip().split(".")
    if slot in KIND_OF_SLOT and rest:
        rest[0] = rest[0].rpartition(":")[2]
    return ".".join([slot, *rest])


def value_of(word: str) -> str:
    """The value of an override, as typed."""
    return word.partition("=")[2]


def labels_of(value: str) -> tuple[str, ...]:
    """The labels of what is written at a slot."""
    names = [name.strip().rpartition(":")[2] for name in value.split("+")]
    return () if names in (["none"], ["null"]) else tuple(names)


def put(words: Sequence[str], word: str) -> tuple[str, ...]:
    """The overrides with one more, where it works: a slot before options of its parts, slots before sections.

    What it makes void goes: what stood at the same path or below, and options of parts that a slot no longer has.
    """
    path = path_of(word)
    slot = path.split(".")[0]
    if slot not in KIND_OF_SLOT:
        place = next((number for number, old in enumerate(words) if path_of(old) == path), len(words))
        before, after = (
            [old for old in some if not _within(path_of(old), path)] for some in (words[:place], words[place:])
        )
        return _ordered([*before, word, *after])
    own = [old for old in words if path_of(old).split(".")[0] == slot and path_of(old) != path]
    if _level(path) == "slot":
        labels = labels_of(value_of(word))
        own = [old for old in own if path_of(old).split(".")[1] in labels and not _takes_out(old)]
    choosing = [old for old in own if _level(path_of(old)) != "option"]
    options = [old for old in own if _level(path_of(old)) == "option"]
    if _level(path) == "option":
        number = next((n for n, old in enumerate(_options_in(words, slot)) if path_of(old) == path), len(options))
        options.insert(number, word)
    else:
        choosing.append(word)
        label = path.partition(".")[2]
        if _takes_out(word):
            options = [old for old in options if path_of(old).split(".")[1] != label]
    others = [old for old in words if path_of(old).split(".")[0] != slot]
    return _ordered([*others, *choosing, *options])


def dropped(words: Sequence[str], path: str) -> tuple[str, ...]:
    """The overrides without what is said at a path and below; that a part is chosen stays where the path is its own."""
    chosen = _level(path) == "part"
    return tuple(old for old in words if not _within(path_of(old), path) or (chosen and path_of(old) == path))


def unchosen(words: Sequence[str], slot: str) -> tuple[str, ...]:
    """The overrides without those that say which parts a slot has."""
    options = {*_options_in(words, slot)}
    return tuple(old for old in words if old in options or path_of(old).split(".")[0] != slot)


def _options_in(words: Iterable[str], slot: str) -> list[str]:
    return [old for old in words if path_of(old).startswith(f"{slot}.") and _level(path_of(old)) == "option"]


def _level(path: str) -> Literal["slot", "part", "option", "setting"]:
    slot, *rest = path.split(".")
    if slot not in KIND_OF_SLOT:
        return "setting"
    return "slot" if not rest else "part" if len(rest) == 1 or rest[1] == "part" else "option"


def _takes_out(word: str) -> bool:
    return _level(path_of(word)) == "part" and value_of(word).strip() == "none"


def _within(path: str, whole: str) -> bool:
    return path == whole or path.startswith(f"{whole}.")


def _ordered(words: Iterable[str]) -> tuple[str, ...]:
    """Sections in the order of a spec; inside of one as they were."""
    places = {name: number for number, name in enumerate(_ORDER)}
    return tuple(sorted(words, key=lambda word: places.get(path_of(word).split(".")[0], len(places))))
