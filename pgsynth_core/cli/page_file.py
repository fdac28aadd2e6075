"""Where a command's HTML page goes, what it never replaces, and showing it."""

from __future__ import annotations

import shlex
import webbrowser
from pathlib import Path
from typing import Final

from pgsynth_core.cli.arguments import Parser, path_given
from pgsynth_core.cli.report import tell_warning
from pgsynth_core.errors import UserError
from pgsynth_core.runs import refusing, require_writable
from pgsynth_core.runs.durable import replace_text

__all__ = ["add_open", "page_place", "write_page"]

_SUFFIXES: Final = (".html", ".htm")


def add_open(parser: Parser) -> None:
    """The flag that shows a page."""
    parser.add_argument("--open", action="store_true", help="open it in the browser")


def page_place(given: str | None, default: Path, *, made_by: str) -> Path:
    """Where the page goes; a place that cannot be written is told before the work is done.

    Args:
        given: By -o.
        default: Without that.
        made_by: The command that makes it: only a page of its own is made anew.

    Raises:
        UserError: If that is a folder, or a file that is no such page, or cannot be written.
    """
    from pgsynth_core.reports.document import is_document

    out = path_given(given, "-o") if given else default
    if out.is_dir():
        cure = f"Name a file in it: -o {shlex.quote(str(out / default.name))}."
        raise UserError(f"{out} is a folder.", where="-o", cure=cure)
    if out.suffix.lower() not in _SUFFIXES:
        cure = f"Write -o {shlex.quote(f'{out.name}.html')}."
        raise UserError(f"{out.name!r} does not end in .html, so that no browser would show it.", where="-o", cure=cure)
    if out.exists() and not is_document(out, made_by):
        message = f"{out} is there, and is no page that {made_by} made."
        raise UserError(message, where="-o", cure="Give another name; nothing was written.")
    require_writable(out.parent, "the page cannot be written here", elsewhere="-o FILE.html")
    return out


def write_page(out: Path, html: str, *, opened: bool) -> None:
    """Write it whole, make its folder, and show it in the browser if that is asked for.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("the page cannot be written", out, elsewhere="-o FILE.html"):
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_text(out, html)
    if opened and not webbrowser.open(out.absolute().as_uri()):
        tell_warning(f"there is no browser here to open {out} with.")
