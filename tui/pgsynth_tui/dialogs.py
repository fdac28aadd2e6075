"""What comes before the view for a moment: a question, and the help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static

from pgsynth_tui.actions import actions_of

__all__ = ["Ask", "Checked", "Choose", "Enter", "Help", "Item", "Tell", "keys_in_words"]


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


class Checked(NamedTuple):
    """What is wrong with a text that is being typed.

    Attributes:
        text: In a sentence; empty if nothing is.
        refused: Whether Enter does not take it.
    """

    text: str = ""
    refused: bool = False


class Enter(ModalScreen[str | None]):
    """A line to be typed; None if it is left by Escape.

    Args:
        title: What is asked for.
        value: What stands there already.
        lines: What may be written there; a line each.
        check: Says of every text, as it is typed, what is wrong with it.
    """

    BINDINGS: ClassVar = [Binding("escape", "dismiss(None)", "Back")]
    DEFAULT_CSS = """
    Enter { align: center middle; }
    Enter > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 1 2;
    }
    Enter .title { text-style: bold; }
    Enter .wrong { color: $text-error; height: auto; }
    Enter .keys { color: $text-muted; }
    """

    def __init__(
        self,
        title: str,
        value: str = "",
        lines: tuple[str, ...] = (),
        *,
        check: Callable[[str], Checked] = lambda text: Checked(),
    ) -> None:
        super().__init__()
        self._title, self._value, self._lines, self._check = title, value, lines, check

    def compose(self) -> ComposeResult:
        """The title, what may be written, the line, what is wrong with it."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            for line in self._lines:
                yield Static(line, markup=False)
            yield Input(self._value, id="entry")
            yield Static("", classes="wrong", markup=False)
            yield Static("enter takes it, esc leaves it as it is", classes="keys", markup=False)

    def on_mount(self) -> None:
        """The keys are the line's before it is seen."""
        self.set_focus(self.query_one(Input))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong with it so far."""
        event.stop()
        found = self._check(event.value.strip())
        self.query_one(".wrong", Static).update(("! " if found.refused else "- ") + found.text if found.text else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """It is typed."""
        event.stop()
        if self._check(event.value.strip()).refused:
            self.app.bell()
        else:
            self.dismiss(event.value.strip())


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


class Choose(ModalScreen[str | None]):
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
    Choose { align: center middle; }
    Choose > Vertical {
        width: 84; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 0 1;
    }
    Choose .title { text-style: bold; }
    Choose Input { height: 1; border: none; }
    Choose OptionList {
        height: auto; max-height: 12; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis;
    }
    Choose OptionList > .option-list--option-highlighted {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    Choose .about { height: auto; max-height: 5; color: $text-muted; }
    Choose .keys { color: $text-muted; }
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
        self.query_one(OptionList).can_focus = False  # the keys go to the line, which hands them on
        self.set_focus(self.query_one(Input))
        self._draw()
        at = next((number for number, item in enumerate(self._shown) if item.value in self._current), 0)
        self.query_one(OptionList).highlighted = at if self._shown else None

    def _draw(self) -> None:
        words = self.query_one(Input).value.lower().split()
        found = [
            item
            for item in self._items
            if all(word in f"{item.name} {item.value} {item.about}".lower() for word in words)
        ]
        in_name = [all(word in (item.name or item.value).lower() for word in words) for item in found]
        named = [item for item, here in zip(found, in_name, strict=True) if here]
        self._shown = (*named, *(item for item, here in zip(found, in_name, strict=True) if not here))
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


class Tell(ModalScreen[None]):
    """Something to be read whole.

    Args:
        title: What it is about.
        lines: A paragraph each.
    """

    BINDINGS: ClassVar = [Binding("escape,enter,q,i", "dismiss", "Back")]
    DEFAULT_CSS = """
    Tell { align: center middle; }
    Tell > Vertical {
        width: 84; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: thick $primary; padding: 1 2;
    }
    Tell VerticalScroll { height: auto; max-height: 24; }
    Tell .title { text-style: bold; }
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


class Help(ModalScreen[None]):
    """What can be done here, and with which keys.

    Args:
        place: The view.
        text: What it is there for; paragraphs have an empty line between.
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
