"""`plugins new`: what is written works as it is, and what cannot be written is refused before anything is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, get_args

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.manifest import Kind
from pgsynth_core.options import option_table
from pgsynth_core.packages import scaffold as scaffolding
from pgsynth_core.packages.scaffold import FORMS, Made, scaffold
from pgsynth_core.packages.syncing import sync
from pgsynth_core.registry import Registry, discover, load_config
from pgsynth_core.testing import check_part

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.generated import put_in_place, write_package

__all__ = ["fake_packages"]

PARTS = [kind for kind in FORMS if kind in get_args(Kind)]
REGISTRY = Registry()


def made(kind: str, folder: Path, name: str = "own") -> Made:
    """A package in a folder of its own below that one."""
    return scaffold(kind, name, REGISTRY, folder=folder / kind)


@pytest.fixture(scope="session")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of every kind, side by side."""
    root = tmp_path_factory.mktemp("written")
    (root / "long").mkdir()
    for kind in FORMS:
        made(kind, root, f"own_{kind}")
    return root


# ------------------------------------------------------------------------------------------- what is written
@pytest.mark.parametrize("kind", FORMS)
def test_a_package_is_complete(kind: str, tmp_path: Path) -> None:
    written = made(kind, tmp_path, "two_words")
    assert (written.distribution, written.package) == ("pgsynth-plugin-two-words", "pgsynth_plugin_two_words")
    files = {path.relative_to(written.folder).as_posix() for path in written.folder.rglob("*") if path.is_file()}
    assert files == set(written.files), "nothing beside, such as compiled files"
    package = {f"pgsynth_plugin_two_words/{name}" for name in ("__init__.py", "pgsynth.toml", "py.typed")}
    assert package | {"pyproject.toml", "README.md", ".gitignore", ".github/workflows/ci.yml"} <= files
    assert "tests/test_two_words.py" in files
    texts = {file: (written.folder / file).read_text("utf-8") for file in files}
    assert not {file for file, text in texts.items() if re.search(r"@[A-Za-z]+@", text)}
    assert not {file for file, text in texts.items() if "http" in text or "index-url" in text}
    for file in files:
        if file.endswith(".py"):
            ast.parse(texts[file])
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    assert project["name"] == written.distribution and project["dependencies"][0].startswith("pgsynth")
    assert list(tmp_path.iterdir()) == [written.folder]
    assert written.package not in sys.modules and str(written.folder) not in sys.path


def test_every_kind_of_the_manifest_is_written() -> None:
    assert set(get_args(Kind)) <= set(FORMS)


@pytest.mark.parametrize("kind", PARTS)
def test_its_options_are_those_of_its_config(kind: str, fake_packages: FakePackages, tmp_path: Path) -> None:
    package = put_in_place(fake_packages, made(kind, tmp_path).folder)
    registry = discover()
    assert registry.broken == ()
    entry = registry.find(kind, "own")  # type: ignore[arg-type]
    assert entry.qualified == "pgsynth-plugin-own:own"
    assert list(entry.component.options) == list(option_table(load_config(entry))) != []
    assert sync(package / "pgsynth.toml", check=True).changes == ()


@pytest.mark.parametrize("kind", sorted(set(FORMS) - set(PARTS)))
def test_what_is_no_part_is_found_too(kind: str, fake_packages: FakePackages, tmp_path: Path) -> None:
    put_in_place(fake_packages, made(kind, tmp_path, "own_thing").folder)
    registry = discover()
    assert registry.broken == ()
    found = {"hook": registry.hooks, "command": registry.commands, "panel": registry.panels}[kind]
    others = [item.origin.package for item in found if not item.origin.first_party]
    assert others == ["pgsynth-plugin-own-thing"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind in ("attention", "base") else ()) for kind in PARTS]
)
def test_it_conforms_as_it_is_written(kind: Kind, fake_packages: FakePackages, tmp_path: Path) -> None:
    put_in_place(fake_packages, made(kind, tmp_path).folder)
    report = check_part(kind, "own", registry=discover())
    report.raise_if_failed()
    assert report.counts["ran"] >= 10


@pytest.mark.parametrize("kind", [pytest.param("dataset", marks=pytest.mark.slow), "hook", "command", "panel"])
def test_its_own_tests_pass(kind: str, fake_packages: FakePackages, tmp_path: Path, repository: Path) -> None:
    """Of the other parts they are the kit alone, see above."""
    folder = made(kind, tmp_path).folder
    put_in_place(fake_packages, folder)
    roots = (fake_packages.site, repository, repository / "plugins", repository / "tui")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not conforms"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and re.search(r"[1-9] passed", done.stdout), done.stdout + done.stderr


