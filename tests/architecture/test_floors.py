"""Imports only point down: import-linter's contracts hold, bite, and know every module."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .tree import Finding, Source, demand_none, dotted, findings, imported, read_tree

# A tree with every edge that is allowed and easily forbidden by mistake.
LEGAL: Mapping[str, str] = {
    "pgsynth_core/__init__.py": "",
    "pgsynth_core/axes.py": "",
    "pgsynth_core/errors.py": "",
    "pgsynth_core/events.py": "",
    "pgsynth_core/options.py": "import pydantic",
    "pgsynth_core/manifest.py": "from pgsynth_core.errors import PartError",
    "pgsynth_core/interfaces.py": "import torch\nfrom pgsynth_core.options import PartConfig",
    "pgsynth_core/attention.py": "from pgsynth_core.interfaces import AttentionCall",
    "pgsynth_core/patches.py": "import torch",
    "pgsynth_core/registry/__init__.py": "from pgsynth_core.registry.loading import load",
    "pgsynth_core/registry/loading.py": "from pgsynth_core import manifest",
    "pgsynth_core/spec.py": "from pgsynth_core import registry",
    "pgsynth_core/hooks.py": "from pgsynth_core import registry",
    "pgsynth_core/contract.py": "from pgsynth_core import registry, spec",
    "pgsynth_core/data/__init__.py": "import torch",
    "pgsynth_core/data/private.py": "",
    "pgsynth_core/runs.py": "from pgsynth_core import events",
    "pgsynth_core/composition.py": "from pgsynth_core import attention, contract, registry, spec",
    "pgsynth_core/packages.py": "from pgsynth_core import registry",
    "pgsynth_core/reports.py": "",
    "pgsynth_core/testing.py": "from pgsynth_core import composition",
    "pgsynth_core/training.py": "from pgsynth_core import composition, data, runs",
    "pgsynth_core/sampling.py": "from pgsynth_core import composition, data, runs",
    "pgsynth_core/evaluation.py": "from pgsynth_core import runs",
    "pgsynth_core/api.py": "def train():\n    from pgsynth_core import hooks, training",
    "pgsynth_core/cli/__init__.py": "from pgsynth_core import api, packages",
    "pgsynth_plugins/__init__.py": "",
    "pgsynth_plugins/shared.py": "",
    "pgsynth_plugins/attention/__init__.py": "",
    "pgsynth_plugins/attention/pma/__init__.py": "from pgsynth_core.options import PartConfig",
    "pgsynth_plugins/attention/pma/model.py": "from pgsynth_core import attention, interfaces, testing\n"
    "from pgsynth_plugins.attention.pma import Config",
    "pgsynth_plugins/attention/caa/__init__.py": "",
    "pgsynth_plugins/encoders/__init__.py": "",
    "pgsynth_plugins/encoders/qfft/__init__.py": "from pgsynth_core.data import people",
    "pgsynth_tui/__init__.py": "",
    "pgsynth_tui/panels.py": "from pgsynth_core import api, registry",
}

PLANTS = [
    ("floors", "pgsynth_core/errors.py", "from pgsynth_core import registry"),
    ("floors", "pgsynth_core/interfaces.py", "from pgsynth_core.attention import plain_attention"),
    ("floors", "pgsynth_core/registry/__init__.py", "from pgsynth_core import spec"),
    ("floors", "pgsynth_core/spec.py", "def f():\n    from pgsynth_core.contract import check"),
    ("floors", "pgsynth_core/hooks.py", "from pgsynth_core import spec"),
    ("floors", "pgsynth_core/contract.py", "from pgsynth_core.composition import build"),
    ("floors", "pgsynth_core/composition.py", "from pgsynth_core import data"),
    ("floors", "pgsynth_core/runs.py", "from pgsynth_core import composition"),
    ("floors", "pgsynth_core/training.py", "from pgsynth_core import sampling"),
    ("floors", "pgsynth_core/packages.py", "from pgsynth_core import testing"),
    ("floors", "pgsynth_core/evaluation.py", "from pgsynth_core import reports"),
    ("floors", "pgsynth_core/api.py", "from pgsynth_core.cli import main"),
    ("floors", "pgsynth_core/data/__init__.py", "import pgsynth_plugins.shared"),
    ("floors", "pgsynth_plugins/shared.py", "from pgsynth_tui import panels"),
    ("hooks", "pgsynth_core/composition.py", "from pgsynth_core import hooks"),
    ("hooks", "pgsynth_core/contract.py", "from pgsynth_core import hooks"),
    ("no-part-in-core", "pgsynth_core/api.py", "from pgsynth_plugins.attention.pma import Config"),
    ("no-part-in-core", "pgsynth_core/cli/__init__.py", "import pgsynth_tui"),
    ("public-surface", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_core.registry import discover"),
    ("public-surface", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_core import compose"),
    ("public-surface", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_core.data.private import x"),
    ("public-surface", "pgsynth_plugins/attention/__init__.py", "import pgsynth_core.manifest"),
    ("parts-apart", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_plugins.attention.caa import Config"),
    ("parts-apart", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_plugins.encoders.qfft import Config"),
    ("parts-alone", "pgsynth_plugins/attention/pma/model.py", "from pgsynth_plugins import shared"),
    ("torch-free", "pgsynth_core/spec.py", "import torch"),
    ("torch-free", "pgsynth_core/axes.py", "def f():\n    from torch import Tensor"),
    ("torch-free", "pgsynth_core/contract.py", "from pgsynth_core import interfaces"),
    ("torch-free", "pgsynth_core/runs.py", "from safetensors.torch import save_file"),
    ("torch-free", "pgsynth_core/packages.py", "import diffusers"),
    ("torch-free", "pgsynth_core/registry/loading.py", "import timm"),
]


@pytest.fixture(scope="session")
def settings(repository: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def contracts(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """import-linter's contracts by id."""
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def modules_of(layer: str) -> set[str]:
    """The modules of one layer, with or without parentheses."""
    return {name.strip(" ()") for name in re.split(r"[|:]", layer)}


