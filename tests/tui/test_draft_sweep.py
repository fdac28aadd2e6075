"""Ablations of a draft: every combination with its command, the refused ones with their reason."""

from __future__ import annotations

import itertools

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.sweeps import MOST
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_sweep import idle_values


@pytest.fixture
def store() -> DraftStore:
    store = DraftStore(discover())
    assert store.load("qen") == ()
    return store


def test_a_table_has_every_combination_and_prunes_with_a_reason(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "none,eq9,eq5")
    store.mark("encoder.qfft.queries", "local, local+global")
    sweep = store.sweep()
    assert sweep.problems == () and sweep.count == 6
    rows = list(sweep.combinations())
    assert [row.values for row in rows] == [*itertools.product(["none", "eq9", "eq5"], ["local", "local+global"])]
    pruned = [row for row in rows if not row.ok]
    assert [row.values for row in pruned] == [("eq5", "local")]
    assert "role global" in pruned[0].reasons[0].message
    assert [row.command for row in rows if row.ok] == [
        "pgsynth train qen encoder.qfft.queries=local attn.pma.mask=none",
        "pgsynth train qen attn.pma.mask=none",
        "pgsynth train qen encoder.qfft.queries=local attn.pma.mask=eq9",
        "pgsynth train qen attn.pma.mask=eq9",
        "pgsynth train qen",
    ]
    assert idle_values(sweep, rows) == ()


def test_slots_are_varied_before_their_options(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "eq9,none")
    store.mark("attn", "pma,none")
    rows = list(store.sweep().combinations())
    assert [(row.values, row.ok) for row in rows if not row.ok] == [(("eq9", "none"), False), (("none", "none"), False)]
    assert rows[1].reasons[0].path == "attn"


def test_a_value_that_nothing_can_have_is_told(store: DraftStore) -> None:
    store.mark("attn.pma.mask", "eq5,eq8")
    store.mark("train.seed", "0,1")
    sweep = store.sweep()
    told = idle_values(sweep, sweep.combinations())
    assert [one.path for one in told] == ["attn.pma.mask"]
    assert told[0].message.startswith("no combination can have eq8: ")


def test_marks_are_steps_and_can_go(store: DraftStore) -> None:
    store.mark("train.seed", "0,1,2")
    store.mark("train.steps", "1,2")
    store.add("attn", "hpfa")
    store.mark("train.seed", "0,1")
    assert store.draft.sweeps == ("train.seed=0,1", "train.steps=1,2")
    store.mark("train.seed", "")
    assert [factor.path for factor in store.sweep().factors] == ["train.steps"]
    store.undo()
    assert len(store.draft.sweeps) == 2


@pytest.mark.parametrize(
    ("values", "said"), [("1,,2", "empty value"), ("[a,b", "brackets"), ("1,2,1", "written twice")]
)
def test_bad_marks_are_told_at_their_field(store: DraftStore, values: str, said: str) -> None:
    store.mark("train.seed", values)
    sweep = store.sweep()
    assert [one.path for one in sweep.problems] == ["train.seed"] and said in sweep.problems[0].message
    assert list(sweep.combinations()) == []


def test_an_ablation_has_an_end(store: DraftStore) -> None:
    numbers = ",".join(map(str, range(1, 41)))
    store.mark("train.seed", numbers)
    store.mark("train.steps", numbers)
    sweep = store.sweep()
    assert sweep.count == 1600 > MOST
    assert "40 x 40 values make 1600 combinations" in sweep.problems[0].message
    assert list(sweep.combinations()) == []
