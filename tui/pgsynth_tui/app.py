"""The app: it owns the stores, looks at the runs in a thread, and shows one view at a time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import cleandoc
from pathlib import Path
from typing import ClassVar, Final

from textual import work
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.filter import LineFilter
from textual.message import Message
from textual.worker import Worker, WorkerState, get_current_worker

from pgsynth_core.cli.console import visible
from pgsynth_core.errors import suggestion
from pgsynth_core.registry import Registry
from pgsynth_core.runs import runs_root
from pgsynth_tui import shell
from pgsynth_tui.actions import ACTIONS, EVERYWHERE, VIEWS, actions_of, bindings, keymap_faults
from pgsynth_tui.choose import Choose, Item
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.harmless import HARMLESS, PLAIN
from pgsynth_tui.help import Help, keys_in_words
from pgsynth_tui.panels import PanelApp
from pgsynth_tui.settings import Remembered, Settings, read_remembered, write_remembered
from pgsynth_tui.stores.evaluating import Evaluating
from pgsynth_tui.stores.pictures import ImageMode, image_mode
from pgsynth_tui.stores.runs import RunStore
from pgsynth_tui.themes import DARK, THEMES
from pgsynth_tui.view import View
from pgsynth_tui.views.compare import CompareView
from pgsynth_tui.views.compose import ComposeView
from pgsynth_tui.views.look import LookView
from pgsynth_tui.views.plugins import PluginsView
from pgsynth_tui.views.runs import RunsView
from pgsynth_tui.views.watch import WatchView
from pgsynth_tui.warm import Warm

__all__ = ["PgsynthApp", "RunsChanged"]

_LOOK: Final = 0.5
"""Seconds between two looks at the runs while one moves."""
_IDLE: Final = 2.0
"""The same where none does."""


_UNREAD: Final = 4.0
"""Seconds in which nobody has read what went wrong."""
_THREADS: Final = 32
"""At most, for what waits: for files, for commands."""


class RunsChanged(Message):
    """The store of runs is otherwise than before; only the last of several is told."""

    def can_replace(self, message: Message) -> bool:
        """One word of it is enough."""
        return isinstance(message, RunsChanged)


class ActionsOf(Provider):
    """Actions for the palette, of the view that is shown."""

    async def discover(self) -> Hits:
        """All of them."""
        for words, does, call in self._all():
            yield DiscoveryHit(words, call, help=does)

    async def search(self, query: str) -> Hits:
        """Those that the query finds, in their names or their sentences."""
        matcher = self.matcher(query)
        for words, does, call in self._all():
            if (score := max(matcher.match(words), matcher.match(does))) > 0:
                yield Hit(score, matcher.highlight(words), call, help=does)

    def _all(self) -> list[tuple[str, str, Callable[[], object]]]:
        view = self.screen
        place = view.PLACE if isinstance(view, View) else EVERYWHERE
        names = {"everywhere": "pgsynth", **VIEWS}
        return [
            (
                f"{names[action.place]}: {action.label}",
                action.does,
                partial(view.run_action, _namespaced(action.place, action.name)),
            )
            for action in actions_of(place)
        ]


def _about_theme(dark: bool, ours: bool) -> str:
    return f"{'dark' if dark else 'light'}{', for the colour-blind too' if ours else ''}"


def _namespaced(place: str, name: str) -> str:
    return f"app.{name}" if place == EVERYWHERE else f"screen.{name}"


class PgsynthApp(PanelApp):
    """pgsynth in a terminal.

    Args:
        registry: What is installed.
        runs: Where runs are; None for ``$PGSYNTH_RUNS`` or ``./runs``.
        settings: The user's.
        faults: What was wrong with them, to be told.
        settled: Called whenever a view is drawn for the first time.

    Attributes:
        store: The runs.
        marked: Runs to watch or compare together, in the order in which they were marked.
        chosen: The run that is looked at; None if there is none.
        settled: Called whenever a view is drawn for the first time.
        plain: Whether only ASCII is drawn.
        images: How pictures are drawn: ``auto``, or what was asked for.
        warm: Runs commands that need torch, sooner than a shell.
        evaluating: The runs that are evaluated, or were last; None before the first.
        unkept: Why what is remembered could not be written when it ended; empty if it could.
    """

    TITLE = "pgsynth"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar = {ActionsOf}
    BINDINGS = bindings(EVERYWHERE)
    MODES: ClassVar = {
        "compose": ComposeView,
        "runs": RunsView,
        "watch": WatchView,
        "look": LookView,
        "compare": CompareView,
        "plugins": PluginsView,
    }

    def __init__(
        self,
        registry: Registry,
        *,
        runs: str | None = None,
        settings: Settings | None = None,
        faults: tuple[str, ...] = (),
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.registry = registry
        self.settled = settled
        self.settings = settings or Settings()
        self.runs_given = runs
        self.store = RunStore(runs_root(runs))
        self.warm = Warm()
        self.evaluating: Evaluating | None = None
        self.plain = self.settings.ascii
        self.images: str = self.settings.images
        remembered = read_remembered()
        self.marked: list[Path] = [Path(path) for path in remembered.marked]
        self.chosen: Path | None = None
        self.command = ""
        self._faults = (*faults, *keymap_faults(self.settings.keys))
        self._first = remembered.view if remembered.view in VIEWS else next(iter(VIEWS))
        self._theme = self.settings.theme or remembered.theme
        self._stopped = threading.Event()
        self.unkept = ""
        self._told: dict[str, str] = {}
        self._served_by = os.getppid()

    # ---------------------------------------------------------------- beginning and end
    def on_mount(self) -> None:
        """Colours, keys, the first view; then the runs are looked at."""
        # By default there are six threads for two cores: four views that read would leave two for everything else.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="pgsynth"))
        for theme in THEMES:
            self.register_theme(theme)
        if self._theme and self._theme not in self.available_themes:
            close = suggestion(self._theme, tuple(self.available_themes), what="themes")
            self._faults = (*self._faults, f"theme: there is no {self._theme!r}. {close}")
        self.theme = self._theme if self._theme in self.available_themes else DARK.name
        self.set_keymap({name: keys for name, keys in self.settings.keys.items()})
        self.switch_mode(self._first)
        for fault in self._faults:
            self.notify(fault, severity="warning", timeout=20, markup=False)
        for broken in self.registry.broken:
            self.notify(
                f"{broken.package} is broken: {broken.problems[0]}", severity="warning", timeout=20, markup=False
            )
        self._look()

    def on_unmount(self) -> None:
        """The thread that looks ends with the app."""
        self._stopped.set()
        self.warm.close()
        view = str(self.current_mode)
        marked = tuple(map(str, self.marked))
        self.unkept = write_remembered(Remembered(theme=self.theme, view=view if view in VIEWS else "", marked=marked))

    @work(thread=True, exclusive=True, group="runs", exit_on_error=False)
    def _look(self) -> None:
        worker, told = get_current_worker(), ""
        while not worker.is_cancelled and not self._stopped.is_set():
            try:
                changed, fault = self.store.look(), ""
            except Exception as error:  # noqa: BLE001  # whatever a run's folder went through, the others are shown
                changed, fault = False, f"the runs cannot be looked at: {type(error).__name__}: {error}"
            if fault != told:
                told = fault
                self.call_later(self.tell_once, "runs", fault)
            if changed:
                self.post_message(RunsChanged())
            moving = any(row.status.live or row.status.state == "queued" for row in self.store.rows)
            self._stopped.wait(_LOOK if moving else _IDLE)
            if self.is_web and os.getppid() != self._served_by:  # nobody will tell it that the page is closed
                self.call_from_thread(self.exit)
                return

    def on_runs_changed(self) -> None:
        """Tell the view that is shown."""
        live = {row.folder.path for row in self.store.rows}
        if live:  # else the folder of the runs may be away, and come back
            self.marked = [path for path in self.marked if path in live or path.parent != self.store.root]
        if self.front and self.front.there:
            self.front.changed()

    @property
    def front(self) -> View | None:
        """The view that is shown; None while a dialog is before it, or while the app ends and messages still come."""
        stack = self.screen_stack
        return stack[-1] if stack and isinstance(stack[-1], View) else None

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every row of every widget goes through, ours last."""
        return (*super().get_line_filters(), HARMLESS, *([PLAIN] if self.plain else []))

    def get_key_display(self, binding: Binding) -> str:
        """A key, as the footer has it."""
        return keys_in_words(binding.key) if self.plain else super().get_key_display(binding)

    @property
    def image_mode(self) -> ImageMode:
        """How pictures are drawn here, and that in words."""
        return image_mode(os.environ, self.images, plain=self.plain)

    def say_command(self, *words: str) -> None:
        """Show the command line of what was just done, or would be."""
        theirs = words[0] in ("runs", "train", "replay", "compare", "evaluate", "sweep")
        runs = ["--runs", self.runs_given] if self.runs_given and theirs else []
        self.command = shell.command_line([*words, *runs])
        if self.front:
            self.front.show_command(self.command)

    def tell_once(self, about: str, problem: str) -> None:
        """Tell what goes wrong again and again, such as a full disk, when it begins.

        Args:
            about: What it is about; of each, the last problem is known.
            problem: What is wrong; empty where it went well.
        """
        if problem and problem != self._told.get(about):
            self.notify(problem, severity="error", timeout=30, markup=False)
        self._told[about] = problem

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that fails is told: without a word, what it does would just stand still."""
        self.tell_failed(event)

    def tell_failed(self, event: Worker.StateChanged) -> bool:
        """Whether a worker failed, which is told once."""
        failed, error = event.state is WorkerState.ERROR, event.worker.error
        if event.state is WorkerState.SUCCESS:
            self._told.pop(f"{event.worker.group} failed", None)
        if failed and not self._stopped.is_set():
            self.tell_once(f"{event.worker.group} failed", f"{event.worker.group}: {type(error).__name__}: {error}")
        return failed

    def keys_of(self, action: str) -> str:
        """The keys of an action, by its id: the user's, or ours."""
        return self.settings.keys.get(action, next((one.keys for one in ACTIONS if one.id == action), ""))

    # ---------------------------------------------------------------- what is done by commands
    def wanted(self) -> bool:
        """Whether anybody still waits for what is done in threads; asked there."""
        return not self._stopped.is_set()

    def ask_first(self, question: Ask, *words: str, done: str) -> None:
        """`command_in_background`, if the user says yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.say_command(*words)
                self.command_in_background(*words, done=done)

        self.push_screen(question, answered)

    @work(thread=True, group="commands", exit_on_error=False)
    def command_in_background(self, *words: str, done: str) -> None:
        """Run a command and tell how it went; the views see what it did in the files.

        Args:
            words: After ``pgsynth``.
            done: What to say if it went well.
        """
        runs = ["--runs", str(self.store.root)]
        answer = shell.run(*words, *runs, wanted=self.wanted)
        if not self.wanted():
            return
        if answer.ok:
            self.call_from_thread(self.notify, done, markup=False)
        else:
            for problem in answer.problems:
                self.call_from_thread(self.notify, str(problem), severity="error", timeout=30, markup=False)

    def write_report(self, runs: Sequence[str]) -> None:
        """Write the page of some runs into the folder where the UI was started, and say where it is.

        Args:
            runs: Their ids; with none, nothing is done.
        """
        if runs:
            file = f"{runs[0]}.html" if len(runs) == 1 else "report.html"
            words = ("report", *runs, "-o", file)
            self.say_command(*words)
            self.command_in_background(*words, done=f"written: {Path(file).absolute()}")

    # ---------------------------------------------------------------- actions
    async def action_view(self, name: str) -> None:
        """Show a view."""
        if name in VIEWS and name != self.current_mode:
            fresh = [
                one for one in self._notifications if one.severity == "error" and time.time() - one.raised_at < _UNREAD
            ]
            self.clear_notifications()  # what was told of one view covers the next no more
            for one in fresh:  # nobody can have read it
                self.notify(one.message, severity="error", timeout=one.timeout, markup=False)
            await self.switch_mode(name)

    def action_help(self) -> None:
        """What can be done here."""
        if view := self.front:
            self.push_screen(Help(view.PLACE, cleandoc(type(view).__doc__ or ""), self.settings.keys))

    def action_palette(self) -> None:
        """Find an action by words."""
        self.action_command_palette()

    def action_change_theme(self) -> None:
        """Choose colours, ours first: the others were not looked at by people who do not tell red from green."""
        ours = [theme.name for theme in THEMES]
        names = (*ours, *sorted(name for name in self.available_themes if name not in ours))
        items = [
            Item(name, about=_about_theme(self.available_themes[name].dark, name in ours), chosen=name == self.theme)
            for name in names
        ]

        def chosen(name: str | None) -> None:
            if name:
                self.theme = name

        self.push_screen(Choose("Colours", items), chosen)

    def action_copy_command(self) -> None:
        """The command line below goes to the clipboard of the terminal."""
        if self.command:
            self.copy_to_clipboard(self.command)
            self.notify("copied", markup=False)

    def action_leave(self) -> None:
        """End; what trains goes on, and the normal screen says so."""
        live = [row for row in self.store.rows if row.status.live]
        names = [row.id for row in live]
        runs = f" --runs {self.runs_given}" if self.runs_given else ""
        lines = [*self.evaluating.farewell()] if self.evaluating else []
        if live:
            lines += [f"{len(live)} run{'s train' if len(live) > 1 else ' trains'} on without you: {', '.join(names)}"]
            lines += [f"  see them again: pgsynth tui{runs}", f"  stop one: pgsynth runs stop {names[0]}{runs}"]
        self.exit(message=visible("\n".join(lines)) if lines else None)
