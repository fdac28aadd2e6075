"""`pgsynth plugins check`: what a name means, what is shown, what is kept, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.packages.records import read_records, record_of
from pgsynth_core.registry import CONFIG_VARIABLE, Entry, discover
from pgsynth_core.testing import Outcome, Report

from ..fixtures.fake_packages import FakePackages
from ..fixtures.saboteurs import honest, saboteurs

Run = Callable[..., Any]

GOOD = (Outcome("one", "passed"), Outcome("two", "skipped", "it has none"))
BAD = (
    Outcome("one", "passed"),
    Outcome("two", "failed", "two calls differ"),
    Outcome("three", "failed", "two calls differ"),
)
NONE = (Outcome("one", "skipped", "no device"),)


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings folder."""
    folder = tmp_path / "settings" / "pgsynth"
    monkeypatch.setenv(CONFIG_VARIABLE, str(folder))
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would be checked, with the arguments; none is. The part `bad` fails, of the part `none` nothing runs."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def pretend(entry: Entry, **arguments: Any) -> Report:
        seen.append((entry.qualified, arguments))
        found: dict[str, Sequence[Outcome]] = {"bad": BAD, "none": NONE}
        return Report(entry.qualified, tuple(found.get(entry.name, GOOD)), kind=entry.kind)

    monkeypatch.setattr("pgsynth_core.cli.plugins_check.check_isolated", pretend)
    return seen


Asked = list[tuple[str, dict[str, Any]]]


def install(packages: FakePackages, *names: str, more: str = "") -> None:
    blocks = [packages.part("encoder", name) for name in names]
    packages.install(manifest=packages.manifest("pgsynth-plugin-x", *blocks, more))


def test_a_part_is_checked_shown_and_kept(run: Run, asked: Asked) -> None:
    said = run("plugins", "check", "pma")
    assert said.code == 0 and asked == [("pgsynth:pma", {"options": {}, "compiled": False, "patience": 300})]
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0].startswith("attention processor pma (pgsynth ") and lines[1] == "check status reason"
    assert "two skipped it has none" in lines and "1 ran: 1 passed, 0 failed; 1 skipped" in lines
    record = record_of(discover().find("attention", "pma"), read_records())
    assert record is not None and (record.counts["ran"], record.counts["skipped"]) == (1, 1)


def test_options_are_read_as_in_a_spec_and_nothing_is_kept(run: Run, asked: Asked) -> None:
    said = run("plugins", "check", "qfft", "depth=2", "encoder.qfft.backbone=conv4", "--compiled", "--timeout", "7")
    assert said.code == 0 and not read_records()
    assert asked[0][1] == {"options": {"depth": 2, "backbone": "conv4"}, "compiled": True, "patience": 7}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pmq",), "pma"),
        (("qfft", "depht=2"), "depth"),
        (("qfft", "depth=0"), "depth"),
        (("qfft", "pma"), "one part or package at a time"),
        (("depth=2",), "no part is named"),
        (("qen", "depth=2"), "only one part has options"),
        (("qfft", "--kind", "enkoder"), "encoder"),
        (("pgsynth-plugin-nowhere",), "there is no part or preset"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], said: str, run: Run, asked: Asked) -> None:
    refused = run("plugins", "check", *words)
    assert refused.code == 2 and said in refused.err and not asked and not refused.out


def test_a_failure_is_told_with_package_and_cure(run: Run, asked: Asked, fake_packages: FakePackages) -> None:
    install(fake_packages, "bad")
    said = run("plugins", "check", "bad")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert said.code == 2 and "two failed two calls differ" in lines and "three failed as two" in lines, (
        "one cause once"
    )
    assert said.out.splitlines()[-1].startswith("pgsynth-plugin-x 1.0 does not conform: bad.")
    assert said.out.splitlines()[-1].endswith("remove it: pgsynth plugins uninstall pgsynth-plugin-x.")
    record = record_of(discover().find("encoder", "bad"), read_records())
    assert record is not None and not record.ok


def test_none_that_ran_is_a_failure(run: Run, asked: Asked, fake_packages: FakePackages) -> None:
    install(fake_packages, "none")
    assert run("plugins", "check", "none").code == 2


def test_a_package_is_all_that_it_brings(run: Run, asked: Asked, fake_packages: FakePackages) -> None:
    preset = '[[preset]]\nname = "mine"\nfile = "pgsynth_plugin_x:mine.yaml"\nsummary = "Mine."\n'
    install(fake_packages, "good", "bad", more=preset)
    (fake_packages.site / "pgsynth_plugin_x" / "mine.yaml").write_text("pgsynth: 1\nbase: tiny\nencoder: qfft\n")
    said = run("plugins", "check", "pgsynth_plugin.X", "--json")
    facts = said.facts
    assert said.code == 2 and set(facts) == {"ok", "counts", "reports", "broken"} and not facts["ok"]
    assert [(one["kind"], one["part"].split(":")[1], one["ok"]) for one in facts["reports"]] == [
        ("encoder", "good", True),
        ("encoder", "bad", False),
        ("preset", "mine", True),
    ]
    assert facts["counts"] == {"ran": 7, "passed": 5, "failed": 2, "skipped": 1}
    assert set(facts["reports"][0]["outcomes"][0]) == {"check", "status", "reason"}
    shown = run("plugins", "check", "pgsynth-plugin-x")
    assert "3 checked: 2 conform, 1 do not" in shown.out
    assert run("plugins", "check", "pgsynth-plugin-x", "--kind", "preset").code == 0


