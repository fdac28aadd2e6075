"""The dialogs of composing: a value, values to vary, what to begin with, what to know of a row."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pgsynth_core.cli.console import one_line
from pgsynth_tui.choose import Choose, Item
from pgsynth_tui.dialogs import Checked, Enter, Tell
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_form import Field
from pgsynth_tui.stores.draft_parts import Candidate
from pgsynth_tui.stores.draft_said import allowed, effect, form_of, why
from pgsynth_tui.stores.draft_sources import Beginning
from pgsynth_tui.stores.draft_values import said

__all__ = ["ask_beginning", "ask_file", "ask_value", "ask_values", "tell_row"]


def ask_value(store: DraftStore, field: Field) -> Choose | Enter:
    """A list where only some values may be; else a line, checked as it is typed. Empty: the preset's value again."""
    if field.choices and not field.type.startswith("list"):
        return Choose(field.path, _choices(store, field), (field.help,))
    takes_none = field.path.startswith("sample.guidance.")
    lines = [field.help, f"{allowed(field)} {form_of(field)}".strip()]
    if field.inactive:
        lines.append(field.inactive)
    source = store.draft.source or "the defaults"
    if field.source is not None:
        lines.append(f"Nothing typed: as in {source}, {said(field.source) or 'nothing'}.")
    lines += ["none takes it out of the chain."] if takes_none else []

    def check(text: str) -> Checked:
        return _checked(store, field.path, text) if text else Checked()

    return Enter(field.path, field.text, tuple(filter(None, lines)), check=check)


def _checked(store: DraftStore, path: str, text: str) -> Checked:
    found, unreadable = store.faults_of(path, text)
    return Checked(one_line(found[0]), unreadable) if found else Checked()


def _choices(store: DraftStore, field: Field) -> list[Item]:
    items = []
    for choice in field.choices:
        text = said(choice)
        found, _ = store.faults_of(field.path, text)
        signs = ["the default"] if choice == field.default else []
        signs += [f"as in {store.draft.source}"] if choice == field.source and store.draft.source else []
        about = [one_line(found[0])] if found and text != field.text else []
        items.append(Item(text, "", "; ".join([*about, *signs]), bool(about), text == field.text))
    return items


def ask_values(store: DraftStore, path: str, field: Field | None) -> Choose | Enter:
    """Values of an option or slot to vary: marks in a list, or text with commas between; none of them: not varied."""
    before = next((word.partition("=")[2] for word in store.draft.sweeps if word.partition("=")[0] == path), "")
    title = f"Vary {path}"
    every = "Each value becomes a run, with each value of whatever else is varied; none of them: not varied."
    if field and field.choices and not field.type.startswith("list"):
        values = [said(choice) for choice in field.choices]
        marked = before.split(",")
        items = [Item(value, chosen=value in marked) for value in values]
        return Choose(title, items, (field.help, every), several=True)
    if field:
        lines = [field.help, allowed(field), "Commas between, e.g. 2,4,8."]
    else:
        names = ", ".join(one.name for one in store.candidates(path))
        lines = [f"There are {names}; none; or several of them together: a+b.", "Commas between, e.g. a,b,a+b."]

    def check(text: str) -> Checked:
        return _checked_values(store, path, text)

    return Enter(title, before, (*lines, every), check=check)


def _checked_values(store: DraftStore, path: str, text: str) -> Checked:
    """What is wrong with the first value that cannot be read; what the contract prunes is the table's to say."""
    for value in text.split(",") if text and "[" not in text else ():
        if not value.strip():
            return Checked("a value is missing.", refused=True)
        found, unreadable = store.faults_of(path, value.strip())
        if unreadable:
            return Checked(one_line(found[0]), refused=True)
    return Checked()


def ask_beginning(there: Sequence[Beginning], now: str) -> Choose:
    """What to begin with."""
    items = [Item(one.source, one.name, one.about, chosen=one.source == now) for one in there]
    lines = (
        "A preset, an ablation, a spec file or the spec of a run. It takes the place of the draft; u brings that back.",
    )
    return Choose("Begin with", items, lines, free="the path of a spec file")


def ask_file(store: DraftStore) -> Enter:
    """Where a spec is written."""
    lines = ["The complete spec: every part, option and version. A file that holds something else is not replaced."]
    lines += ["What is varied is no part of a spec; this draft keeps it."] if store.draft.varied else []
    return Enter("Write the spec to which file?", "method.yaml", tuple(lines))


def tell_row(row: Candidate | Field | Beginning) -> Tell:
    """All there is to know of a row."""
    if isinstance(row, Beginning):
        return Tell(row.name, [row.about])
    if isinstance(row, Field):
        lines = [row.help, f"It is {row.text or 'not set'}.", allowed(row), form_of(row), row.inactive]
        return Tell(row.path, [line for line in (*lines, str(row.problem or "")) if line])
    component = row.entry.component
    lines = [row.summary]
    if row.fit.problems:
        lines += ["Why it does not fit as things are:", *why(row)]
    if row.fit.remedy:
        lines.append(f"What makes it fit: {shlex.join(row.fit.remedy)}")
    lines.append(effect(row))
    lines += [f"Needs: {', '.join(component.needs)}"] if component.needs else []
    lines += [f"Gives: {', '.join(component.provides)}"] if component.provides else []
    if component.paper:
        lines.append(
            f"Paper: {component.paper.title}{f', {component.paper.section}' if component.paper.section else ''}"
        )
    lines.append(f"Package: {row.entry.origin.package}; licence: {component.licence}")
    return Tell(f"{row.slot} {row.name}", lines)
