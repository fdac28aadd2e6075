"""``pgsynth gallery``: a folder of results as one HTML page to look through, without a server."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from pgsynth_core.cli.arguments import Parser, add_common, at_least, path_given
from pgsynth_core.cli.console import one_line, say, say_json
from pgsynth_core.cli.page_file import add_open, page_place, write_page
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts, tell_note
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError, not_there
from pgsynth_core.runs.durable import amount

__all__ = ["COMMAND"]

_DESCRIPTION = """\
Write one HTML page to look through the pictures of a folder: a grid to filter by source,
pose, seed and run, to order, and to enlarge."""

_EPILOG = """\
The page holds small copies and links the pictures themselves, from where it is: it needs no
network and no server, and goes with its folder. It is light or dark as the reader's system
is, or as its button says. Keys: / to search, arrows, Enter to enlarge, Z closer, Esc back.

examples:
  pgsynth gallery outputs --open
  pgsynth gallery outputs/20260131-120405-qfft-pma -o look.html
  pgsynth gallery outputs --limit 200

Folders within are looked through, too; links to folders and hidden files are not. What made
a picture is read from its stamp (pgsynth sample, edit, interpolate and evaluate write one);
without one, seed, source and pose are read from a name like me-kick-seed0.png, and the run
from its folder. A picture of several photos or poses is chosen by each of them.
The page shows the newest 5,000 pictures unless --limit says otherwise. Its copies are made
smaller, and then left out, where they would be larger than 50 MB together; that is said.

A page that is there is made anew; any other file of that name is never written over.

With --json: ok, file, bytes, pictures, found (how many there are), notes (what was left out
or could not be read), broken."""


def _parser() -> Parser:
    parser = Parser("gallery", _DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("folder", nargs=1, metavar="DIR", help="where the pictures are")
    parser.add_argument("-o", "--output", metavar="FILE.html", help="the page; by default DIR/gallery.html")
    add_open(parser)
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="only the newest N pictures; by default 5000")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.reports.gallery import MADE_BY, MOST_PICTURES, look_through, make_gallery  # numpy and Pillow

    folder = _folder(arguments.folder[0])
    out = page_place(arguments.output, folder / "gallery.html", made_by=MADE_BY)
    with follow("Looking through the folder") as follower:
        found = look_through(folder, arguments.limit or MOST_PICTURES)
        if not found.pictures:
            cure = "Pictures are PNG, JPEG, WebP or GIF; pgsynth sample writes its own to outputs/RUN."
            raise UserError("there is no picture in this folder.", where=str(folder), cure=cure)

        def counted(done: int) -> None:
            follower.on_event({"kind": "count", "doing": "making copies", "done": done, "of": len(found.pictures)})

        page = make_gallery(folder, found, out=out.absolute(), command=_command(arguments), on_picture=counted)
        if not page.pictures:
            cure = "See what is wrong with them: " + " ".join(page.notes[:3])
            raise UserError("no picture in this folder can be read.", where=str(folder), cure=cure)
    write_page(out, page.html, opened=arguments.open)
    if arguments.json:
        facts: dict[str, Any] = {"file": str(out.absolute()), "bytes": page.bytes, "pictures": page.pictures}
        facts |= {"found": found.count, "notes": list(page.notes)}
        say_json({"ok": True, **facts, "broken": broken_facts(session.registry.broken)})
        return 0
    for note in page.notes:
        tell_note(note)
    say(one_line(f"{out}: {amount(page.bytes)}, {page.pictures:,} pictures"))
    return 0


def _folder(given: str) -> Path:
    """The folder that is looked through.

    Raises:
        UserError: If it is none.
    """
    folder = path_given(given, "pgsynth gallery")
    if folder.is_dir():
        return folder
    if folder.exists():
        cure = f"Give the folder it is in: {shlex.quote(str(folder.parent))}."
        raise UserError(f"{given} is no folder.", where="pgsynth gallery", cure=cure)
    raise UserError(f"there is no folder {given}.", where="pgsynth gallery", cure=not_there(folder, wanted=Path.is_dir))


def _command(arguments: argparse.Namespace) -> str:
    """The command as it may be given again."""
    words = ["pgsynth", "gallery", *arguments.folder]
    for flag in ("output", "limit"):
        if (value := getattr(arguments, flag)) is not None:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


COMMAND = Command(_parser, _run, "words:folder_words")
