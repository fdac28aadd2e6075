"""Ablations as they are written: their combinations, what the contract prunes, what cannot be meant."""

from __future__ import annotations

import itertools

import pytest

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import resolve
from pgsynth_core.sweeps import MOST, sweep_of

TABLE_3 = ["attn.pma.mask=none,eq9,eq5", "encoder.qfft.queries=local,local+global", "train.seed=0,1,2"]
ROWS = {
    ("none", "local"): "qen-b1",
    ("eq9", "local"): "qen-b2",
    ("none", "local+global"): "qen-b3",
    ("eq9", "local+global"): "qen-b4",
    ("eq5", "local+global"): "qen",
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def test_table_3_is_five_rows_and_one_pruned_for_each_seed(registry: Registry) -> None:
    sweep = sweep_of(TABLE_3, registry, source="qen")
    rows = sweep.combinations
    product = itertools.product(("none", "eq9", "eq5"), ("local", "local+global"), ("0", "1", "2"))
    assert [row.values for row in rows] == [*product]
    pruned = [row for row in rows if not row.ok]
    assert [row.values for row in pruned] == [("eq5", "local", str(seed)) for seed in range(3)]
    assert "role global" in pruned[0].problems[0].message and "mask=eq9" in pruned[0].problems[0].cure
    assert sweep.mistyped == () and sweep.useless == ()


@pytest.mark.parametrize("preset", ["qen-table3", "pgsynth:qen-table3"])
def test_the_rows_of_table_3_are_the_presets(registry: Registry, preset: str) -> None:
    for row in sweep_of([], registry, source=preset).combinations:
        if row.ok:
            alone = resolve(ROWS[row.values[0], row.values[1]], [], registry).spec
            assert row.spec is not None and row.spec.to_mapping() == alone.to_mapping(), row.values


@pytest.mark.parametrize(
    ("row", "preset"),
    [
        ("B1", "truepose-b1"),
        ("DINOv2", "truepose-dinov2"),
        ("reference", "truepose-reference"),
        ("B3", "truepose-b3"),
        ("complete", "truepose"),
    ],
)
def test_the_rows_of_truepose_are_the_presets(registry: Registry, row: str, preset: str) -> None:
    found = {one.values: one.spec for one in sweep_of([], registry, source="truepose-ablations").combinations}
    spec = found[row,]
    assert len(found) == 5 and spec is not None
    assert spec.to_mapping() == resolve(preset, [], registry).spec.to_mapping()


def test_every_ablation_of_ours_has_combinations_that_fit(registry: Registry) -> None:
    for entry in registry.sweeps:
        sweep = sweep_of([], registry, source=entry.name)
        assert any(row.ok for row in sweep.combinations) and not sweep.mistyped and not sweep.useless, entry.name


@pytest.mark.parametrize(
    ("name", "on", "ok"),
    [("qen-table3", "tiny", 5), ("truepose-ablations", "truepose-tiny", 5), ("truepose-k", "truepose-tiny", 4)],
)
def test_an_ablation_moves_to_a_small_method(registry: Registry, name: str, on: str, ok: int) -> None:
    rows = sweep_of(["data=figures"], registry, source=name, on=on).combinations
    assert sum(row.ok for row in rows) == ok
    assert {row.spec.base.label for row in rows if row.spec} == {"tiny"}


def test_what_is_typed_stands_for_what_the_ablation_says(registry: Registry) -> None:
    sweep = sweep_of(["attn.pma.mask=none,eq9", "train.seed=3"], registry, source="qen-table3")
    assert [factor.values for factor in sweep.grid.factors] == [("local", "local+global"), ("none", "eq9")]
    sweep = sweep_of(["attn.pma.mask=eq9", "base=tiny"], registry, source="qen-table3")
    assert [row.values for row in sweep.combinations if row.ok] == [("local",), ("local+global",)]


def test_rows_are_combined_with_what_is_varied(registry: Registry) -> None:
    sweep = sweep_of(["train.seed=0,1"], registry, source="truepose-ablations", on="truepose-tiny")
    assert [row.values for row in sweep.combinations][:3] == [("B1", "0"), ("B1", "1"), ("DINOv2", "0")]
    assert sweep.grid.described(("B1", "0")) == ("B1", "train.seed=0")


def test_slots_apply_before_their_options(registry: Registry) -> None:
    sweep = sweep_of(["attn.pma.mask=eq9,none", "attn=pma,none"], registry, source="qen")
    assert [(row.values, row.ok) for row in sweep.combinations] == [
        (("eq9", "pma"), True),
        (("eq9", "none"), False),
        (("none", "pma"), True),
        (("none", "none"), False),
    ]
    assert [problem.where for problem in sweep.mistyped] == ["attn"], "with attn=none there is no option to set"


def test_lists_hold_their_commas(registry: Registry) -> None:
    sweep = sweep_of(
        ["train.drop={all: 0.1}", "attn.pma.sites=[pose:cross],[pose:cross, pose:self]"], registry, source="qen"
    )
    assert len(sweep.grid.factors) == 1 and sweep.grid.count == 2


def test_a_value_that_no_combination_can_have_is_told(registry: Registry) -> None:
    mistyped = sweep_of(["attn.pma.mask=eq5,eq8", "train.seed=0,1"], registry, source="qen").mistyped
    assert [problem.where for problem in mistyped] == ["attn.pma.mask"]
    assert mistyped[0].message.startswith("no combination can have eq8: ") and "eq9" in mistyped[0].cure
    mistyped = sweep_of(["train.sed=0,1"], registry, source="tiny").mistyped
    assert [problem.message for problem in mistyped] == ["no combination can have 0 or 1: train has no key 'sed'."]
    sweep = sweep_of(["attn.pma.mask=eq5,eq9", "encoder.qfft.queries=local"], registry, source="qen")
    assert sweep.mistyped == () and [problem.where for problem in sweep.useless] == ["attn.pma.mask"]


@pytest.mark.parametrize(
    ("words", "source", "said"),
    [
        (["train.seed=1"], "qen", "nothing is varied"),
        (["train.seed=1,,2"], "qen", "empty value"),
        (["train.seed=1,2,1"], "qen", "written twice"),
        (["train.seed=1,2", "train.seed=3,4"], "qen", "varied twice"),
        (["train.seed=1,2", "train.seed=3"], "qen", "fixed and varied"),
        (["train.seed"], "qen", "no override"),
        (["train.seed=1,2"], "qenn", "there is no preset 'qenn'"),
        ([], "qen-tabel3", "Did you mean 'qen-table3'?"),
        (["train.seed=1,2"], "nowhere/method.yaml", "nowhere/method.yaml"),
    ],
)
def test_what_cannot_be_meant_is_refused(registry: Registry, words: list[str], source: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        sweep_of(words, registry, source=source)
    assert said in str(refused.value)


def test_only_an_ablation_of_a_manifest_is_moved(registry: Registry) -> None:
    with pytest.raises(SpecError, match="is no ablation of a manifest"):
        sweep_of(["train.seed=0,1"], registry, source="qen", on="tiny")


def test_an_ablation_has_an_end(registry: Registry) -> None:
    numbers = ",".join(map(str, range(40)))
    with pytest.raises(SpecError, match=f"40 x 40 values make 1600 combinations; an ablation has {MOST} at most"):
        sweep_of([f"train.seed={numbers}", f"train.steps={numbers}"], registry, source="qen")