# ------------------------------------------------------------------------------------------- as its own tools see it
def test_ruff_has_nothing_to_say(all_of_them: Path) -> None:
    for kind in FORMS:  # the longest name there may be makes the longest lines
        made(kind, all_of_them / "long", "a" * 30)
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    done = subprocess.run(command, cwd=all_of_them / "long", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in FORMS:
        for asked in (["check"], ["format", "--check"]):
            command = [sys.executable, "-m", "ruff", *asked, "--no-cache", "."]
            done = subprocess.run(command, cwd=all_of_them / kind, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{kind}: {done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMS)
def test_mypy_has_nothing_to_say(kind: str, all_of_them: Path, repository: Path) -> None:
    roots = (all_of_them / kind, repository, repository / "plugins", repository / "tui")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(all_of_them / "cache")],
        cwd=all_of_them / kind,
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_wheel_holds_the_manifest(tmp_path: Path) -> None:
    folder = made("encoder", tmp_path).folder
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "built"), str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "built").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        entries = archive.read("pgsynth_plugin_own-0.1.0.dist-info/entry_points.txt").decode()
    assert held == {f"pgsynth_plugin_own/{name}" for name in ("__init__.py", "model.py", "pgsynth.toml", "py.typed")}
    assert entries.split() == ["[pgsynth.manifest]", "pgsynth-plugin-own", "=", "pgsynth_plugin_own:pgsynth.toml"]


# ------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("encodr", "own", ["no kind 'encodr'", "Did you mean 'encoder'?"]),
        ("preset", "own", ["no kind 'preset'", "encoder"]),
        ("encoder", "Own", ["no name", "lower-case", "e.g. own"]),
        ("encoder", "my-part", ["no name", "e.g. my_part"]),
        ("encoder", "../own", ["no name", "e.g. own"]),
        ("encoder", "own_", ["no name", "e.g. own"]),
        ("encoder", "a__b", ["no name", "e.g. a_b"]),
        ("encoder", "3d", ["no name"]),
        ("encoder", "", ["no name"]),
        ("encoder", "é", ["no name"]),
        ("encoder", "own\n", ["no name"]),
        ("encoder", "a" * 31, ["no name", "at most 30"]),
        ("encoder", "class", ["a word of Python", "class_encoder"]),
        ("encoder", "none", ["'none' means nothing in a spec", "none_encoder"]),
        ("encoder", "pose", ["a group of conditions"]),
        ("encoder", "forward", ["torch's modules"]),
        ("encoder", "qfft", ["the encoder 'qfft' is there already, of pgsynth ", "package:qfft"]),
        ("command", "plugins", ["pgsynth itself has the command 'plugins'"]),
    ],
)
def test_what_cannot_be_written_is_refused(kind: str, name: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        scaffold(kind, name, discover(), folder=tmp_path / "made", taken=["plugins"])
    said = str(refused.value)
    assert all(word in said for word in words), said
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_kind_is_free(tmp_path: Path) -> None:
    assert scaffold("pose", "qfft", discover(), folder=tmp_path / "made").name == "qfft"


@pytest.mark.parametrize("kind", ["encoder", "hook", "command", "panel"])
def test_a_package_that_is_installed_is_not_written_again(
    kind: str, fake_packages: FakePackages, tmp_path: Path
) -> None:
    folder = write_package(kind, "own_thing", tmp_path / "first").folder
    put_in_place(fake_packages, folder)
    with pytest.raises(UserError, match="already"):
        write_package(kind, "own_thing", tmp_path / "second")
    with pytest.raises(UserError, match=r"pip uninstall pgsynth-plugin-own-thing"):
        write_package("base", "own_thing", tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    kept = tmp_path / "encoder" / "mine.txt"
    kept.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="nothing is written over"):
        made("encoder", tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "encoder", kept]
    kept.unlink()
    assert made("encoder", tmp_path).folder == tmp_path / "encoder", "an empty one serves"


def test_neither_a_file_nor_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "encoder").write_text("a file", encoding="utf-8")
    (tmp_path / "there").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "there")
    (tmp_path / "pose").symlink_to(tmp_path / "nowhere")
    for kind in ("encoder", "base", "pose"):
        with pytest.raises(UserError):
            made(kind, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder", "there", "base", "pose"}


def test_the_folder_to_write_in_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mkdir -p"):
        made("encoder", tmp_path / "not there")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), RuntimeError("odd")])
def test_what_goes_wrong_on_the_way_leaves_nothing(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise failure

    monkeypatch.setattr(scaffolding, "sync", fail)
    before = list(sys.path), sys.dont_write_bytecode
    with pytest.raises(UserError if isinstance(failure, OSError) else type(failure)):
        made("encoder", tmp_path)
    assert list(tmp_path.iterdir()) == [] and (list(sys.path), sys.dont_write_bytecode) == before


def test_every_template_is_used() -> None:
    folder = Path(scaffolding.__file__).with_name("templates")
    assert {path.name for path in folder.iterdir()} == {"common", *FORMS}
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".template"}
