"""Every action: its name, its keys, what it does. From this one table come key bindings, footer, help and palette.

Keys are such that arrive in tmux and every terminal: no Ctrl with A, B, H, I, J, M, O, S, Z or space, nothing that
needs Kitty's protocol. Any can be changed in the settings by its id, ``place.name``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from textual.binding import Binding, BindingType

from pgsynth_core.errors import suggestion

__all__ = ["ACTIONS", "EVERYWHERE", "TYPED", "VIEWS", "Action", "actions_of", "bindings", "keymap_faults"]

EVERYWHERE: Final = "everywhere"
VIEWS: Final[Mapping[str, str]] = {
    "compose": "Compose",
    "runs": "Runs",
    "watch": "Watch",
    "look": "Look",
    "compare": "Compare",
    "plugins": "Plugins",
}
"""The views in order, and their titles; the first is ``1``."""


TYPED: Final = ("filter", "search")
"""Actions after which one goes on typing."""
_AT_ONCE: Final = (*TYPED, "back")
"""Done before the next key is looked at, however fast the keys come: what is typed after them is meant for what they
lead to.
"""


@dataclass(frozen=True)
class Action:
    """Something that can be done.

    Attributes:
        place: The view where it can be done, or `EVERYWHERE`.
        name: Of its method, ``action_<name>``.
        keys: What does it, commas between several.
        label: One or two words, for the footer.
        does: A sentence, for help and palette.
        footer: Whether it stands in the footer, which has room for nine in 80 columns; what is everywhere comes first.
    """

    place: str
    name: str
    keys: str
    label: str
    does: str
    footer: bool = False

    @property
    def id(self) -> str:
        """What it is called in the settings."""
        return f"{self.place}.{self.name.partition('(')[0]}" if "(" not in self.name else f"{self.place}.{self.label}"


ACTIONS: Final = (
    *(
        Action(EVERYWHERE, f"view('{view}')", str(number), view, f"Go to {title}.")
        for number, (view, title) in enumerate(VIEWS.items(), 1)
    ),
    Action(EVERYWHERE, "help", "question_mark,f1", "Help", "Show what can be done here, and the keys.", footer=True),
    Action(EVERYWHERE, "palette", "colon,ctrl+p", "More", "Find an action by words.", footer=True),
    Action(EVERYWHERE, "change_theme", "T", "Theme", "Choose colours: dark, light, high contrast, the terminal's own."),
    Action(EVERYWHERE, "copy_command", "y", "Copy command", "Copy the command line that stands below."),
    Action(EVERYWHERE, "leave", "q", "Quit", "Leave. Whatever trains goes on training.", footer=True),
    Action("compose", "search", "slash", "Find", "Show only choices that have these words.", footer=True),
    Action("compose", "about", "i", "About", "All of the row: what it is, why it does not fit, what mends it."),
    Action("compose", "instead", "r", "Instead", "Take the part in place of what the slot holds, not beside it."),
    Action("compose", "take_out", "delete,backspace", "Take out", "Take a part out; give an option its old value."),
    Action("compose", "inward", "K", "Inward", "Move a link of a chain one place towards the attention itself."),
    Action("compose", "outward", "J", "Outward", "Move a link of a chain one place away from the attention."),
    Action("compose", "undo", "u", "Undo", "Undo the last step."),
    Action("compose", "redo", "U", "Redo", "Do again what was undone."),
    Action("compose", "open", "o", "Open", "Begin with a preset, an ablation, a spec file or the spec of a run."),
    Action("compose", "next_problem", "n", "Problem", "Go to what is wrong."),
    Action("compose", "turn", "v", "Beside", "Problems, difference, spec, ablation, result: the next of them."),
    Action("compose", "vary", "m", "Vary", "Mark several values of an option or slot, for an ablation.", footer=True),
    Action("compose", "write", "w", "Write", "Write the complete spec as a file."),
    Action("compose", "prove", "p", "Prove", "Build it without weights, forward and backward.", footer=True),
    Action(
        "compose",
        "rehearse",
        "R",
        "Rehearse",
        "A few real steps: memory, pace, hours. No run is made.",
        footer=True,
    ),
    Action("compose", "launch", "L", "Launch", "Train it, detached; of an ablation every run.", footer=True),
    Action("compose", "back", "escape", "Back", "Give up what is tried; every choice again, back to the slots."),
    Action("runs", "watch", "enter", "Watch", "Watch the run: curves, log, samples.", footer=True),
    Action(
        "runs",
        "filter",
        "slash",
        "Filter",
        "Show only runs whose name or state has these words; !word: not.",
        footer=True,
    ),
    Action("runs", "mark", "space", "Mark", "Mark the run, to watch or compare several.", footer=True),
    Action("runs", "stop", "x", "Stop", "Have the run finish its step, save and stop; says what is lost.", footer=True),
    Action("runs", "resume", "r", "Resume", "Go on from its last checkpoint; a finished one, further.", footer=True),
    Action("runs", "samples", "s", "Look", "Look at the run's pictures, and at those of the marked runs.", footer=True),
    Action("runs", "compare", "c", "Compare", "Compare the marked runs: what differs, what they scored."),
    Action("runs", "evaluate", "e", "Evaluate", "Score the run, or the marked ones, on test pairs; again: end that."),
    Action("runs", "sweep", "a", "Ablation", "Show only the runs of the same ablation; again: every run."),
    Action("runs", "mark_sweep", "m", "Mark ablation", "Mark the finished runs of the ablation, and no others."),
    Action(
        "runs", "resume_sweep", "R", "Resume ablation", "Go on with the ablation: what is not begun, stopped or failed."
    ),
    Action("runs", "report", "w", "Report", "Write one HTML page of the run, or of the marked ones."),
    Action("runs", "earlier", "K", "Earlier", "Move a run that waits one place forward in the queue."),
    Action("runs", "later", "J", "Later", "Move a run that waits one place back in the queue."),
    Action(
        "runs", "replay", "P", "Replay", "Play what happened in the run again, 60 times as fast, as a run of its own."
    ),
    Action("runs", "remove", "d", "Remove", "Delete the run with everything in it, after asking."),
    Action("runs", "back", "escape", "Back", "Every run again."),
    Action("watch", "log_scale", "l", "Log scale", "Draw the curve over a logarithmic scale, or not.", footer=True),
    Action(
        "watch",
        "smoother",
        "plus,equals_sign",
        "Smoother",
        "Smooth the curve more; the values stay faint behind it.",
        footer=True,
    ),
    Action("watch", "rougher", "minus", "Rougher", "Smooth the curve less."),
    Action(
        "watch",
        "next_number",
        "n",
        "Number",
        "Draw another number: loss, its terms, gradient norm, learning rate.",
        footer=True,
    ),
    Action("watch", "samples", "s", "Look", "Look at the pictures of these runs.", footer=True),
    Action("watch", "pause", "p", "Pause", "Stop drawing anew, or go on.", footer=True),
    Action("watch", "back", "escape", "Back", "Go back to the runs."),
    Action("plugins", "filter", "slash", "Filter", "Show only what has these words.", footer=True),
    Action("plugins", "check", "c", "Check", "Run the conformance kit over the part: minutes.", footer=True),
    Action("plugins", "install", "i", "Install", "Install a package, after a look at what changes.", footer=True),
    Action("plugins", "uninstall", "u", "Uninstall", "Take the package out again, after asking."),
    Action("plugins", "switch", "e", "On/off", "Leave the package out of everything, or take it in again."),
    Action("plugins", "panels", "v", "Panels", "Show the panels that packages bring.", footer=True),
    Action("plugins", "back", "escape", "Back", "Everything again, or back from the panels."),
    Action(
        "compare", "identical", "equals_sign", "Identical", "Show settings that are the same, too, or not.", footer=True
    ),
    Action(
        "compare",
        "differences",
        "d",
        "Differences",
        "How far each is from the first, with 95 % intervals; the values again.",
        footer=True,
    ),
    Action("compare", "pairs", "s,enter", "Pairs", "Look at the same pairs, drawn by each run.", footer=True),
    Action("compare", "copy_markdown", "c", "Markdown", "Copy the table as Markdown.", footer=True),
    Action("compare", "copy_latex", "C", "LaTeX", "Copy the table as LaTeX.", footer=True),
    Action("compare", "report", "w", "Report", "Write one HTML page of these runs: numbers, curves, pictures."),
    Action("compare", "back", "escape", "Back", "Go back to the runs."),
    Action("look", "earlier", "left,h", "Earlier", "What was drawn a step earlier, of all runs.", footer=True),
    Action("look", "later", "right,l", "Later", "What was drawn a step later, of all runs.", footer=True),
    Action("look", "first", "home,left_square_bracket", "First", "What was drawn first."),
    Action("look", "newest", "end,right_square_bracket", "Newest", "What was drawn last, and what comes."),
    Action("look", "down", "down,j", "Next pair", "Point at the next pair."),
    Action("look", "up", "up,k", "Pair before", "Point at the pair before."),
    Action("look", "page_down", "pagedown", "Next pairs", "As many pairs on as are shown; so does the wheel."),
    Action("look", "page_up", "pageup", "Pairs before", "As many pairs back as are shown."),
    Action("look", "next_tile", "tab", "Next tile", "Point at the tile at the right; also at what has no room."),
    Action("look", "previous_tile", "shift+tab", "Tile before", "Point at the tile at the left."),
    Action(
        "look", "whole", "enter,z", "Zoom", "One tile takes all the room, or all again; so does a click.", footer=True
    ),
    Action("look", "apart", "d", "Difference", "Show how outputs differ from the target, or them.", footer=True),
    Action("look", "kind", "e", "Kind", "Look at samples, or at each evaluation."),
    Action("look", "open", "o", "Open", "Open the file in your own viewer; over SSH, copy its path.", footer=True),
    Action("look", "larger", "plus,equals_sign", "Larger", "Fewer and larger tiles."),
    Action("look", "smaller", "minus", "Smaller", "More and smaller tiles."),
    Action("look", "images", "i", "Images", "Draw in half blocks, letters, or by Kitty's protocol."),
    Action("look", "back", "escape", "Back", "All tiles again; from there back to the runs."),
)


def actions_of(place: str) -> tuple[Action, ...]:
    """What can be done in a view, then what can be done everywhere."""
    return tuple(action for at in (place, EVERYWHERE) for action in ACTIONS if action.place == at)


def bindings(place: str) -> list[BindingType]:
    """The actions of one place, as Textual takes them."""
    return [
        Binding(
            action.keys,
            action.name,
            action.label,
            show=action.footer,
            tooltip=action.does,
            id=action.id,
            priority=action.name in _AT_ONCE,
        )
        for action in ACTIONS
        if action.place == place
    ]


def keymap_faults(keymap: Mapping[str, str]) -> list[str]:
    """A sentence for each id of the settings that is no action's."""
    known = tuple(action.id for action in ACTIONS)
    return [
        f"keys: there is no action {name!r}. {suggestion(name, known, what='actions')}"
        for name in keymap
        if name not in known
    ]
