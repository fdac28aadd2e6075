"""Panels that packages add: listed from their manifests, imported when first opened, run inside a guard.

A panel is what a ``[[panel]]`` of a manifest names: a subclass of `textual.widget.Widget` that is called with no
arguments, once, when the user first opens it. It fills the place it is given, and lives until the app ends; hidden
and shown again, it keeps its state. It may read through the Python interface, ``pgsynth_core.compose``, ``load`` and
``Run``; what takes longer than a blink belongs in a worker of Textual, or the whole app waits for it.

Whatever a panel does wrong, its place shows the package, the reason and the cure, and the rest of the app goes on: it
cannot be imported, is no widget, raises while it is made, composed, mounted or drawn, in an event, a timer, a callback
or a worker, its own or one of its children's. Textual ends an app at any exception that nobody catches, so panels need
an app that is a `PanelApp`. What is not held back: a panel that exits the app, or ends its process.

`python -m pgsynth_tui.panels` shows the panels of everything installed, to look at one's own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final

from textual.app import App, ComposeResult
from textual.containers import Container, Horizontal
from textual.css.stylesheet import StylesheetParseError
from textual.dom import DOMNode
from textual.timer import EventTargetGone, Timer
from textual.widget import Widget
from textual.widgets import ContentSwitcher, OptionList, Static
from textual.worker import Worker, WorkerFailed

from pgsynth_core.errors import PartError, Problem
from pgsynth_core.events import PROJECT
from pgsynth_core.manifest import Contribution
from pgsynth_core.registry import FOREIGN_FAULTS, Contributed, Registry, discover, load_target, reason_of, removal

__all__ = ["PanelApp", "PanelPlace", "Panels", "main"]

_LOG: Final = logging.getLogger(PROJECT)

Panel = Contributed[Contribution]


class PanelPlace(Container):
    """Where one panel lives; its package's fault stands here in its place if it fails.

    Args:
        panel: As its manifest names it. Nothing of it is imported before `open`.
        id: Of the widget.

    Attributes:
        problem: Why there is no panel; None while there is nothing wrong.
    """

    def __init__(self, panel: Panel, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.panel = panel
        self.problem: Problem | None = None
        self._opened = False

    @property
    def _what(self) -> str:
        return f"panel {self.panel.item.name}"

    @property
    def package(self) -> str:
        """The top-level package that the panel is imported from; empty for a panel of pgsynth's own."""
        return "" if self.panel.origin.first_party else self.panel.item.target.partition(":")[0].partition(".")[0]

    def open(self) -> None:
        """Import, make and mount the panel, the first time; again, nothing."""
        if self._opened:
            return
        self._opened = True
        origin, target = self.panel.origin, self.panel.item.target
        try:
            found = load_target(origin, target, part=self._what)
            if not (isinstance(found, type) and issubclass(found, Widget)):
                self._show(f"{self._what} of {origin} cannot be shown: {target} is {found!r:.80}, no Textual widget.")
                return
            self.mount(found())
        except PartError as error:
            self._show(error.problems[0].message, error.problems[0].cure, error)
        except FOREIGN_FAULTS as error:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Take the panel away and say what it raised.

        Args:
            error: Anything that code of the panel raised.
        """
        reason = reason_of(error, self.panel.item.target)
        if isinstance(error, StylesheetParseError):
            self._forget_styles()
            reason = "its DEFAULT_CSS cannot be read as a style sheet"
        self._show(f"{self._what} of {self.panel.origin} failed: {reason}", "", error)

    def _forget_styles(self) -> None:
        """Take out style sheets that cannot be read: one left in fails every widget that comes after it."""
        sheet = self.app.stylesheet
        for place, source in list(sheet.source.items()):
            alone = sheet.copy()
            alone.source = {place: source}
            try:
                alone.parse()
            except StylesheetParseError:
                del sheet.source[place]

    def _show(self, message: str, cure: str = "", error: BaseException | None = None) -> None:
        if self.problem:  # what fails on the way out is the same fault
            return
        stop = "" if message.endswith((".", "?", "!")) else "."
        self.problem = Problem(f"{message}{stop}", cure=cure or removal(self.panel.origin.package))
        _LOG.warning("%s", self.problem)
        _LOG.debug("the panel's traceback", exc_info=error)
        for child in self.children:
            child.display = False  # at once: drawn again before it is gone, it would raise again
        self.call_later(self._replace)

    async def _replace(self) -> None:
        assert self.problem is not None, "only called for one"
        with suppress(*FOREIGN_FAULTS):  # raised on the way out; there is a fault to show already
            await self.remove_children()
        for child in list(self.children):  # whose mounting raised: it reads no messages, so none tells it to go
            try:
                await child._message_loop_exit()
            except FOREIGN_FAULTS:
                self._nodes._remove(child)
                child._detach()
        lines = f"{self.problem.message}\n\n{self.problem.cure}\n\nThe rest of pgsynth goes on."
        await self.mount(Static(lines, markup=False, classes="panel-problem"))


class Panels(Horizontal):
    """Every panel that packages add: their titles on the left, the one that is open on the right.

    Args:
        registry: What is installed.
        id: Of the widget.

    Raises:
        TypeError: If the app is no `PanelApp`; raised when it is mounted.
    """

    DEFAULT_CSS = """
    Panels OptionList { width: 30; height: 1fr; }
    Panels ContentSwitcher { width: 1fr; height: 1fr; }
    Panels .panel-problem { padding: 1 2; color: $text-error; }
    """

    def __init__(self, registry: Registry, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panels = registry.panels

    def compose(self) -> ComposeResult:
        """The titles, and a place for each panel; without any, a sentence."""
        if not isinstance(self.app, PanelApp):
            raise TypeError(f"panels need an app that is a PanelApp, and {type(self.app).__name__} is none")
        if not self._panels:
            yield Static("No installed package adds a panel. To write one: pgsynth plugins new panel NAME")
            return
        titles = OptionList(*_titles(self._panels), markup=False)
        yield titles
        with ContentSwitcher():
            for number, panel in enumerate(self._panels):
                yield PanelPlace(panel, id=f"panel-{number}")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A title was chosen."""
        event.stop()
        self.show(event.option_index)

    def show(self, number: int) -> None:
        """Show the panel of that number, in the order of the registry; it is opened if it was not."""
        self.query_one(ContentSwitcher).current = f"panel-{number}"
        self.query_one(f"#panel-{number}", PanelPlace).open()


