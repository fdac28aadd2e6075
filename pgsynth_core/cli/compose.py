"""``pgsynth compose``: resolve a method, check that its parts fit, prove it, describe it, write it down."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.api import Composition, compose
from pgsynth_core.api.describe import Node
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common
from pgsynth_core.cli.console import (
    Stream,
    Table,
    draw_table,
    is_terminal,
    progress,
    rich_console,
    say,
    say_json,
    tell,
    visible,
    write,
)
from pgsynth_core.cli.questions import answer, is_question
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.cli.write import Target
from pgsynth_core.errors import Problem
from pgsynth_core.spec import SPEC_KEYS, is_path

if TYPE_CHECKING:
    from pgsynth_core.composition.proof import Proof

__all__ = ["COMMAND"]

_STDOUT = "-"

_DESCRIPTION = """\
Resolve a method, check that its parts fit, prove it on the meta device without reading
weights, and describe it."""

_EPILOG = """\
words, in any order with the flags:
  SPEC                 a preset, or a path: ends in .yaml or .yml, or holds a /
  SLOT=NAME            SLOT is base, encoder, pose, attn or data; none empties it;
                       several parts: NAME+NAME, the first is innermost
  SLOT.PART.OPTION=V   an option of a part
  SECTION.KEY=V        a setting of train or sample
  size=HxW  fit=F      height x width in pixels; fit is squash, pad or crop
  PATH=?               asks what may be written there

Values are YAML: 1e-4, true, text, [a, b]. The shell wants quotes around * ? [ ].

examples:
  pgsynth compose encoder=qfft attn=pma         on the default base and pose branch
  pgsynth compose qen attn.pma.mask=eq9         a preset, changed
  pgsynth compose method.yaml --explain         where every value comes from
  pgsynth compose tiny -o method.yaml           the complete spec as a file
  pgsynth compose qen -o - --no-proof           on stdout, the tree on stderr
  pgsynth compose 'encoder=?'                   which encoders there are
  pgsynth compose 'attn.pma.mask=?'             what an option takes

With --json: ok, size, fit, parts, axes, links, adapters, data_ports, notes, proof
(without --no-proof), spec, lock, warnings, broken; explain (path, value, origin) and
written where asked for. Memory is in bytes, sizes are [height, width]."""


def _parser() -> Parser:
    parser = Parser(
        "compose",
        _DESCRIPTION,
        epilog=_EPILOG,
        override_keys=SPEC_KEYS,
    )
    parser.usage = "pgsynth compose [SPEC] [key=value ...] [flags]"
    parser.add_argument("words", nargs="*", metavar="SPEC, key=value", help="what to compose, see below")
    parser.add_argument(
        "--no-proof", action="store_true", help="stop after the contract check, before torch is imported"
    )
    parser.add_argument(
        "--adapt", action="store_true", help="take the linear adapters proposed where only widths differ"
    )
    parser.add_argument("--explain", action="store_true", help="print every value and where it comes from; no proof")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the complete spec as YAML; - is stdout")
    parser.add_argument("--force", action="store_true", help="let -o replace a file that holds something else")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if questions := [word for word in arguments.words if is_question(word)]:
        answer(questions, session.registry, json=arguments.json)
        return 0
    source, overrides = split_words(arguments.words)
    target = _target(arguments)
    if target:
        target.check_place()
    composed = compose(source, *overrides, adapt=arguments.adapt, registry=session.registry)
    text = composed.to_yaml()
    if target:
        target.check_content(text)
    for sentence in composed.warnings:
        tell_warning(sentence)
    proving = not (arguments.no_proof or arguments.explain)
    if proving:  # that it can be trained here
        composed.require_libraries()
    for sentence in composed.notes:
        tell_note(sentence)
    proof = None
    if proving:
        with progress("Proving it on the meta device; importing torch takes most of the time"):
            proof = composed.proof()
            composed.memory()  # which the description says
    if target:
        target.write(text)
        tell(f"wrote {visible(target.given)}")
    _show(composed, proof, arguments, session)
    return 0


def split_words(words: Sequence[str]) -> tuple[str | Path | None, tuple[str, ...]]:
    """The spec, if one is given, and the overrides in order.

    Raises:
        ArgumentsError: If there are two specs.
    """
    specs = [word for word in words if _is_spec(word)]
    if len(specs) > 1:
        message = f"two specs are given: {' and '.join(map(repr, specs))}; a composition has one."
        cure = "Join parts by +, e.g. encoder=qfft+clip; a spec builds on another by `extends:` in its file."
        raise ArgumentsError([Problem(message, "pgsynth compose", cure)])
    spec = next(iter(specs), None)
    overrides = tuple(word for word in words if not _is_spec(word))
    return (Path(spec) if spec and "=" in spec else spec), overrides


def _is_spec(word: str) -> bool:
    before, equals, _ = word.partition("=")
    if not equals:
        return True
    try:
        return is_path(before) and Path(word).is_file()  # a file may have `=` in its name
    except OSError:
        return False


def _target(arguments: argparse.Namespace) -> Target | None:
    if arguments.output is None:
        if arguments.force:
            raise ArgumentsError("--force says what -o may do.", where="pgsynth compose", cure="Add -o FILE.")
        return None
    if arguments.output == _STDOUT:
        if arguments.json:
            message = "--json and -o - both want stdout."
            raise ArgumentsError(message, where="pgsynth compose", cure="Write the spec to a file: -o FILE.")
        return None
    return Target(arguments.output, force=arguments.force)


def _show(composed: Composition, proof: Proof | None, arguments: argparse.Namespace, session: Session) -> None:
    rows = composed.explain() if arguments.explain else ()
    if arguments.json:
        say_json(_facts(composed, proof, arguments, session))
        return
    to_stdout = arguments.output == _STDOUT
    if to_stdout:
        say(composed.to_yaml().rstrip("\n"))
    if not arguments.explain:
        _draw(composed.tree(proof), "stderr" if to_stdout else "stdout")
        return
    cells = [(path, str(value), origin) for path, value, origin in rows]
    draw_table(Table("", ("path", "value", "from"), cells), "stderr" if to_stdout else "stdout")


def _draw(node: Node, stream: Stream) -> None:
    """The description: on a terminal fitted to its width, elsewhere one line a node, for ``grep`` and for files."""
    if not is_terminal(stream):
        write(visible(node.text_block()), stream)
        return
    from rich.text import Text
    from rich.tree import Tree

    def grown(node: Node, style: str) -> Tree:
        tree = Tree(Text(visible(node.text), style=style), guide_style="dim")
        tree.children.extend(grown(child, "bold" if child.children else "") for child in node.children)
        return tree

    rich_console(stream).print(grown(node, "bold cyan"))


def _facts(
    composed: Composition, proof: Proof | None, arguments: argparse.Namespace, session: Session
) -> dict[str, Any]:
    facts = {"ok": True, **composed.facts(proof), "spec": composed.spec.to_mapping(), "lock": composed.lock()}
    facts |= {"warnings": list(composed.warnings), "broken": broken_facts(session.registry.broken)}
    if arguments.explain:
        facts["explain"] = [
            {"path": path, "value": value, "origin": origin} for path, value, origin in composed.explain()
        ]
    if arguments.output is not None:
        facts["written"] = str(Path(arguments.output).resolve())
    return facts


COMMAND = Command(_parser, _run, "words:method_words")
