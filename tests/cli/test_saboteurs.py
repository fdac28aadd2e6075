"""Packages that do harm: whatever they do, other commands work as ever, and whoever meets them is told whom, why, what."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..fixtures.fake_packages import FakePackages, top_level
from ..fixtures.houses import House, house
from ..fixtures.saboteurs import Saboteur, saboteurs

__all__ = ["house"]

Run = Callable[..., Any]

ALL = saboteurs()
COMMANDS = [
    ["--version"],
    ["--help"],
    ["plugins"],
    ["plugins", "list"],
    ["plugins", "list", "--json"],
    ["plugins", "show", "pma"],
    ["plugins", "search", "mask"],
    ["plugins", "why", "pgsynth:qfft", "pma"],
    ["plugins", "sync", "--check"],
    ["plugins", "disable", "--help"],
    ["compose", "tiny", "--no-proof"],
    ["compose", "encoder=?"],
    ["runs", "list"],
    ["doctor"],
    ["completion", "bash"],
]


UNHARMED: dict[tuple[str, ...], Any] = {}
"""What each command says where nobody does harm; asked once."""


def of(when: str) -> list[Any]:
    """Those that can be noticed then first."""
    return [pytest.param(one, id=name) for name, one in ALL.items() if one.when == when]


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that does not end is given up soon; what is switched off is switched off here only."""
    monkeypatch.setenv("PGSYNTH_IMPORT_SECONDS", "2")
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "settings"))


def _imported(saboteur: Saboteur) -> bool:
    """Whether anybody imported something of it."""
    return any(name.startswith(top_level(saboteur.package)) for name in sys.modules)


def test_there_are_fifteen_and_one() -> None:
    assert len(ALL) == 16 and {one.when for one in ALL.values()} == {"list", "import", "check", "run"}


@pytest.mark.parametrize("saboteur", ALL.values(), ids=ALL)
def test_no_other_command_is_harmed(run: Run, fake_packages: FakePackages, saboteur: Saboteur) -> None:
    for words in () if UNHARMED else COMMANDS:
        UNHARMED[tuple(words)] = run(*words)
    saboteur.install(fake_packages)
    for words in COMMANDS:
        said, was = run(*words), UNHARMED[tuple(words)]
        assert said.code == was.code == 0, (words, said.err)
        assert "Traceback" not in said.err
        new = [line for line in said.err.splitlines() if line not in was.err]
        assert all(saboteur.package in line for line in new), (words, new)
    assert saboteur.name == "raising_hook" or not _imported(saboteur), "its hook alone is called by composing"


@pytest.mark.parametrize("saboteur", of("list"))
def test_what_its_manifest_shows_is_told_by_every_command(
    run: Run, fake_packages: FakePackages, saboteur: Saboteur
) -> None:
    saboteur.install(fake_packages)
    said = run("compose", "base=tiny", "encoder=qfft", "--no-proof")
    told = said.err if saboteur.part else run("plugins", "list").err
    assert saboteur.package in told and all(word in told for word in saboteur.reason), told
    cure = saboteur.qualified if saboteur.part else f"pgsynth plugins uninstall {saboteur.package}"
    assert cure in told
    assert saboteur.package in run("doctor").out


@pytest.mark.parametrize("saboteur", of("import"))
def test_whoever_uses_it_is_told(run: Run, fake_packages: FakePackages, saboteur: Saboteur) -> None:
    saboteur.install(fake_packages)
    said = run("compose", "base=tiny", f"encoder={saboteur.qualified}")
    assert said.code == 2 and "Traceback" not in said.err
    assert all(word in said.err for word in (saboteur.package, *saboteur.reason)), said.err
    assert f"pgsynth plugins uninstall {saboteur.package}" in said.err
    assert run("compose", "tiny", "--no-proof").code == 0


