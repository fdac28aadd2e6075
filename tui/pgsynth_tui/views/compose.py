"""Composing a method: its slots, what may stand in them and what not and why, every option, the command that it is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Input, Static
from textual.worker import get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_tui import shell
from pgsynth_tui.actions import bindings
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.settings import keep_draft, kept_draft
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_form import Field, Group
from pgsynth_tui.stores.draft_parts import Candidate
from pgsynth_tui.view import View

__all__ = ["ComposeView"]

SHOWN: Final = ("problems", "difference", "spec", "ablation")
"""What stands at the right, in turn."""
_MOST_ROWS: Final = 200
"""Combinations of an ablation that are listed."""


class ComposeView(View):
    """A method from parts. At the left its slots and settings; in the middle what may stand in the one chosen, or its
    options: what does not fit stays, dim, with the reason, and is taken with what makes it fit. At the right what is in
    the way, what differs from the preset, the whole spec. Everything is checked as you go, from manifests alone; below
    stands the command that does the same. A proof builds it without weights, a rehearsal takes a few real steps.
    """

    PLACE = "compose"
    BINDINGS: ClassVar = bindings("compose")
    DEFAULT_CSS = """
    ComposeView #slots { width: 26; height: 1fr; }
    ComposeView #choices { width: 1fr; height: 1fr; border-left: solid $panel; }
    ComposeView #beside { width: 44%; height: 1fr; padding: 0 1; border-left: solid $panel; }
    ComposeView.-narrow #beside { display: none; }
    ComposeView.-narrow.-turned #beside { display: block; width: 1fr; }
    ComposeView.-narrow.-turned #choices { display: none; }
    ComposeView #verdict { height: auto; max-height: 2; padding: 0 1; text-style: bold; }
    ComposeView #hint { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    ComposeView Input { display: none; height: 1; border: none; background: $surface; }
    ComposeView Input.open { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._search = ""
        self._keys: list[str] = []
        self._middle: tuple[Candidate | Field, ...] = ()
        self._shown = 0
        self._answer: tuple[str, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Slots, choices, what is beside; the verdict and a hint below."""
        yield Input(placeholder="words of a part's name or summary", id="search", compact=True)
        with Horizontal():
            yield DataTable(cursor_type="row", id="slots", show_header=False)
            yield DataTable(cursor_type="row", id="choices")
            with VerticalScroll(id="beside", can_focus=True):
                yield Static("", id="said", markup=False)
        yield Static("", id="hint", markup=False)
        yield Static("", id="verdict", markup=False)

    def on_mount(self) -> None:
        """Go on with the draft that was left, or begin with a preset that needs no weights."""
        self.store = DraftStore(self.ours.registry)
        kept = kept_draft()
        faults = self.store.restore(kept) if kept else self.store.load("tiny")
        for fault in faults:
            self.notify(str(fault), severity="warning", markup=False)
        self.query_one("#slots", DataTable).focus()
        self._draw()

    # ---------------------------------------------------------------- what is shown
    def _draw(self, key: str = "") -> None:
        """Everything, after a change; the cursor stays on what it was on."""
        slots: DataTable[Text] = self.query_one("#slots", DataTable)
        at = key or self._key()
        rows = list(self._slot_rows())
        self._keys = [row[0] for row in rows]
        slots.clear(columns=True)
        slots.add_column("")
        for _, text in rows:
            slots.add_row(text)
        if at in self._keys:
            slots.move_cursor(row=self._keys.index(at), animate=False)
        self._draw_choices()
        reading = self.store.reading
        self.query_one("#verdict", Static).update(one_line(reading.sentence))
        self._draw_beside()
        self.ours.say_command(*shlex.split(reading.command("train"))[1:])
        self.ours.tell_once("draft", keep_draft(self.store.draft.to_json()))

    def _slot_rows(self) -> list[tuple[str, Text]]:
        reading = self.store.reading
        changed = {change.path for change in reading.changes}
        wrong = {finding.path for finding in reading.refusals}
        varied = {word.partition("=")[0] for word in self.store.draft.sweeps}

        def mark(path: str) -> str:
            def has(paths: set[str]) -> bool:
                return any(one == path or one.startswith(f"{path}.") for one in paths)

            return "!" if has(wrong) else "%" if has(varied) else "*" if has(changed) else " "

        source = self.store.draft.source or "the defaults"
        rows = [("source", Text(f"  from {source}", style="italic"))]
        for slot, parts in reading.slots.items():
            rows.append((slot, Text(f"{mark(slot)} {slot}" + ("" if parts else ": none"), style="bold")))
            rows += [(f"{slot}.{part.label}", Text(f"{mark(f'{slot}.{part.label}')}   {part.label}")) for part in parts]
        for path in ("size", "train", "sample"):
            rows.append((path, Text(f"{mark(path)} {path}", style="bold")))
        return rows

    def _draw_choices(self) -> None:
        """What may stand in the slot, or the options of the part."""
        table: DataTable[Text] = self.query_one("#choices", DataTable)
        row = table.cursor_row
        table.clear(columns=True)
        key = self._key()
        if key in self.store.reading.slots:
            candidates = self.store.candidates(key, self._search)
            table.add_columns("part", "fits", "")
            for one in candidates:
                table.add_row(*_candidate(one))
            self._middle = candidates
        else:
            group = self._group(key)
            fields = tuple(field for field in group.fields if _matches(field, self._search)) if group else ()
            table.add_columns("option", "value", "")
            for field in fields:
                table.add_row(*_field(field))
            self._middle = fields
        table.move_cursor(row=min(row, max(0, len(self._middle) - 1)), animate=False)
        self._hint()

    def _group(self, key: str) -> Group | None:
        return next((group for group in self.store.form() if group.path == key), None)

    def _hint(self) -> None:
        """What is said of the row under the cursor."""
        hint = self.query_one("#hint", Static)
        one = self._chosen()
        if isinstance(one, Candidate):
            fit = one.fit
            why = " ".join(f"{finding.message} {finding.cure}".strip() for finding in fit.problems[:2])
            taken = f" Enter takes it with {shlex.join(fit.remedy)}." if fit.remedy and fit.problems else ""
            hint.update(one_line(f"{one.summary} {why}{taken}"))
        elif one:
            problem = f"{one.problem} " if one.problem else ""
            hint.update(one_line(f"{problem}{one.help} {_allowed(one)} {one.inactive}"))
        else:
            hint.update("Enter opens a preset or a spec file." if self._key() == "source" else "")

    def _draw_beside(self) -> None:
        what = SHOWN[self._shown]
        reading = self.store.reading
        if self._answer:
            lines = list(self._answer)
        elif what == "problems":
            lines = [f"{'! ' if one.level == 'problem' else '- '}{one}" for one in reading.findings] or [
                "nothing is wrong"
            ]
        elif what == "difference":
            lines = [f"{change.path}: {change.before or '-'} -> {change.after}" for change in reading.changes]
            lines = lines or [f"as {self.store.draft.source or 'the defaults'}"]
        elif what == "spec":
            lines = [reading.yaml]
        else:
            lines = self._ablation()
        title = "" if self._answer else f"{what} (v: {SHOWN[(self._shown + 1) % len(SHOWN)]})\n"
        self.query_one("#said", Static).update("\n".join([title, *lines]))

    def _ablation(self) -> list[str]:
        """The runs that are marked to be varied: commands, and what the contract prunes with the reason."""
        sweep = self.store.sweep()
        if not self.store.draft.sweeps:
            return ["m marks several values of an option or slot, with commas between."]
        lines = [*map(str, sweep.problems)]
        rows = list(zip(range(_MOST_ROWS), sweep.combinations(), strict=False)) if not lines else []
        good = [row for _, row in rows if row.ok]
        lines.append(f"{sweep.count} combinations, {len(good)} of {len(rows)} listed can be trained; L launches them")
        for _, row in rows:
            values = ", ".join(
                f"{word.partition('=')[0]}={value}"
                for word, value in zip(self.store.draft.sweeps, row.values, strict=True)
            )
            lines.append(
                f"  {values}" if row.ok else f"x {values}: {row.reasons[0].message if row.reasons else 'refused'}"
            )
        return lines

    # ---------------------------------------------------------------- cursors
    def _key(self) -> str:
        at = self.query_one("#slots", DataTable).cursor_row
        return self._keys[at] if 0 <= at < len(self._keys) else ""

    def _chosen(self) -> Candidate | Field | None:
        at = self.query_one("#choices", DataTable).cursor_row
        return self._middle[at] if 0 <= at < len(self._middle) else None

    @on(DataTable.RowHighlighted, "#slots")
    def _on_slot(self) -> None:
        self._draw_choices()

    @on(DataTable.RowHighlighted, "#choices")
    def _on_choice(self) -> None:
        self._hint()

    @on(DataTable.RowSelected, "#slots")
    def _on_slot_chosen(self) -> None:
        if self._key() == "source":
            self.action_open()
        else:
            self.query_one("#choices", DataTable).focus()

    @on(DataTable.RowSelected, "#choices")
    def _on_choice_made(self) -> None:
        one = self._chosen()
        if isinstance(one, Candidate):
            self._do(lambda: self.store.take(one))
        elif one and one.type == "bool":
            self._do(lambda: self.store.set(one.path, "false" if one.value else "true"))
        elif one:
            title = one_line(f"{one.path}: {one.help} {_allowed(one)}")
            self.app.push_screen(Enter(title, one.text), lambda text: self._typed(one.path, text))

    def _typed(self, path: str, text: str | None) -> None:
        if text:
            self._do(lambda: self.store.set(path, text))

    def _do(self, change: Callable[[], Any], key: str = "") -> None:
        change()
        self._answer = ()
        self._draw(key)

    # ---------------------------------------------------------------- actions
    def action_search(self) -> None:
        """Type words, and see only the choices that have them."""
        entry = self.query_one("#search", Input)
        entry.add_class("open")
        entry.focus()

    @on(Input.Changed, "#search")
    def _on_searched(self, event: Input.Changed) -> None:
        self._search = event.value
        self._draw_choices()

    @on(Input.Submitted, "#search")
    def _on_submitted(self) -> None:
        self.query_one("#search", Input).set_class(bool(self._search), "open")
        self.query_one("#choices", DataTable).focus()

    def action_back(self) -> None:
        """Every choice again, and back to the slots."""
        entry = self.query_one("#search", Input)
        entry.value = ""
        entry.remove_class("open")
        self.remove_class("-turned")
        self._answer = ()
        self._draw_beside()
        self.query_one("#slots", DataTable).focus()

    def action_take_out(self) -> None:
        """Take the part under the cursor out of its slot, or give the option the preset's value again."""
        key, one = self._key(), self._chosen()
        slot, _, label = key.partition(".")
        if self.query_one("#choices", DataTable).has_focus and isinstance(one, Field):
            self._do(lambda: self.store.reset(one.path))
        elif label:
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
        self._do(self.store.undo)

    def action_redo(self) -> None:
        """Do again what was undone."""
        self._do(self.store.redo)

    def action_open(self) -> None:
        """Begin with a preset, a spec file or the defaults."""
        presets = ", ".join(self.ours.registry.preset_names())
        title = f"Begin with: a preset ({presets}), the path of a spec, or nothing."
        self.app.push_screen(Enter(title, self.store.draft.source or ""), self._opened)

    def _opened(self, text: str | None) -> None:
        if text is None:
            return
        for fault in self.store.load(text or None):
            self.notify(str(fault), severity="error", markup=False)
        self._do(lambda: None)

    def action_next_problem(self) -> None:
        """Go to what is wrong: to its slot, part or option."""
        refusals = self.store.reading.refusals
        if not refusals:
            self.notify("nothing is wrong.", markup=False)
            return
        path = refusals[0].path
        keys = [key for key in self._keys if path == key or path.startswith(f"{key}.")]
        if keys:
            self._draw(max(keys, key=len))
        fields = [number for number, one in enumerate(self._middle) if isinstance(one, Field) and one.path == path]
        if fields:
            self.query_one("#choices", DataTable).move_cursor(row=fields[0], animate=False)
            self.query_one("#choices", DataTable).focus()
        self.notify(str(refusals[0]), severity="error", markup=False)

    def action_turn(self) -> None:
        """What stands at the right: problems, difference, spec, ablation."""
        if self.has_class("-narrow") and not self.has_class("-turned"):
            self.add_class("-turned")
        else:
            self._shown = (self._shown + 1) % len(SHOWN)
        self._answer = ()
        self._draw_beside()

    def action_vary(self) -> None:
        """Mark several values of an option, or of a slot, for an ablation."""
        one = self._chosen()
        focused = self.query_one("#choices", DataTable).has_focus
        path = one.path if focused and isinstance(one, Field) else self._key()
        before = next(
            (word.partition("=")[2] for word in self.store.draft.sweeps if word.partition("=")[0] == path), ""
        )
        title = f"Values of {path} to vary, with commas between; nothing: not varied."

        def marked(text: str | None) -> None:
            if text is not None:
                self._shown = SHOWN.index("ablation")
                self._do(lambda: self.store.mark(path, text))

        self.app.push_screen(Enter(title, before), marked)

    # ---------------------------------------------------------------- what commands do
    def action_write(self) -> None:
        """Write the complete spec as a file."""
        self.app.push_screen(Enter("Write the spec to which file?", "method.yaml"), self._written)

    def _written(self, file: str | None) -> None:
        if file:
            self._ask(*self._words("compose"), "--no-proof", "-o", file)

    def action_prove(self) -> None:
        """Build it without weights, run it forward and backward; the first time takes seconds longer."""
        self.notify("proving it without weights", markup=False)
        self._ask(*self._words("compose"))

    def action_rehearse(self) -> None:
        """A few real steps: memory, pace, hours, disk. No run is made."""
        words = (*self._words("train"), "--rehearse")
        lines = ("A few real steps are taken, saved and loaded again, here and now.", "No run is made.")
        self._asked(Ask("Rehearse it?", lines, command=shell.command_line(words), yes="Rehearse"), words)

    def action_launch(self) -> None:
        """Train it, detached; of an ablation, every combination that the contract does not refuse."""
        reading = self.store.reading
        if not reading.ok:
            self.action_next_problem()
            return
        combinations = [row for row in self.store.sweep().combinations() if row.ok] if self.store.draft.sweeps else []
        commands = [tuple(shlex.split(row.command)[1:]) for row in combinations] or [self._words("train")]
        commands = [(*words, "--detach") for words in commands]
        title = f"Queue {len(commands)} runs?" if combinations else "Train it?"
        lines = ("It is proved, frozen and left to the queue; it trains whether you stay or leave.",)
        self._asked(Ask(title, lines, command=shell.command_line(commands[0]), yes="Launch"), *commands)

    def _words(self, verb: str) -> tuple[str, ...]:
        return tuple(shlex.split(self.store.reading.command(verb))[1:])

    def _asked(self, question: Ask, *commands: tuple[str, ...]) -> None:
        def answered(yes: bool | None) -> None:
            for words in commands if yes else ():
                self._ask(*words)

        self.app.push_screen(question, answered)

    @work(thread=True, group="commands", exit_on_error=False)
    def _ask(self, *words: str) -> None:
        worker = get_current_worker()
        runs = ("--runs", str(self.ours.store.root)) if words[0] == "train" else ()
        answer = self.ours.warm.run(*words, *runs, wanted=lambda: not worker.is_cancelled)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._answered, words, answer)

    def _answered(self, words: tuple[str, ...], answer: shell.Answer) -> None:
        self.ours.say_command(*words)
        if not answer.ok:
            self._answer = (f"$ {shell.command_line(words)}", "", *(str(one) for one in answer.problems))
            self.notify(str(answer.problems[0]), severity="error", timeout=20, markup=False)
        elif "proof" in answer.facts:
            self._answer = tuple(_proof(answer.facts))
            self.notify("it is proved.", markup=False)
        elif "peak_bytes" in answer.facts:
            self._answer = tuple(
                f"{name}: {value}" for name, value in answer.facts.items() if name not in ("ok", "broken")
            )
        elif "run" in answer.facts:
            self.notify(f"{answer.facts['run']}: {answer.facts.get('state', '')}", markup=False)
        else:
            self.notify(f"done: {shell.command_line(words)}", markup=False)
        self._draw_beside()


# ------------------------------------------------------------------------------------------- rows
def _candidate(one: Candidate) -> tuple[Text, Text, Text]:
    fit = one.fit
    answer = "chosen" if one.chosen else fit.answer
    style = "bold" if one.chosen else "" if answer in ("fits", "adapts") else "dim"
    why = fit.problems[0].message if fit.problems else one.summary
    return Text(one.name, style=style), Text(answer, style=style), Text(one_line(why), style=style)


def _field(field: Field) -> tuple[Text, Text, Text]:
    style = "dim" if field.inactive else "bold" if field.changed else ""
    sign = "!" if field.problem else "*" if field.changed else " "
    return (
        Text(f"{sign} {field.name}", style=style),
        Text(one_line(field.text), style=style),
        Text(one_line(field.help), style="dim"),
    )


def _matches(field: Field, text: str) -> bool:
    return all(word in f"{field.path} {field.help}".lower() for word in text.lower().split())


def _allowed(field: Field) -> str:
    """What may be written, in a few words."""
    if field.choices:
        return f"One of {', '.join(str(choice).lower() for choice in field.choices)}."
    low, high = field.range
    ends = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    told = " and ".join(filter(None, ends))
    return f"{field.type}{f', {told}' if told else ''}; {field.default} unless told."


def _proof(facts: dict[str, Any]) -> list[str]:
    """What a proof found, in lines."""
    proof = facts["proof"]
    lines = ["proved on the meta device", f"trainable parameters: {proof.get('trainable')}"]
    for part in proof.get("parts", ()):
        lines.append("  " + ", ".join(f"{name} {value}" for name, value in part.items()))
    return lines
