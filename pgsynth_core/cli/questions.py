"""``pgsynth compose 'encoder=?'``: what may be written at a place, answered from the manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgsynth_core.cli.arguments import ArgumentsError
from pgsynth_core.cli.console import Table, draw_table, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.errors import Problem, suggestion
from pgsynth_core.manifest import Option
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, PLAIN_OPTIONS, TABLES, options_of

__all__ = ["answer", "is_question", "options_at", "places"]

Fact = dict[str, Any]


def is_question(word: str) -> bool:
    """Whether the word asks: ``PATH=?``."""
    return word.endswith("=?")


def places() -> tuple[str, ...]:
    """First words of every path that can be asked about."""
    return (*KIND_OF_SLOT, *PLAIN_OPTIONS, *TABLES)


def answer(words: Sequence[str], registry: Registry, *, json: bool) -> None:
    """Print the answers to all questions.

    Raises:
        ArgumentsError: With every question about something that is not there.
        SpecError: If a part in a question does not exist.
    """
    paths = [word.removesuffix("=?") for word in words]
    tables = [(path, _about(path, registry)) for path in paths]
    problems = [
        Problem(f"nothing can be asked about {path!r}.", f"{path}=?", _cure(path))
        for path, facts in tables
        if not facts
    ]
    if problems:
        raise ArgumentsError(problems)
    if json:
        answers = [{"path": path, "allowed": facts} for path, facts in tables]
        say_json({"ok": True, "answers": answers, "broken": broken_facts(registry.broken)})
        return
    for path, facts in tables:
        head = tuple(facts[0])
        draw_table(Table(path, head, [tuple(_written(fact[name]) for name in head) for fact in facts]))


def _about(path: str, registry: Registry) -> list[Fact]:
    first, *rest = path.split(".")
    if kind := KIND_OF_SLOT.get(first):
        if not rest:
            entries = zip(registry.names(kind), registry.of_kind(kind), strict=True)
            return [{"name": name, "summary": entry.component.summary} for name, entry in entries]
        table = options_at(first, rest[0], registry)
    elif first in PLAIN_OPTIONS and not rest:
        return [_option(first, PLAIN_OPTIONS[first])]
    elif first in TABLES:
        return [_option(name, option) for name, option in _settings(first, rest)]
    else:
        return []
    wanted = rest[1] if len(rest) > 1 else ""
    return [_option(name, option) for name, option in table if wanted in ("", name)]


def _settings(section: str, names: Sequence[str]) -> list[tuple[str, Option]]:
    """The settings of a section; one alone comes with the keys that its values may have."""
    table = TABLES[section]
    if not names:
        return [(name, setting.option) for name, setting in table.items()]
    if (setting := table.get(names[0])) is None:
        return []
    return [(names[0], setting.option), *((f"{names[0]}.NAME.{key}", option) for key, option in setting.keys.items())]


def options_at(slot: str, part: str, registry: Registry) -> tuple[tuple[str, Option], ...]:
    """The options of a part, as they may be written at ``slot.part``.

    Raises:
        SpecError: If there is no such part.
    """
    entry = registry.find(KIND_OF_SLOT[slot], part, where=f"{slot}.{part}=?")
    return tuple(options_of(entry.component).items())


def _option(name: str, option: Option) -> Fact:
    allowed: Any = list(option.choices) if option.choices else option.type
    if option.ge is not None or option.le is not None:
        bounds = [f">= {option.ge:g}"] if option.ge is not None else []
        allowed = " ".join([option.type, *bounds, *([f"<= {option.le:g}"] if option.le is not None else [])])
    return {"name": name, "allowed": allowed, "default": option.default, "help": option.help}


def _written(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cure(path: str) -> str:
    first, *rest = path.split(".")
    if first in TABLES and rest:
        return suggestion(rest[0], tuple(TABLES[first]), what=f"keys of {first}")
    if first in KIND_OF_SLOT:
        return f"Leave the last name out to see what there is: '{'.'.join([first, *rest[:-1]])}=?'."
    return suggestion(first, places(), what="places")
