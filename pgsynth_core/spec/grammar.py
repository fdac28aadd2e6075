"""The words of the command line: ``path=value`` overrides, slots, sites, sweeps. The one place that fixes them.

override := path "=" value                one path per argument
path     := slot | slot.part | slot.part.option | section.key | section.key.name | section.key.name.key | key
slot     := base | encoder | pose | attn | data
value    := at a slot: name ("+" name)* | none;  at slot.part: a part's name | none;
            elsewhere a YAML 1.2 scalar or a flow list [a, b];  at sample.guidance.name also none
sweep    := the same; a comma outside brackets separates the values to vary
site     := NETWORK ":" KIND [":" GLOB]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.manifest import SLOTS, Kind
from pgsynth_core.spec.nodes import Mark, Node, Problems, node_of, shortened
from pgsynth_core.spec.scalars import scalar_value
from pgsynth_core.spec.settings import SETTINGS, TABLES

KIND_OF_SLOT: Final[Mapping[str, Kind]] = {slot: kind for kind, slot in SLOTS.items()}
"""Slot of a spec to the kind of part it holds; `manifest.SLOTS` the other way round."""

SINGLE_SLOTS: Final = ("base", "data")
"""Slots that hold one part at most."""

PLAIN_KEYS: Final = ("size", "fit")
SECTIONS: Final = (*SETTINGS, "adapters")
SPEC_KEYS: Final = ("pgsynth", "extends", *KIND_OF_SLOT, *PLAIN_KEYS, *SECTIONS, "lock")
"""Every top-level key of a spec file, in the canonical order."""

LAID_KEYS: Final = (*KIND_OF_SLOT, *PLAIN_KEYS, *SECTIONS)
"""Those that say what the composition is; an argument can change them."""

_NAME: Final = re.compile(r"([A-Za-z0-9][\w.-]*:)?[A-Za-z][\w-]*")
_CLOSING: Final = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True)
class Override:
    """One argument, read.

    Attributes:
        path: Its names, e.g. ``("attn", "pma", "mask")``; the grammar guarantees the first and how many.
        value: The value, with the argument as its place.
    """

    path: tuple[str, ...]
    value: Node

    @property
    def dotted(self) -> str:
        """The path as written."""
        return ".".join(self.path)


def is_path(source: str) -> bool:
    """Whether SPEC is a path (ends in .yaml or .yml, or holds a separator) and not a preset's name."""
    return source.endswith((".yaml", ".yml")) or "/" in source or "\\" in source


def is_name(text: str) -> bool:
    """Whether the text can be a part's name or label, plain or ``package:name``; not whether there is such a part."""
    return _NAME.fullmatch(text) is not None


def override_of(path: str, value: Any, *, source: str) -> Override:
    """An override whose value is no text: a flag's, or an argument's in Python.

    Args:
        path: Of a setting, e.g. ``sample.steps``.
        value: Plain data; a mapping takes the place of the whole value.
        source: What messages call it, e.g. ``--steps``.

    Raises:
        SpecError: If the value is no plain data.
    """
    problems = Problems()
    node = node_of(value, Mark(source), problems, path)
    problems.raise_if_any()
    return Override(tuple(path.split(".")), node)


def parse_override(text: str | Override, number: int, problems: Problems) -> Override | None:
    """Read one argument.

    Args:
        text: ``path=value``; an override that is read already is given back.
        number: Which argument it is, from 1, for messages.
        problems: Gets what is wrong with it.

    Returns:
        The override, or None if there is a problem.
    """
    if isinstance(text, Override):
        return text
    mark = Mark(f"argument {number}", detail=shortened(text if text.isprintable() else ascii(text)) or "(empty)")
    left, equals, right = text.partition("=")
    if not equals:
        cure = "A spec or preset comes before the overrides." if is_path(text) or is_name(text) else ""
        problems.add("this is no override.", mark, f"Write path=value, e.g. attn.pma.mask=eq9. {cure}".rstrip())
        return None
    path = tuple(left.strip().split("."))
    if not _path_is_sound(path, mark, problems):
        return None
    if not right.strip():
        at_slot = path[0] in KIND_OF_SLOT and len(path) == 1
        cure = f"Write {left.strip()}=none to empty it." if at_slot else "Leave the argument out to keep what is set."
        problems.add("there is no value after `=`.", mark, cure)
        return None
    value = _value(right.strip(), mark, problems)
    return Override(path, value) if value else None


# ------------------------------------------------------------------------------------------- paths
def unknown_key(key: str) -> str:
    """The cure for a word that is no top-level key."""
    if slot := next((slot for slot, kind in KIND_OF_SLOT.items() if kind == key), None):
        return f"Parts of kind {key} are written at {slot}."
    if homes := [f"{section}.{key}" for section, table in TABLES.items() if key in table]:
        return f"Did you mean {' or '.join(homes)}?"
    return suggestion(key, SPEC_KEYS, what="keys")


def unknown_setting(section: str, key: str) -> str:
    """The cure for a word that is no key of a section."""
    other = next((f" {name}.{key} exists." for name, table in TABLES.items() if key in table and name != section), "")
    return suggestion(key, tuple(TABLES[section]), what=f"keys of {section}") + other


