"""The checks of a declaration: an honest one passes all, each saboteur and liar fails the one that is about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.testing import CHECKS, Report, check_part
from pgsynth_core.testing import declaration as checks
from pgsynth_core.testing import probe as probing
from pgsynth_core.testing.probe import Probed

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.saboteurs import CONFIG, Saboteur, component, honest, saboteurs, wreckers

__all__ = ["fake_packages"]

DECLARED = CHECKS[: CHECKS.index(checks.implements_its_kind)]
"""All that needs no torch."""


def checked(packages: FakePackages, saboteur: Saboteur) -> Report:
    saboteur.install(packages)
    return check_part("encoder", saboteur.qualified, registry=discover(), only=DECLARED)


def failures(report: Report) -> dict[str, str]:
    return {outcome.check: outcome.reason for outcome in report.outcomes if outcome.status == "failed"}


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    checks._probed.cache_clear()


def test_an_honest_one_passes(fake_packages: FakePackages) -> None:
    report = checked(fake_packages, honest())
    report.raise_if_failed()
    assert report.counts == {"ran": len(DECLARED), "passed": len(DECLARED), "failed": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("import_error", "config_can_be_imported"),
        ("system_exit", "config_can_be_imported"),
        ("torch_at_declaration", "config_imports_no_torch"),
        pytest.param("slow_import", "config_is_quick", marks=pytest.mark.slow),
        ("prints_at_import", "config_leaves_no_trace"),
        ("filters_warnings", "config_leaves_no_trace"),
        ("thread_at_import", "config_leaves_no_trace"),
        ("clashing_options", "options_equal_config"),
    ],
)
def test_a_saboteur_fails_its_check(name: str, check: str, fake_packages: FakePackages) -> None:
    saboteur = (saboteurs() | wreckers())[name]
    found = failures(checked(fake_packages, saboteur))
    assert check in found, found
    assert all(word in found[check] for word in saboteur.reason), found[check]


def test_what_cannot_be_imported_is_not_imported_here(fake_packages: FakePackages) -> None:
    """A part whose import halts would halt this process too: nothing after the first check touches it."""
    report = checked(fake_packages, saboteurs()["system_exit"])
    assert [outcome.status for outcome in report.outcomes] == ["failed"] + ["skipped"] * (len(DECLARED) - 1)
    assert {outcome.reason for outcome in report.outcomes[1:]} == {"config_can_be_imported failed"}


def test_an_import_that_halts_is_given_up(fake_packages: FakePackages) -> None:
    saboteur = saboteurs()["hangs"]
    folder = saboteur.install(fake_packages)
    probed = probing.probe(f"{folder.name}.parts", patience=3.0)
    assert "not imported after 3 seconds" in probed.fault


def test_what_it_writes_at_import_is_refused_and_told(fake_packages: FakePackages) -> None:
    found = failures(checked(fake_packages, wreckers()["writes_at_import"]))
    assert "it writes" in found["config_can_be_imported"] and "at_import.txt" in found["config_can_be_imported"]


def test_what_compiled_code_writes_at_import_is_told(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the checks after it import the Config here
    writes = 'import sqlite3\nsqlite3.connect("file:here.db", uri=True).execute("create table t (x)")\n'
    found = failures(checked(fake_packages, Saboteur("liar", (), "check", {"parts.py": writes + CONFIG})))
    assert "writes" in found["config_leaves_no_trace"] and "here.db" in found["config_leaves_no_trace"], found


@pytest.mark.parametrize(
    ("measured", "slow"),
    [
        ([Probed(seconds=0.9, baseline=0.1)], False),
        ([Probed(seconds=3.0, baseline=0.1), Probed(seconds=0.2, baseline=0.1)], False),  # the machine was busy
        ([Probed(seconds=3.0, baseline=0.7)], False),  # everything is slow here
        ([Probed(seconds=3.0, baseline=0.1)] * 3, True),
    ],
)
def test_the_ceiling_is_held_against_a_busy_machine(
    measured: list[Probed], slow: bool, fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(measured)
    monkeypatch.setattr(checks, "probe", lambda module, package="": next(left))
    saboteur = honest()
    saboteur.install(fake_packages)
    report = check_part("encoder", saboteur.qualified, registry=discover(), only=[checks.config_is_quick])
    assert [outcome.status for outcome in report.outcomes] == ["failed" if slow else "passed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("target = \"pgsynth_plugin_liar.", "target = \"pgsynth_plugins."), "another package's"),
        (lambda text: text.replace("licence =", 'weights = [{ id = "a/b", licence = "MIT", megabytes = 1, option = "big" }]\nlicence ='), "'big'"),
        (lambda text: text.replace("licence =", 'label_set = "atr81"\nlicence ='), "atr18"),
        (lambda text: text.replace('summary = "Does harm: liar."', 'summary = " "'), "summary"),
        (lambda text: text.replace("[component.needs", '[component.networks]\ndenoiser = ["self"]\n[component.needs', 1), "denoiser"),
    ],
    ids=["target", "weights", "label set", "summary", "networks"],
)  # fmt: skip
def test_a_manifest_that_does_not_hang_together(
    change: Callable[[str], str], said: str, fake_packages: FakePackages
) -> None:
    block = component("pgsynth-plugin-liar", "liar")
    changed = change(block)
    assert changed != block
    found = failures(checked(fake_packages, Saboteur("liar", (), "check", {"parts.py": CONFIG}, (changed,))))
    assert said in found["manifest_is_coherent"], found


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            CONFIG.replace("from pydantic import Field", "from pydantic import Field, field_validator")
            + '\n    @field_validator("width")\n    @classmethod\n    def even(cls, width):\n        if width % 2:\n            raise ValueError("even numbers only")\n        return width\n',
            "even numbers only",
        ),
        (
            CONFIG.replace("from pydantic import Field", "import itertools\n\nfrom pydantic import Field, field_validator\n\ncount = itertools.count()")
            + '\n    @field_validator("width")\n    @classmethod\n    def other(cls, width):\n        return width + next(count)\n',
            "comes back as",
        ),
    ],
)  # fmt: skip
def test_an_option_that_does_not_come_back(config: str, said: str, fake_packages: FakePackages) -> None:
    found = failures(checked(fake_packages, Saboteur("liar", (), "check", {"parts.py": config})))
    assert said in found["options_go_round"], found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("class Part:\n    'Nothing.'\n", "is no Encoder"),
        ("from pgsynth_core.interfaces import Encoder\nclass Part(Encoder):\n    'Half of one.'\n", "abstract"),
        (
            "from pgsynth_core.interfaces import Encoder\nclass Part(Encoder):\n    def forward(self, source, latent_grid): ...\n",
            "no docstring",
        ),
        ("raise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_a_target_that_is_no_part(model: str, said: str, fake_packages: FakePackages) -> None:
    saboteur = Saboteur("liar", (), "check", {"parts.py": CONFIG, "model.py": model})
    saboteur.install(fake_packages)
    report = check_part("encoder", "liar", registry=discover(), only=[checks.implements_its_kind])
    assert said in failures(report)["implements_its_kind"]
