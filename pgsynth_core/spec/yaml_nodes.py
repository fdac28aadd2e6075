"""YAML into nodes that know their line: a safe loader's node graph, never its constructed objects.

Nothing here can build an object, follow an alias or read a second document, so neither a ``!!python`` tag nor a
"billion laughs" file can do anything. Everything wrong with values is gathered; only a syntax error ends a file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from pgsynth_core.errors import Problem, not_there
from pgsynth_core.spec.nodes import MAX_DEPTH, Mark, Node, Problems, shortened
from pgsynth_core.spec.scalars import scalar_value

MAX_BYTES: Final = 256 * 1024
"""A spec is a page or two; anything larger is another kind of file given by mistake."""

_PLAIN, _QUOTED, _LIST, _MAP = "plain", "quoted", "list", "mapping"
_TAB_INDENT: Final = re.compile(r" *\t")
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_SHARE: Final = "Write the value out; specs share values through `extends`."


class _Refused(yaml.MarkedYAMLError):
    """Sound YAML that no spec needs."""

    def __init__(self, problem: str, mark: Any, cure: str) -> None:
        super().__init__(problem=problem, problem_mark=mark, note=cure)


class _Loader(yaml.SafeLoader):
    """Composes nodes only, tags each by its form, and refuses what a spec never needs."""

    depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """Called for values without a tag of their own; so any other tag is one that the user wrote."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return _LIST if kind is yaml.SequenceNode else _MAP

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            problem = f"aliases (*{event.anchor}) are not read."
            raise _Refused(problem, event.start_mark, _SHARE)
        if self.depth >= MAX_DEPTH:
            problem = f"values nest deeper than {MAX_DEPTH} levels."
            raise _Refused(problem, event.start_mark, "A spec needs four.")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_file(path: Path, source: str, problems: Problems, *, named_at: Mark | None = None) -> Node | None:
    """The mapping in a YAML file.

    Args:
        path: The file.
        source: What messages call it.
        problems: Gets everything wrong with it.
        named_at: Where another file names it; a file that cannot be read is a mistake there.

    Returns:
        A node whose value is a dict, or None if the file could not be read at all.
    """
    try:
        if (fault := _fault(path)) is None:
            return read_text(path.read_bytes().decode("utf-8-sig"), source, problems)
    except UnicodeDecodeError as error:
        found = f"the file is not UTF-8 text: byte 0x{error.object[error.start]:02x} at position {error.start}."
        fault = found, "Save it as UTF-8."
    except (OSError, ValueError) as error:  # ValueError: a NUL or half a character in the name
        fault = f"the file cannot be read: {getattr(error, 'strerror', None) or error}.", "Check its name."
    message, cure = fault
    problems.add(f"{source}: {message}" if named_at else message, named_at or Mark(source), cure)
    return None


def _fault(path: Path) -> tuple[str, str] | None:
    if path.is_dir():
        return "this is a directory.", "Give a .yaml file."
    if not path.is_file():
        return "there is no such file.", not_there(path, wanted=_is_yaml)
    if path.stat().st_size > MAX_BYTES:
        return f"the file has more than {MAX_BYTES // 1024} KiB.", "A spec is a page or two of YAML."
    return None


def _is_yaml(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml")


def read_text(text: str, source: str, problems: Problems) -> Node | None:
    """The mapping in a YAML text, as `read_file`."""
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        problems.extend([_syntax_problem(error, text, source)], Mark(source, _line(error, text)))
        return None
    if root is None:
        problems.add("the file is empty.", Mark(source), "Write at least one line, e.g. `encoder: NAME`.")
        return None
    node = _converted(root, source, problems)
    if not isinstance(node.value, dict):
        found = f"the file must be a mapping of `key: value` lines; it is {node.said()}."
        problems.add(found, node.mark, "Write e.g. `encoder: NAME`.")
        return None
    return node


# ------------------------------------------------------------------------------------------- nodes
def _converted(node: yaml.Node, source: str, problems: Problems) -> Node:
    mark = _mark(node, source)
    _check_tag(node, mark, problems)
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(node, source, problems), mark)
    if isinstance(node, yaml.SequenceNode):
        return Node(tuple(_converted(item, source, problems) for item in node.value), mark)
    return Node(scalar_value(node.value) if node.tag == _PLAIN else node.value, mark)


def _check_tag(node: yaml.Node, mark: Mark, problems: Problems) -> None:
    if node.tag not in (_PLAIN, _QUOTED, _LIST, _MAP):
        tag = shortened(node.tag.replace("tag:yaml.org,2002:", "!!"))
        problems.add(f"tags are not read: {tag}.", mark, 'Take it out; quotes make text, as in "5".')


def _mapping(node: yaml.MappingNode, source: str, problems: Problems) -> dict[str, Node]:
    kept: dict[str, Node] = {}
    for key_node, value_node in node.value:
        mark = _mark(key_node, source)
        value = _converted(value_node, source, problems)
        _check_tag(key_node, mark, problems)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.add("a key must be a name, not a list or mapping.", mark, "Write `name: value`.")
        elif key_node.value == "<<":
            problems.add("merge keys (<<) are not read.", mark, _SHARE)
        elif key_node.value in kept:
            first = kept[key_node.value].mark.line
            found = f"the key {key_node.value!r} is written twice, on lines {first} and {mark.line}."
            problems.add(found, mark, "Keep one of them.")
        else:
            kept[key_node.value] = Node(value.value, mark)
    return kept


def _mark(node: yaml.Node, source: str) -> Mark:
    return Mark(source, node.start_mark.line + 1, node.start_mark.column + 1)


# ------------------------------------------------------------------------------------------- syntax errors
def _syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    where = str(Mark(source, _line(error, text)))
    if isinstance(error, yaml.reader.ReaderError):
        return Problem(f"there is a character no YAML may hold: {chr(error.character)!r}.", where, "Delete it.")
    problem, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    if tabs := _tab_lines(error, text):
        there = f"line {tabs[0]} has" if len(tabs) == 1 else f"lines {', '.join(map(str, tabs[:8]))} have"
        return Problem(f"{there} a tab where YAML wants spaces.", where, "Replace each tab by spaces.")
    if "found another document" in problem or "single document" in context:
        return Problem("the file holds several documents (---).", where, "Put each spec in a file of its own.")
    if "alias" in context:
        return Problem("a value that begins with * must be in quotes.", where, 'Write e.g. sites: "*:cross".')
    cure = getattr(error, "note", None) or "Check indentation, colons, brackets and quotes there."
    reason = f"not valid YAML: {context + ', ' if context else ''}{problem}." if not problem.endswith(".") else problem
    return Problem(reason, where, cure)


def _line(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, yaml.reader.ReaderError):
        return len(_BREAK.split(text[: error.position]))
    if tabs := _tab_lines(error, text):
        return tabs[0]
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark else 0


def _tab_lines(error: yaml.YAMLError, text: str) -> list[int]:
    """Lines whose tab is the likely cause: YAML's own complaint about a tab often comes in other words, and later."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return []
    lines = _BREAK.split(text)
    if "'\\t'" in (getattr(error, "problem", None) or ""):
        return sorted({mark.line + 1, *_indented(lines)})
    return _indented(lines[: mark.line + 1])


def _indented(lines: list[str]) -> list[int]:
    return [number for number, line in enumerate(lines, 1) if _TAB_INDENT.match(line) and line.strip()]
