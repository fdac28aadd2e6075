"""An ablation on disk: written whole, its runs found by their names, how they stand derived; what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.registry import discover
from pgsynth_core.runs import list_runs
from pgsynth_core.runs.sessions import start_session
from pgsynth_core.spec import resolve
from pgsynth_core.sweeps import (
    NOT_BEGUN,
    PRUNED,
    SweepFolder,
    create_sweep,
    earlier_paces,
    find_sweep,
    list_sweeps,
    pace_key,
    standings,
    sweep_of,
)

WORDS = ["attn.pma.mask=eq9,eq5", "encoder.qfft.queries=local,local+global"]


def written(root: Path, **more: Any) -> SweepFolder:
    """Three combinations and one pruned."""
    sweep = sweep_of(WORDS, discover(), source="tiny")
    specs = [row.spec.to_yaml({}) for row in sweep.combinations if row.ok and row.spec]
    return create_sweep(root, sweep, specs, words=["tiny", *WORDS], **more)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = written(tmp_path, name="masks, both", evaluate=["--limit", "8"])
    assert made == find_sweep("latest", tmp_path) == find_sweep("masks-both", tmp_path) == find_sweep(made.id, tmp_path)
    assert made.id.endswith("-masks-both") and made.root == tmp_path
    assert [bool(row.run) for row in made.rows] == [True, True, False, True]
    assert made.rows[1].run == f"{made.id}-2-mask-eq9-queries-local-global"
    assert made.rows[2].problems and made.evaluate == ("--limit", "8")
    assert list_runs(tmp_path) == (), "no run is made before its turn, and a sweep is none"


def test_two_of_one_second_have_names_that_do_not_begin_alike(tmp_path: Path) -> None:
    first, second = written(tmp_path), written(tmp_path)
    assert not second.id.startswith(first.id) and list_sweeps(tmp_path) == (first.path, second.path)
    with pytest.raises(UserError, match="names 2 sweeps"):
        find_sweep("tiny", tmp_path)


def test_a_run_is_made_once_with_the_frozen_spec(tmp_path: Path) -> None:
    made = written(tmp_path)
    row = made.good[0]
    run = made.made(row)
    assert made.made(row) == run and [folder.id for folder in list_runs(tmp_path)] == [row.run]
    assert run.spec_file.read_text("utf-8") == made.spec_file(row).read_text("utf-8")
    run.spec_file.write_text("pgsynth: 1\n", encoding="utf-8")
    with pytest.raises(UserError, match="another run has the name"):
        made.made(row)


def test_how_it_stands_is_seen_in_the_runs_alone(tmp_path: Path) -> None:
    made = written(tmp_path)
    before = made.path.joinpath("sweep.json").read_bytes()
    assert [one.state for one in standings(made)] == [NOT_BEGUN, NOT_BEGUN, PRUNED, NOT_BEGUN]
    done, failed, begun = (made.made(row) for row in made.good)
    start_session(done).end("finished", step=3)
    start_session(failed).end("failed", code=1, reason="no room")
    now = standings(made)
    assert [one.state for one in now] == ["finished", "failed", PRUNED, NOT_BEGUN]
    assert [one.open for one in now] == [False, True, False, True] and now[1].reason == "no room"
    assert "role global" in now[2].reason
    held = start_session(begun)
    assert standings(made)[3].busy
    held.end("stopped")
    elsewhere = {made.rows[0].run: "Slurm: running", made.rows[1].run: "Slurm: pending"}
    now = standings(made, elsewhere)
    assert [one.state for one in now] == ["finished", "Slurm: pending", PRUNED, "stopped"]
    assert [one.open for one in now] == [False, False, False, True]
    assert made.path.joinpath("sweep.json").read_bytes() == before


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", "..", ".hidden"])
def test_a_run_never_lies_elsewhere(tmp_path: Path, name: str) -> None:
    made = written(tmp_path)
    file = made.path / "sweep.json"
    facts = json.loads(file.read_text("utf-8"))
    facts["rows"][0]["run"] = name
    file.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(UserError, match="is no name of a run"):
        find_sweep(made.id, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sweep": 2}', '{"sweep": 1}', '{"sweep": 1, "rows": [1]}'])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    made = written(tmp_path)
    (made.path / "sweep.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as told:
        find_sweep(made.id, tmp_path)
    assert "sweep.json" in str(told.value)


def test_what_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are none here"):
        find_sweep("latest", tmp_path)
    made = written(tmp_path)
    with pytest.raises(UserError, match=made.id):
        find_sweep("20", tmp_path / "sweeps" / "..") and find_sweep(f"{made.id[:-1]}x", tmp_path)
    with pytest.raises(UserError, match="holds no sweep.json"):
        find_sweep("./nowhere", tmp_path)


# ------------------------------------------------------------------------------------------- how long it takes
def trained(root: Path, *words: str, seconds: float, step: int = 50, device: str = "cpu") -> None:
    """A run that took steps at a pace."""
    sweep = sweep_of([*words, "train.seed=7,8"], discover(), source="tiny")
    spec = sweep.combinations[0].spec
    assert spec is not None
    made = create_sweep(root, sweep, [spec.to_yaml({})] * 2, words=["tiny"])
    folder = made.made(made.good[0])
    session = start_session(folder)
    events = [{"kind": "run", "t": 1.0, "step": 0, "steps": 99, "device": device}]
    events += [{"kind": "step", "t": 2.0, "step": step, "steps": 99, "loss": 1.0, "seconds_per_step": seconds}]
    folder.events_file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    session.end("finished")


def test_the_pace_is_that_of_earlier_runs_of_their_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    for seconds in (1.0, 2.0, 9.0):
        trained(tmp_path, "attn.pma.mask=eq9", seconds=seconds)
    trained(tmp_path, "train.batch_size=4", seconds=0.5)
    trained(tmp_path, "train.batch_size=2", seconds=0.1, device="cuda:0")
    trained(tmp_path, "size=64x48", seconds=7.0, step=3)
    keys = [
        pace_key(resolve("tiny", words, discover()).spec)
        for words in ([], ["train.batch_size=4"], ["train.batch_size=2"], ["size=64x48"])
    ]
    found = earlier_paces(tmp_path, keys)
    assert found[keys[0]].seconds == 2.0 and found[keys[0]].source == "3 earlier runs", "another mask, the same pace"
    assert found[keys[1]].seconds == 0.5 and found[keys[1]].hours(7200) == 1.0
    assert keys[2] not in found, "on another kind of device"
    assert keys[3] not in found, "it had not found its pace"
