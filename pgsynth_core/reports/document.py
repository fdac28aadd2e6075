"""A page as one HTML file: its style and script within it, a policy that forbids all else, a mark of who made it.

`base.css` and `lightbox.js` beside this are what all such pages share.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pgsynth_core.registry import OWN_NAME
from pgsynth_core.reports.markup import Child, Markup, element

__all__ = ["document", "is_document", "lightbox", "made", "resource", "source_hash"]

_BESIDE: Final = Path(__file__).parent
"""Of what pages share."""


def document(*body: Child, title: str, made_by: str, own: Path, pictures: str = "data:") -> str:
    """All of a page: nothing is loaded from anywhere, and no script runs but its own, whatever a file's name holds.

    Args:
        body: What it shows.
        title: Of the window.
        made_by: The command, by which `is_document` knows it again.
        own: The page's own style, to which ``.css`` and ``.js`` are added: its style and its script.
        pictures: Where pictures may come from, as a policy says it; by default only from within the page.
    """
    style = resource(_BESIDE / "base.css") + resource(own.with_suffix(".css"))
    script = resource(_BESIDE / "lightbox.js") + resource(own.with_suffix(".js"))
    policy = f"default-src 'none'; img-src {pictures}; style-src 'unsafe-inline'; script-src {source_hash(script)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    return f"{_mark(made_by)}\n{head}\n{element('body', *body, element('script', Markup(script)))}\n</html>\n"


def lightbox(keys: str, *beside: Child) -> Markup:
    """Where a picture is enlarged; the script fills it.

    Args:
        keys: What they do there.
        beside: What else stands in it.
    """
    shown = element("figure", element("img", alt=""), element("figcaption", element("b", ""), element("small", keys)))
    close = element("button", "×", type="button", aria_label="close", class_="close")
    return element("dialog", close, shown, *beside, id="box", aria_label="enlarged picture")


def is_document(file: Path, made_by: str) -> bool:
    """Whether a file was made here by that command, so that it may be made anew."""
    mark = _mark(made_by).encode()
    try:
        with file.open("rb") as opened:
            return opened.read(len(mark)) == mark
    except OSError:
        return False


def _mark(made_by: str) -> str:
    """How each page begins."""
    return f'<!DOCTYPE html>\n<html lang="en" data-made-by="{made_by}">'


def made() -> str:
    """When a page was made, and by what, in a sentence."""
    return f"Made {datetime.now():%Y-%m-%d %H:%M} by {OWN_NAME} {version(OWN_NAME)}."


def resource(file: Path) -> str:
    """The text of a file of ours."""
    return file.read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """What a policy names a script or a style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
