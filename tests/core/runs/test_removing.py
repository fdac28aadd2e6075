"""Runs are deleted whole, never while they are needed, and nothing outside them goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, list_runs, removing, start_session
from pgsynth_core.runs.removing import refuse_needed, remove_run, size_of

Saved = Callable[..., Path]


def test_a_run_goes_with_everything_and_says_what_it_frees(run: RunFolder, save: Saved) -> None:
    save(1, "x" * 5000)
    size = size_of(run.path)
    assert size > 5000 and remove_run(run) == size
    assert not any(run.path.parent.iterdir())


def test_what_links_lead_to_stays(run: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "photo.png").write_bytes(b"x" * 9000)
    (run.samples / "link").symlink_to(outside)
    (run.samples / "photo.png").symlink_to(outside / "photo.png")
    os.link(outside / "photo.png", run.samples / "hard.png")
    assert size_of(run.path) < 9000
    assert remove_run(run) < 9000 and (outside / "photo.png").stat().st_size == 9000


def test_a_link_to_a_run_goes_and_the_run_stays(run: RunFolder, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "20260101-120000-link"
    link.parent.mkdir()
    link.symlink_to(run.path)
    assert remove_run(RunFolder(link)) == 0
    assert not os.path.lexists(link) and run.spec_file.is_file()


def test_a_run_that_is_needed_stays(run: RunFolder) -> None:
    held = start_session(run)
    with pytest.raises(UserError, match="is being trained") as refused:
        remove_run(run)
    assert "pgsynth runs stop" in refused.value.problems[0].cure and run.spec_file.is_file()
    held.end("finished")
    remove_run(run)


@pytest.mark.parametrize("made", [(), ("checkpoints",), ("control", "samples")])
def test_a_project_that_holds_a_spec_is_no_run(tmp_path: Path, made: tuple[str, ...]) -> None:
    project = RunFolder(tmp_path / "project")
    for name in ("", *made):
        (project.path / name).mkdir()
    project.spec_file.touch()
    with pytest.raises(UserError, match="this may be no run"):
        remove_run(project)
    assert project.spec_file.exists()


def test_neither_the_working_folder_nor_that_of_all_runs_goes(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = run.path / "runs"
    with pytest.raises(UserError, match="your runs are in it"):
        refuse_needed(run, inner)
    for place in (run.path, run.samples):
        monkeypatch.chdir(place)
        with pytest.raises(UserError, match="you are in it"):
            remove_run(run)
    monkeypatch.chdir(run.path.parent)
    remove_run(run)


def test_a_kill_leaves_no_half_run_and_the_next_clears_up(
    run: RunFolder, save: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(1)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(removing, "remove", killed)
        remove_run(run)
    assert list_runs(run.path.parent) == () and any(run.path.parent.iterdir())
    other = create_run(run.path.parent, slug="other", spec_yaml="{}", lock=None)
    built = run.path.parent / ".20260101-120000-new.0123abcd.tmp"
    built.mkdir()
    remove_run(other)
    assert [*run.path.parent.iterdir()] == [built], "a run that is being made is nobody's leftover"
