"""Runs side by side: variants over seeds, what differs, and that only what is of the same thing shares a row."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.reports import cell_text, heading
from pgsynth_core.runs import EventLog, RunFolder
from pgsynth_core.runs.compared import ABSENT, Cell, Comparison, Number
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.reader import RunReader, read_facts
from pgsynth_core.runs.replaying import begin_replay

from ...fixtures.compared_runs import MEASURES, write_run, write_scores


def compared(*folders: RunFolder) -> Comparison:
    """What they are side by side."""
    return compare([read_facts(folder) for folder in folders])


def number(found: Comparison, name: str, group: str = "") -> Number:
    """The one row of that name."""
    (row,) = [row for row in found.numbers if row.name == name and group in row.group]
    return row


def said(found: Comparison, row: Number) -> str:
    """The notes upon a row."""
    return " ".join(found.notes[note - 1] for note in row.notes)


# ------------------------------------------------------------------------------------------- variants and settings
def test_runs_that_differ_in_their_seed_are_one_variant(root: Path) -> None:
    one, other = write_run(root, loss=0.5), write_run(root, {"train.seed": 1}, loss=0.7)
    third = write_run(root, {"attn.pma.mask": "eq9"}, loss=0.4)
    found = compared(one, third, other)
    assert [(variant.name, variant.seeds) for variant in found.variants] == [("A", (0, 1)), ("B", (0,))]
    loss = number(found, "mean loss of last 4 steps").cells
    assert loss[0] is not None and loss[1] is not None
    assert loss[0].mean == pytest.approx(0.6) and loss[0].spread == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert (loss[0].n, loss[1].n, loss[1].spread) == (2, 1, None)


def test_only_what_differs_is_told_and_a_part_stands_for_its_options(root: Path) -> None:
    one = write_run(root)
    other = write_run(root, {"-encoder.qfft": 0, "encoder.clip": {"part": "pgsynth:clip", "layer": -1}})
    third = write_run(root, {"encoder.qfft.depth": 3, "train.batch_size": 4})
    found = compared(one, other)
    assert [(row.key, row.values) for row in found.differing] == [("encoder", ("qfft", "clip"))]
    keys = [row.key for row in found.settings]
    assert keys.index("encoder.qfft.depth") < keys.index("encoder.clip.layer") < keys.index("pose")
    told = {row.key: row.values for row in compared(one, other, third).differing}
    assert told == {
        "encoder": ("qfft", "clip", "qfft"),
        "encoder.qfft.depth": (2, ABSENT, 3),
        "train.batch_size": (8, 8, 4),
    }


def test_the_written_order_of_guidance_counts(root: Path) -> None:
    one = write_run(root, {"sample.guidance": {"pose": 1.0, "all": 2.0}})
    other = write_run(root, {"sample.guidance": {"all": 2.0, "pose": 1.0}})
    assert [row.key for row in compared(one, other).differing] == ["sample.guidance"]


def test_one_variant_says_that_it_is_one(root: Path) -> None:
    found = compared(write_run(root), write_run(root, {"train.seed": 1}))
    assert len(found.variants) == 1 and not found.differing
    assert (
        "These runs differ in train.seed alone: they are one variant, and the spread is over its runs." in found.notes
    )
    assert not any(row.best for row in found.numbers)


def test_the_same_seed_twice_is_told(root: Path) -> None:
    found = compared(write_run(root), write_run(root))
    assert any("several runs of A have the seed 0" in note for note in found.notes)
    same = "These runs have the same settings and the same seed: they are one variant, and the spread is over its runs."
    assert same in found.notes and not any("train.seed alone" in note for note in found.notes)


# ------------------------------------------------------------------------------------------- training
def test_the_better_mean_is_known_by_its_direction(root: Path) -> None:
    one, other = write_run(root, loss=0.5), write_run(root, {"train.batch_size": 4}, loss=0.4)
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.6])
    found = compared(one, other)
    best = {row.name: row.best for row in found.numbers}
    assert best["mean loss of last 4 steps"] == {1} and best["ssim"] == {0} and best["l1"] == {0}
    assert best["steps taken"] == best["parameters that train"] == best["time a step"] == frozenset()
    assert number(found, "ssim").ahead == (None, (0, 2))


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ((0.87041, 0.87039), set()),
        ((0.87041, 0.87039, 0.9), {0, 1}),
        ((0.87041, 0.87044, 0.87051), {0, 1}),
        ((0.8704, 0.8705), {0}),
        ((math.inf, 0.87041, 0.87039), {1, 2}),
        ((math.inf, math.inf), set()),
    ],
)
def test_means_that_print_the_same_are_as_good(root: Path, losses: tuple[float, ...], best: set[int]) -> None:
    runs = [write_run(root, {"train.batch_size": 4 + place}, loss=loss) for place, loss in enumerate(losses)]
    row = number(compared(*runs), "mean loss of last 4 steps")
    assert row.best == best
    printed = [cell_text(row, cell, 1) for cell in row.cells]
    assert {place for place, text in enumerate(printed) if best and text == printed[min(best)]} == best


def test_a_mean_of_whole_numbers_is_printed_and_told_apart_by_tenths() -> None:
    row = Number("", "steps", "", None, "higher", tuple(Cell({"a": value}) for value in (3.31, 3.33, 3.2)))
    assert row.best == {0, 1} and [cell_text(row, cell, 1) for cell in row.cells] == ["3.3", "3.3", "3.2"]


def test_losses_of_other_things_are_marked_and_none_is_best(root: Path) -> None:
    one = write_run(root, loss=0.5, unseen={20: 0.5, 40: 0.6})
    other = write_run(root, {"data.figures.identities": 8}, loss=0.4, unseen={40: 0.4})
    found = compared(one, other)
    for name, what in (("mean loss of last 4 steps", "of training"), ("best loss on unseen pairs", "on unseen pairs")):
        row = number(found, name)
        assert not row.compares and not row.best
        assert f"Losses {what} are not of the same thing" in said(found, row) and "data.figures.identities" in said(
            found, row
        )


def test_a_loss_on_other_pairs_or_of_other_noise_is_marked(root: Path) -> None:
    one = write_run(root, unseen={40: 0.5})
    fewer = write_run(root, {"train.validate_pairs": 2}, unseen={40: 0.4})
    row = number(found := compared(one, fewer), "best loss on unseen pairs")
    assert not row.best and "train.validate_pairs" in said(found, row)
    assert number(found, "mean loss of last 4 steps").compares
    noisy = write_run(root, {"train.seed": 3, "train.batch_size": 4}, unseen={40: 0.4})
    row = number(found := compared(one, noisy), "best loss on unseen pairs")
    assert not row.best and "seeds are not the same: A 0; B 3" in said(found, row)
    moved = write_run(root, {"train.batch_size": 4}, data="e")
    row = number(found := compared(one, moved), "mean loss of last 4 steps")
    assert not row.best and "held other pairs" in said(found, row)


def test_the_best_look_at_unseen_pairs_is_of_what_led_here(root: Path) -> None:
    run = write_run(root, unseen={10: 0.6, 20: 0.1, 30: 0.7})
    with EventLog(run.events_file) as events:
        events.write("run", step=10, steps=40, session="b")
        events.write("step", step=11, loss=0.5)
        events.write("checkpoint", step=20, path="checkpoints/step-00000020", validation=0.55)
        events.write("checkpoint", step=25, path="checkpoints/step-00000025", validation=math.nan)
    assert read_facts(run).validation == (20, 0.55) and read_facts(run).step == 11
    with EventLog(run.events_file) as events:
        events.write("run", step=10, steps=40, session="c", after="b")
    assert read_facts(run).validation == (10, 0.6)


def test_unlike_lengths_devices_and_versions_are_told(root: Path) -> None:
    one = write_run(root, steps=40, versions={"torch": "2.14"})
    other = write_run(root, {"train.batch_size": 4}, steps=20, device="cuda:0", versions={"torch": "2.15"})
    found = compared(one, other)
    assert "A 40; B 20" in said(found, number(found, "mean loss of last 2 steps"))
    assert not number(found, "time a step").compares and "cpu and cuda" in said(found, number(found, "time a step"))
    assert "They were made with different versions of torch: 2.14 (A); 2.15 (B)." in found.notes


def test_gpus_of_other_names_are_other_devices(root: Path) -> None:
    one = write_run(root, device="cuda:0", gpu="NVIDIA H100")
    other, third = (
        write_run(root, {"train.batch_size": size}, device="cuda:1", gpu=gpu)
        for size, gpu in ((4, "NVIDIA L4"), (8, "NVIDIA H100"))
    )
    found = compared(one, other)
    assert "NVIDIA H100 and NVIDIA L4: times and memory" in said(found, number(found, "time a step"))
    assert not number(found, "time a step").compares
    assert number(compared(one, third), "time a step").compares, "which of several alike does not matter"


def test_a_run_that_trains_and_one_that_did_nothing_are_told(root: Path) -> None:
    live, empty = write_run(root, ended=False), write_run(root, {"train.batch_size": 4}, steps=0)
    found = compared(live, empty)
    assert any(f"{live.id} is running" in note for note in found.notes)
    assert number(found, "mean loss of last 4 steps").cells[1] is None and "A 40; B 0" in " ".join(found.notes)


def test_what_is_not_finite_is_not_the_best(root: Path) -> None:
    one, other = write_run(root, loss=math.nan), write_run(root, {"train.batch_size": 4}, loss=0.4)
    row = number(compared(one, other), "mean loss of last 4 steps")
    assert row.cells[0] is not None and math.isnan(row.cells[0].mean) and row.best == frozenset()


# ------------------------------------------------------------------------------------------- evaluations
def test_evaluations_of_other_pairs_pictures_or_sizes_are_kept_apart(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    write_scores(one, [0.5, 0.7])
    for number_, (how, more) in enumerate(
        {
            "on 1 pairs, not 2": {"ssim": [0.4]},
            "at 64x48": {"size": (64, 48)},
            "on other pairs, or other pictures": {"names": "else"},
            "on other pairs, or other pictures ": {"source": 0.3},
            "sample.steps": {"about": {"sample.steps": 10}},
        }.items()
    ):
        file = write_scores(other, **{"ssim": [0.4, 0.6], **more}, name=f"test-0000004{number_}")  # type: ignore[arg-type]
        found = compared(one, other)
        rows = [row for row in found.numbers if row.name == "ssim"]
        assert len(rows) == 2 and all(sum(map(bool, row.cells)) == 1 and not row.best for row in rows), how
        assert len({row.group for row in rows}) == 2, how
        assert how.strip() in said(found, rows[0]), said(found, rows[0])
        shutil.rmtree(file.parent)


def test_sampled_with_the_same_settings_they_are_side_by_side_whatever_the_spec_says(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"sample.steps": 10})
    write_scores(one, [0.5, 0.7])
    write_scores(one, [0.4, 0.6], name="test-00000040.2", about={"sample.steps": 10, "sample.batch_size": 9})
    write_scores(other, [0.4, 0.5], about={"sample.steps": 10})
    rows = [row for row in compared(one, other).numbers if row.name == "ssim"]
    assert [list(map(bool, row.cells)) for row in rows] == [[True, True], [True, False]]
    assert rows[0].best == {0} and rows[0].cells[0] is not None and rows[0].cells[0].mean == 0.5


def test_each_as_its_own_spec_says_is_side_by_side_with_a_note(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"sample.steps": 10})
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.5], about={"sample.steps": 10})
    row = number(found := compared(one, other), "ssim")
    assert row.best == {0} and "sample.steps 50 (A), 10 (B)" in said(found, row)


def test_other_definitions_have_rows_of_their_own(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.5], measures={**MEASURES, "ssim": replace(MEASURES["ssim"], id="ssim-torch")})
    found = compared(one, other)
    for name, has in (("ssim (ssim-wang)", [True, False]), ("ssim (ssim-torch)", [False, True])):
        row = number(found, name)
        assert list(map(bool, row.cells)) == has and not row.best
        assert row.ahead == (None, None)
    assert number(found, "psnr").best == {0}


def test_what_differs_without_keeping_them_apart_is_told(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    write_scores(one, [0.1, 0.2], name="test-00000020", step=20)
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.5], name="test-00000030", step=30, libraries={"numpy": "1.0"})
    row = number(found := compared(one, other), "ssim")
    assert row.cells[0] is not None and row.cells[0].mean == pytest.approx(0.6), "the last of a run"
    assert "40 (A), 30 (B)" in said(found, row) and "numpy 2.4 (A), numpy 1.0 (B)" in said(found, row)


def test_of_several_evaluations_those_with_the_weights_that_all_have_are_compared(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    write_scores(one, [0.1, 0.1], name="test-00000040", ema=False)
    write_scores(one, [0.2, 0.2], name="test-00000040.2")
    write_scores(other, [0.3, 0.3], name="test-00000040", ema=False)
    found = compared(one, other)
    assert [cell and cell.mean for cell in number(found, "ssim").cells] == pytest.approx([0.1, 0.3])
    for again in (2, 9, 10):
        write_scores(other, [0.04 * again] * 2, name=f"test-00000040.{again}")
    found = compared(one, other)
    assert [cell and cell.mean for cell in number(found, "ssim").cells] == pytest.approx([0.2, 0.4])
    assert not any("different weights" in note for note in found.notes)


def test_means_over_unequal_numbers_of_runs_are_told(root: Path) -> None:
    runs = [write_run(root, {"train.seed": seed}) for seed in range(2)] + [write_run(root, {"train.batch_size": 4})]
    for run in runs:
        write_scores(run, [0.5, 0.7])
    found = compared(*runs)
    assert any("unequal numbers of runs: A 2, B 1" in note for note in found.notes)
    assert "unequal" not in str(compared(*runs[1:]).notes)


def test_fewer_runs_than_the_variant_has(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.seed": 1})
    third = write_run(root, {"train.batch_size": 4})
    write_scores(one, [0.5, 0.7])
    found = compared(one, other, third)
    cell = number(found, "ssim").cells[0]
    assert cell is not None and (cell.n, cell.spread) == (1, None)
    assert any(f"B has no evaluation; to have one: pgsynth evaluate {third.id}" in note for note in found.notes)


# ------------------------------------------------------------------------------------------- reading
def test_only_what_is_new_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(root, ended=False)
    write_scores(run, [0.5, 0.7])
    reader = RunReader(run)
    first = reader.read()
    assert first is not None and reader.read() == first
    assert first.evaluations[0] is reader.read().evaluations[0]  # type: ignore[union-attr]
    with EventLog(run.events_file) as events:
        events.write("step", step=41, loss=9.0, seconds_per_step=0.5, memory_bytes=2**30)
    second = reader.read()
    assert second is not None and second.step == 41 and second.losses[-1] == 9.0
    assert (second.seconds_per_step, second.memory) == (0.5, 2**30)
    reader.close()
    assert reader.read(lambda: False) is None, "no longer wanted"
    reader.close()


def test_damage_is_told_and_passed_over(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    file = write_scores(one, [0.5])
    name = str(file.relative_to(one.path))
    halves = file.parent.with_name("test-00000040.ab.tmp")
    shutil.copytree(file.parent, halves)
    for text in ("{", "[]", "{}", json.dumps({"about": 3, "rows": [], "measures": {}})):
        file.write_text(text, encoding="utf-8")
        assert read_facts(one).evaluations == (), "also what is being written"
        assert any(name in problem and one.id in problem for problem in read_facts(one).problems)
    other.lock_file.write_text("{", encoding="utf-8")
    other.events_file.write_bytes(other.events_file.read_bytes() + b'{"half')
    assert any(name in note and one.id in note for note in compared(one, other).notes)
    other.spec_file.write_text("train: [", encoding="utf-8")
    with pytest.raises(UserError, match="spec.yaml"):
        read_facts(other)
    shutil.rmtree(other.path)
    with pytest.raises(UserError, match="no such file"):
        read_facts(other)


@pytest.mark.parametrize(
    "damage", [{"about": {"step": math.inf, "split": "test", "sample": {}}}, {"mean": {"ssim": 10**400}}]
)
def test_a_number_that_nothing_holds_is_damage(root: Path, damage: dict[str, object]) -> None:
    one = write_run(root)
    file = write_scores(one, [0.5])
    whole = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(whole | damage), encoding="utf-8")
    assert read_facts(one).evaluations == () and len(read_facts(one).problems) == 1


def test_losses_that_have_no_sum_have_no_finite_mean(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    with EventLog(other.events_file) as events:
        events.write("step", step=41, loss=math.inf)
        events.write("step", step=42, loss=-math.inf)
    cells = number(compared(one, other), "mean loss of last 4 steps").cells
    assert cells[0] is not None and cells[0].mean == 1.0 and cells[1] is not None and cells[1].mean == math.inf


# ------------------------------------------------------------------------------------------- replays
def played(run: RunFolder, root: Path) -> RunFolder:
    """A replay of it, to its end."""
    replay = begin_replay(run, root, speed=math.inf)
    assert replay.play(lambda step, steps: None)
    return replay.folder


@pytest.mark.parametrize("first", ["the run", "the replay"])
def test_a_replay_beside_its_run_counts_in_no_number(root: Path, first: str) -> None:
    one, seed, other = (
        write_run(root, loss=0.5),
        write_run(root, {"train.seed": 1}, loss=0.7),
        write_run(root, {"size": "64x48"}),
    )
    replay = played(one, root)
    folders = (one, replay) if first == "the run" else (replay, one)
    found = compared(*folders, seed, other)
    variant = found.variants[0]
    assert [run.folder for run in variant.runs] == [*folders, seed], "it is listed"
    assert [run.folder for run in variant.counted] == [one, seed] and variant.seeds == (0, 0, 1)
    for row in found.numbers:
        assert all(replay.id not in cell.values for cell in row.cells if cell), row.name
    loss = number(found, "mean loss of last 4 steps").cells[0]
    assert loss is not None and loss.n == 2 and loss.spread == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert [row.values for row in found.settings if row.key == "train.seed"] == [("0, 1", "0")]
    said = f"{replay.id} is a replay of {one.path}: its numbers are those of {one.id}, and it is left out of every mean"
    assert any(note.startswith(said) for note in found.notes) and "several runs" not in str(found.notes)


def test_a_run_and_its_replay_alone_are_one_variant_of_one_run(root: Path) -> None:
    one = write_run(root)
    found = compared(one, played(one, root))
    assert "These runs have the same settings and the same seed: they are one variant." in found.notes
    assert heading(found.variants[0]) == "A (n=1)"
    assert not any(cell.spread for row in found.numbers for cell in row.cells if cell)


def test_a_replay_whose_run_is_not_compared_counts(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    replay, again = played(one, root), played(one, root)
    found = compared(replay, other)
    assert f"{replay.id} is a replay of {one.path}: its numbers are that run's." in found.notes
    assert found.variants[0].counted and number(found, "steps taken").cells[0] is not None
    assert [run.folder for run in compared(replay, again, other).variants[0].counted] == [replay], "once"


def test_a_replay_of_a_replay_is_one_of_the_run_that_was_trained(root: Path, tmp_path: Path) -> None:
    one = write_run(root)
    again = played(played(one, root), root)
    assert read_facts(again).replay_of == str(one.path)
    assert [run.folder for run in compared(one, again).variants[0].counted] == [one]
    moved = RunFolder(one.path.rename(tmp_path / one.id))
    assert [run.folder for run in compared(again, moved).variants[0].counted] == [moved], "known by its id"


def test_a_replay_that_still_plays_leaves_the_numbers_as_they_are(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.batch_size": 4})
    begun = begin_replay(one, root, speed=1.0).folder
    found = compared(one, other, begun)
    assert found.numbers == compared(one, other).numbers
    assert not any("still change" in note for note in found.notes)


def test_a_mark_without_a_path_leaves_a_replay_that_counts(root: Path) -> None:
    one, replay = (run := write_run(root)), played(run, root)
    replay.replay_file.write_text("{", encoding="utf-8")
    assert [run.folder for run in compared(one, replay).variants[0].counted] == [one, replay]
    for wicked in (str(replay.path), "x" * 5000):
        replay.replay_file.write_text(json.dumps({"path": wicked}), encoding="utf-8")
        assert read_facts(replay).replay_of == wicked


def test_another_run_is_no_replay(root: Path) -> None:
    assert not any("is a replay" in note for note in compared(write_run(root), write_run(root)).notes)
