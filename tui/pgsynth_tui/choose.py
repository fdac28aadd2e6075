"""Choosing from a list: one, or several that are marked; what is typed leaves only those that have its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static

from pgsynth_tui.dialogs import Dialog
from pgsynth_tui.words import found

__all__ = ["Choose", "Item"]


@dataclass(frozen=True)
class Item:
    """One of several to choose from.

    Attributes:
        value: The answer, if it is taken.
        name: As it is shown; the value if empty.
        about: A sentence on it.
        dim: Whether it can be taken, but something speaks against it: `about` says what.
        chosen: Whether it is what stands there now, or among it.
    """

    value: str
    name: str = ""
    about: str = ""
    dim: bool = False
    chosen: bool = False


class _Words(Input):
    """The line for words; where several are marked, a space is no part of them."""

    marking = False

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the key is typed."""
        return not (self.marking and key == "space") and super().check_consume_key(key, character)


class Choose(Dialog[str | None]):
    """One of a list, or several; None if it is left by Escape. What is typed leaves only those that have its words.

    Args:
        title: What is chosen.
        items: From which.
        lines: What it is about; a line each.
        several: Space marks, Enter takes all that are marked, in the list's order, with commas between.
        free: What else may be typed, in a few words; empty if only what is listed can be taken.
    """

    BINDINGS: ClassVar = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("up", "move('up')", show=False),
        Binding("down", "move('down')", show=False),
        Binding("pageup", "move('page_up')", show=False),
        Binding("pagedown", "move('page_down')", show=False),
        Binding("space", "mark", show=False, priority=True),
        Binding("enter", "take", show=False),
    ]
    DEFAULT_CSS = """
    Choose > Vertical { width: 84; padding: 0 1; }
    Choose Input { height: 1; border: none; }
    Choose OptionList {
        height: auto; max-height: 12; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis;
    }
    Choose OptionList > .option-list--option-highlighted {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    Choose .about { height: auto; max-height: 5; color: $text-muted; }
    """

    def __init__(
        self,
        title: str,
        items: Sequence[Item],
        lines: tuple[str, ...] = (),
        *,
        several: bool = False,
        free: str = "",
    ) -> None:
        super().__init__()
        self._title, self._items, self._lines, self._several, self._free = title, tuple(items), lines, several, free
        self._current = [item.value for item in self._items if item.chosen]
        self._shown: tuple[Item, ...] = ()

    def compose(self) -> ComposeResult:
        """The title, a line for words, the list, a sentence on what is under the cursor."""
        keys = "space marks, enter takes what is marked" if self._several else "enter takes it"
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            for line in self._lines:
                yield Static(line, markup=False)
            words = _Words(placeholder=f"type to find{', or ' + self._free if self._free else ''}", compact=True)
            words.marking = self._several
            yield words
            yield OptionList(compact=True)
            yield Static("", classes="about", markup=False)
            yield Static(f"{keys}, esc leaves it as it is", classes="keys", markup=False)

    def on_mount(self) -> None:
        """All of them, the cursor on what is chosen now."""
        if not all(self.query(one) for one in ("Input", "OptionList", ".about")):  # the app ends meanwhile
            return
        self.query_one(OptionList).can_focus = False  # the keys go to the line, which hands them on
        self.set_focus(self.query_one(Input))
        self._draw()
        at = next((number for number, item in enumerate(self._shown) if item.value in self._current), 0)
        self.query_one(OptionList).highlighted = at if self._shown else None

    def _draw(self) -> None:
        words = self.query_one(Input).value
        self._shown = found(
            self._items, words, lambda one: one.name or one.value, lambda one: f"{one.value} {one.about}"
        )
        width = max((len(item.name or item.value) for item in self._items), default=0)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([self._row(item, min(width, 34)) for item in self._shown])
        options.highlighted = 0 if self._shown else None
        self._say()

    def _row(self, item: Item, width: int) -> Text:
        sign = "* " if item.value in self._current else "  "
        if self._several:
            sign = "[x] " if item.value in self._current else "[ ] "
        style = "bold" if item.value in self._current else "dim" if item.dim else ""
        return Text(f"{sign}{item.name or item.value:<{width}}  {item.about}", style=style)

    def _at(self) -> Item | None:
        at = self.query_one(OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def _say(self) -> None:
        item = self._at()
        nothing = (
            f"nothing has these words; enter takes what is typed: {self._free}" if self._free else "nothing has it"
        )
        self.query_one(".about", Static).update(item.about if item else nothing)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another is under the cursor."""
        event.stop()
        self._say()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """One was clicked."""
        event.stop()
        self.query_one(OptionList).highlighted = event.option_index
        self.query_one(Input).focus()
        if self._several:
            self.action_mark()
        else:
            self.action_take()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Words are typed."""
        event.stop()
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter, on the line that has the keys."""
        event.stop()
        self.action_take()

    def action_take(self) -> None:
        """Take what is under the cursor, or all that is marked, or what is typed."""
        item, typed = self._at(), self.query_one(Input).value.strip()
        if self._several:
            self.dismiss(",".join(one.value for one in self._items if one.value in self._current))
        elif self._free and typed and not any(typed == one.value for one in self._shown) and _is_path(typed):
            self.dismiss(typed)
        elif item:
            self.dismiss(item.value)
        elif self._free and typed:
            self.dismiss(typed)
        else:
            self.app.bell()

    def action_move(self, way: str) -> None:
        """The cursor moves through the list, whatever is typed."""
        getattr(self.query_one(OptionList), f"action_{'cursor_' if way in ('up', 'down') else ''}{way}")()

    def action_mark(self) -> None:
        """Mark what is under the cursor, or take the mark away."""
        item, options = self._at(), self.query_one(OptionList)
        if item and self._several:
            self._current.remove(item.value) if item.value in self._current else self._current.append(item.value)
            at = options.highlighted
            self._draw()
            options.highlighted = at


def _is_path(text: str) -> bool:
    """Whether it can only be meant as a file, whatever is found by its letters."""
    return "/" in text or text.endswith((".yaml", ".yml"))
