"""HTML and SVG by construction: every element is closed, and every text that is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["Child", "Markup", "element", "joined", "text"]

_VOID: Final = ("br", "img", "input", "meta")
"""Elements that hold nothing and have no end."""


class Markup(str):
    """Text that is markup already; only this module makes it."""

    __slots__ = ()


Child = str | Iterable[Any] | None
"""What an element holds: text, markup, or several of them, nested as they come."""


def text(words: object) -> Markup:
    """Words as they are read, whatever they hold; what is not shown as itself is written out."""
    said = str(words)
    if not said.isprintable():  # a quick question, also of a picture's megabyte
        said = "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in said)
    return Markup(html.escape(said, quote=True))


def joined(children: Child) -> Markup:
    """Markup as it is, other text escaped, in order; None is nothing."""
    if children is None:
        return Markup()
    if isinstance(children, str):
        return children if isinstance(children, Markup) else text(children)
    return Markup("".join(joined(child) for child in children))


def element(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element with all that it holds.

    Args:
        name: Of the element.
        children: What it holds, see `joined`.
        attributes: A name's underscores become dashes, but for one at its end, which is dropped (``class_``). None and
            False leave it out, True gives it without a value.
    """
    said = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    return Markup(f"<{name}{said}>" if name in _VOID else f"<{name}{said}>{joined(children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'
