"""What comes before the view for a moment: a question, and the help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from pgsynth_tui.actions import actions_of

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
    Help > VerticalScroll {
        width: 96; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 0 1;
    }
    Help Static { margin: 0 1 1 0; }
    """

    def __init__(self, place: str, text: str, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._place, self._text, self._keymap = place, text, keymap

    def compose(self) -> ComposeResult:
        """The text, and a table."""
        with VerticalScroll():
            for paragraph in self._text.split("\n\n"):
                yield Static(" ".join(paragraph.split()), markup=False)
            yield Static(self._table())
            where = "" if self._wide else "; a wider terminal shows the ids"
            said = (
                f'Keys are changed in tui.toml, beside your other settings: [keys] and lines of id = "key,key"{where}.'
            )
            yield Static(said, markup=False)

    @property
    def _wide(self) -> bool:
        """Whether there is room for what only few look for."""
        return self.app.size.width >= 100

    def _table(self) -> Table:
        """Keys, what they do, what they are called; long sentences go on below."""
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
        table.add_column("keys", min_width=6)
        table.add_column("what they do", ratio=1)
        if self._wide:
            table.add_column("id", style="dim")
        place = self._place
        for action in actions_of(self._place):
            if action.place != place:
                place = action.place
                table.add_row("")
                table.add_row("", Text("everywhere", style="bold"))
            keys = keys_in_words(self._keymap.get(action.id, action.keys))
            row = (Text(keys, style="bold"), Text(action.does), Text(action.id))
            table.add_row(*row[: len(table.columns)])
        return table


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
