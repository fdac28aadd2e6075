"""Parts and packages: what each needs, gives and fits with; check, install, switch off, take out; their panels."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.widgets import ContentSwitcher, DataTable, Input, Static
from textual.worker import get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_core.cli.plugins import counted, counts_of
from pgsynth_core.cli.plugins_show import lines_of
from pgsynth_core.errors import UserError
from pgsynth_core.packages.listing import Row, listing
from pgsynth_core.packages.records import read_records
from pgsynth_core.packages.showing import show
from pgsynth_core.registry import NOUNS, OWN_NAME, Registry, discover
from pgsynth_tui import shell
from pgsynth_tui.actions import bindings
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.panels import Panels
from pgsynth_tui.view import View
from pgsynth_tui.widgets.search_line import SearchLine
from pgsynth_tui.words import found

__all__ = ["PluginsView"]


class PluginsView(View):
    """Every part there is: first-party, of other packages, switched off, known and not installed, broken. Beside the
    list what the chosen one needs, gives, takes and fits with, and why not with the rest. A package is installed only
    after you have seen what would change, and put back if anything fails.
    """

    PLACE = "plugins"
    BINDINGS: ClassVar = bindings("plugins")
    DEFAULT_CSS = """
    PluginsView ContentSwitcher { height: 1fr; }
    PluginsView DataTable { width: 44; height: 1fr; }
    PluginsView.-narrow DataTable { width: 32; overflow-x: hidden; }
    PluginsView VerticalScroll { width: 1fr; padding: 0 1; border-left: solid $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._every: tuple[Row, ...] = ()
        self._rows: tuple[Row, ...] = ()
        self._beside: Row | None = None
        self._looked_at = ""

    def compose_body(self) -> ComposeResult:
        """The list, what is shown of one, and behind them the panels."""
        yield SearchLine("words of the name, kind or summary", id="filter")
        with ContentSwitcher(initial="parts"):
            with Horizontal(id="parts"):
                yield DataTable(cursor_type="row", id="table")
                with VerticalScroll(can_focus=True):
                    yield Static("", id="shown", markup=False)
            with Container(id="panels"):
                yield Panels(self.ours.registry)

    def on_mount(self) -> None:
        """The list has the keys."""
        self.query_one(DataTable).focus()
        self._read()

    # ---------------------------------------------------------------- what is shown
    @work(thread=True, exclusive=True, group="parts", exit_on_error=False)
    def _read(self) -> None:
        """List what there is, which reads files; once, and again after whatever changed it."""
        worker = get_current_worker()
        rows = listing(self.ours.registry, checked=partial(counts_of, read_records()))
        if not worker.is_cancelled:
            self.app.call_from_thread(self._listed, rows)

    def _listed(self, rows: tuple[Row, ...]) -> None:
        if self.there:
            self._every = rows
            self._fill(self.query_one(DataTable).cursor_row)

    def _fill(self, at: int = 0) -> None:
        """Show what the filter lets through, the best of it first, and the cursor there or where it was."""
        self._rows = found(self._every, self._filter, lambda row: row.name, _said)
        table: DataTable[Text] = self.query_one(DataTable)
        table.clear(columns=True)
        narrow = self.has_class("-narrow")
        table.add_columns(*(("part", "kind") if narrow else ("part", "kind", "checked")))
        for row in self._rows:
            state = "" if row.status == "installed" else {"known": "not installed"}.get(row.status, row.status)
            kind = NOUNS[row.kind][0] if row.kind in NOUNS and not narrow else row.kind
            cells = (row.name, kind) if narrow else (row.name, kind, state or counted(row.checked))
            table.add_row(*(Text(one_line(cell), style="dim" if state else "") for cell in cells))
        table.move_cursor(row=min(at, len(self._rows) - 1), animate=False)
        if self._every and not self._rows:
            self._beside = None
            self.query_one("#shown", Static).update(f"nothing has {self._filter!r}; esc shows all")

    def _row(self) -> Row | None:
        at = self.query_one(DataTable).cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    @on(DataTable.RowHighlighted)
    def _on_cursor(self) -> None:
        row = self._row()
        beside = row and replace(row, checked=None)  # where it was just checked, the report stands
        if row and beside != self._beside:  # not where a row is only drawn anew
            self._beside = beside
            self.ours.say_command("plugins", "show", row.qualified)
            self._show(row)

    @work(thread=True, exclusive=True, group="shown", exit_on_error=False)
    def _show(self, row: Row) -> None:
        worker = get_current_worker()
        if row.status == "installed" and row.kind in (*NOUNS, "preset"):
            try:
                found = show(self.ours.registry, row.qualified, kind=row.kind, where=row.qualified)
                text = "\n".join(line for item in found for line in lines_of(item))
            except UserError as error:
                text = str(error)
        else:
            where = {"known": f"To install it: i, or pgsynth plugins install {row.package}."}.get(row.status, "")
            text = f"{row.kind} {row.name} ({row.package} {row.version})\n\n{row.summary}\n\n{where}"
        if not worker.is_cancelled:
            self.app.call_from_thread(self.query_one("#shown", Static).update, text)

    # ---------------------------------------------------------------- filter, panels
    def action_filter(self) -> None:
        """Type words, and see only what has them."""
        self.query_one(SearchLine).open()

    @on(Input.Changed, "#filter")
    def _on_typed(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._fill()

    @on(Input.Submitted, "#filter")
    def _on_submitted(self) -> None:
        self.query_one(SearchLine).keep()
        self.set_focus(self.query_one(DataTable))

    def action_panels(self) -> None:
        """The panels of packages, or back from them."""
        switcher = self.query_one(ContentSwitcher)
        switcher.current = "parts" if switcher.current == "panels" else "panels"

    def action_back(self) -> None:
        """Everything again, without filter or panels."""
        self.query_one(SearchLine).shut()
        self.query_one(ContentSwitcher).current = "parts"
        self.set_focus(self.query_one(DataTable))

    # ---------------------------------------------------------------- packages
    def action_check(self) -> None:
        """The conformance kit, in a process of its own."""
        row = self._row()
        if running := [one for one in self.workers if one.group == "conformance" and not one.is_finished]:
            self.notify(f"{running[0].name} is being checked, on every core: one at a time.", markup=False)
        elif row and row.status == "installed" and row.kind in (*NOUNS, "preset"):
            self.notify(f"checking {row.name}: this takes a minute or two", markup=False)
            self._command("plugins", "check", row.qualified)

    def action_switch(self) -> None:
        """Leave a package out, or take it in again."""
        row = self._row()
        if row is None or row.package == OWN_NAME or row.status == "known":
            self.notify("only an installed package of others can be switched off.", markup=False)
            return
        self._command("plugins", "enable" if row.status == "disabled" else "disable", row.package)

    def action_uninstall(self) -> None:
        """Ask, and take a package out."""
        row = self._row()
        if row is None or row.package == OWN_NAME or row.status == "known":
            self.notify("only an installed package of others can be taken out.", markup=False)
            return
        words = ("plugins", "uninstall", row.package, "--yes")
        lines = ("Runs and specs that use its parts say then what to install.",)
        question = Ask(f"Uninstall {row.package}?", lines, command=shell.command_line(words[:-1]), yes="Uninstall")
        self._asked(question, *words)

    def action_install(self) -> None:
        """Ask which, look at what would change, ask again, install."""
        row = self._row()
        known = row.package if row and row.status == "known" else ""
        title = "Which package? A name on the index, name==version, or the path of a wheel or folder."
        self.app.push_screen(Enter(title, self._looked_at or known), self._look_first)

    def _look_first(self, wanted: str | None) -> None:
        if not wanted:
            return
        self._looked_at = ""
        wanted = os.path.expanduser(wanted)  # neither this nor isdir raises, as those of Path do
        if os.path.isdir(wanted):
            lines = ("To look at a folder it has to be built, which runs its code.",)
            self.app.push_screen(Ask("Build it?", lines, yes="Build"), lambda yes: self._look(wanted) if yes else None)
        else:
            self._look(wanted)

    def _look(self, wanted: str) -> None:
        self.notify(f"asking pip what {wanted} would change", markup=False)
        self._command("plugins", "install", wanted, "--dry-run", "--yes")

    def _command(self, *words: str) -> None:
        """Run a command on the part or package that is its third word."""
        group = "conformance" if words[1] == "check" else "commands"
        self.run_worker(partial(self._done, *words), words[2], group, exit_on_error=False, thread=True)

    def _done(self, *words: str) -> None:
        answer = shell.run(*words, wanted=self.ours.wanted)
        changed = answer.ok and words[1] != "check" and "--dry-run" not in words
        if self.ours.wanted():
            self.app.call_from_thread(self._answered, answer, discover() if changed else None)

    def _answered(self, answer: shell.Answer, registry: Registry | None) -> None:
        words = answer.words
        if not self.there:
            return
        self.ours.say_command(*words)
        if words[1] == "check" and answer.facts.get("reports"):
            self.query_one("#shown", Static).update("\n".join(_report(answer.facts)))
            self._read()
            return
        if not answer.ok:
            for problem in answer.problems:
                self.notify(str(problem), severity="error", timeout=30, markup=False)
            return
        if "--dry-run" in words:
            self._agree(words[2], answer.facts)
            return
        self.notify(f"done: {shell.command_line(words)}", markup=False)
        if registry:
            self._renew(registry)

    def _renew(self, registry: Registry) -> None:
        """What is installed is otherwise than before; panels that are open stay so, unless there are others now."""
        if registry.panels != self.ours.registry.panels:
            place = self.query_one("#panels")
            place.remove_children()
            place.mount(Panels(registry))
        self.ours.registry = registry
        self._read()

    def _agree(self, wanted: str, facts: dict[str, Any]) -> None:
        """Show what would change, and do it if the answer is yes."""
        changes = facts.get("changes") or []
        if not changes:
            self.notify("it is here as asked for: nothing would change.", markup=False)
            return
        if self.ours.front is not self or isinstance(self.focused, Input):  # what is typed there is no answer
            self._looked_at = wanted
            self.notify(f"{wanted} can be installed: i in Plugins asks for it.", timeout=30, markup=False)
            return
        lines = [f"{one['package']}  {one['before'] or 'not here'} -> {one['after']}" for one in changes]
        lines += [f"{name} brings {', '.join(adds)}" for name, adds in facts.get("adds", {}).items() if adds]
        lines += list(facts.get("clashes", ()))
        words = ("plugins", "install", wanted, "--yes")
        question = Ask("Install this?", tuple(lines), command=shell.command_line(words[:-1]), yes="Install")
        self._asked(question, *words)

    def _asked(self, question: Ask, *words: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.notify(f"at work: {shell.command_line(words)}", markup=False)
                self._command(*words)

        self.app.push_screen(question, answered)


def _said(row: Row) -> str:
    return f"{row.kind} {row.qualified} {row.summary} {row.status} {row.paper}".lower()


def _report(facts: dict[str, Any]) -> list[str]:
    """What a conformance run found, a line for each check."""
    lines = []
    for report in facts["reports"]:
        counts = report["counts"]
        lines += [f"{report['kind']} {report['part']}: {counted(counts)}", ""]
        lines += [
            f"  {one['status']:<8} {one['check']}" + (f": {one['reason']}" if one["reason"] else "")
            for one in report["outcomes"]
        ]
    return lines
