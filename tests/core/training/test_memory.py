"""What training holds, by the estimate: parts against arithmetic, and every setting in the direction it should act."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch

from pgsynth_core import compose
from pgsynth_core.api import Composition
from pgsynth_core.spec import Spec
from pgsynth_core.training.memory import TrainingMemory, training_memory
from pgsynth_core.training.savings import savings

SMALL = ("tiny", "data=none", "size=64x48", "encoder.qfft.depth=1", "train.batch_size=4")
Estimate = Callable[..., TrainingMemory]


@cache
def estimate(*words: str) -> TrainingMemory:
    composition = compose(*SMALL, *words)
    return training_memory(composition.spec, composition.registry, composition.verdict)


@pytest.fixture(scope="module")
def plain() -> TrainingMemory:
    return estimate()


def test_weights_moments_and_average_are_counted(plain: TrainingMemory) -> None:
    composition: Composition = compose(*SMALL)
    costs = composition.proof().parts
    trained = sum(cost.trainable for cost in costs)
    assert trained > 10**6 and all(cost.frozen == 0 for cost in costs)
    assert plain.weights == pytest.approx(4 * trained, rel=0.001), "buffers besides"
    assert (plain.moments, plain.average) == (8 * trained, 4 * trained)
    assert plain.total == plain.weights + plain.moments + plain.average + plain.step
    assert (
        composition.memory() == plain
        and composition.facts(composition.proof())["proof"]["training_bytes"] == plain.total
    )


@pytest.mark.slow
def test_a_step_grows_with_the_batch_by_its_activations(plain: TrainingMemory) -> None:
    twice, four = estimate("train.batch_size=8"), estimate("train.batch_size=16")
    assert four.step - twice.step == pytest.approx(2 * (twice.step - plain.step), rel=0.05)
    assert twice.weights == plain.weights


def test_checkpointing_lowers_it(plain: TrainingMemory) -> None:
    assert estimate("train.checkpointing=true").step < 0.8 * plain.step


@pytest.mark.slow
def test_without_the_second_loss_half_of_the_activations_are_gone(plain: TrainingMemory) -> None:
    large, half = (estimate("train.batch_size=16", *weight) for weight in ((), ("train.loss.reconstruction=0.0",)))
    assert half.step < 0.65 * large.step


@pytest.mark.slow
def test_half_precision_holds_less_of_activations_but_copies_of_weights() -> None:
    whole, half = (estimate("train.batch_size=16", *name) for name in ((), ("train.precision=bf16",)))
    assert 0.4 * whole.step < half.step < 0.95 * whole.step
    assert half.weights == whole.weights


@pytest.mark.slow
def test_accumulation_holds_gradients_beside_activations(plain: TrainingMemory) -> None:
    large = estimate("train.batch_size=16")
    more = estimate("train.batch_size=16", "train.accumulate=2").step - large.step
    assert 0.5 * plain.average < more <= 1.1 * plain.average, "one number for each that trains"


@pytest.mark.slow
def test_an_average_that_is_off_and_moments_in_eight_bits_save_theirs(plain: TrainingMemory) -> None:
    without, in_bits = estimate("train.ema=0"), estimate("train.optimizer=adamw8bit")
    assert without.average == 0 and plain.total - without.total == plain.average
    assert in_bits.moments < 0.35 * plain.moments


def test_parts_that_do_not_train_hold_no_gradient(plain: TrainingMemory) -> None:
    only = estimate("train.only=[qfft.*]")
    assert only.weights == plain.weights and only.moments < 0.4 * plain.moments and only.step < plain.step


def test_an_estimate_reads_no_weight_and_leaves_the_default_device_alone(plain: TrainingMemory) -> None:
    assert torch.zeros(1).device.type == "cpu" and torch.is_grad_enabled()


# ------------------------------------------------------------------------------------------- savings
@pytest.mark.slow
def test_every_saving_is_what_the_setting_would_save(plain: TrainingMemory) -> None:
    composition = compose(*SMALL)
    now, found = savings(composition.spec, composition.registry, composition.verdict)
    assert now == plain and [one.bytes for one in found] == sorted((one.bytes for one in found), reverse=True)
    words = {one.words: one.bytes for one in found}
    assert {"train.checkpointing=true", "train.batch_size=2 train.accumulate=2", "train.ema=0"} <= words.keys()
    assert words["train.ema=0"] == plain.average
    for written in ("train.checkpointing=true", "train.batch_size=2 train.accumulate=2"):
        assert words[written] == plain.total - estimate(*written.split()).total, written


def test_what_changes_what_trains_comes_last_and_no_step_is_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Spec] = []

    def reckoned(spec: Spec, *more: object, step: int | None = None) -> TrainingMemory:
        taken.extend([] if step else [spec])
        if spec.train.precision == "bf16":
            raise NotImplementedError("no such operation by shape")
        less = 9 * (spec.base.options["train"] == "frozen") + spec.train.checkpointing + 2 * (not spec.train.ema)
        return TrainingMemory(weights=10, moments=10, average=10, step=10 - less)

    monkeypatch.setattr("pgsynth_core.training.savings.training_memory", reckoned)
    composition = compose("base=sd", "data=none", "base.sd.train=all", "encoder=none", "pose=controlnet", "size=64x64")
    _, found = savings(composition.spec, composition.registry, composition.verdict)
    assert [one.words for one in found] == ["train.ema=0", "train.checkpointing=true", "base.sd.train=frozen"]
    assert [one.alike for one in found] == [True, True, False]
    assert all(spec.train.ema and spec.train.optimizer == "adamw" for spec in taken)


@pytest.mark.slow
def test_what_is_set_already_is_not_suggested() -> None:
    set_already = ("train.checkpointing=true", "train.batch_size=1", "train.precision=bf16", "train.ema=0")
    composition = compose(*SMALL, *set_already, "train.optimizer=adamw8bit")
    _, found = savings(composition.spec, composition.registry, composition.verdict)
    assert found == ()


@pytest.mark.slow
def test_what_cannot_be_sharded_is_not_suggested_there() -> None:
    composition = compose(*SMALL)
    found = [
        {one.words for one in savings(composition.spec, composition.registry, composition.verdict, sharded=sharded)[1]}
        for sharded in (False, True)
    ]
    assert found[0] - found[1] <= {"train.optimizer=adamw8bit"} and "train.optimizer=adamw8bit" not in found[1]


@pytest.mark.slow
def test_what_of_the_base_trains_is_a_saving() -> None:
    words = ("base=sd", "data=none", "base.sd.train=all", "encoder=none", "pose=controlnet", "size=64x64")
    saving = ("train.checkpointing=true", "train.batch_size=1", "train.precision=bf16", "train.ema=0")
    composition = compose(*words, *saving, "train.optimizer=adamw8bit")
    _, found = savings(composition.spec, composition.registry, composition.verdict)
    saved = {one.words: one.bytes for one in found}
    assert saved["base.sd.train=frozen"] > saved["base.sd.train=cross_attention"] > 4e9
