"""Installed from a wheel or in place: the command exists, and the catalogue is read from the right file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import Any

import pytest

ASK = """
from pgsynth_core.registry import discover
print(*sorted({str(entry.origin.manifest_path) for entry in discover().entries if entry.origin.first_party}), sep="\\n")
"""


def catalogue_read(*paths: Path, cwd: Path) -> list[Path]:
    """The first-party manifest that a fresh interpreter reads with these folders first on its path."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK],  # -P: as the installed command, without the current folder on the path
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


def installed_in_place(project: dict[str, Any]) -> str:
    """Address of the checkout that pgsynth is installed from in place; empty if it is not."""
    url = json.loads(distribution(project["name"]).read_text("direct_url.json") or "{}")
    return str(url["url"]) if url.get("dir_info", {}).get("editable") else ""


def test_a_checkout_reads_its_own_catalogue(repository: Path, tmp_path: Path) -> None:
    paths = (repository, repository / "plugins", repository / "tui")
    assert catalogue_read(*paths, cwd=tmp_path) == [repository / "registry.toml"]


def test_an_install_in_place_reads_the_checkouts_catalogue(
    repository: Path, tmp_path: Path, project: dict[str, Any]
) -> None:
    """Such an install leaves a copy in site-packages, as old as the install; it must not be the one that is read."""
    if installed_in_place(project) != repository.as_uri():
        pytest.skip(
            f"this checkout is not the one installed in place, which is: {installed_in_place(project) or 'none'}"
        )
    assert catalogue_read(cwd=tmp_path) == [repository / "registry.toml"]


def test_a_wheel_reads_the_catalogue_inside_it(unpacked: Path, repository: Path) -> None:
    assert catalogue_read(unpacked, cwd=repository.parent) == [unpacked / "pgsynth_core" / "registry.toml"]


def test_a_wheel_in_the_checkouts_folder_still_reads_its_own(unpacked: Path, repository: Path) -> None:
    assert catalogue_read(unpacked, cwd=repository) == [unpacked / "pgsynth_core" / "registry.toml"]


def test_the_command_is_installed(project: dict[str, Any]) -> None:
    (command,) = entry_points(group="console_scripts", name="pgsynth")
    assert command.value == project["scripts"]["pgsynth"]
    assert callable(command.load())


def test_the_command_answers(project: dict[str, Any], tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "pgsynth"
    assert script.is_file(), f"{script} is missing: make install"
    done = subprocess.run([str(script), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and project["version"] in done.stdout, done.stdout + done.stderr


def test_what_is_installed_is_this_checkout(project: dict[str, Any]) -> None:
    assert distribution(project["name"]).version == project["version"], "run make install"
