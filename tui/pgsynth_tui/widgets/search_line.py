"""The line for words, of which a list shows only what has them; seen while it is typed in, and while it holds some.

A view has one, opens it by an action, hears `Input.Changed` and `Input.Submitted` of it, and closes it with Escape.
"""

from __future__ import annotations

from textual.widgets import Input

__all__ = ["SearchLine"]


class SearchLine(Input):
    """A line that is not there until somebody wants it.

    Args:
        placeholder: What may be typed.
        id: By which the view knows it.
    """

    DEFAULT_CSS = """
    SearchLine { display: none; height: 1; border: none; background: $surface; }
    SearchLine.open { display: block; }
    """

    def __init__(self, placeholder: str, *, id: str) -> None:
        super().__init__(placeholder=placeholder, id=id, compact=True)

    def open(self) -> None:
        """What is typed next goes there."""
        self.add_class("open")
        self.screen.set_focus(self)

    def keep(self) -> None:
        """It is typed; an empty one is seen no more."""
        self.set_class(bool(self.value), "open")

    def shut(self) -> None:
        """Without words, and not seen."""
        self.value = ""
        self.remove_class("open")
