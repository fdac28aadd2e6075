"""What may be asked for, and what is refused with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.packages.wanted import read_wanted, to_restore
from pgsynth_core.registry import KeptPackage


def test_names_and_versions() -> None:
    plain, pinned, ranged = read_wanted(["Pgsynth_Plugin.X", "y==1.0", "z[fast]>=1,<2"], [])
    assert (plain.name, plain.requirement) == ("pgsynth-plugin-x", "pgsynth-plugin-x")
    assert pinned.requirement == "y==1.0" and ranged.requirement == "z[fast]<2,>=1" and ranged.extras == ("fast",)


def test_wheels_and_folders(tmp_path: Path) -> None:
    wheel, project = tmp_path / "x-1.0-py3-none-any.whl", tmp_path / "project"
    wheel.touch()
    project.mkdir()
    (project / "pyproject.toml").touch()
    one, two, three = read_wanted([str(wheel), str(project)], [f"{project}/"])
    assert one.path == wheel and not one.is_folder and not one.name
    assert two.is_folder and not two.editable and three.editable and three.path == project


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-r", ["'-r' is a flag", "--help"]),
        ("--index-url=x", ["is a flag"]),
        ("https://host/x.whl", ["from an address", "Download it", "NAME==VERSION"]),
        ("git+ssh://host/x", ["from an address"]),
        ("x @ file:///x.whl", ["from an address"]),
        ("x; python_version>'3'", ["only a name", "';'"]),
        ("a name", ["names no package", "NAME==VERSION"]),
        ("", ["names no package"]),
        ("x==", ["names no package"]),
        ("$(reboot)", ["names no package"]),
        ("pgsynth", ["pgsynth itself", "pip install --upgrade pgsynth"]),
        ("Torch==2.0", ["stands on", "torch<2.16,>=2.11"]),
        ("transformers", ["stands on"]),
        ("./nowhere", ["no such file", "Give the path of one that is there."]),
        ("nowhere.whl", ["no such file"]),
        ("~nobody-at-all/x.whl", ["Write the path without"]),
    ],
)
def test_everything_else_is_refused(word: str, expected: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        read_wanted([word], [])
    (problem,) = refused.value.problems
    for words in expected:
        assert words in str(problem)
    assert problem.where == word and problem.cure


def test_files_that_are_no_wheels_are_refused(tmp_path: Path) -> None:
    archive, empty = tmp_path / "x-1.0.tar.gz", tmp_path / "empty"
    archive.touch()
    empty.mkdir()
    with pytest.raises(UserError, match="Unpack it"):
        read_wanted([str(archive)], [])
    with pytest.raises(UserError, match=r"no pyproject\.toml"):
        read_wanted([str(empty)], [])
    with pytest.raises(UserError, match="Give its project folder"):
        read_wanted([], [str(archive)])


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(UserError) as refused:
        read_wanted(["-x", "pgsynth", "y", "y==2"], [])
    assert len(refused.value.problems) == 3 and "y is asked for 2 times" in str(refused.value)


def test_what_is_kept_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert to_restore(KeptPackage(name="x", version="1.0")).requirement == "x==1.0"
    assert to_restore(KeptPackage(name="x", version="1.0", extras=("a", "b"))).requirement == "x[a,b]==1.0"
    folder = to_restore(KeptPackage(name="x", version="1.0", source=str(tmp_path), editable=True))
    assert folder.path == tmp_path and folder.editable
    with pytest.raises(UserError, match="pgsynth plugins uninstall x"):
        to_restore(KeptPackage(name="x", version="1.0", source=str(tmp_path / "gone.whl")))
