"""Metrics at the command line: what they score is shown, they are checked, and a package with one is at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..fixtures.fake_packages import FakePackages
from ..fixtures.generated import put_in_place, write_package

Run = Callable[..., Any]


def test_what_a_metric_scores_is_shown(run: Run) -> None:
    said = run("plugins", "show", "ssim")
    for line in ("a value for each pair", "higher is better", "ssim_256 of the protocol cfld: data_range=prediction"):
        assert line in said.out
    (shown,) = run("plugins", "show", "fid", "--json").facts["shown"]
    assert shown["scores"][:2] == ["one value for all pictures", "lower is better"] and len(shown["weights"]) == 2
    assert run("plugins", "show", "psnr", "--json").facts["shown"][0]["scores"][0] == "a value for each pair, in dB"
    assert run("plugins", "show", "pma", "--json").facts["shown"][0]["scores"] == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("windw=uniform", "Did you mean 'window'"),
        ("window=unform", "uniform"),
        ("side=2", "3"),
        ("side=", "there is no value"),
        ("side=[", "side"),
    ],
)
def test_options_of_a_metric_are_checked(word: str, said: str, run: Run) -> None:
    refused = run("plugins", "check", "ssim", word)
    assert refused.code == 2 and said in refused.err and "Traceback" not in refused.err


@pytest.mark.slow
def test_a_metric_is_checked_with_options(run: Run) -> None:
    facts = run("plugins", "check", "ssim", "window=uniform", "side=7", "--json").facts
    assert facts["ok"] and facts["counts"]["failed"] == facts["counts"]["skipped"] == 0


def test_a_written_metric_is_shown_and_completes_the_list(
    run: Run, fake_packages: FakePackages, tmp_path: Path
) -> None:
    made = write_package("metric", "own", tmp_path / "made")
    put_in_place(fake_packages, made.folder)
    assert "higher is better" in run("plugins", "show", "own").out
    rows = run("plugins", "list", "--kind", "metric", "--json").facts["plugins"]
    assert "pgsynth-plugin-own:own" in {row["qualified"] for row in rows}
