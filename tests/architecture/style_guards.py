"""Conventions of form: sizes, annotations, docstrings, errors with text. Each guard reads one file."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .tree import Finding, Function, Source, decorators, dotted, functions, methods

FILE_LINES = 600
FUNCTION_LINES = 80
POSITIONAL = 5
WORDS_OF_A_SENTENCE = 3
SIGNALS = {"KeyboardInterrupt", "StopAsyncIteration", "StopIteration"}  # for the program, not for people


def short_files(source: Source) -> Iterator[Finding]:
    """One file, one idea."""
    if (lines := len(source.text.splitlines())) > FILE_LINES:
        yield Finding(source.path, lines, f"{lines} lines; at most {FILE_LINES} (aim at 400): split it by idea")


def short_functions(source: Source) -> Iterator[Finding]:
    """A function fits on a screen or two."""
    for node in functions(source.tree):
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES:
            yield source.finding(node, f"{node.name}: {lines} lines; at most {FUNCTION_LINES} (aim at 60): split it")


def few_positional(source: Source) -> Iterator[Finding]:
    """Long positional calls bind the wrong thing in silence."""
    bound = methods(source.tree)
    for node in functions(source.tree):
        count = len(node.args.posonlyargs) + len(node.args.args) - (node in bound)
        if count > POSITIONAL:
            cure = "make the rest keyword-only, or one frozen dataclass"
            yield source.finding(node, f"{node.name}: {count} positional parameters; at most {POSITIONAL}: {cure}")


def annotated(source: Source) -> Iterator[Finding]:
    """Every parameter and every return value has a type."""
    bound = methods(source.tree)
    for node in functions(source.tree):
        named = [*node.args.posonlyargs, *node.args.args][int(node in bound) :]
        rest = [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        for argument in (*named, *node.args.kwonlyargs, *rest):
            if argument.annotation is None:
                yield source.finding(argument, f"{node.name}: parameter {argument.arg} has no type: annotate it")
        if node.returns is None:
            yield source.finding(node, f"{node.name}: the return value has no type: annotate it (-> None if nothing)")


def postponed_annotations(source: Source) -> Iterator[Finding]:
    """One meaning of annotations everywhere."""
    imports = (node for node in source.tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__")
    if any(alias.name == "annotations" for node in imports for alias in node.names):
        return
    if any(isinstance(node, Function | ast.ClassDef | ast.AnnAssign) for node in ast.walk(source.tree)):
        yield Finding(source.path, 1, "write `from __future__ import annotations` below the docstring")


def documented(source: Source) -> Iterator[Finding]:
    """Every module says why it is there; every public class, function and method says what it is for."""
    if not _is_sentence(ast.get_docstring(source.tree)):
        yield Finding(source.path, 1, "the module has no docstring: give its reason in a sentence")
    yield from _undocumented(source, source.tree.body)


def _undocumented(source: Source, body: list[ast.stmt], owner: str = "") -> Iterator[Finding]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _undocumented(source, [*node.body, *node.orelse], owner)
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if {"overload", "override", "setter"} & decorators(node):
            continue
        if not _is_sentence(ast.get_docstring(node)):
            yield source.finding(node, f"{owner}{node.name} is public and has no docstring: say what it is for")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node.body, f"{owner}{node.name}.")


def _is_sentence(docstring: str | None) -> bool:
    return docstring is not None and len(docstring.split()) >= WORDS_OF_A_SENTENCE


def raises_with_text(source: Source) -> Iterator[Finding]:
    """An error says what was given, what is allowed and what to do."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        call = node.exc if isinstance(node.exc, ast.Call) else None
        name = dotted(call.func if call else node.exc)
        if name in SIGNALS or (not call and not name.split(".")[-1][:1].isupper()):
            continue  # the latter raises a variable again
        given = [*call.args, *(keyword.value for keyword in call.keywords)] if call else []
        if not any(not isinstance(value, ast.Constant) or value.value not in ("", None) for value in given):
            yield source.finding(
                node, f"raise {name or '...'} carries no text: what was given, what is allowed, the cure"
            )


STYLE_GUARDS = (
    short_files,
    short_functions,
    few_positional,
    annotated,
    postponed_annotations,
    documented,
    raises_with_text,
)