def lint(repository: Path, roots: list[Path], where: Path) -> str:
    """What import-linter says of the packages in these folders, under this repository's contracts."""
    command = (
        "import sys; sys.argv[0] = 'lint-imports'; from importlinter.cli import lint_imports_command as run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, "--config", str(repository / "pyproject.toml"), "--no-cache"],
        cwd=where,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, roots)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Contracts: " in said, f"import-linter did not finish:\n{said}"
    assert (done.returncode == 0) == (", 0 broken" in said), said
    return said


def broken(said: str, settings: dict[str, Any]) -> set[str]:
    """Ids of the broken contracts."""
    return {name for name, contract in contracts(settings).items() if f"{contract['name']} BROKEN" in said}


def test_the_floors_hold(repository: Path, settings: dict[str, Any]) -> None:
    said = lint(repository, [repository, repository / "plugins", repository / "tui"], repository)
    if broken(said, settings) or ", 0 broken" not in said:
        pytest.fail(said, pytrace=False)


def plant(root: Path, path: str = "", line: str = "") -> Path:
    """The legal tree, with one line more."""
    for name, text in LEGAL.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n{line}\n" if name == path else text, encoding="utf-8")
    return root


def test_what_is_allowed_is_let_through(tmp_path: Path, repository: Path, settings: dict[str, Any]) -> None:
    said = lint(repository, [plant(tmp_path)], tmp_path)
    assert broken(said, settings) == set(), said


@pytest.mark.parametrize(("contract", "path", "line"), PLANTS)
def test_a_planted_import_is_reported(
    tmp_path: Path, repository: Path, settings: dict[str, Any], contract: str, path: str, line: str
) -> None:
    assert path in LEGAL, "the canary must be planted in a file of the tree"
    said = lint(repository, [plant(tmp_path, path, line)], tmp_path)
    assert contract in broken(said, settings), said


def test_every_contract_has_a_canary(settings: dict[str, Any]) -> None:
    assert {contract for contract, _, _ in PLANTS} == set(contracts(settings))


def unplaced(core: Path, layers: list[str]) -> list[str]:
    """Modules of core that stand on no floor."""
    placed = set().union(*map(modules_of, layers))
    names = {entry.stem for entry in core.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()}
    return sorted(
        f"pgsynth_core.{name}" for name in names - {"__init__", "__main__"} if f"pgsynth_core.{name}" not in placed
    )


def test_every_module_stands_on_a_floor(repository: Path, settings: dict[str, Any]) -> None:
    lost = unplaced(repository / "pgsynth_core", contracts(settings)["floors"]["layers"])
    assert not lost, f"give each its floor in pyproject.toml, contract `floors`: {lost}"


def test_a_module_without_a_floor_is_found(tmp_path: Path) -> None:
    (tmp_path / "new.py").touch()
    (tmp_path / "old.py").touch()
    assert unplaced(tmp_path, ["(pgsynth_core.old) | (pgsynth_core.other)"]) == ["pgsynth_core.new"]


def test_every_source_root_is_linted(repository: Path, settings: dict[str, Any]) -> None:
    roots = {"pgsynth_core", "pgsynth_plugins"}
    if (repository / "tui" / "pgsynth_tui" / "__init__.py").is_file():
        roots.add("pgsynth_tui")
    assert set(settings["tool"]["importlinter"]["root_packages"]) == roots


def joins_nothing(source: Source) -> Iterator[Finding]:
    """`pgsynth_core/__init__` imports nothing of ours: a part that imports it would seem to import training."""
    typing_only = {id(node) for block in ast.walk(source.tree) if _for_types(block) for node in ast.walk(block)}
    for node in ast.walk(source.tree):
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        ours = relative or any(name.split(".")[0].startswith("pgsynth") for name in imported(node))
        if ours and id(node) not in typing_only:
            yield source.finding(node, "serve the name from __getattr__ through importlib.import_module instead")


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and not node.orelse and dotted(node.test).split(".")[-1] == "TYPE_CHECKING"


def test_the_front_door_joins_nothing(repository: Path) -> None:
    front = [source for source in read_tree(repository, ["pgsynth_core"]) if source.path == "pgsynth_core/__init__.py"]
    assert front, "pgsynth_core/__init__.py is missing"
    demand_none(findings(joins_nothing, front))


@pytest.mark.parametrize("line", ["from pgsynth_core.api import load", "import pgsynth_core.api", "from . import api"])
def test_a_front_door_that_joins_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "planted.py").write_text(f"def __getattr__(name):\n    {line}\n", encoding="utf-8")
    assert findings(joins_nothing, read_tree(tmp_path))[0].startswith("planted.py:2: ")


def test_types_may_be_told_at_the_front_door(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pgsynth_core.api import load as load\n"
    (tmp_path / "planted.py").write_text(text, encoding="utf-8")
    assert findings(joins_nothing, read_tree(tmp_path)) == []
