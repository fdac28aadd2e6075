"""What parts may import is a promise: `__all__` of each public module equals the stored list, and exists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .tree import Source, read_tree

SURFACE = (
    "annotators",
    "attention",
    "axes",
    "data",
    "errors",
    "events",
    "interfaces",
    "metrics",
    "options",
    "patches",
    "testing",
)
STORED = "tests/architecture/public_surface.json"
REGENERATE = (
    "If it is meant: python -m pytest tests/architecture/test_public_surface.py --regenerate, and read the diff."
)


def public_names(source: Source) -> list[str]:
    """The literal `__all__` of a module, sorted; empty if there is none."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return sorted(ast.literal_eval(node.value))
    return []


def surface(core: Path) -> dict[str, list[str]]:
    """Module of the surface that exists -> its public names."""
    found = {}
    for source in read_tree(core):
        name = source.path.removesuffix(".py").removesuffix("/__init__")
        if name in SURFACE:
            found[name] = public_names(source)
    return found


def differences(stored: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What came, went or is not stored, in words."""
    said = [f"pgsynth_core.{name} is gone; parts import it" for name in stored if name not in found]
    for name, names in found.items():
        if not names:
            said.append(f"pgsynth_core.{name} has no literal __all__: it is public, list its names")
        for item in sorted(set(names) - set(stored.get(name, []))):
            said.append(f"pgsynth_core.{name}.{item} is new: store it, and tell it in CHANGELOG.md")
        for item in sorted(set(stored.get(name, [])) - set(names)):
            said.append(
                f"pgsynth_core.{name}.{item} is gone: parts that import it break; raise the manifest's contract"
            )
    return said


def test_the_surface_is_the_stored_one(repository: Path, regenerate: bool) -> None:
    file, found = repository / STORED, surface(repository / "pgsynth_core")
    if regenerate:
        file.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if said := differences(json.loads(file.read_text(encoding="utf-8")), found):
        pytest.fail("\n".join([*said, REGENERATE]), pytrace=False)


def test_the_surface_is_there(repository: Path) -> None:
    assert not (missing := {*SURFACE} - set(surface(repository / "pgsynth_core"))), (
        f"missing in pgsynth_core: {missing}"
    )


@pytest.mark.parametrize(
    ("file", "begins", "ends"),
    [("pgsynth_core/__init__.py", "Parts import `", "."), ("CONTRIBUTING.md", "the public surface (`", ")")],
)
def test_whoever_lists_the_surface_lists_all_of_it(repository: Path, file: str, begins: str, ends: str) -> None:
    text = (repository / file).read_text(encoding="utf-8")
    assert text.count(begins) == 1
    said = begins[-1] + text.partition(begins)[2].partition(ends)[0]
    assert re.findall(r"`(\w+)`", said) == list(SURFACE)


def undefined(source: Source) -> list[str]:
    """Names in `__all__` that the module's top level neither defines nor imports."""
    bound: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    return sorted(set(public_names(source)) - bound)


def test_every_public_name_is_defined(sources: list[Source]) -> None:
    lost = {source.path: names for source in sources if (names := undefined(source))}
    assert not lost, f"__all__ lists what the module does not hold: {lost}"


def test_an_undefined_public_name_is_found(tmp_path: Path) -> None:
    text = '__all__ = ["A", "b", "c", "d", "lost"]\nimport c\nfrom x import y as b\nd: int = 1\nclass A: ...\n'
    (tmp_path / "planted.py").write_text(text, encoding="utf-8")
    assert [undefined(source) for source in read_tree(tmp_path)] == [["lost"]]


def test_every_change_is_noticed() -> None:
    stored = {"axes": ["AXES", "Axis"], "errors": ["SpecError"]}
    assert differences(stored, stored) == []
    said = " ".join(differences(stored, {"axes": ["AXES", "New"], "events": []}))
    for words in ("errors is gone", "axes.New is new", "axes.Axis is gone", "events has no literal __all__"):
        assert words in said


def test_names_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "axes.py").write_text('__all__ = ["b", "a"]', encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").write_text("from x import y", encoding="utf-8")
    (tmp_path / "hidden.py").write_text('__all__ = ["c"]', encoding="utf-8")
    assert surface(tmp_path) == {"axes": ["a", "b"], "data": []}
