"""`pgsynth export`: a folder to take elsewhere, and what is refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Made

Run = Callable[..., Any]


def test_a_run_becomes_a_folder_that_samples(run: Run, trained: Made, tmp_path: Path) -> None:
    out = tmp_path / "person"
    facts = run("export", *trained.run, "-o", str(out), "--bundle", "--json").facts
    assert set(facts) == {"ok", "run", "step", "folder", "files", "bytes", "warnings", "broken"}
    assert (facts["run"], facts["step"], facts["folder"]) == (trained.id, 3, str(out))
    there = {file.relative_to(out).as_posix(): file.stat().st_size for file in out.rglob("*") if file.is_file()}
    assert facts["files"] == there and facts["bytes"] == sum(there.values())
    assert "optimizer.safetensors" not in there
    said = run("sample", str(out), "--split", "test", "--limit", "1", "--steps", "2", "-o", str(tmp_path / "pictures"))
    assert said.code == 0, said.err


def test_in_the_layout_of_diffusers(run: Run, trained: Made, tmp_path: Path) -> None:
    said = run("export", *trained.run, "-o", str(tmp_path / "plain"), "--diffusers")
    assert said.code == 0, said.err
    *files, last = said.out.splitlines()
    assert {line.split()[1] for line in files} >= {"unet/config.json", "unet/diffusion_pytorch_model.safetensors"}
    assert last.strip().endswith(f"step 3 of {trained.id}") and str(tmp_path / "plain") in last


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-o", "{there}"), "nothing is written over"),
        (("-o", "{there}/no/where"), "is not there"),
        (("-o", "{there}/new", "--bundle", "--diffusers"), "Give one of them"),
        (("--bundle",), "-o"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, trained: Made, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    said = run("export", *trained.run, *(word.format(there=tmp_path) for word in words))
    assert said.code == 2 and reason in said.err and not list(tmp_path.iterdir())


def test_a_checkpoint_of_a_run_may_be_named(run: Run, trained: Made, tmp_path: Path) -> None:
    _, runs = trained.run[0], trained.run[1:]
    said = run("export", f"{trained.id}@best", *runs, "-o", str(tmp_path / "best"))
    assert said.code == 0, said.err
    said = run("export", f"{trained.id}@7", *runs, "-o", str(tmp_path / "seven"))
    assert said.code == 2 and "has no checkpoint '7'" in said.err
