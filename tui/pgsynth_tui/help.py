"""What can be done in a view, and with which keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from pgsynth_tui.actions import actions_of
from pgsynth_tui.dialogs import Dialog

__all__ = ["Help", "keys_in_words"]


class Help(Dialog[None]):
    """What can be done here, and with which keys.

    Args:
        place: The view.
        text: What it is there for; paragraphs have an empty line between.
        keymap: Keys that the user changed.
    """

    BINDINGS: ClassVar = [Binding("escape,q,question_mark,f1", "dismiss", "Back")]
    DEFAULT_CSS = """
    Help > VerticalScroll { width: 96; padding: 0 1; }
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
            said = f'Keys are changed in tui.toml (pgsynth tui --help says where): [keys], id = "key,key"{where}.'
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
