"""`plugins` and `tui` are folders on the path, never names to import: there every class exists twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import demand_none


def banned(repository: Path, text: str) -> list[str]:
    """What ruff says of imports in a file of this repository."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "json", "--no-cache"]
        + ["--config", str(repository / "pyproject.toml"), "--stdin-filename", "pgsynth_core/planted.py", "-"],
        input=text,
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [finding["message"] for finding in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        ("import plugins.pgsynth_plugins.attention", "import pgsynth_plugins"),
        ("from plugins.pgsynth_plugins import attention", "import pgsynth_plugins"),
        ("from plugins import pgsynth_plugins", "import pgsynth_plugins"),
        ("import tui.pgsynth_tui", "import pgsynth_tui"),
        ("from tests import conftest", "Never import tests"),
    ],
)
def test_ruff_bans_the_folders(repository: Path, line: str, cure: str) -> None:
    said = banned(repository, f"{line}\n")
    assert len(said) == 1 and cure in said[0]


def test_ruff_lets_the_packages_through(repository: Path) -> None:
    assert banned(repository, "import pgsynth_plugins.attention\nfrom pgsynth_core import axes\n") == []


def packages_in_roots(repository: Path) -> list[str]:
    """`__init__.py` files that would make a source root a package."""
    roots = (repository / root for root in ("plugins", "tui", "tests"))
    return [
        f"{root.name}/__init__.py: remove it; {root.name} is no package"
        for root in roots
        if (root / "__init__.py").exists()
    ]


def test_source_roots_are_no_packages(repository: Path) -> None:
    demand_none(packages_in_roots(repository))


def test_a_root_that_became_a_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    assert packages_in_roots(tmp_path) == []
    (tmp_path / "plugins" / "__init__.py").touch()
    assert packages_in_roots(tmp_path) == ["plugins/__init__.py: remove it; plugins is no package"]


def test_a_second_copy_of_a_module_fails_the_session(repository: Path, tmp_path: Path) -> None:
    """The fixture of tests/conftest.py, in a session of its own over a copy that imports the wrong way."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "part.py").touch()
    (tmp_path / "conftest.py").write_text((repository / "tests" / "conftest.py").read_text("utf-8"), encoding="utf-8")
    good, bad = "def test_it() -> None: ...", "def test_it() -> None:\n    import plugins.part"
    for text, code, words in ((good, 0, "1 passed"), (bad, 1, "imported through a source root's folder")):
        (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            "-c",
            "/dev/null",
        ]
        done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code and words in done.stdout, done.stdout + done.stderr
