"""Which environment this is, and the exact command where pip is not the tool to change it with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.packages.environment import (
    Environment,
    NotByPip,
    Task,
    kind_of,
    refuse_unless_pip,
    this_environment,
)
from pgsynth_core.packages.wanted import Wanted
from pgsynth_core.registry import KeptPackage

RECEIPT = """\
[tool]
requirements = [
    { name = "pgsynth", extras = ["tui"], specifier = ">=0.1" },
    { name = "click", specifier = ">=8" },
    { name = "rich", extras = ["jupyter"] },
    { name = "pgsynth-plugin-mine", editable = "/srv/me/mine" },
    { name = "pgsynth-plugin-y", specifier = "==1.0" },
]
python = "3.11"
entrypoints = [
    { name = "pgsynth", install-path = "/srv/me/bin/pgsynth", from = "pgsynth" },
]
"""
"""As `uv tool install` writes it."""

X = Wanted("pgsynth-plugin-x==2.0", "pgsynth-plugin-x", "pgsynth-plugin-x==2.0")
MINE = Wanted("./mine", path=Path("/srv/me/mine"), editable=True)
KEPT = (KeptPackage(name="pgsynth-plugin-z", version="0.3", extras=("fast",)),)


def put(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("__", "-")).write_text(text, encoding="utf-8")
    return tmp_path


def kind(prefix: Path, *, has_pip: bool = True, base: Path | None = None, site: Path | None = None) -> str:
    return kind_of(prefix, base or Path("/usr"), stdlib=prefix / "stdlib", site=site or prefix, has_pip=has_pip)


def environment(prefix: Path, kind: str) -> Environment:
    paths = {"purelib": prefix / "site", "platlib": prefix / "site", "scripts": prefix / "bin"}
    return Environment(kind, prefix, f"{prefix}/bin/python", paths, Path("/usr"))  # type: ignore[arg-type]


def commands(prefix: Path, kind: str, task: Task) -> tuple[tuple[str, ...], ...]:
    with pytest.raises(NotByPip) as refused:
        refuse_unless_pip(environment(prefix, kind), task)
    problem = refused.value.problems[0]
    assert problem.cure.startswith("Run: ") and problem.where == str(prefix) and refused.value.exit_code == 2
    return refused.value.commands


# ------------------------------------------------------------------------------------------- what it is
def test_each_kind_is_told_by_what_lies_there(tmp_path: Path) -> None:
    for name in ("uv", "pipx", "venv", "bare", "conda"):
        (tmp_path / name).mkdir()
    put(tmp_path / "uv", **{"uv-receipt.toml": RECEIPT, "pyvenv.cfg": "uv = 0.9\n"})
    put(tmp_path / "pipx", **{"pipx_metadata.json": "{}"})
    put(tmp_path / "venv", **{"pyvenv.cfg": "home = /usr\nuv = 0.9.1\n"})
    put(tmp_path / "bare", **{"pyvenv.cfg": "home = /usr\ncommand = uv run\n"})
    (tmp_path / "conda" / "conda-meta").mkdir()
    assert kind(tmp_path / "uv", has_pip=False) == "uv-tool"
    assert kind(tmp_path / "pipx") == "pipx"
    assert kind(tmp_path / "venv", has_pip=False) == "uv-venv"
    assert kind(tmp_path / "venv") == "venv", "uv made it, and pip is there: pip is a right tool"
    assert kind(tmp_path / "bare", has_pip=False) == "no-pip"
    assert kind(tmp_path / "conda") == "conda"


def test_the_marker_of_the_system_counts_only_outside_an_environment(tmp_path: Path) -> None:
    (tmp_path / "stdlib").mkdir()
    put(tmp_path / "stdlib", **{"EXTERNALLY-MANAGED": "[externally-managed]\n"})
    assert kind(tmp_path, base=tmp_path) == "system"
    assert kind(tmp_path) == "venv"


def test_what_cannot_be_written_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind(tmp_path, site=tmp_path / "missing") == "read-only"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert kind(tmp_path) == "read-only"


def test_the_environment_of_the_tests_is_one_that_pip_may_change() -> None:
    here = this_environment()
    assert here.kind in ("venv", "conda", "uv-venv", "no-pip") and here.sites[0].is_dir()


# ------------------------------------------------------------------------------------------- what to run instead
def test_pip_is_right_in_a_plain_environment(tmp_path: Path) -> None:
    for kind in ("venv", "conda"):
        refuse_unless_pip(environment(tmp_path, kind), Task("install", (X,)))
    refuse_unless_pip(environment(tmp_path, "no-pip"), Task("uninstall", names=("x",)))


def test_for_uv_everything_that_came_along_is_named_again(tmp_path: Path) -> None:
    put(tmp_path, **{"uv-receipt.toml": RECEIPT})
    ((*words,),) = commands(tmp_path, "uv-tool", Task("install", (X,), kept=KEPT))
    assert words == (
        ["uv", "tool", "install", "pgsynth[tui]>=0.1", "--python", "3.11", "--with", "click>=8"]
        + ["--with", "rich[jupyter]", "--with-editable", "/srv/me/mine", "--with", "pgsynth-plugin-y==1.0"]
        + ["--with", "pgsynth-plugin-z[fast]==0.3", "--with", "pgsynth-plugin-x==2.0"]
    )


def test_for_uv_what_is_uninstalled_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, **{"uv-receipt.toml": RECEIPT})
    ((*words,),) = commands(
        tmp_path, "uv-tool", Task("uninstall", names=("pgsynth-plugin-y", "pgsynth-plugin-z"), kept=KEPT)
    )
    assert words[-2:] == ["--with-editable", "/srv/me/mine"] and "click>=8" in words
    assert not [word for word in words if "plugin-y" in word or "plugin-z" in word]


def test_for_uv_a_newer_wish_replaces_the_older(tmp_path: Path) -> None:
    put(tmp_path, **{"uv-receipt.toml": RECEIPT})
    newer = Wanted("pgsynth-plugin-y", "pgsynth-plugin-y", "pgsynth-plugin-y>=2")
    ((*words,),) = commands(tmp_path, "uv-tool", Task("install", (newer,)))
    assert [word for word in words if "plugin-y" in word] == ["pgsynth-plugin-y>=2"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('{ name = "pgsynth", editable = "/src/pgsynth" }', ["--editable", "/src/pgsynth"]),
        ('{ name = "pgsynth", directory = "/src/pgsynth" }', ["/src/pgsynth"]),
        ('{ name = "pgsynth", path = "/dist/pgsynth.whl" }', ["/dist/pgsynth.whl"]),
        ('{ name = "pgsynth", git = "https://host/x?rev=1" }', ["pgsynth @ git+https://host/x?rev=1"]),
    ],
)
def test_for_uv_pgsynth_comes_from_where_it_came(tmp_path: Path, entry: str, expected: list[str]) -> None:
    put(tmp_path, **{"uv-receipt.toml": f"[tool]\nrequirements = [{entry}]\n"})
    ((*words,),) = commands(tmp_path, "uv-tool", Task("install", (X,)))
    assert words == ["uv", "tool", "install", *expected, "--with", "pgsynth-plugin-x==2.0"]


def test_a_receipt_that_cannot_be_read_still_gives_a_command(tmp_path: Path) -> None:
    put(tmp_path, **{"uv-receipt.toml": "not = [toml"})
    ((*words,),) = commands(tmp_path, "uv-tool", Task("install", (X,), kept=KEPT))
    assert words[:4] == ["uv", "tool", "install", "pgsynth"] and len(words) == 8


def test_pipx_injects_into_its_environment_by_name(tmp_path: Path) -> None:
    assert commands(tmp_path, "pipx", Task("install", (X,))) == (
        ("pipx", "inject", tmp_path.name, "pgsynth-plugin-x==2.0"),
    )
    assert commands(tmp_path, "pipx", Task("install", (MINE,))) == (
        ("pipx", "inject", "--editable", tmp_path.name, "/srv/me/mine"),
    )
    assert commands(tmp_path, "pipx", Task("install", (MINE, X))) == (
        ("pipx", "inject", tmp_path.name, "pgsynth-plugin-x==2.0"),
        ("pipx", "inject", "--editable", tmp_path.name, "/srv/me/mine"),
    )
    assert commands(tmp_path, "pipx", Task("uninstall", names=("x",))) == (("pipx", "uninject", tmp_path.name, "x"),)


def test_uv_is_told_which_python_unless_it_is_the_active_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    python = f"{tmp_path}/bin/python"
    assert commands(tmp_path, "uv-venv", Task("install", (X, MINE))) == (
        ("uv", "pip", "install", "--python", python, "pgsynth-plugin-x==2.0", "-e", "/srv/me/mine"),
    )
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert commands(tmp_path, "uv-venv", Task("uninstall", names=("x",))) == (("uv", "pip", "uninstall", "x"),)


def test_elsewhere_an_environment_of_its_own_is_the_cure(tmp_path: Path) -> None:
    for kind in ("system", "read-only"):
        fresh, into = commands(tmp_path, kind, Task("install", (X,)))
        assert fresh[1:3] == ("-m", "venv") and into[-2:] == ("pgsynth", "pgsynth-plugin-x==2.0")
        ((*words,),) = commands(tmp_path, kind, Task("uninstall", names=("x",)))
        assert words[-3:] == ["pip", "uninstall", "x"]
    first, again = commands(tmp_path, "no-pip", Task("install", (X,)))
    assert first[-1] == "ensurepip" and again == ("pgsynth", "plugins", "install", "pgsynth-plugin-x==2.0")
