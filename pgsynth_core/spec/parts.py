"""From drafted parts to chosen ones: names looked up, options checked and completed, senseless combinations refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pgsynth_core.errors import SpecError, nearest, suggestion
from pgsynth_core.manifest import Component, Refusal
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec.draft import Draft, PartDraft
from pgsynth_core.spec.grammar import KIND_OF_SLOT, SINGLE_SLOTS
from pgsynth_core.spec.locked import install_command, missing_part, reinstall_command, version_told
from pgsynth_core.spec.model import PartChoice
from pgsynth_core.spec.nodes import DEFAULT, NOWHERE, Problems
from pgsynth_core.spec.reserved import MEANINGS, MODULE_NAMES
from pgsynth_core.spec.values import BadValue, checked, default_of, options_of
from pgsynth_core.spec.write import in_one_line


@dataclass
class Chosen:
    """The parts of a composition, as far as they could be found.

    Attributes:
        slots: Slot -> its parts, in order.
        entries: Label -> entry, of every part found.
        labels: Labels that conditions may name, per group: encoders are `appearance`.
        hoped: Names near to parts that were not found; a condition named so is not reported a second time.
        complete: Whether the labels are all there are.
        unwritten: Label -> option -> its default in one line, of options that nobody wrote.
        origins: Path -> where its value comes from.
    """

    slots: dict[str, list[PartChoice]] = field(default_factory=lambda: {slot: [] for slot in KIND_OF_SLOT})
    entries: dict[str, Entry] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=lambda: {"pose": [], "appearance": []})
    hoped: list[str] = field(default_factory=list)
    complete: bool = True
    origins: dict[str, str] = field(default_factory=dict)
    unwritten: dict[str, dict[str, str]] = field(default_factory=dict)

    def placed(self) -> dict[str, tuple[str, Entry]]:
        """Label -> slot and entry, of every part found."""
        return {
            choice.label: (slot, self.entries[choice.label]) for slot, parts in self.slots.items() for choice in parts
        }


def choose(draft: Draft) -> Chosen:
    """Look up and check every part of a draft; what is wrong goes to the draft's problems."""
    chosen = Chosen(complete=not draft.unread & {"encoder", "pose"})
    taken: dict[str, str] = {}
    for slot, parts in draft.slots.items():
        _check_count(slot, draft)
        if not parts:
            chosen.origins[slot] = draft.written_at.get(slot, DEFAULT).origin
        for label, part in parts.items():
            _check_label(label, slot, part, taken, draft.problems)
            taken.setdefault(label, slot)
            if slot in ("encoder", "pose"):
                chosen.labels["appearance" if slot == "encoder" else "pose"].append(label)
            _choose(slot, label, part, draft, chosen)
    return chosen


def _check_count(slot: str, draft: Draft) -> None:
    labels = tuple(draft.slots[slot])
    if slot not in SINGLE_SLOTS or slot in draft.unread:
        return
    mark = draft.written_at.get(slot, NOWHERE)
    if len(labels) > 1:
        cure = f"Keep one: {' or '.join(f'{slot}={label}' for label in labels)}."
        draft.problems.add(f"{slot} takes one part; {len(labels)} are written.", mark, cure)
    elif slot == "base" and not labels:
        cure = f"Write base=NAME. {suggestion('', draft.registry.names('base'), what='bases')}"
        draft.problems.add("a composition needs a base, and none is chosen.", mark, cure)


def _check_label(label: str, slot: str, part: PartDraft, taken: dict[str, str], problems: Problems) -> None:
    cure = f"Give it another label: {slot}: {{{label.replace('-', '_')}_1: {{part: {part.name}}}}}."
    if label in taken:
        found = f"the label {label} is at {taken[label]} and at {slot}; labels begin the keys of a checkpoint."
        problems.add(found, part.mark, cure)
    elif label in MEANINGS:
        problems.add(f"{label!r} cannot be a label: it means {MEANINGS[label]}.", part.mark, cure)
    elif label in MODULE_NAMES:
        problems.add(f"{label!r} cannot be a label: torch keeps the word for itself.", part.mark, cure)
    elif not (label.isidentifier() and label.isascii()) and part.name.rpartition(":")[2] != label:
        problems.add(f"{label!r} cannot be a label: use letters, digits and _.", part.mark, cure)


