"""The draft of a spec while layers are laid on it: defaults, then `extends`, then the file, then overrides.

A slot that is written decides which parts there are and in which order; the options of a part that stays are merged
key by key. So are the keys of a section; a mapping such as `train.drop` is one value, written as a whole, or changed
name by name with a dotted override. Names are only compared here: whether they exist is asked of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec.grammar import KIND_OF_SLOT, PLAIN_KEYS, SINGLE_SLOTS, Override, is_name, unknown_setting
from pgsynth_core.spec.locked import SpecLock
from pgsynth_core.spec.nodes import DEFAULT, Mark, Node, Problems
from pgsynth_core.spec.settings import SETTINGS, TABLES
from pgsynth_core.spec.slots import Written, read_slot


@dataclass
class PartDraft:
    """A part not looked up yet.

    Attributes:
        name: As written, plain or qualified.
        mark: Where it was last written.
        package: Where a plain name is looked up first.
        options: What was written of its options.
    """

    name: str
    mark: Mark
    package: str = ""
    options: dict[str, Node] = field(default_factory=dict)

    def found(self, slot: str, registry: Registry) -> Entry:
        """Its entry; under an old name, that of the part which has taken its place.

        Raises:
            SpecError: As `Registry.find`.
        """
        kind, where = KIND_OF_SLOT[slot], str(self.mark)
        try:
            return registry.find(kind, self.name, where=where, package=self.package)
        except SpecError:
            if (renamed := registry.successor(kind, self.name)) is None:
                raise
            return registry.find(kind, renamed.item.new, where=where, package=renamed.origin.package)


Parts = dict[str, PartDraft]


@dataclass
class Draft:
    """Everything written so far.

    Attributes:
        registry: Tells whether two names are one part.
        problems: Gets what is wrong with the form.
        slots: Slot -> label -> part.
        written_at: Where each slot was last written; a slot that is not in it holds the default, or nothing.
        unread: Slots about which nothing is known, because what was written there could not be read.
        plain: `size` and `fit`.
        sections: Section -> key -> value; of `adapters`, label -> value.
        lock: What its files were written with; where several say it, the one that extends the others.
        warnings: Overrides without effect.
        renamed: What was written under a name that it has no longer.
    """

    registry: Registry
    problems: Problems
    slots: dict[str, Parts] = field(default_factory=lambda: {slot: {} for slot in KIND_OF_SLOT})
    written_at: dict[str, Mark] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    plain: dict[str, Node] = field(default_factory=dict)
    sections: dict[str, dict[str, Node]] = field(default_factory=lambda: {"train": {}, "sample": {}, "adapters": {}})
    lock: SpecLock = field(default_factory=SpecLock)
    warnings: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    def lay_defaults(self, package: str) -> None:
        """The registry's defaults, looked up in the first-party package first."""
        chosen = self.registry.defaults
        for slot, name in (("base", chosen.base), ("pose", chosen.pose), ("data", chosen.data)):
            if name:
                self.slots[slot] = {name.rpartition(":")[2]: PartDraft(name, DEFAULT, package)}

    def lay(self, tree: dict[str, Node], package: str) -> None:
        """One file, preset or mapping.

        Args:
            tree: Its top-level keys, known ones only.
            package: Where its part names are looked up first.
        """
        for key, node in tree.items():
            if key in KIND_OF_SLOT:
                written = read_slot(key, node, self.problems)
                self._write_slot(key, written, node.mark, package)
            elif key in PLAIN_KEYS:
                self.plain[key] = node
            else:
                self._lay_section(key, node)

    def lay_lock(self, lock: SpecLock) -> None:
        """What a file was written with, over what those that it extends were."""
        self.lock.packages |= lock.packages
        self.lock.axes = lock.axes or self.lock.axes
        self.lock.contract = lock.contract or self.lock.contract

    def lay_override(self, override: Override, later: tuple[Override, ...]) -> None:
        """One argument.

        Args:
            override: The argument.
            later: The arguments after it, for the cure of an order that cannot work.
        """
        head, *rest = override.path
        if head in PLAIN_KEYS:
            self.plain[head] = self._replacing(self.plain.get(head), override)
        elif head in self.sections:
            self._override_section(head, rest, override)
        elif not rest:
            self._write_slot(head, read_slot(head, override.value, self.problems), override.value.mark, "")
        elif len(rest) == 1 or rest[1] == "part":  # attn.late.part=pma, as the file form has it
            self._override_part(head, rest[0], override)
        else:
            self._override_option(override, later)

    # ---------------------------------------------------------------------------------------- slots
    def _write_slot(self, slot: str, written: tuple[Written, ...] | None, mark: Mark, package: str) -> None:
        if written is None:
            self.unread.add(slot)
            return
        # A default is nobody's writing: it goes unseen, unless an argument has set an option of it.
        before = {label: part for label, part in self.slots[slot].items() if slot in self.written_at or part.options}
        self._warn_of_dropped(slot, {part.label for part in written}, mark)
        self.slots[slot] = {part.label: self._merged(slot, before.get(part.label), part, package) for part in written}
        self.written_at[slot] = mark

    def _merged(self, slot: str, before: PartDraft | None, written: Written, package: str) -> PartDraft:
        if before is not None and not written.part and ":" not in written.key:  # a label that stays
            return PartDraft(before.name, written.mark, before.package, {**before.options, **written.options})
        new = PartDraft(written.part or written.key, written.mark, package, dict(written.options))
        if before is not None and self._same(slot, before, new):
            new.options = {**before.options, **new.options}
        return new

    def _same(self, slot: str, one: PartDraft, other: PartDraft) -> bool:
        try:
            return one.found(slot, self.registry).qualified == other.found(slot, self.registry).qualified
        except SpecError:
            return one.name == other.name

    def _override_part(self, slot: str, key: str, override: Override) -> None:
        """``slot.label=part`` adds or replaces one part; ``slot.label=none`` takes it out."""
        name, mark = override.value.value, override.value.mark
        parts = self.slots[slot]
        if name == "none" and key in parts:
            self._warn_of_dropped(slot, set(parts) - {key}, mark)
            self.slots[slot] = {label: part for label, part in parts.items() if label != key}
            self.written_at[slot] = mark
        elif name == "none":
            self.problems.add(f"{slot} has no part {key!r} to take out.", mark, self._there(slot, key))
        elif not isinstance(name, str) or not is_name(name):
            cure = f"Write {slot}.{key}=NAME, {slot}.{key}=none, or {slot}.{key}.OPTION=value."
            self.problems.add(f"{override.value.said()} is no name of a part.", mark, cure)
        else:
            label = key.rpartition(":")[2]
            part = self._merged(slot, parts.get(label), Written(key, mark, part=name), "")
            self.slots[slot] = {**parts, label: part}
            self.written_at[slot] = mark

    def _override_option(self, override: Override, later: tuple[Override, ...]) -> None:
        slot, key, option = override.path
        label = key.rpartition(":")[2]
        part = self.slots[slot].get(label)
        if part is None and slot in self.unread and is_name(key):
            # What the slot holds is unknown; the part may be meant to be there, so its options are checked anyway.
            part = self.slots[slot][label] = PartDraft(key, override.value.mark)
        if part is not None:
            part.options[option] = self._replacing(part.options.get(option), override)
            return
        cure = self._there(slot, key)
        if comes := next((other for other in later if other.path in ((slot,), (slot, key))), None):
            cure = f"Arguments act from left to right: put {comes.dotted}=... before it."
        self.problems.add(f"{slot} has no part {key!r}.", override.value.mark, cure)

    def _there(self, slot: str, key: str) -> str:
        labels = tuple(self.slots[slot])
        add = ""
        if key in self.registry.names(KIND_OF_SLOT[slot]):
            verb, kept = ("Choose it", ()) if slot in SINGLE_SLOTS else ("Put it in", labels)
            add = f" {verb} first: {slot}={'+'.join((*kept, key))}."
        return (suggestion(key, labels, what=f"parts of {slot}") if labels else f"{slot} is empty.") + add

    # ---------------------------------------------------------------------------------------- sections
    def _lay_section(self, section: str, node: Node) -> None:
        if not isinstance(node.value, dict):
            if node.value is not None:
                cure = f"Write {section}: and its keys below it, indented."
                self.problems.add(f"{section} is {node.said()}; it takes a mapping.", node.mark, cure)
            return
        for key, value in node.value.items():
            if section in TABLES and key not in TABLES[section]:
                self.problems.add(f"{section} has no key {key!r}.", value.mark, unknown_setting(section, key))
            else:
                self.sections[section][key] = value

    def _override_section(self, section: str, rest: list[str], override: Override) -> None:
        values, mark = self.sections[section], override.value.mark
        key, *names = rest
        if not names:
            values[key] = self._replacing(values.get(key), override)
            return
        setting = TABLES[section][key] if section in TABLES else None
        name, *keys = names
        inner = _named(values.get(key, self._default_names(section, key)), setting.shorthand if setting else "")
        if setting and setting.shorthand and not keys and override.value.value in (None, "none"):
            inner = self._without_term(section, key, name, override)
        elif setting and keys:  # of a value that changes by step
            by_step = _named(inner.get(name), next(iter(setting.keys)))
            by_step[keys[0]] = self._replacing(by_step.get(keys[0]), override)
            inner[name] = Node(by_step, mark)
        else:
            inner[name] = self._replacing(inner.get(name), override)
        values[key] = Node(inner, mark)

    def _without_term(self, section: str, key: str, name: str, override: Override) -> dict[str, Node]:
        """``sample.guidance.NAME=none`` takes one term out of the chain; the others keep their order."""
        default = {term: Node(scale, DEFAULT) for term, scale in SETTINGS[section]().model_dump()[key].items()}
        terms = _named(self.sections[section].get(key, Node(default, DEFAULT)), TABLES[section][key].shorthand)
        if name not in terms:
            cure = suggestion(name, tuple(terms), what="terms") if terms else "No term is left."
            self.problems.add(f"{section}.{key} has no term {name!r} to take out.", override.value.mark, cure)
        else:
            self._replacing(terms[name], override)
        return {term: scale for term, scale in terms.items() if term != name}

    def _default_names(self, section: str, key: str) -> Node:
        """What one name is added to where none is written: the defaults, but a chain of guidance starts anew."""
        default = (
            {} if section == "adapters" or TABLES[section][key].shorthand else SETTINGS[section]().model_dump()[key]
        )
        return Node({name: Node(value, DEFAULT) for name, value in default.items()}, DEFAULT)

    # ---------------------------------------------------------------------------------------- warnings
    def _replacing(self, before: Node | None, override: Override) -> Node:
        for mark in _arguments(before):
            self.warnings.append(f"{mark} has no effect: {override.value.mark.source} sets it again.")
        return override.value

    def _warn_of_dropped(self, slot: str, staying: set[str], mark: Mark) -> None:
        for label, part in self.slots[slot].items():
            for node in part.options.values() if label not in staying else ():
                if node.mark.detail:
                    self.warnings.append(f"{node.mark} has no effect: {mark.source} takes {label} out.")


def _named(node: Node | None, single: str) -> dict[str, Node]:
    """What a mapping holds, to be changed; a value that is none counts as the one that `single` names, if it does."""
    if node is None:
        return {}
    return dict(node.value) if isinstance(node.value, dict) else {single: node} if single else {}


def _arguments(node: Node | None) -> dict[Mark, None]:
    """The arguments that wrote a value, or anything inside of it."""
    if node is not None and isinstance(node.value, dict):
        return {mark: None for inner in node.value.values() for mark in _arguments(inner)}
    return {node.mark: None} if node is not None and node.mark.detail else {}
