"""The wheel holds what is shipped, under names that are ours, and nothing else."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

SHIPPED = {".py", ".typed", ".yaml", ".yml", ".toml", ".tcss", ".template", ".html", ".css", ".js"}
ROOTS = {".": ("pgsynth_core",), "plugins": ("pgsynth_methods", "pgsynth_plugins"), "tui": ("pgsynth_tui",)}


def files_to_ship(repository: Path) -> set[str]:
    """Files of the packages, by the name they are imported or read under."""
    return {
        file.relative_to(repository / root).as_posix()
        for root, packages in ROOTS.items()
        for package in packages
        for file in (repository / root / package).rglob("*")
        if file.suffix in SHIPPED and "__pycache__" not in file.parts
    }


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Every file of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_top_level_names_are_ours(names: set[str], project: dict[str, Any]) -> None:
    packages = {"pgsynth_core", "pgsynth_methods", "pgsynth_plugins", "pgsynth_tui"}
    assert {name.split("/")[0] for name in names} == packages | {f"pgsynth-{project['version']}.dist-info"}


def test_every_shipped_file_is_there_once(names: set[str], repository: Path) -> None:
    held = {name for name in names if ".dist-info/" not in name}
    assert held == files_to_ship(repository) | {"pgsynth_core/registry.toml"}


@pytest.mark.parametrize("package", ["pgsynth_core", "pgsynth_plugins", "pgsynth_tui"])
def test_types_are_announced(names: set[str], package: str) -> None:
    assert f"{package}/py.typed" in names


def test_the_catalogue_is_the_checkouts(unpacked: Path, repository: Path) -> None:
    held = unpacked / "pgsynth_core" / "registry.toml"
    assert held.read_bytes() == (repository / "registry.toml").read_bytes()


def test_every_preset_is_there(unpacked: Path) -> None:
    catalogue = tomllib.loads((unpacked / "pgsynth_core" / "registry.toml").read_text(encoding="utf-8"))
    presets = [preset["file"].replace(":", "/") for preset in catalogue["preset"]]
    assert presets and not (lost := [file for file in presets if not (unpacked / file).is_file()]), lost


def test_every_table_of_results_is_there(unpacked: Path) -> None:
    catalogue = tomllib.loads((unpacked / "pgsynth_core" / "registry.toml").read_text(encoding="utf-8"))
    files = [table["file"].replace(":", "/") for table in catalogue["results"]]
    assert files and not (lost := [file for file in files if not (unpacked / file).is_file()]), lost


def test_every_target_is_there(unpacked: Path) -> None:
    catalogue = tomllib.loads((unpacked / "pgsynth_core" / "registry.toml").read_text(encoding="utf-8"))
    tables = [*catalogue["component"], *catalogue.get("hook", []), *catalogue.get("command", [])]
    targets = {
        table[key].split(":")[0].replace(".", "/") for table in tables for key in ("target", "config") if key in table
    }
    lost = [
        path for path in targets if not any((unpacked / f"{path}{end}").is_file() for end in (".py", "/__init__.py"))
    ]
    assert targets and not lost, f"registry.toml names modules that the wheel lacks: {lost}"


def test_the_only_entry_point_is_the_command(unpacked: Path, project: dict[str, Any]) -> None:
    """First-party parts come from registry.toml: a new entry point is invisible in an editable install."""
    read = ConfigParser()
    read.read(unpacked / f"pgsynth-{project['version']}.dist-info" / "entry_points.txt")
    assert {section: dict(read[section]) for section in read.sections()} == {
        "console_scripts": {"pgsynth": "pgsynth_core.cli:main"}
    }


def test_the_metadata_says_who_may_use_it(unpacked: Path, project: dict[str, Any]) -> None:
    folder = unpacked / f"pgsynth-{project['version']}.dist-info"
    metadata = Parser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert (folder / "licenses" / "LICENSE").read_text(encoding="utf-8").lstrip().startswith("Apache License")


def test_the_source_archive_can_be_tested(built: Path, project: dict[str, Any]) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.split("/", 1)[-1] for name in opened.getnames()}
    wanted = {"registry.toml", "pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "tests/conftest.py"}
    assert wanted <= held, f"the source archive lacks {sorted(wanted - held)}"
    assert not (strange := [name for name in held if name.startswith((".venv", "runs/", "dist/"))]), strange
