"""What a user writes leads to one run, or to what they may have meant; never out of the folder of runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import (
    Checkpoint,
    RunFolder,
    find_checkpoint,
    find_run,
    find_start,
    list_runs,
    write_folder,
)

from .conftest import Saved

IDS = ("20260131-120405-qfft-pma", "20260131-120405-qfft-pma-2", "20260131-235959-hpfa", "20260201-080000-qfft-pma")


@pytest.fixture
def runs(root: Path) -> Path:
    """A folder with four runs, and more that is none."""
    for name in reversed(IDS):
        (root / name).mkdir(parents=True)
        (root / name / "spec.yaml").touch()
    (root / ".20260301-000000-x.0badcafe.tmp").mkdir()
    (root / ".20260301-000000-x.0badcafe.tmp" / "spec.yaml").touch()
    (root / "20260302-000000-empty").mkdir()
    (root / "20260303-000000-file").touch()
    return root


def refusal(text: str | Path, root: Path) -> Problem:
    """The one problem."""
    with pytest.raises(UserError) as refused:
        find_run(text, root)
    (problem,) = refused.value.problems
    return problem


def test_runs_are_listed_oldest_first(runs: Path) -> None:
    assert tuple(run.id for run in list_runs(runs)) == IDS
    assert list_runs(runs / "gone") == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [(name, name) for name in IDS] + [("latest", IDS[3]), ("20260201", IDS[3]), ("20260131-2", IDS[2])],
)
def test_found_by_id_beginning_or_latest(runs: Path, text: str, name: str) -> None:
    assert find_run(text, runs) == RunFolder(runs / name)


def test_a_run_that_was_renamed_is_not_the_latest(runs: Path) -> None:
    (runs / IDS[0]).rename(runs / "paper")
    assert find_run("latest", runs).id == IDS[3]
    assert find_run("pap", runs).id == "paper"


def test_a_replay_is_the_latest_only_where_nothing_else_is(runs: Path) -> None:
    (runs / IDS[3] / "replay.json").write_text('{"path": "elsewhere"}', encoding="utf-8")
    assert find_run("latest", runs).id == IDS[2]
    for name in IDS[:3]:
        (runs / name / "replay.json").write_text("{}", encoding="utf-8")
    assert find_run("latest", runs).id == IDS[3]


def test_found_by_path(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = RunFolder(runs / IDS[0])
    monkeypatch.chdir(runs)
    for text in (str(run.path), f"./{IDS[0]}", run.path, Path(IDS[0]), f"../runs/{IDS[0]}/"):
        found = find_run(text, elsewhere).path
        assert found.is_absolute() and found.resolve() == run.path.resolve()
    monkeypatch.chdir(run.path)
    assert find_run(".", elsewhere).path == run.path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_run(f"~/runs/{IDS[0]}", elsewhere) == run


# ------------------------------------------------------------------------------------------- not found
def test_a_beginning_of_several_lists_them(runs: Path) -> None:
    problem = refusal("20260131-120405-qfft-pm", runs)
    assert problem == Problem(
        "'20260131-120405-qfft-pm' begins 2 runs.", str(runs), f"Write one of: {IDS[0]}, {IDS[1]}."
    )


def test_an_unknown_one_suggests(runs: Path) -> None:
    assert refusal("20260131-235959-hpfb", runs).cure.startswith(f"Did you mean {IDS[2]!r}? The newest: {IDS[3]}, ")
    assert refusal("qfft-pma", runs).cure.startswith(f"Did you mean {IDS[3]!r}?")  # the newest that holds it
    problem = refusal("zebra", runs)
    assert problem.message == "there is no run 'zebra'."
    assert problem.cure == f"The newest: {', '.join(reversed(IDS))}."


def test_an_empty_word_is_no_beginning_of_all(root: Path, run: RunFolder) -> None:
    assert refusal("", root).cure == f"The newest: {run.id}."


def test_no_runs_at_all(root: Path) -> None:
    for text in ("latest", "x"):
        problem = refusal(text, root)
        assert "there are no runs here" in problem.message and problem.where == str(root)
        assert "pgsynth train" in problem.cure


def test_many_are_not_all_listed(root: Path) -> None:
    for number in range(30):
        (root / f"20260101-0000{number:02}-x").mkdir(parents=True)
        (root / f"20260101-0000{number:02}-x" / "spec.yaml").touch()
    assert refusal("2026", root).cure.endswith("20260101-000007-x and 22 more.")


def test_a_folder_of_that_name_here_is_told_of(
    root: Path, save: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(save(100), tmp_path / "my model")
    monkeypatch.chdir(tmp_path)
    for where in (root, root / "none"):
        with pytest.raises(UserError) as refused:
            find_checkpoint("my model", where)
        assert refused.value.problems[0].cure.endswith("give its path: ./'my model'.")


def test_a_path_to_nothing_or_to_something_else(runs: Path) -> None:
    assert "holds no spec.yaml" in refusal(runs, runs).message
    assert "holds no spec.yaml" in refusal(runs / "20260303-000000-file", runs).message
    missing = refusal(str(runs / "20260131-235959-hpfb"), runs)
    assert missing.message == "there is no such folder." and repr(IDS[2]) in missing.cure
    assert "Check the path" in refusal("/no/such/folder", runs).cure
    assert refusal("~nobody-of-this-name/x", runs).cure == "Write the folder without '~'."
    assert refusal("a/\0", runs).message


def test_a_file_in_place_of_the_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UserError, match="the runs cannot be listed"):
        list_runs(tmp_path / "runs")


@pytest.mark.parametrize("text", ["..", "../secret", "secret/../../secret", "*", "[0-9]*", "20260131-235959-hpfa\0"])
def test_an_id_never_leads_out(runs: Path, text: str) -> None:
    secret = runs.parent / "secret"
    secret.mkdir()
    (secret / "spec.yaml").touch()
    try:
        found = find_run(text, runs)
    except UserError:
        return
    pytest.fail(f"{text!r} led to {found.path}")


def test_a_folder_of_somebody_else_hides_no_other(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.is_file

    def is_file(path: Path) -> bool:
        if path.parent.name == IDS[1]:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    assert tuple(run.id for run in list_runs(runs)) == (IDS[0], *IDS[2:])


# ------------------------------------------------------------------------------------------- checkpoints
def test_a_run_means_its_latest_checkpoint(root: Path, run: RunFolder, save: Saved) -> None:
    save(100)
    latest = save(200)
    for text in ("latest", run.id, str(run.path), run.path):
        found = find_checkpoint(text, root)
        assert (found.path, found.step) == (latest, 200)


def test_a_checkpoint_is_found_by_its_path_wherever_it_is(root: Path, save: Saved, tmp_path: Path) -> None:
    first = save(100)
    save(200)
    assert find_checkpoint(str(first), root).step == 100
    copy = shutil.copytree(first, tmp_path / "my-model")
    found = find_checkpoint(copy, root)
    assert (found.path, found.step) == (copy, 100)
    (copy / "state.json").write_text("[", encoding="utf-8")
    assert find_checkpoint(copy, root).step == 0


def test_a_run_without_a_checkpoint(root: Path, run: RunFolder) -> None:
    with pytest.raises(UserError, match="has no checkpoint yet") as refused:
        find_checkpoint("latest", root)
    assert f"pgsynth train {run.spec_file}" in refused.value.problems[0].cure


def test_a_checkpoint_is_no_run(root: Path, save: Saved) -> None:
    assert "this is a checkpoint, not a run" in refusal(save(100), root).message


def test_what_was_written_for_diffusers_is_no_checkpoint(root: Path, save: Saved) -> None:
    exported = root / "exported"
    writer = {"unet/config.json": lambda path: path.write_text("{}", encoding="utf-8")}
    save(100)
    write_folder(exported, writer, bytes_needed=2, what="copy")
    with pytest.raises(UserError, match="in diffusers' layout") as refused:
        find_checkpoint(exported, root)
    assert "pgsynth export RUN -o FOLDER" in refused.value.problems[0].cure


def test_one_that_lost_its_state_is_damaged_and_not_foreign(root: Path, save: Saved, tmp_path: Path) -> None:
    copy = shutil.copytree(save(100), tmp_path / "copy")
    (copy / "state.json").unlink()
    with pytest.raises(UserError, match="the file is missing"):
        find_checkpoint(copy, root).verify()


def test_one_without_its_list_of_hashes_is_no_run_either(root: Path, save: Saved) -> None:
    path = save(100)
    (path / "SHA256SUMS").unlink()
    assert find_checkpoint(path, root) == Checkpoint(path, 100)


def test_a_run_goes_on_from_its_latest_or_from_the_one_at_a_path(root: Path, run: RunFolder, save: Saved) -> None:
    first, last = save(100), save(200)
    assert find_start("latest", root) == (run, Checkpoint(last, 200))
    assert find_start(first, root) == (run, Checkpoint(first, 100))


def test_nothing_goes_on_from_a_copy_or_from_what_was_set_aside(root: Path, save: Saved, tmp_path: Path) -> None:
    copy = shutil.copytree(save(100), tmp_path / "copy")
    with pytest.raises(UserError, match="in no run to go on with"):
        find_start(copy, root)
    later = save(200)
    save(150)
    with pytest.raises(UserError, match="was set aside: .* take back its name: step-00000200"):
        find_start(f"{later}.superseded", root)


def test_nothing_behind_the_sign_is_no_checkpoint(root: Path, save: Saved) -> None:
    save(100)
    with pytest.raises(UserError, match="nothing behind the @") as refused:
        find_checkpoint("latest@", root)
    assert "latest@best" in refused.value.problems[0].cure


def test_a_checkpoint_of_a_run_is_named_behind_it(root: Path, run: RunFolder, save: Saved) -> None:
    paths = {step: save(step, validation=loss) for step, loss in {100: 0.5, 200: 0.25, 300: 0.75}.items()}

    def found(text: str | Path) -> int:
        return find_checkpoint(text, root).step

    assert (found("latest"), found("latest@best"), found("latest@100"), found(f"{run.id[:9]}@00000200")) == (
        300,
        200,
        100,
        200,
    )
    assert (found(f"{run.path}@best"), found(Path(f"{run.path}@best")), found(paths[100])) == (200, 200, 100)
    start = find_start("latest@100", root)
    assert start == (run, Checkpoint(paths[100], 100))


def test_a_checkpoint_that_is_not_there_is_told_with_those_that_are(root: Path, run: RunFolder, save: Saved) -> None:
    save(100)
    with pytest.raises(UserError, match="has no checkpoint '150'.*best, 100"):
        find_checkpoint("latest@150", root)
    with pytest.raises(UserError, match="none is the best.*validate_pairs"):
        find_checkpoint("latest@best", root)


def test_a_folder_may_have_that_sign_in_its_name(root: Path, run: RunFolder, save: Saved) -> None:
    save(100)
    other = shutil.copytree(run.path, root / "me@home")
    assert find_checkpoint(str(other), root).path.is_relative_to(other)
    assert find_checkpoint(f"{other}@100", root).path.is_relative_to(other)


def test_a_run_that_lost_its_spec_says_where_there_is_another(run: RunFolder, save: Saved) -> None:
    saved = save(200) / "spec.yaml"
    run.spec_file.unlink()
    with pytest.raises(UserError, match="holds no spec.yaml") as refused:
        find_run(run.path, run.path.parent)
    assert f"cp {saved} {run.path}" in refused.value.problems[0].cure
