"""What is imported is declared, what is declared is pinned to a tested version, and its licence fits ours."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|HPND|Unlicense)\b")
TOLD_ELSEWHERE = {"insightface": "MIT"}
"""Distribution -> the licence that its README names; its metadata names none."""
OURS = {"pgsynth_core", "pgsynth_methods", "pgsynth_plugins", "pgsynth_tui"}


def requirements(project: dict[str, Any], *extras: str) -> list[Requirement]:
    """The dependencies, and those of the named extras (all of them if none is named)."""
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for extra in extras or optional for text in optional[extra])]
    return [read for read in map(Requirement, texts) if read.name != project["name"]]


def foreign_imports(folder: Path) -> dict[str, list[str]]:
    """Top-level name of each outside package that is imported -> the places."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - OURS:
                found.setdefault(name, []).append(f"{file.relative_to(folder.parent)}:{node.lineno}")
    return found


def undeclared(folders: Iterable[Path], declared: Iterable[Requirement]) -> dict[str, list[str]]:
    """Outside packages that are imported and that no dependency brings by its own name."""
    providers, names = packages_distributions(), {canonicalize_name(item.name) for item in declared}
    found: dict[str, list[str]] = {}
    for folder in folders:
        for name, places in foreign_imports(folder).items():
            if not {canonicalize_name(provider) for provider in providers.get(name, [name])} & names:
                found.setdefault(name, []).extend(places)
    return found


def test_every_import_is_declared(repository: Path, project: dict[str, Any]) -> None:
    shipped = [extra for extra in project["optional-dependencies"] if extra != "dev"]
    lost = undeclared(
        (repository / name for name in ("pgsynth_core", "plugins", "tui")), requirements(project, *shipped)
    )
    assert not lost, f"add to the dependencies in pyproject.toml, or do without: {lost}"


def test_an_undeclared_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("import os, yaml.nodes\nfrom networkx import Graph\n", encoding="utf-8")
    assert list(undeclared([tmp_path], [Requirement("PyYAML>=6")])) == ["networkx"]


def pins(repository: Path) -> dict[str, str]:
    """constraints.txt: normalised name -> version."""
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_dependency_is_pinned_inside_its_range(repository: Path, project: dict[str, Any]) -> None:
    pinned = pins(repository)
    for item in requirements(project):
        version = pinned.get(canonicalize_name(item.name))
        assert version, f"{item.name} has no tested version in constraints.txt"
        assert item.specifier.contains(version), f"{item.name}: tested {version} is outside {item.specifier}"


def test_every_dependency_of_a_user_has_both_ends(project: dict[str, Any]) -> None:
    users = requirements(project, *(extra for extra in project["optional-dependencies"] if extra != "dev"))
    ends = [(item, {part.operator for part in item.specifier}) for item in users]
    open_ended = [str(item) for item, found in ends if found != {"=="} and {"<", ">="} - found]
    assert not open_ended, f"give a lowest and a first untried version: {open_ended}"


def licence(name: str) -> str:
    """What a distribution says of its licence."""
    metadata = distribution(name).metadata
    said = [metadata.get("License-Expression", ""), metadata.get("License", "")[:200]]
    return " ".join([*said, *(line for line in metadata.get_all("Classifier", []) if line.startswith("License"))])


def test_every_licence_is_permissive(project: dict[str, Any]) -> None:
    said = {}
    for item in requirements(project):
        try:
            said[item.name] = licence(item.name).strip() or TOLD_ELSEWHERE.get(item.name, "")
        except PackageNotFoundError:
            continue  # an extra that is not installed here; `make install` takes them all
    assert len(said) >= len(project["dependencies"])
    assert not (strange := {name: text for name, text in said.items() if not PERMISSIVE.search(text)}), strange


@pytest.mark.parametrize(("text", "fits"), [("GPL-3.0-only", False), ("MIT License", True), ("BSD-3-Clause", True)])
def test_a_licence_that_does_not_fit_is_seen(text: str, fits: bool) -> None:
    assert bool(PERMISSIVE.search(text)) == fits