def _choose(slot: str, label: str, part: PartDraft, draft: Draft, chosen: Chosen) -> None:
    try:
        entry = part.found(slot, draft.registry)
    except SpecError as error:
        missing = missing_part(slot, part.name, draft.lock, draft.registry, part.mark)
        draft.problems.extend([missing] if missing else error.problems, part.mark)
        if hit := nearest(part.name, draft.registry.names(KIND_OF_SLOT[slot])):
            chosen.hoped.append(hit)
        return
    path = f"{slot}.{label}"
    draft.renamed += _renamed(path, slot, part, entry, draft.registry)
    options, faulty = _options(path, entry, part, draft)
    for refusal in _refusals(entry.component, options, faulty):
        named = [name for name in (*refusal.options, *refusal.unless) if name in part.options]
        reason, cure = (text.replace("{label}", label) for text in (refusal.reason, refusal.cure))
        draft.problems.add(f"{path}: {reason}", part.options[named[0]].mark if named else part.mark, cure)
    chosen.slots[slot].append(PartChoice(label=label, part=entry.qualified, options=options))
    chosen.entries[label] = entry
    chosen.origins[path] = part.mark.origin
    draft.warnings += _idle(path, entry.component, options, part)
    chosen.unwritten[label] = {name: in_one_line(options[name]) for name in options if name not in part.options}
    for name in options:
        chosen.origins[f"{path}.{name}"] = part.options[name].mark.origin if name in part.options else DEFAULT.origin


def _renamed(path: str, slot: str, part: PartDraft, entry: Entry, registry: Registry) -> Iterator[str]:
    """Put new names for old ones, as the part's package has it in its table, and say so."""
    kind = KIND_OF_SLOT[slot]
    replaced = registry.successor(kind, part.name) or registry.replaced(kind, part.name, by=entry.origin.package)
    if replaced is None:
        return
    table, here = replaced.item, entry.component.name
    since = f"since {replaced.origin.package} {table.since}"
    if here != table.old:
        yield f"{part.mark}: {table.old} is called {here} {since}; write {slot}={here}."
    elif table.new != table.old:
        yield f"{part.mark}: {table.old} is deprecated {since}; {table.new} takes its place."
        return
    for old, new in table.options.items():
        if old not in part.options or old in entry.component.options:
            continue
        node = part.options.pop(old)
        if new and new not in part.options:
            part.options[new] = node
            yield f"{node.mark}: {path}.{old} is called {new} {since}; write {path}.{new}."
        else:
            yield f"{node.mark}: {path}.{old} is gone {since}, and has no effect."


def _options(path: str, entry: Entry, part: PartDraft, draft: Draft) -> tuple[dict[str, Any], set[str]]:
    """Every option of the part, in the manifest's order, and the names of those that are wrong."""
    component, problems = entry.component, draft.problems
    table, then = options_of(component), _as_it_was(entry, draft)
    values = {name: default_of(option) for name, option in table.items()}
    faulty: set[str] = set()
    for name, node in part.options.items():
        if name not in table:
            cure = suggestion(name, tuple(table), what=f"options of {component.name}")
            problems.add(f"{component.name} has no option {name!r}.{then.told}", node.mark, f"{then.cure}{cure}")
            continue
        try:
            values[name] = checked(name, table[name], node)
        except BadValue as error:
            problems.add(f"{path}.{name}: {error.message}{then.told}", node.mark, f"{then.cure}{error.cure}")
            faulty.add(name)
    return values, faulty


@dataclass(frozen=True)
class _Then:
    """What to say, beside what is wrong with an option, of a package that was another when the spec was written."""

    told: str = ""
    cure: str = ""


def _as_it_was(entry: Entry, draft: Draft) -> _Then:
    locked = draft.lock.other(entry.origin)
    if locked is None:
        return _Then()
    again = reinstall_command if locked.version == entry.origin.version else install_command
    command = again(entry.origin.package, locked.version)
    told = f" It is of {entry.origin}; {version_told(locked, entry.origin)}."
    return _Then(told, f"To have it as it was: {command}; or change the spec. ")


def _refusals(component: Component, options: dict[str, Any], faulty: set[str]) -> Iterator[Refusal]:
    """The refusals that apply; those about a wrong value wait until it is mended."""
    for refusal in component.refuses:
        if not faulty & {*refusal.options, *refusal.unless} and refusal.applies(options):
            yield refusal


def _idle(path: str, component: Component, options: dict[str, Any], part: PartDraft) -> Iterator[str]:
    """What was written of options that change nothing as the others are; a default may be, and canonical specs do."""
    table = options_of(component)
    for name, node in part.options.items():
        if name in table and table[name].idle(options) and options[name] != default_of(table[name]):
            others = table[name].when
            now = " and ".join(f"{path}.{other} is {in_one_line(options[other])}" for other in others)
            wanted = " ".join(f"{path}.{other}={in_one_line(values[0])}" for other, values in others.items())
            yield f"{node.mark}: {path}.{name} has no effect: {now}; with {wanted} it has."
