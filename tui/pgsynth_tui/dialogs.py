"""What comes before the view for a moment: a question, and the help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, DataTable, Input, Static

from pgsynth_tui.actions import EVERYWHERE, actions_of

__all__ = ["Ask", "Enter", "Help", "keys_in_words"]


class Ask(ModalScreen[bool]):
    """A question whose answer is no unless somebody says yes.

    Args:
        title: What would be done.
        lines: What that means; a line each.
        command: What a user would type for it.
        yes: On the button that does it.
    """

    BINDINGS: ClassVar = [Binding("y", "answer(True)", "Yes"), Binding("n,escape", "answer(False)", "No")]
    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 1 2;
    }
    Ask .title { text-style: bold; }
    Ask .command { color: $text-muted; margin: 1 0; }
    Ask Horizontal { height: auto; align-horizontal: right; }
    Ask Button { margin-left: 2; }
    """

    def __init__(self, title: str, lines: tuple[str, ...] = (), *, command: str = "", yes: str = "Yes") -> None:
        super().__init__()
        self._title, self._lines, self._command, self._yes = title, lines, command, yes

    def compose(self) -> ComposeResult:
        """The question and two buttons."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            for line in self._lines:
                yield Static(line, markup=False)
            if self._command:
                yield Static(f"$ {self._command}", classes="command", markup=False)
            with Horizontal():
                yield Button("No (n)", id="no")
                yield Button(f"{self._yes} (y)", id="yes", variant="primary")

    def on_mount(self) -> None:
        """No is what Enter says."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of them was clicked."""
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """A key was pressed."""
        self.dismiss(yes)


class Enter(ModalScreen[str]):
    """A line to be typed; nothing is typed if it is left by Escape.

    Args:
        title: What is asked for.
        value: What stands there already.
    """

    BINDINGS: ClassVar = [Binding("escape", "dismiss('')", "Back")]
    DEFAULT_CSS = """
    Enter { align: center middle; }
    Enter > Vertical {
        width: 76; max-width: 96%; height: auto; background: $surface; border: thick $primary; padding: 1 2;
    }
    """

    def __init__(self, title: str, value: str = "") -> None:
        super().__init__()
        self._title, self._value = title, value

    def compose(self) -> ComposeResult:
        """The title and the line."""
        with Vertical():
            yield Static(self._title, markup=False)
            yield Input(self._value, id="entry")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """It is typed."""
        event.stop()
        self.dismiss(event.value.strip())


class Help(ModalScreen[None]):
    """What can be done here, and with which keys.

    Args:
        place: The view.
        text: What it is there for.
        keymap: Keys that the user changed.
    """

    BINDINGS: ClassVar = [Binding("escape,q,question_mark,f1", "dismiss", "Back")]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Vertical {
        width: 96; max-width: 96%; height: 90%;
        background: $surface; border: thick $primary; padding: 1 2;
    }
    Help Static { margin-bottom: 1; }
    Help DataTable { height: auto; background: $surface; }
    """

    def __init__(self, place: str, text: str, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._place, self._text, self._keymap = place, text, keymap

    def compose(self) -> ComposeResult:
        """The text, and a table."""
        with Vertical(), VerticalScroll():
            yield Static(self._text, markup=False)
            table: DataTable[str] = DataTable(cursor_type="row", show_cursor=False)
            table.add_columns("keys", "what they do", "id")
            for action in actions_of(self._place):
                keys = keys_in_words(self._keymap.get(action.id, action.keys))
                where = "" if action.place != EVERYWHERE else " (everywhere)"
                table.add_row(keys, f"{action.does}{where}", action.id)
            yield table
            yield Static(
                'Keys are changed in tui.toml, beside your other settings: [keys] and lines of id = "key,key".',
                markup=False,
            )


_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
}


def keys_in_words(keys: str) -> str:
    """Keys as they stand on a keyboard: ``? f1``."""
    return " ".join(_NAMES.get(key.strip(), key.strip()) for key in keys.split(","))