def _path_is_sound(path: tuple[str, ...], mark: Mark, problems: Problems) -> bool:
    fault = _path_fault(path)
    if fault:
        problems.add(fault[0], mark, fault[1])
    return fault is None


def _path_fault(path: tuple[str, ...]) -> tuple[str, str] | None:
    first, dotted = path[0], ".".join(path)
    if not all(path) or any(name != name.strip() for name in path):
        return f"{shortened(dotted)!r} is no path.", "Write names joined by dots before `=`, e.g. attn.pma.mask=eq9."
    if first == "lock":
        return "lock is for spec files.", "pgsynth compose -o FILE writes it."
    if first in ("extends", "pgsynth"):
        return f"{first} is for spec files.", "Give the preset or file as the first argument instead."
    if first not in SPEC_KEYS:
        return f"there is no key {shortened(first)!r}.", unknown_key(first)
    if first in KIND_OF_SLOT:
        return None if len(path) <= 3 else (f"{dotted}: an option has no parts.", f"Write {first}.PART.OPTION=value.")
    if first in PLAIN_KEYS:
        return None if len(path) == 1 else (f"{first} has no keys of its own.", f"Write {first}=value.")
    if first == "adapters":
        return None if len(path) == 3 else ("an adapter has a part and a port.", "Write adapters.LABEL.PORT=[768, 64].")
    return _setting_fault(path)


def _setting_fault(path: tuple[str, ...]) -> tuple[str, str] | None:
    section, keys = path[0], path[1:]
    if not keys:
        return f"{section} is a section.", f"Write one of its keys, e.g. {section}.{next(iter(TABLES[section]))}=value."
    if keys[0] not in TABLES[section]:
        return f"{section} has no key {shortened(keys[0])!r}.", unknown_setting(section, keys[0])
    setting = TABLES[section][keys[0]]
    longest = 4 if setting.keys else 2 if setting.names is None else 3
    if len(path) > longest:
        value = ".".join(path[:longest])
        return f"{value} has no keys of its own.", f"Write {value}=value."
    return None


# ------------------------------------------------------------------------------------------- values
def _value(text: str, mark: Mark, problems: Problems) -> Node | None:
    if text.startswith("["):
        if not text.endswith("]") or _depth_fault(text) or _depth_fault(text[1:-1]):
            problems.add("the list is not closed.", mark, "Write [a, b].")
            return None
        items = [_scalar(piece.strip(), mark, problems) for piece in _split(text[1:-1])] if text[1:-1].strip() else []
        return None if any(item is None for item in items) else Node(tuple(items), mark)
    if text.startswith("{"):
        problems.add("mappings are for spec files.", mark, "Write one argument per key: path.key=value.")
        return None
    return _scalar(text, mark, problems)


def _scalar(text: str, mark: Mark, problems: Problems) -> Node | None:
    """A scalar as typed: the whole text, so that ``*:cross`` or ``a #b`` need no quotes."""
    if not text:
        problems.add("a place in the list is empty.", mark, "Write [a, b].")
        return None
    if text[0] not in "'\"":
        return Node(scalar_value(text), mark, text=text)
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        events = []
    scalars = [event for event in events if isinstance(event, yaml.ScalarEvent)]
    if len(scalars) != 1 or len(events) != 5:  # stream and document open and close around it
        problems.add("the quotes do not close where the value ends.", mark, "Write \"text\" or 'text'.")
        return None
    return Node(scalars[0].value, mark)


def split_sweep(value: str, *, where: str = "") -> tuple[str, ...]:
    """The values to vary: split at commas outside brackets and quotes.

    Args:
        value: What stands right of ``=`` in a sweep, e.g. ``none,eq9,eq5`` or ``[a, b],c``.
        where: The place, for messages.

    Returns:
        The values as text, each a value of the grammar; one if there is no such comma.

    Raises:
        SpecError: If brackets or quotes do not close, or a value is empty.
    """
    if fault := _depth_fault(value):
        raise SpecError(f"{shortened(value)!r}: {fault}", where=where, cure="Close it, or write the value in quotes.")
    pieces = tuple(piece.strip() for piece in _split(value))
    if not all(pieces):
        cure = "Write the values between commas, e.g. none,eq9,eq5."
        raise SpecError(f"{shortened(value)!r} has an empty value.", where=where, cure=cure)
    return pieces


def _depth_fault(text: str) -> str:
    open_, quote = _scan(text)[1:]
    return f"the quote {quote} is not closed." if quote else "the brackets do not match." if open_ else ""


def _split(text: str) -> list[str]:
    commas = _scan(text)[0]
    return [text[start + 1 : end] for start, end in zip([-1, *commas], [*commas, len(text)], strict=True)]


def _scan(text: str) -> tuple[list[int], str, str]:
    """Places of the commas outside brackets and quotes; what is still open or was never opened; the open quote."""
    commas: list[int] = []
    expected: list[str] = []
    quote = ""
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[place - 1] != "\\" else quote
        elif char in "'\"" and text[:place].rstrip()[-1:] in ("", *"[{(,"):  # inside a word it is an apostrophe
            quote = char
        elif char in _CLOSING:
            expected.append(_CLOSING[char])
        elif char in _CLOSING.values():
            if not expected or expected.pop() != char:
                return commas, char, ""
        elif char == "," and not expected:
            commas.append(place)
    return commas, "".join(expected), quote
