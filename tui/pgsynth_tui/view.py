"""What every view has: the titles above, what is said below, the footer; and what is too small to show it.

A view shows what stores hold and posts what the user wants. It reads no file and starts no process: that is done by
workers of the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Click
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.widgets._footer import FooterKey  # no public name; Textual is pinned
from textual.worker import Worker

from pgsynth_tui.actions import EVERYWHERE, TYPED, VIEWS, actions_of

if TYPE_CHECKING:
    from pgsynth_tui.app import PgsynthApp

__all__ = ["LEAST", "View"]

_SMALL: Final = 72
"""Columns below which the footer has no room for all its words."""
LEAST = (60, 16)
"""Columns and rows below which nothing can be shown."""


class _Title(Static):
    """The name of a view, to click on."""

    def __init__(self, view: str, number: int, *, here: bool) -> None:
        super().__init__(f"{number} {VIEWS[view]}", classes="here" if here else "", markup=False)
        self._view = view

    async def on_click(self, event: Click) -> None:
        """Go there."""
        event.stop()
        await self.app.run_action(f"view('{self._view}')")


class _Keys(Footer):
    """The footer: at its left what can be done everywhere, which so is there in every terminal; in a small one, with
    its key alone.
    """

    def compose(self) -> ComposeResult:
        """The keys, in that order."""
        names = [action.name for action in actions_of(EVERYWHERE)]
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        everywhere = [key for key in keys if key.action in names]
        for key in everywhere if self.compact else ():
            key.description = ""
        yield from (*everywhere, *(key for key in keys if key not in everywhere))

    def on_resize(self) -> None:
        """In a small terminal they stand closer."""
        if (small := self.app.size.width < _SMALL) != self.compact:
            self.compact = small
            self.call_after_refresh(self.recompose)


class View(Screen[None]):
    """One of the views.

    Attributes:
        PLACE: Its name in the table of actions.
        NARROW: Columns below which less stands side by side.
    """

    PLACE: ClassVar[str] = ""
    NARROW: ClassVar[int] = 100
    AUTO_FOCUS = "DataTable, Log"  # never a search line that is not open: it would swallow every key
    DEFAULT_CSS = """
    View #titles { height: 1; layout: horizontal; background: $panel; }
    View _Title { width: auto; padding: 0 2; color: $text-muted; }
    View.-narrow _Title { padding: 0 1; }
    View _Title.here { background: $primary; color: $background; text-style: bold; }
    View #body { height: 1fr; }
    View #command {
        height: 1; background: $surface; color: $text-muted; padding: 0 1;
        text-overflow: ellipsis; text-wrap: nowrap;
    }
    View #small { display: none; height: 1fr; content-align: center middle; }
    View.-tiny #titles, View.-tiny #body, View.-tiny #command, View.-tiny _Keys { display: none; }
    View.-tiny #small { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Titles, body, the command, the footer."""
        with Container(id="titles"):
            for number, view in enumerate(VIEWS, 1):
                yield _Title(view, number, here=view == self.PLACE)
        with Container(id="body"):
            yield from self.compose_body()
        yield Static("", id="command", markup=False)
        yield Static("", id="small", markup=False)
        yield _Keys(show_command_palette=False)

    def on_mount(self) -> None:
        """It is made once, and stays."""
        self.call_after_refresh(self.ours.settled)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where somebody types, a key is a letter."""
        if action in TYPED and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    def compose_body(self) -> ComposeResult:
        """What the view is there for."""
        yield from ()

    @property
    def ours(self) -> PgsynthApp:
        """The app, with its stores."""
        return cast("PgsynthApp", self.app)

    def on_resize(self) -> None:
        """A terminal that is too small says what it needs."""
        columns, rows = self.app.size
        self.set_class(columns < LEAST[0] or rows < LEAST[1], "-tiny")
        self.set_class(columns < self.NARROW, "-narrow")
        needed = f"{LEAST[0]} columns and {LEAST[1]} rows are needed, here are {columns} and {rows}."
        for small in self.query("#small").results(Static):  # none before it is mounted
            small.update(needed)

    def show_command(self, line: str) -> None:
        """The command line that does what the view shows, or what was just done."""
        for command in self.query("#command").results(Static):
            command.styles.text_overflow = "clip" if self.ours.plain else "ellipsis"  # Textual's is no ASCII
            command.update(f"$ {line}" if line else "", layout=False)

    @property
    def there(self) -> bool:
        """Whether it has its widgets: not before it is mounted, nor while the app ends, when messages still come."""
        return self.is_running and bool(self.query("#body > *"))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker that fails is told: without a word, what it does would just stand still."""
        self.ours.tell_failed(event)

    def on_screen_resume(self) -> None:
        """It is shown again: what happened meanwhile is."""
        if self.there:
            self.changed()

    def changed(self) -> None:
        """The stores have changed; called for the view that is shown only."""
