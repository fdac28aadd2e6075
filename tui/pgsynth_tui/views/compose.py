"""Composing a method: its slots, what may stand in them and what not and why, every option, the command that it is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from pgsynth_core.cli.console import one_line
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_tui.actions import bindings
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.settings import DraftKeeper, kept_draft
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_form import Field
from pgsynth_tui.stores.draft_parts import Candidate
from pgsynth_tui.stores.draft_said import why
from pgsynth_tui.stores.draft_sources import Beginning, beginnings
from pgsynth_tui.view import View
from pgsynth_tui.views.compose_asking import ask_beginning, ask_file, ask_value, ask_values, tell_row
from pgsynth_tui.views.compose_beside import CHOICES, TABS, Beside, Tabs, lines_of
from pgsynth_tui.views.compose_rows import Pane, Row, cells_of, heads, rows_of, said_of, said_of_slot, slot_rows
from pgsynth_tui.views.compose_trials import Trials
from pgsynth_tui.widgets.search_line import SearchLine

__all__ = ["ComposeView"]


class ComposeView(View):
    """A method from parts. At the left its slots and settings: arrows move, Enter or right goes to the choices. There
    stand the parts for a slot, or the options of a part; Enter takes or changes what is under the cursor. What does not
    fit stays, dim, with the reason, and is taken with what makes it fit. Signs before a name: * other than in the
    preset, % varied in an ablation, ! wrong, + may be added, x needs more or does not fit.

    Beside it (v, or a click on its name): what is wrong, what differs from the preset, the whole spec, the ablation,
    what a proof, a rehearsal or a launch found. Everything is checked as you go, from manifests alone; below stands
    the command that does the same. p proves it: it is built without weights. R rehearses it: a few real steps. L
    trains it. Nothing is lost by leaving: the draft is kept.

    Attributes:
        store: The draft.
    """

    PLACE = "compose"
    NARROW = 112
    BINDINGS: ClassVar = bindings("compose")
    DEFAULT_CSS = """
    ComposeView #slots { width: 26; }
    ComposeView.-narrow #slots { width: 22; }
    ComposeView #choices { width: 1fr; }
    ComposeView #beside { width: 48; height: 1fr; }
    ComposeView #top { display: none; }
    ComposeView.-narrow #top { display: block; }
    ComposeView.-narrow #tabs { display: none; }
    ComposeView.-narrow #beside { display: none; }
    ComposeView.-narrow.-turned #beside { display: block; width: 1fr; }
    ComposeView.-narrow.-turned #choices { display: none; }
    ComposeView #verdict { height: auto; max-height: 2; padding: 0 1; text-style: bold; }
    ComposeView #hint { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.store: DraftStore
        self._tab = TABS[0]
        self._keeper = DraftKeeper()
        self._search = ""
        self._keys: list[str] = []
        self._middle: tuple[Row, ...] = ()
        self._of = ""

    def compose_body(self) -> ComposeResult:
        """Slots, choices, what is beside; the verdict and a hint below."""
        yield Tabs((CHOICES, *TABS), id="top")
        yield SearchLine("words of a name or sentence; enter keeps them, esc shows all", id="search")
        with Horizontal():
            yield Pane(id="slots")
            yield Pane(id="choices")
            yield Beside()
        yield Static("", id="hint", markup=False)
        yield Trials(lambda: self.store)

    def on_mount(self) -> None:
        """Go on with the draft that was left, or begin with a preset that needs no weights."""
        begun = DraftStore(self.ours.registry)
        kept = kept_draft()
        faults = begun.restore(kept) if kept else begun.load("tiny")
        self.store = DraftStore(self.ours.registry, begun.draft)  # nothing to undo yet
        for fault in faults:
            self.notify(str(fault), severity="warning", markup=False)
        self.set_focus(self.query_one("#slots"))
        self._draw()

    def changed(self) -> None:
        """Other packages are installed, or switched: the same draft of what there is now."""
        if self.store.registry is not self.ours.registry:
            self.store = DraftStore(self.ours.registry, self.store.draft)
            self._draw()

    # ---------------------------------------------------------------- what is shown
    def _draw(self, key: str = "") -> None:
        """Everything, after a change; the cursor stays on what it was on."""
        at = key or self._key()
        rows = slot_rows(self.store)
        self._keys = [row[0] for row in rows]
        while at and at not in self._keys:
            at = at.rpartition(".")[0]
        place = self._keys.index(at) if at else 0
        self.query_one("#slots", Pane).show(("method",), [(text,) for _, text in rows], place)
        self._draw_choices()
        self.query_one(Trials).say()
        self._draw_beside()
        self.ours.say_command(*self.store.command)
        self._keeper.give(self.store.draft.to_json())
        self._keep()

    @work(thread=True, group="draft", exit_on_error=False)
    def _keep(self) -> None:
        problem = self._keeper.keep()
        self.app.call_later(self.ours.tell_once, "draft", problem)

    def on_unmount(self) -> None:
        """The last step is kept, too, if no thread has come to it."""
        self._keeper.keep()

    def _draw_choices(self) -> None:
        """What may stand in the slot, or the options of the part."""
        table = self.query_one("#choices", Pane)
        key = self._key()
        row = table.cursor_row if key == self._of else self._first(key)
        self._of, self._middle = key, rows_of(self.store, key, self._search)
        table.show(heads(key, self.store), [cells_of(one, key, self.store) for one in self._middle], row)
        self._hint()

    def _first(self, key: str) -> int:
        """Where the cursor stands among the choices of another row: on what is chosen."""
        rows = rows_of(self.store, key, self._search)
        source = self.store.draft.ablation or self.store.draft.source or ""
        here = (
            one.source == source if isinstance(one, Beginning) else isinstance(one, Candidate) and bool(one.chosen)
            for one in rows
        )
        return next((number for number, chosen in enumerate(here) if chosen), 0)

    def _hint(self) -> None:
        """What is said of the row under the cursor."""
        in_slots = self.query_one("#slots").has_focus
        text = said_of_slot(self.store, self._key()) if in_slots else self._said()
        self.query_one("#hint", Static).update(one_line(text))

    def _said(self) -> str:
        """Of the row under the cursor among the choices."""
        return said_of(self._chosen(), self._key(), self.store)

    def _draw_beside(self) -> None:
        reading, draft, trials = self.store.reading, self.store.draft, self.query_one(Trials)
        ablation = trials.ablation()
        if self._tab == "ablation" and draft.varied and ablation is None:
            trials.read_ablation()
        self.query_one(Beside).show(self._tab, lines_of(self._tab, self.store, trials.lines(), ablation))
        wrong = len(reading.refusals)
        varied = len(draft.sweeps) + bool(draft.ablation)
        counts = {"problems": wrong, "difference": len(reading.changes), "ablation": varied}
        turned = self.has_class("-turned")
        self.query_one("#tabs", Tabs).show(self._tab, counts, wrong=bool(wrong))
        self.query_one("#top", Tabs).show(self._tab if turned else CHOICES, counts, wrong=bool(wrong))

    def _turn_to(self, tab: str) -> None:
        """Show a tab; in a narrow terminal it takes the place of the choices."""
        if tab != CHOICES:
            self._tab = tab
        self.set_class(tab != CHOICES, "-turned")
        if tab == CHOICES and self.query_one("#said").has_focus:
            self.set_focus(self.query_one("#slots"))
        self._draw_beside()

    # ---------------------------------------------------------------- cursors
    def _key(self) -> str:
        at = self.query_one("#slots", Pane).cursor_row
        return self._keys[at] if 0 <= at < len(self._keys) else ""

    def _chosen(self) -> Row | None:
        at = self.query_one("#choices", Pane).cursor_row
        return self._middle[at] if 0 <= at < len(self._middle) else None

    @on(DataTable.RowHighlighted, "#slots")
    def _on_slot(self) -> None:
        if self._key() != self._of:
            if self.has_class("-turned") and self.query_one("#slots").has_focus:
                self._turn_to(CHOICES)  # else one would move among choices that are not shown
            self._draw_choices()
        self._hint()

    @on(DataTable.RowHighlighted, "#choices")
    @on(DescendantFocus)
    def _on_choice(self) -> None:
        if self.there:
            self._hint()

    @on(DataTable.RowSelected, "#slots")
    def _on_slot_chosen(self) -> None:
        self._turn_to(CHOICES)
        self.set_focus(self.query_one("#choices"))

    def action_pane(self, by: int) -> None:
        """To what stands at the right or left of where one is; never away from where somebody types."""
        if isinstance(self.focused, Input):
            return
        panes = [pane for pane in (*self.query("#slots, #choices"), self.query_one("#said")) if pane.region.width]
        at = next((number for number, pane in enumerate(panes) if pane.has_focus), 0)
        self.set_focus(panes[min(max(at + by, 0), len(panes) - 1)])

    @on(Tabs.Chosen)
    def _on_tab(self, event: Tabs.Chosen) -> None:
        self._turn_to(event.name)

    @on(Beside.Jump)
    def _on_jump(self, event: Beside.Jump) -> None:
        self._go_to(event.path)

    @on(Beside.At)
    def _on_line(self, event: Beside.At) -> None:
        if event.line.command and self.query_one("#said").has_focus:
            self.ours.say_command(*shlex.split(event.line.command())[1:])

    def _go_to(self, path: str) -> None:
        """The cursor on a slot, part or option."""
        keys = [key for key in self._keys if path == key or path.startswith(f"{key}.")]
        self._turn_to(CHOICES)
        self._stop_searching()
        if keys:
            self._draw(max(keys, key=len))
        fields = [number for number, one in enumerate(self._middle) if isinstance(one, Field) and one.path == path]
        if fields:
            self.query_one("#choices", Pane).move_cursor(row=fields[0], animate=False)
        self.set_focus(self.query_one("#choices" if fields else "#slots"))

    # ---------------------------------------------------------------- what is changed
    @on(DataTable.RowSelected, "#choices")
    def _on_choice_made(self) -> None:
        one = self._chosen()
        if isinstance(one, Beginning):
            self._begin_with(one.source)
        elif isinstance(one, Candidate):
            self._take(one)
        elif one and one.type == "bool":
            self._do(lambda: self.store.set(one.path, "false" if one.value else "true"))
        elif one:
            self._push(ask_value(self.store, one), lambda text: self._set(one, text))

    def _push(self, dialog: ModalScreen[Any], then: Callable[[Any], Any] = lambda answer: None) -> None:
        self.app.push_screen(dialog, then)

    def _set(self, field: Field, text: str | None) -> None:
        if text:
            self._do(lambda: self.store.set(field.path, text))
        elif text is not None:
            self._do(lambda: self.store.reset(field.path))

    def _take(self, one: Candidate, *, sure: bool = False) -> None:
        """Take a part with what makes it fit; go to its options if it is there; ask where nothing makes it fit."""
        if one.chosen:
            self._draw(f"{one.slot}.{one.chosen[0]}")
        elif one.fit.answer == "does not fit" and not sure:
            lines = (*why(one), "", "Nothing that could be added makes it fit. u undoes it.")
            question = Ask(f"Take {one.name} all the same?", lines, yes="Take it")
            self._push(question, lambda yes: self._take(one, sure=True) if yes else None)
        else:
            remedy = shlex.join(one.fit.remedy)
            self._do(lambda: self.store.take(one))
            if remedy:
                self.notify(f"{one.name} is taken with {remedy}; u undoes it.", markup=False)

    def _do(self, change: Callable[[], Any], key: str = "") -> None:
        change()
        self._draw(key)

    def action_instead(self) -> None:
        """Put the part under the cursor in place of all that the slot holds."""
        one = self._chosen()
        if isinstance(one, Candidate) and not self.query_one("#slots").has_focus:
            remedy = [word for word in one.fit.remedy if word.partition("=")[0] != one.slot]
            self._do(lambda: self.store.apply(f"{one.slot}={one.name}", *remedy))

    def action_about(self) -> None:
        """Say all of the row under the cursor: what it is, why it does not fit, what mends it."""
        if (one := self._chosen()) is not None:
            self._push(tell_row(one))

    def action_take_out(self) -> None:
        """Take the part under the cursor out of its slot, or give the option the preset's value again."""
        key, one = self._key(), self._chosen()
        slot, _, label = key.partition(".")
        if self.query_one("#choices").has_focus:
            if isinstance(one, Field):
                self._do(lambda: self.store.reset(one.path))
            elif isinstance(one, Candidate) and one.chosen:
                self._do(lambda: self.store.remove(slot, one.chosen[0]), slot)
        elif label and slot in KIND_OF_SLOT:
            self._do(lambda: self.store.remove(slot, label), slot)

    def action_inward(self) -> None:
        """Move a link of a chain one place towards the attention itself."""
        self._move(-1)

    def action_outward(self) -> None:
        """Move a link of a chain one place away from it."""
        self._move(1)

    def _move(self, by: int) -> None:
        slot, _, label = self._key().partition(".")
        if label:
            self._do(lambda: self.store.move(slot, label, by))

    def action_undo(self) -> None:
        """Undo the last step."""
        if not self.store.can_undo:
            self.notify("there is nothing to undo.", markup=False)
        self._do(self.store.undo)

    def action_redo(self) -> None:
        """Do again what was undone."""
        self._do(self.store.redo)

    def action_vary(self) -> None:
        """Mark several values of an option, or of a slot, for an ablation."""
        one, key = self._chosen(), self._key()
        in_slots = self.query_one("#slots").has_focus
        path = one.path if isinstance(one, Field) and not in_slots else key
        field = self.store.field(path) or (one if isinstance(one, Field) and one.path == path else None)
        if field is None and path not in KIND_OF_SLOT:
            self._turn_to(CHOICES)
            self.set_focus(self.query_one("#choices"))
            self.notify("m on one of its options varies that." if self._middle else self._said(), markup=False)
            return

        def marked(text: str | None) -> None:
            if text is not None:
                self.store.mark(path, text)
                self._tab = "ablation"
                self._draw()

        self._push(ask_values(self.store, path, field), marked)

    # ---------------------------------------------------------------- what is tried
    def action_prove(self) -> None:
        """Build it without weights, run it forward and backward; again: give that up."""
        self.query_one(Trials).prove()

    def action_rehearse(self) -> None:
        """A few real steps: memory, pace, hours, disk. No run is made; again: give that up."""
        self.query_one(Trials).rehearse()

    def action_launch(self) -> None:
        """Train it, detached; an ablation: every combination that the contract does not refuse."""
        self.query_one(Trials).launch()

    @on(Trials.Changed)
    def _on_trial(self) -> None:
        if self._tab in ("ablation", "result") and self.there:
            self._draw_beside()

    @on(Trials.Shown)
    def _on_shown(self, event: Trials.Shown) -> None:
        self._turn_to(event.tab)

    # ---------------------------------------------------------------- searching, turning
    def action_search(self) -> None:
        """Type words, and see only the choices that have them."""
        self._turn_to(CHOICES)
        self.query_one(SearchLine).open()

    @on(Input.Changed, "#search")
    def _on_searched(self, event: Input.Changed) -> None:
        self._search = event.value
        self._draw_choices()

    @on(Input.Submitted, "#search")
    def _on_submitted(self) -> None:
        self.query_one(SearchLine).keep()
        self.set_focus(self.query_one("#choices"))

    def _stop_searching(self) -> None:
        self._search = ""
        self.query_one(SearchLine).shut()

    def action_back(self) -> None:
        """Give up what is being tried; every choice again, with the cursor where it was; then back to the slots."""
        searching = bool(self._search) or self.query_one(SearchLine).has_focus
        if self.query_one(Trials).under_way and not searching:
            self.query_one(Trials).give_up()
            return
        chosen = self._chosen() if self._search else None
        self._stop_searching()
        self._turn_to(CHOICES)
        self.set_focus(self.query_one("#choices" if chosen else "#slots"))
        self._draw_choices()
        if chosen in self._middle:
            self.query_one("#choices", Pane).move_cursor(row=self._middle.index(chosen), animate=False)

    @on(Trials.Wrong)
    def action_next_problem(self) -> None:
        """Go to what is wrong: to its slot, part or option."""
        if not (refusals := self.store.reading.refusals):
            self.notify("nothing is wrong.", markup=False)
            return
        self._go_to(refusals[0].path)
        self.notify(str(refusals[0]), severity="error", markup=False)

    def action_turn(self) -> None:
        """What stands at the right: problems, difference, spec, ablation, what was tried."""
        if self.has_class("-narrow") and not self.has_class("-turned"):
            self._turn_to(self._tab)
        else:
            last = self._tab == TABS[-1]
            again = CHOICES if last and self.has_class("-narrow") else TABS[0]
            self._tab, to = (TABS[0], again) if last else (self._tab, TABS[(TABS.index(self._tab) + 1) % len(TABS)])
            self._turn_to(to)
        if self.has_class("-narrow"):
            self.set_focus(self.query_one("#said" if self.has_class("-turned") else "#slots"))

    # ---------------------------------------------------------------- files
    def action_open(self) -> None:
        """Begin with a preset, an ablation, a spec file, the spec of a run, or the defaults."""
        self._find_beginnings()

    @work(thread=True, exclusive=True, group="beginnings", exit_on_error=False)
    def _find_beginnings(self) -> None:
        there = beginnings(self.ours.registry, Path(), [row.folder for row in reversed(self.ours.store.rows)])
        self.app.call_from_thread(self._offer, there)

    def _offer(self, there: tuple[Beginning, ...]) -> None:
        if self.ours.front is self:
            self._push(
                ask_beginning(there, self.store.draft.ablation or self.store.draft.source or ""), self._begin_with
            )

    def _begin_with(self, source: str | None) -> None:
        if source is None:
            return
        faults = self.store.load(source or None)
        for fault in faults:
            self.notify(": ".join(filter(None, (fault.where or source, str(fault)))), severity="error", markup=False)
        if not faults and self.store.draft.varied:
            self._tab = "ablation"
        self._draw()
        if not faults:
            self.notify(f"begun with {source or 'the defaults'}; u brings the draft before it back.", markup=False)

    def action_write(self) -> None:
        """Write the complete spec as a file."""
        if not self.store.reading.ok:
            self.action_next_problem()
            return
        self._push(ask_file(self.store), self._written)

    def _written(self, file: str | None) -> None:
        if file:
            self.query_one(Trials).write(file)
