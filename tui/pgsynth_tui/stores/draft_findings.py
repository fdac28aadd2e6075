"""What is wrong or odd in a draft, each with the place that a screen can jump to."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pgsynth_core.contract import Adapter, Misfit, Verdict
from pgsynth_core.errors import Problem
from pgsynth_core.registry import FOREIGN_FAULTS, NOUNS, OWN_NAME, Registry, reason_of, removal
from pgsynth_core.spec import KIND_OF_SLOT, PLAIN_OPTIONS, TABLES
from pgsynth_tui.stores.draft_words import ADAPT, path_of

__all__ = ["SOURCE", "Finding", "Places", "argument_of", "guarded"]

SOURCE: Final = "source"
"""The path of what is wrong in a spec file or preset itself, and nowhere that a field shows."""

_ARGUMENT: Final = re.compile(r"argument (\d+)(?:: )?")
_PATH: Final = re.compile(rf"((?:{'|'.join((*KIND_OF_SLOT, *TABLES))})(?:\.[\w-]+)*|{'|'.join(PLAIN_OPTIONS)})\b")
_SLOT_OF_NOUN: Final = {NOUNS[kind][0]: slot for slot, kind in KIND_OF_SLOT.items()}
_NOUN: Final = re.compile(rf"\b({'|'.join(_SLOT_OF_NOUN)})\b")
_PLACE: Final = re.compile(r"(?:[^:]|:(?! ))+: ")


@dataclass(frozen=True)
class Finding:
    """Something to tell.

    Attributes:
        level: A problem refuses the draft; a warning is of something without effect; a note is worth knowing.
        path: Of a field, part, slot or section; ``source`` for what is wrong in the spec or preset itself.
        message: What it is.
        cure: What to do; empty if the message says it.
        where: The file and line, or the override at fault; empty if it is neither.
        remedies: Each words of a command line that mend it.
    """

    level: Literal["problem", "warning", "note"]
    path: str
    message: str
    cure: str = ""
    where: str = ""
    remedies: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".rstrip()


def argument_of(problem: Problem) -> int | None:
    """Which override, from 0, a problem of resolving is about; None if it is about none."""
    match = _ARGUMENT.match(problem.where)
    return int(match[1]) - 1 if match else None


@dataclass(frozen=True)
class Places:
    """Where findings can point to.

    Attributes:
        overrides: Of the draft.
        paths: Every path of the spec as it is shown.
        slots: Label -> slot.
    """

    overrides: Sequence[str]
    paths: Collection[str]
    slots: Mapping[str, str]

    def of_resolving(self, problem: Problem) -> Finding:
        """A problem of reading what was written."""
        number = argument_of(problem)
        if number is not None and number < len(self.overrides):
            word = self.overrides[number]
            return Finding("problem", self.nearest(path_of(word)), problem.message, problem.cure, word)
        return Finding("problem", self._said(problem.message) or SOURCE, problem.message, problem.cure, problem.where)

    def of_misfit(self, misfit: Misfit) -> Finding:
        """A problem of the contract: at what cures it, if that is a field of a part concerned; else at the part."""
        parts = [self.part(label) for label in misfit.parts]
        cures = [path_of(words[0]) for words in misfit.remedies if words]
        at = next((cure for cure in cures if cure in PLAIN_OPTIONS or _part(cure) in parts), None)
        path = at or next(iter(parts), "") or self._said(misfit.message) or _slot_named(misfit.message)
        return Finding("problem", path, misfit.message, misfit.cure, misfit.where, misfit.remedies)

    def of_adapter(self, adapter: Adapter) -> Finding:
        """An adapter that is proposed and not taken."""
        return Finding("problem", self.part(adapter.label), f"{adapter}.", remedies=((ADAPT,),))

    def of_text(self, level: Literal["warning", "note"], text: str) -> Finding:
        """A sentence, which may begin with its place."""
        number = argument_of(Problem("", text))
        if number is not None and number < len(self.overrides):
            word = self.overrides[number]
            told = _ARGUMENT.sub("", text, count=1).removeprefix(word).removeprefix(": ").strip()
            told = f"{word} {told}" if told.startswith("has no effect") else told
            return Finding(level, self.nearest(path_of(word)), told, "", word)
        place = _PLACE.match(text)
        later = text[place.end() :] if place and not self._said(text) else text
        path = self._said(later) or self.part(later.split(" ", 1)[0]) or _slot_named(later) or SOURCE
        return Finding(level, path, later, "", place[0].removesuffix(": ") if place and later != text else "")

    def part(self, label: str) -> str:
        """The path of a part; empty if there is none of that label."""
        return f"{self.slots[label]}.{label}" if label in self.slots else ""

    def nearest(self, path: str) -> str:
        """The path itself, or what is shown of the way to it."""
        while path and path not in self.paths and path not in (*KIND_OF_SLOT, *TABLES):
            path = path.rpartition(".")[0]
        return path or SOURCE

    def _said(self, message: str) -> str:
        match = _PATH.match(message)
        return self.nearest(match[1]) if match else ""


def _part(path: str) -> str:
    return ".".join(path.split(".")[:2])


def _slot_named(message: str) -> str:
    """The slot of the first kind of part that a sentence names: ``choose an encoder``; empty if it names none."""
    match = _NOUN.search(message)
    return _SLOT_OF_NOUN[match[1]] if match else ""


def guarded(ask: Callable[[Registry], Verdict], registry: Registry, packages: Iterable[str]) -> Verdict:
    """The contract's answer; a manifest of which it makes nothing is the fault of its package, and stops nobody's.

    Cures try the parts of every package: what fails among all is asked again among pgsynth's and those in question.

    Args:
        ask: Asks the contract.
        registry: What is installed.
        packages: Those whose parts are in question.
    """
    wanted = {*packages}
    near = tuple(entry for entry in registry.entries if entry.origin.package in {OWN_NAME, *wanted})
    for among in (registry, replace(registry, entries=near)):
        try:
            return ask(among)
        except FOREIGN_FAULTS as error:
            said = reason_of(error)
    blamed = sorted(wanted - {OWN_NAME}) or [OWN_NAME]
    message = f"the contract cannot be checked with the manifest of {' or '.join(blamed)}: {said}"
    return Verdict((Misfit(message, cure=removal(blamed[0])),))
