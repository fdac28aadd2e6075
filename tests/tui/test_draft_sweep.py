"""Ablations of a draft: the words of ``pgsynth sweep``, every combination as the shell sees it, hours, those of papers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.runs import EventLog, create_run, start_session
from pgsynth_core.sweeps import MOST
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_sweep import Ablation, read_ablation


@pytest.fixture
def store() -> DraftStore:
    store = DraftStore(discover())
    assert store.load("qen") == ()
    return store


def read(store: DraftStore, root: Path = Path("/nowhere")) -> Ablation:
    return read_ablation(store.draft, store.reading, root)


def test_a_table_has_every_combination_and_prunes_with_a_reason(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "none,eq9,eq5")
    store.mark("encoder.qfft.queries", "local, local+global")
    found = read(store)
    assert [row.values for row in found.rows] == [*itertools.product(["none", "eq9", "eq5"], ["local", "local+global"])]
    (pruned,) = [row for row in found.rows if not row.ok]
    assert pruned.values == ("eq5", "local") and "role global" in pruned.problems[0].message
    assert found.good == 5 and found.problems == () and found.hours == (None,) * 6
    assert found.sentence == "5 runs, 1 pruned; time unknown: no earlier run is like them; R takes a few steps"
    assert found.command(found.rows[0]) == "pgsynth train qen attn.pma.mask=none encoder.qfft.queries=local"
    lines = [text for text, _ in found.lines()]
    assert lines[0] == "  1   mask=none, queries=local" and lines[4].startswith("  5 x mask=eq5, queries=local: pma ")


def test_what_is_launched_is_one_command(store: DraftStore) -> None:
    store.set("train.steps", "5")
    store.set("train.seed", "3")
    store.mark("train.seed", "0,1")
    assert store.command == ("sweep", "qen", "train.steps=5", "train.seed=0,1"), "what varies is fixed no more"
    store.adapt(True)
    assert store.command[-1] == "--adapt" and read(store).good == 2


def test_hours_are_those_of_earlier_runs(store: DraftStore, root: Path) -> None:
    store.load("tiny")
    store.mark("encoder", "qfft,dinov2")
    spec = store.reading.spec
    assert spec
    folder = create_run(root, slug="earlier", spec_yaml=spec.to_yaml({}), lock={})
    held = start_session(folder)
    with EventLog(folder.events_file) as events:
        events.write("run", step=0, steps=1000, device="cpu", session=held.id)
        events.write("step", step=20, steps=1000, loss=1.0, seconds_per_step=3.6)
    held.end("stopped", step=20)
    found = read(store, root)
    assert found.hours == (pytest.approx(3.6 * spec.train.steps / 3600), None)
    assert "for 1 of them, the others unknown" in found.sentence
    timed = found.timed({"combinations": [{"hours": 1.0}, {"hours": 2.0}]})
    assert "about 3 h of training, one after another" in timed.sentence.replace(" 0 min", "")


def test_slots_are_varied_before_their_options(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "eq9,none")
    store.mark("attn", "pma,none")
    pruned = [row for row in read(store).rows if not row.ok]
    assert [row.values for row in pruned] == [("eq9", "none"), ("none", "none")]


def test_a_value_that_nothing_can_have_refuses_it_as_in_the_shell(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "eq5,eq8")
    store.mark("train.seed", "0,1")
    found = read(store)
    assert [one.where for one in found.problems] == ["attn.pma.mask"] and found.good == 0
    assert found.problems[0].message.startswith("no combination can have eq8: ")


def test_an_ablation_of_a_paper_is_a_draft_that_can_be_changed(store: DraftStore) -> None:
    assert store.load("qen-table3") == () and store.draft.source == "qen"
    assert store.command == ("sweep", "qen-table3") and read(store).good == 5
    store.mark("train.seed", "0,1")
    assert store.command == ("sweep", "qen-table3", "train.seed=0,1") and read(store).good == 10
    store.mark("attn.pma.mask", "")
    assert store.command == ("sweep", "qen-table3", "train.seed=0,1", "attn.pma.mask=eq5"), "as in qen"
    assert [row.values for row in read(store).rows if not row.ok] == [("local", "0"), ("local", "1")]
    store.mark("train.seed", "")
    store.mark("encoder.qfft.queries", "")
    assert store.command == ("train", "qen") and not store.draft.varied
    other = DraftStore(discover())
    store.undo()
    other.restore(store.draft.to_json())
    assert other.draft == store.draft and other.command == store.command


def test_rows_that_are_no_product_are_read_by_their_names(store: DraftStore) -> None:
    store.load("truepose-ablations")
    found = read(store)
    assert store.command == ("sweep", "truepose-ablations") and found.good == 5
    assert [found.described(row) for row in found.rows] == ["B1", "DINOv2", "reference", "B3", "complete"]
    store.mark("train.seed", "0,1")
    store.mark("train.seed", "")
    assert store.command == ("sweep", "truepose-ablations"), "its rows vary all the same"


def test_what_a_package_took_with_it_is_told(store: DraftStore) -> None:
    store.restore(store.draft.to_json().replace('"sweeps"', '"ablation": "lost-table", "sweeps"'))
    assert "lost-table" in str(read(store).problems[0])


def test_marks_are_steps_and_can_go(store: DraftStore) -> None:
    store.mark("train.seed", "0,1,2")
    store.mark("train.steps", "1,2")
    store.add("attn", "hpfa")
    store.mark("train.seed", "0,1")
    assert store.draft.sweeps == ("train.seed=0,1", "train.steps=1,2")
    store.mark("train.seed", "")
    assert store.draft.sweeps == ("train.steps=1,2",)
    store.undo()
    assert len(store.draft.sweeps) == 2


@pytest.mark.parametrize(
    ("values", "said"), [("1,,2", "empty value"), ("[a,b", "brackets"), ("1,2,1", "written twice")]
)
def test_bad_marks_are_told_at_their_field(store: DraftStore, values: str, said: str) -> None:
    store.mark("train.seed", values)
    found = read(store)
    assert found.sweep is None and said in found.problems[0].message and "train.seed" in found.problems[0].where


def test_an_ablation_has_an_end(store: DraftStore) -> None:
    numbers = ",".join(map(str, range(1, 41)))
    store.mark("train.seed", numbers)
    store.mark("train.steps", numbers)
    found = read(store)
    assert 40 * 40 > MOST and found.rows == ()
    assert "40 x 40 values make 1600 combinations" in found.problems[0].message