@pytest.mark.parametrize("name", ["reads_nothing", "gives_pooled", "gives_transposed"])
def test_a_contract_that_lies_is_told_with_its_package(run: Run, fake_packages: FakePackages, name: str) -> None:
    saboteur = ALL[name]
    folder = saboteur.install(fake_packages)
    said = run("compose", "base=tiny", f"encoder={name}", "attn=pma", "attn.pma.mask=none", "data=figures", "--json")
    (problem,) = said.facts["problems"]
    assert problem["where"] == f"{saboteur.package} 1.0 ({folder / 'pgsynth.toml'})"
    assert all(word in problem["message"] for word in saboteur.reason), problem
    assert problem["cure"].endswith(f"pgsynth plugins uninstall {saboteur.package}")


@pytest.mark.slow
def test_a_look_into_every_package_names_them_all(run: Run, fake_packages: FakePackages) -> None:
    met = [one for one in ALL.values() if one.when in ("list", "import") and not one.part]
    for saboteur in ALL.values():
        if saboteur.name != "slow_import":  # no failure, but longer than is waited here
            saboteur.install(fake_packages)
    said = run("doctor", "--deep", "--json")
    assert said.code == 0, "pgsynth itself is well"
    failed = {check["name"]: check for check in said.facts["checks"] if check["status"] == "fail"}
    assert set(failed) == {f"package {one.package}" for one in met}
    for one in met:
        check = failed[f"package {one.package}"]
        assert all(word in check["message"] for word in one.reason), check
        assert one.package in check["cure"]


@pytest.mark.slow
def test_what_an_import_costs_is_told(run: Run, fake_packages: FakePackages) -> None:
    saboteur = ALL["slow_import"]
    saboteur.install(fake_packages)
    first, *_ = run("plugins", "times", saboteur.package, "--json").facts["times"]
    assert first["stage"] == "config" and first["seconds"] > 2.5 and not first["fault"]


def test_a_hook_that_raises_is_switched_off_and_composing_goes_on(
    run: Run, fake_packages: FakePackages, caplog: pytest.LogCaptureFixture
) -> None:
    saboteur = ALL["raising_hook"]
    saboteur.install(fake_packages)
    said = run("compose", "tiny", "--no-proof")
    assert said.code == 0
    told = said.err + caplog.text
    assert saboteur.package in told and all(word in told for word in saboteur.reason), told
    assert f"pgsynth plugins uninstall {saboteur.package}" in told


@pytest.mark.parametrize("saboteur", ALL.values(), ids=ALL)
def test_it_can_be_switched_off(run: Run, fake_packages: FakePackages, saboteur: Saboteur) -> None:
    saboteur.install(fake_packages)
    assert run("plugins", "disable", saboteur.package).code == 0
    quiet = run("plugins", "list")
    assert "broken package" not in quiet.err and "switched off by you" in quiet.out
    assert run("plugins", "enable", saboteur.package).code == 0
    assert not _imported(saboteur)


@pytest.mark.slow
def test_each_can_be_removed_beside_all_the_others(house: House) -> None:
    before = house.state()
    for saboteur in ALL.values():
        folder = saboteur.install(house.packages)
        info = next(folder.parent.glob(f"{folder.name}-*.dist-info"))
        files = [path for place in (folder, info) for path in place.rglob("*") if path.is_file()]
        rows = [f"{path.relative_to(folder.parent)},," for path in files]
        (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,"]) + "\n", encoding="utf-8")
    names = [saboteur.package for saboteur in ALL.values()]
    first = house.run("plugins", "uninstall", names[0], "--yes")
    assert first.code == 0, first.err
    rest = house.run("plugins", "uninstall", *names[1:], "--yes", "--json")
    assert rest.code == 0 and sorted(rest.facts["uninstalled"]) == sorted(names[1:]), rest.err
    left = {path: what for path, what in house.state().items() if path not in before}
    assert not [path for path, what in left.items() if what != "folder" and "pgsynth_plugin" in path], left
