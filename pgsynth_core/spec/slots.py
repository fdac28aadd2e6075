"""What may be written at a slot, in its four forms, as one list of `Written` parts.

attn: pma                                  a name
attn: hpfa+caa                             several, first is innermost; also [hpfa, caa]
attn: {pma: {mask: eq9}}                   with options
attn: {late: {part: pma, sites: ...}}      under a label of one's own
attn: none                                 none
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pgsynth_core.spec.grammar import is_name
from pgsynth_core.spec.nodes import Mark, Node, Problems

_NOTHING = ("none", "null")


@dataclass(frozen=True)
class Written:
    """One part as written.

    Attributes:
        key: The name or label that stands for it.
        mark: Its place.
        part: The part's name where it is given apart from the label; empty if the key is all there is.
        options: What is written of its options.
    """

    key: str
    mark: Mark
    part: str = ""
    options: dict[str, Node] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The key without a package."""
        return self.key.rpartition(":")[2]


def read_slot(slot: str, node: Node, problems: Problems) -> tuple[Written, ...] | None:
    """The parts written at a slot.

    Args:
        slot: Its name, for messages.
        node: What stands there.
        problems: Gets what cannot be read.

    Returns:
        The parts in order; None if the form itself is wrong, so that nothing is known about the slot.
    """
    value = node.value
    before = len(problems)
    if value is None or value in _NOTHING:
        return ()
    if isinstance(value, str):
        written = _joined(slot, value, node.mark, problems)
    elif isinstance(value, tuple):
        written = tuple(_listed(slot, value, problems))
    elif isinstance(value, dict):
        written = tuple(_mapped(slot, value, problems))
    else:
        problems.add(f"{slot} is {node.said()}; it takes names of parts.", node.mark, _forms(slot))
        return None
    _check_labels(slot, written, problems)
    return None if len(problems) > before else written


def _forms(slot: str) -> str:
    return f"Write {slot}: NAME, {slot}: NAME+NAME, {slot}: {{NAME: {{OPTION: value}}}} or {slot}: none."


def _joined(slot: str, text: str, mark: Mark, problems: Problems) -> tuple[Written, ...]:
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name in _NOTHING:
            problems.add(f"{slot}: none stands alone.", mark, f"Write {slot}=none, or the names without it.")
        elif not is_name(name):
            cure = "Join names by +; a comma is for sweeps." if "," in name else _forms(slot)
            problems.add(f"{slot}: {Node(name, mark).said()} is no name.", mark, cure)
    return tuple(Written(name, mark) for name in names)


def _listed(slot: str, items: tuple[Node, ...], problems: Problems) -> Iterator[Written]:
    for item in items:
        if isinstance(item.value, str) and is_name(item.value) and item.value not in _NOTHING:
            yield Written(item.value, item.mark)
        else:
            cure = f"Write names only, or a mapping for options: {slot}: {{NAME: {{OPTION: value}}}}."
            problems.add(f"{slot}: {item.said()} in the list is no name.", item.mark, cure)


def _mapped(slot: str, items: dict[str, Node], problems: Problems) -> Iterator[Written]:
    for key, node in items.items():
        options = {} if node.value is None else node.value
        if not is_name(key):
            problems.add(f"{slot}: {Node(key, node.mark).said()} is no name.", node.mark, _forms(slot))
        elif not isinstance(options, dict):
            cure = f"Write {key}: {{OPTION: value}}; for another part under this label, {key}: {{part: NAME}}."
            problems.add(f"{slot}.{key} is {node.said()}; it takes options.", node.mark, cure)
        elif "part" not in options:
            yield Written(key, node.mark, options=dict(options))
        elif isinstance(options["part"].value, str) and is_name(options["part"].value):
            rest = {name: option for name, option in options.items() if name != "part"}
            yield Written(key, options["part"].mark, part=options["part"].value, options=rest)
        else:
            given = options["part"]
            problems.add(f"{slot}.{key}.part: {given.said()} is no name.", given.mark, "Write the name of a part.")


def _check_labels(slot: str, written: tuple[Written, ...], problems: Problems) -> None:
    seen: set[str] = set()
    for part in written:
        if part.label in seen:
            name, label = part.part or part.key, f"{part.label}_2"
            cure = f"Give one a label of its own: {slot}: {{..., {label}: {{part: {name}}}}}, or {slot}.{label}={name}."
            problems.add(f"{slot}: {part.label} is written twice.", part.mark, cure)
        seen.add(part.label)