def test_a_preset_is_checked(run: Run) -> None:
    said = run("plugins", "check", "qen")
    assert said.code == 0 and "3 ran: 3 passed, 0 failed; 0 skipped" in said.out
    counts = {"ran": 3, "passed": 3, "failed": 0, "skipped": 0}
    (shown,) = run("plugins", "show", "qen", "--json").facts["shown"]
    listed = run("plugins", "list", "--kind", "preset", "--json").facts["plugins"]
    assert shown["checked"] == counts and "checked: 3 passed" in run("plugins", "show", "qen").out
    assert {row["name"]: row["checked"] for row in listed} == {row["name"]: None for row in listed} | {"qen": counts}


def test_a_name_of_several_is_refused_with_both(run: Run, asked: Asked, fake_packages: FakePackages) -> None:
    saboteurs()["clashing_name"].install(fake_packages)
    said = run("plugins", "check", "qfft")
    assert said.code == 2 and not asked
    assert "encoder pgsynth:qfft" in said.err and "encoder pgsynth-plugin-clashing-name:qfft" in said.err
    assert run("plugins", "check", "pgsynth-plugin-clashing-name:qfft").code == 0


@pytest.mark.parametrize("name", ["wrong_manifest", "newer_contract"])
def test_a_broken_package_is_told_without_a_traceback(
    name: str, run: Run, asked: Asked, fake_packages: FakePackages
) -> None:
    saboteur = saboteurs()[name]
    saboteur.install(fake_packages)
    said = run("plugins", "check", saboteur.package)
    assert said.code == 2 and not asked and "Traceback" not in said.err
    assert f"the package {saboteur.package} 1.0 is broken" in said.err and all(
        word in said.err for word in saboteur.reason
    )
    assert f"pgsynth plugins uninstall {saboteur.package}" in said.err
    assert run("plugins", "check", "pma").code == 0


def test_a_package_that_is_switched_off_says_how_to_switch_it_on(
    run: Run, asked: Asked, fake_packages: FakePackages, settings: Path
) -> None:
    install(fake_packages, "good")
    settings.mkdir(parents=True)
    (settings / "plugins.toml").write_text('disabled = ["pgsynth-plugin-x"]\n')
    said = run("plugins", "check", "pgsynth-plugin-x")
    assert said.code == 2 and "pgsynth plugins enable pgsynth-plugin-x" in said.err


def test_records_that_cannot_be_kept_are_told_and_the_check_counts(run: Run, asked: Asked, settings: Path) -> None:
    settings.parent.mkdir()
    settings.write_text("a file where the folder should be")
    said = run("plugins", "check", "pma")
    assert said.code == 0 and CONFIG_VARIABLE in said.err


def test_a_part_that_exits_is_checked_for_real(run: Run, fake_packages: FakePackages) -> None:
    saboteur = saboteurs()["system_exit"]
    saboteur.install(fake_packages)
    said = run("plugins", "check", saboteur.qualified, "--json")
    assert "reports" in said.facts, said
    outcomes = said.facts["reports"][0]["outcomes"]
    assert said.code == 2 and outcomes[0]["status"] == "failed" and "SystemExit: 3" in outcomes[0]["reason"]
    assert {outcome["status"] for outcome in outcomes[1:]} == {"skipped"}


@pytest.mark.slow
def test_an_honest_part_is_checked_for_real(run: Run, fake_packages: FakePackages) -> None:
    part = honest()
    part.install(fake_packages)
    said = run("plugins", "check", part.package, "--json")
    assert said.code == 0 and said.facts["counts"]["failed"] == 0 and said.facts["counts"]["ran"] >= 24


def test_words_are_completed(fake_packages: FakePackages) -> None:
    from pgsynth_core.cli.words import check_words

    install(fake_packages, "good")
    registry = discover()
    names = check_words([], "", registry)
    assert {"pma", "qen", "pgsynth-plugin-x"} <= set(names)
    assert set(check_words(["good"], "", registry)) == {"width="}
    assert set(check_words(["pma"], "mask=", registry)) == {"mask=eq5", "mask=eq9", "mask=none"}
    assert check_words(["nobody"], "", registry) == check_words(["qfft"], "nothing=", registry) == {}
