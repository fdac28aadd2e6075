"""One check for every value that has a declared type: options of parts, and keys of `train` and `sample`.

Types are taken as written: true is no number, "5" is no 5; only a whole number may stand for a float. What is wrong
comes as `BadValue` with its cure, for the caller to gather.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pgsynth_core.errors import suggestion
from pgsynth_core.manifest import Component, Option
from pgsynth_core.options import SITE
from pgsynth_core.spec.nodes import Node
from pgsynth_core.spec.write import in_one_line

Number = TypeVar("Number", int, float)

TOKENS_TO: Final = "tokens_to"
"""Core option of every encoder that provides `tokens`."""

_TOKENS_TO_OPTION: Final = Option(
    type="str",
    default="cross",
    help="Who reads its tokens: cross (cross-attention), or a port package:name that cross-attention does not see.",
)
_PORT: Final = re.compile(r"[a-z0-9][a-z0-9._-]*:[A-Za-z_]\w*")
_SITE_FORM: Final = "Write NETWORK:self, NETWORK:cross or NETWORK:KIND:GLOB, e.g. denoiser:self:up_blocks.*."
_NOUNS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "path": "a path",
    "choice": "a name",
    "sites": "a site pattern, or a list of them",
}


class BadValue(Exception):
    """A value that its declaration does not allow.

    Attributes:
        message: What was given and what is allowed.
        cure: What to write instead.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


def options_of(component: Component) -> Mapping[str, Option]:
    """Every option a part has in a spec: its own, and core's `tokens_to` if it is an encoder that provides tokens."""
    if component.kind == "encoder" and "tokens" in component.provides:
        return {**component.options, TOKENS_TO: _TOKENS_TO_OPTION}
    return component.options


def default_of(option: Option) -> Any:
    """The option's default, of the very type that a written value would have."""
    value = option.default
    if isinstance(value, list | tuple):
        return tuple(float(item) if option.type == "list[float]" else item for item in value)
    return float(value) if option.type == "float" and isinstance(value, int) else value


def checked(name: str, option: Option, node: Node) -> Any:
    """The value of a node for an option; ints widened to floats, lists to tuples.

    Args:
        name: The option's name; `tokens_to` and site patterns have a form of their own.
        option: Its declaration.
        node: What was written.

    Raises:
        BadValue: If the type, the form, the choice or the range is wrong.
    """
    if node.value is None:
        raise BadValue("there is no value.", f"Leave it out for the default, {in_one_line(option.default)}.")
    if option.type == "sites":
        return _sites(option, node)
    if option.type.startswith("list["):
        item_type = "choice" if option.choices else option.type.removeprefix("list[").removesuffix("]")
        return _list(name, option.model_copy(update={"type": item_type}), node)
    value = _CHECKS[option.type](option, node)
    if name == TOKENS_TO and value != "cross" and not _PORT.fullmatch(value):
        raise BadValue(f"{node.said()} is no port.", "Write cross, or a port as package:name.")
    return value


def _list(name: str, option: Option, node: Node) -> tuple[Any, ...]:
    """`option` is that of an item; its default is still the list's."""
    if isinstance(node.value, str) and option.choices:  # a name can be nothing but a list of one
        return (checked(name, option, node),)
    if not isinstance(node.value, tuple):
        raise _wrong(option, node, f"a list of {_NOUNS[option.type]}", f"Write [{_said_plainly(node)}].")
    return tuple(checked(name, option, item) for item in node.value)


def _said_plainly(node: Node) -> str:
    return "a, b" if isinstance(node.value, dict) else in_one_line(node.value)


def _wrong(option: Option, node: Node, wanted: str, cure: str = "") -> BadValue:
    usual = f"Write {wanted}." if option.default is None else f"The default is {in_one_line(option.default)}."
    return BadValue(f"{node.said()} is not {wanted}.", cure or usual)


# ------------------------------------------------------------------------------------------- one check per type
def _bool(option: Option, node: Node) -> bool:
    if isinstance(node.value, bool):
        return node.value
    word = str(node.value).lower()
    guess = "true" if word in ("on", "yes", "y", "1") else "false" if word in ("off", "no", "n", "0") else ""
    raise _wrong(option, node, _NOUNS["bool"], f"Write {guess}." if guess else "")


def _int(option: Option, node: Node) -> int:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        return _in_range(option, value, node)
    whole = isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 1e15
    raise _wrong(option, node, _NOUNS["int"], f"Write {value:.0f}." if whole else "")


def _float(option: Option, node: Node) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(option, node, _NOUNS["float"])
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(option, node, "a finite number")
    return _in_range(option, number, node)


def _in_range(option: Option, value: Number, node: Node) -> Number:
    low, high = option.ge, option.le
    if (low is None or value >= low) and (high is None or value <= high):
        return value
    bounds = [f"{word} {_short(bound)}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    raise _wrong(option, node, f"in its range: {' and '.join(bounds)}", _inside(option))


def _inside(option: Option) -> str:
    if option.default is not None:
        return ""
    return f"Write e.g. {_short(next(bound for bound in (option.le, option.ge) if bound is not None))}."


def _short(bound: float) -> str:
    return str(int(bound)) if bound.is_integer() else str(bound)


def _str(option: Option, node: Node) -> str:
    if isinstance(node.value, str):
        return node.value
    if node.text is not None:  # typed in a shell, where 7 and "7" look the same
        return node.text
    cure = "" if isinstance(node.value, tuple | dict) else f'Put it in quotes: "{node.said()}".'
    raise _wrong(option, node, _NOUNS[option.type], cure)


def _choice(option: Option, node: Node) -> Any:
    word = node.text if node.text in option.choices else node.value
    for choice in option.choices:
        if type(choice) is type(word) and choice == word:
            return choice
    names = tuple(map(str, option.choices))
    raise BadValue(f"{node.said()} is none of its choices.", suggestion(str(word)[:80], names))


def _sites(option: Option, node: Node) -> str | tuple[str, ...]:
    if isinstance(node.value, str):
        return _site(node)
    if isinstance(node.value, tuple) and node.value:
        return tuple(_site(item) for item in node.value)
    raise _wrong(option, node, _NOUNS["sites"], _SITE_FORM)


def _site(node: Node) -> str:
    if not isinstance(node.value, str) or not SITE.fullmatch(node.value):
        raise BadValue(f"{node.said()} is no site pattern.", _SITE_FORM)
    return node.value


_CHECKS: Final[Mapping[str, Callable[[Option, Node], Any]]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "path": _str,
    "choice": _choice,
}
