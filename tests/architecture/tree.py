"""A source tree as the guards see it: parsed once, each finding with file, line and what to do."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Finding:
    """One breach of a convention."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the tree, with forward slashes."""

    path: str
    text: str
    tree: ast.Module

    def finding(self, node: ast.AST, message: str) -> Finding:
        """A finding at a node's line."""
        return Finding(self.path, getattr(node, "lineno", 1), message)


Guard = Callable[[Source], Iterator[Finding]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_tree(root: Path, folders: Iterable[str] = (".",)) -> list[Source]:
    """Every Python file below the folders that exist, in order of path."""
    files = sorted({file for folder in folders for file in (root / folder).rglob("*.py")})
    return [_read(root, file) for file in files]


def _read(root: Path, file: Path) -> Source:
    path, text = file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
    return Source(path, text, ast.parse(text, filename=path))


def findings(guard: Guard, sources: Iterable[Source]) -> list[str]:
    """Everything a guard finds, as text."""
    return [str(finding) for source in sources for finding in guard(source)]


def demand_none(found: Iterable[str]) -> None:
    """Fail with the findings alone, one a line; a traceback of the guard helps nobody."""
    if lines := list(found):
        pytest.fail("\n".join(lines), pytrace=False)


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def methods(tree: ast.Module) -> set[Function]:
    """Functions whose first parameter is `self` or `cls`: those in a class body that are not static."""
    return {
        node
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, Function) and "staticmethod" not in decorators(node)
    }


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """Last names of the decorators: `typing.override` and `override` are both ``override``."""
    return {dotted(item.func if isinstance(item, ast.Call) else item).split(".")[-1] for item in node.decorator_list}


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def imported(node: ast.AST) -> list[str]:
    """Full names that an import statement brings in; relative imports are left out."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
