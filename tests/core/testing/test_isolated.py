"""The kit in a process of its own: a part may end it, halt it, print and exit; every check gets an outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.data import write_pose
from pgsynth_core.registry import discover
from pgsynth_core.registry.fresh import FreshPython
from pgsynth_core.testing import Report, check_isolated, checks_of

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.people import standing, write_pairs, write_photo
from ...fixtures.saboteurs import Saboteur, honest, saboteurs, wreckers

pytestmark = pytest.mark.slow  # each starts processes that import torch

__all__ = ["fake_packages"]

FEW = ("config_can_be_imported", "ports_hold_values", "keeps_to_itself")


def checked(packages: FakePackages, saboteur: Saboteur, patience: float = 300.0, only: tuple[str, ...] = FEW) -> Report:
    saboteur.install(packages)
    entry = discover().find("encoder", saboteur.qualified)
    return check_isolated(entry, only=only, patience=patience)


def statuses(report: Report) -> list[str]:
    return [outcome.status for outcome in report.outcomes]


def test_an_honest_part_passes(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, honest())
    assert statuses(report) == ["passed"] * 3, report.outcomes
    assert [outcome.check for outcome in report.outcomes] == list(FEW) and report.kind == "encoder"


def test_one_that_ends_the_process_fails_that_check_and_the_rest_goes_on(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, wreckers()["ends_the_process"])
    assert statuses(report) == ["passed", "failed", "passed"], report.outcomes
    assert report.outcomes[1].reason == "ended the process (exit code 9)."


@pytest.mark.slow
def test_one_that_halts_is_given_up(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, wreckers()["hangs_in_forward"], 20.0, FEW[1:2])
    assert statuses(report) == ["failed"] and report.outcomes[0].reason == "is not done after 20 seconds."


def test_one_that_writes_is_refused_and_told(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    report = checked(fake_packages, saboteurs()["writes_here"])
    assert statuses(report)[-1] == "failed" and "i_was_here.txt" in report.outcomes[-1].reason
    assert list((tmp_path / "project").iterdir()) == []


@pytest.mark.parametrize("place", ["", "pathlib.Path(__file__).parent / "])
def test_what_compiled_code_writes_is_told(place: str, fake_packages: FakePackages) -> None:
    part = honest()
    writes = f'torch.save(torch.ones(1), {place}"cache.pt")'
    files = {**part.files, "model.py": part.files["model.py"].replace("# built", writes)}
    report = checked(fake_packages, replace(part, files=files))
    assert statuses(report)[-1] == "failed" and "cache.pt" in report.outcomes[-1].reason, report.outcomes


def test_paths_are_those_of_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate("ab"):
        write_photo(tmp_path / "mine" / f"{name}.png", seed=number)
        write_pose(tmp_path / "mine" / f"{name}.pose.json", standing())
    write_pairs(tmp_path / "mine" / "pairs.csv", [("a.png", "b.png")], "source,target")
    entry = discover().find("dataset", "folder")
    report = check_isolated(entry, options={"root": "mine"}, only=("pairs_have_the_documented_form",))
    assert statuses(report) == ["passed"], report.outcomes


def test_a_process_that_never_begins_is_told(fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.testing.isolated.FreshPython", lambda _, **more: FreshPython("json:no", **more))
    report = checked(fake_packages, honest())
    assert not report.ok and "(exit code 1): ImportError: cannot import name 'no'" in report.outcomes[0].reason
    assert {outcome.check for outcome in report.outcomes} == {"the_checks_begin"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, one in (saboteurs() | wreckers()).items() if one.when in ("import", "check")]
)
def test_every_saboteur_is_found_out(
    name: str, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    saboteur = (saboteurs() | wreckers())[name]
    report = checked(fake_packages, saboteur, 60.0, ())
    said = " ".join(outcome.reason for outcome in report.outcomes if outcome.status == "failed")
    assert not report.ok and all(word in said for word in saboteur.reason), report.outcomes
    assert [outcome.check for outcome in report.outcomes] == [check.__name__ for check in checks_of("encoder")]
    assert list((tmp_path / "project").iterdir()) == []


@pytest.mark.slow
def test_the_honest_one_passes_every_check(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, honest(), only=())
    report.raise_if_failed()
    assert report.counts["ran"] >= 24, report.outcomes