class PanelApp(App[None]):
    """An app that outlives its panels: what their code raises is shown in their place."""

    def _handle_exception(self, error: Exception) -> None:
        # Textual has no public place for this: every exception that nobody caught comes here, from whichever task,
        # and ends the app.
        cause = error.error if isinstance(error, WorkerFailed) else error
        if place := self._guilty(cause):
            place.failed(cause)
        else:
            super()._handle_exception(error)

    def _guilty(self, error: BaseException) -> PanelPlace | None:
        """The place of the panel whose code raised it: found by its widgets, else by its package's modules."""
        frames = list(_frames(error.__traceback__))
        for frame in reversed(frames):  # innermost first
            if place := _place(frame.f_locals.get("self")):
                return place
        modules = {str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame in frames}
        places = [place for screen in self.screen_stack for place in screen.query(PanelPlace)]
        return next((place for place in places if place.package in modules), None)


# ------------------------------------------------------------------------------------------- whose fault
def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _place(involved: object) -> PanelPlace | None:
    """The place of the panel that something is, belongs to or was started by."""
    if isinstance(involved, Worker):
        involved = involved.node
    elif isinstance(involved, Timer):
        with suppress(EventTargetGone):
            involved = involved.target
    nodes = involved.ancestors if isinstance(involved, DOMNode) else ()
    return next((node for node in nodes if isinstance(node, PanelPlace)), None)


def _titles(panels: tuple[Panel, ...]) -> list[str]:
    """What stands in the list: the title, with the package where two have the same."""
    titles = [panel.item.title or panel.item.name for panel in panels]
    uses = Counter(titles)
    return [
        title if uses[title] == 1 else f"{title} ({panel.origin.package})"
        for title, panel in zip(titles, panels, strict=True)
    ]


# ------------------------------------------------------------------------------------------- by themselves
class _Alone(PanelApp):
    """Nothing but panels."""

    TITLE = "pgsynth: panels"

    def compose(self) -> ComposeResult:
        yield Panels(discover())


def main() -> None:
    """Show the panels of everything installed until the user leaves."""
    _Alone().run()


if __name__ == "__main__":
    main()
