"""What comes before the view for a moment: a question, a line to be typed, something to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

__all__ = ["Ask", "Checked", "Dialog", "Enter", "Tell"]

Answer = TypeVar("Answer")
"""What a dialog is left with."""


class Dialog(ModalScreen[Answer]):
    """What stands before a view, in a frame; it is left with an answer."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical, Dialog > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 1 2;
    }
    Dialog .title { text-style: bold; }
    Dialog .keys { color: $text-muted; }
    """


Line = str | Callable[[], str]
"""Of a question, or what finds it."""


class _Found(Static):
    """A line that takes a while to find."""

    def __init__(self, find: Callable[[], str]) -> None:
        super().__init__("...", markup=False)
        self._find = find

    @work(thread=True, exit_on_error=False)
    def on_mount(self) -> None:
        """It is found, while the question can be answered."""
        said = self._find()
        self.app.call_later(self._said, said)

    def _said(self, said: str) -> None:
        if self.is_attached:  # it may be answered by now
            self.update(said)


class Ask(Dialog[bool]):
    """A question whose answer is no unless somebody says yes.

    Args:
        title: What would be done.
        lines: What that means; what takes a while to find is a function, called in a thread.
        command: What a user would type for it.
        yes: On the button that does it.
        key: That says yes, too, besides ``y``: what would be pressed if nobody asked; commas between several.
    """

    BINDINGS: ClassVar = [Binding("y", "answer(True)", "Yes"), Binding("n,escape", "answer(False)", "No")]
    DEFAULT_CSS = """
    Ask .command { color: $text-muted; margin: 1 0; }
    Ask Horizontal { height: auto; align-horizontal: right; }
    Ask Button { margin-left: 2; }
    """

    def __init__(
        self, title: str, lines: Sequence[Line] = (), *, command: str = "", yes: str = "Yes", key: str = ""
    ) -> None:
        super().__init__()
        self._title, self._lines, self._command, self._yes, self._key = title, lines, command, yes, key

    def compose(self) -> ComposeResult:
        """The question and two buttons."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            for line in self._lines:
                yield Static(line, markup=False) if isinstance(line, str) else _Found(line)
            if self._command:
                yield Static(f"$ {self._command}", classes="command", markup=False)
            with Horizontal():
                yield Button("No (n)", id="no")
                yield Button(f"{self._yes} (y)", id="yes", variant="primary")

    def on_mount(self) -> None:
        """No is what Enter says."""
        self.query("#no").focus()  # none is there where the app ends meanwhile

    def on_key(self, event: Key) -> None:
        """The key that would do it by itself."""
        if event.key in self._key.split(","):
            event.stop()
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of them was clicked."""
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """A key was pressed."""
        self.dismiss(yes)


class Checked(NamedTuple):
    """What is wrong with a text that is being typed.

    Attributes:
        text: In a sentence; empty if nothing is.
        refused: Whether Enter does not take it.
    """

    text: str = ""
    refused: bool = False


class Enter(Dialog[str | None]):
    """A line to be typed; None if it is left by Escape.

    Args:
        title: What is asked for.
        value: What stands there already.
        lines: What may be written there; a line each.
        check: Says of every text, as it is typed, what is wrong with it.
        command: What a user would type for a text that nothing is wrong with; empty: nothing.
    """

    BINDINGS: ClassVar = [Binding("escape", "dismiss(None)", "Back")]
    DEFAULT_CSS = """
    Enter .wrong { color: $text-error; height: auto; }
    Enter .command { color: $text-muted; height: auto; display: none; }
    """

    def __init__(
        self,
        title: str,
        value: str = "",
        lines: tuple[str, ...] = (),
        *,
        check: Callable[[str], Checked] = lambda text: Checked(),
        command: Callable[[str], str] = lambda text: "",
    ) -> None:
        super().__init__()
        self._title, self._value, self._lines, self._check, self._command = title, value, lines, check, command

    def compose(self) -> ComposeResult:
        """The title, what may be written, the line, what is wrong with it, what it would do."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            for line in self._lines:
                yield Static(line, markup=False)
            yield Input(self._value, id="entry")
            yield Static("", classes="wrong", markup=False)
            yield Static("", classes="command", markup=False)
            yield Static("enter takes it, esc leaves it as it is", classes="keys", markup=False)

    def on_mount(self) -> None:
        """The keys are the line's before it is seen."""
        for entry in self.query(Input):  # none is there where the app ends meanwhile
            self.set_focus(entry)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong with it so far."""
        event.stop()
        text = event.value.strip()
        found = self._check(text)
        command = "" if found.refused else self._command(text)
        wrong, would = (self.query_one(name, Static) for name in (".wrong", ".command"))
        wrong.update(("! " if found.refused else "- ") + found.text if found.text else "")
        would.update(f"$ {command}")
        would.display, wrong.display = bool(command), bool(found.text or not command)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """It is typed."""
        event.stop()
        if self._check(event.value.strip()).refused:
            self.app.bell()
        else:
            self.dismiss(event.value.strip())


class Tell(Dialog[None]):
    """Something to be read whole.

    Args:
        title: What it is about.
        lines: A paragraph each.
    """

    BINDINGS: ClassVar = [Binding("escape,enter,q,i", "dismiss", "Back")]
    DEFAULT_CSS = """
    Tell > Vertical { width: 84; }
    Tell VerticalScroll { height: auto; max-height: 24; }
    Tell .line { margin-top: 1; }
    Tell Button { margin-top: 1; }
    """

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title, self._lines = title, tuple(lines)

    def compose(self) -> ComposeResult:
        """The paragraphs, and a way back."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            with VerticalScroll():
                for line in self._lines:
                    yield Static(line, classes="line", markup=False)
            yield Button("Back (esc)", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """It is read."""
        event.stop()
        self.dismiss()
