"""Listing, completing and checking load no torch: asked of a fresh interpreter, module by module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

HEAVY = frozenset(
    {"accelerate", "diffusers", "open_clip", "safetensors", "timm", "torch", "torchvision", "transformers"}
)

LIGHT = (
    "pgsynth_core",
    "pgsynth_core.axes",
    "pgsynth_core.cli",
    "pgsynth_core.contract",
    "pgsynth_core.errors",
    "pgsynth_core.events",
    "pgsynth_core.hooks",
    "pgsynth_core.manifest",
    "pgsynth_core.options",
    "pgsynth_core.packages",
    "pgsynth_core.registry",
    "pgsynth_core.spec",
)
"""Must exist and be light. What comes later (`runs`) joins by existing: see `light_modules`."""

PROBE = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules, sep='\\n')"


def heavy_after(modules: Sequence[str], *paths: Path) -> set[str]:
    """Which heavy packages a fresh interpreter holds once the modules are imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"importing {', '.join(modules)} failed:\n{done.stderr}"
    return HEAVY & set(done.stdout.split())


def roots(repository: Path) -> list[Path]:
    """Where the packages lie, installed or not."""
    return [repository, repository / "plugins", repository / "tui"]


def light_modules(repository: Path) -> list[str]:
    """`LIGHT`, and whatever else of the torch-free contract and of the command line exists."""
    core = repository / "pgsynth_core"
    exists = {entry.stem for entry in core.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()}
    named = {f"pgsynth_core.{name}" for name in exists} & set(torch_free(repository))
    commands = {f"pgsynth_core.cli.{file.stem}" for file in core.glob("cli/*.py")}
    return sorted({*LIGHT, *named, *commands} - {"pgsynth_core.cli.__init__", "pgsynth_core.cli.__main__"})


def torch_free(repository: Path) -> list[str]:
    """The modules that pyproject.toml promises to keep free of torch."""
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    rules = {rule["id"]: rule for rule in settings["tool"]["importlinter"]["contracts"]}
    return re.findall(r"pgsynth_core\.\w+", rules["torch-free"]["layers"][-1])


def part_options(plugins: Path) -> list[str]:
    """The module of every part that holds its options: the folder beside a `model.py`."""
    folders = sorted(file.parent.relative_to(plugins) for file in plugins.rglob("model.py"))
    return [".".join(folder.parts) for folder in folders]


@pytest.mark.parametrize("module", LIGHT)
def test_it_exists_and_loads_without_torch(repository: Path, module: str) -> None:
    assert not (heavy := heavy_after([module], *roots(repository))), f"{module} loads {sorted(heavy)}"


def test_all_light_modules_together_load_without_torch(repository: Path) -> None:
    modules = light_modules(repository)
    heavy = heavy_after(modules, *roots(repository))
    guilty = {
        module: sorted(found) for module in modules if heavy and (found := heavy_after([module], *roots(repository)))
    }
    assert not heavy, f"import it where it is used, not at the top: {guilty}"


def test_options_of_every_part_load_without_torch(repository: Path) -> None:
    modules = part_options(repository / "plugins")
    assert modules, "no part was found: a part is a folder with __init__.py (its options) and model.py"
    heavy = heavy_after(modules, *roots(repository))
    guilty = {
        module: sorted(found) for module in modules if heavy and (found := heavy_after([module], *roots(repository)))
    }
    assert not heavy, f"a part's __init__.py holds its Config and no torch: {guilty}"


def test_the_lists_agree(repository: Path) -> None:
    assert {"pgsynth_core", "pgsynth_core.cli", *torch_free(repository)} >= set(LIGHT)


@pytest.mark.parametrize("line", ["import torch", "from torch.nn import Linear", "from middle import Linear"])
def test_a_planted_heavy_import_is_seen(tmp_path: Path, line: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "nn.py").write_text("class Linear: ...", encoding="utf-8")
    (tmp_path / "middle.py").write_text("from torch.nn import Linear", encoding="utf-8")
    (tmp_path / "planted.py").write_text(line, encoding="utf-8")
    (tmp_path / "clean.py").touch()
    assert heavy_after(["planted"], tmp_path) == {"torch"}
    assert heavy_after(["clean"], tmp_path) == set()
