"""The Accelerator of a run: its settings win over what this process did before and over the environment."""

from __future__ import annotations

import pytest
from accelerate import Accelerator
from accelerate.state import PartialState

from pgsynth_core.errors import UserError
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.processes import accelerator_for


def settings(**given: object) -> TrainSettings:
    return TrainSettings.model_validate(given)


def test_one_process_trains_in_one_precision_after_another() -> None:
    for precision, said in (("fp32", "no"), ("bf16", "bf16"), ("bf16", "bf16"), ("fp32", "no")):
        assert accelerator_for(settings(precision=precision)).mixed_precision == said
    with pytest.raises(ValueError, match="already been initialized"):
        Accelerator(mixed_precision="bf16")  # which accelerate refuses by itself


def test_several_processes_are_asked_to_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator_for(settings(precision="fp32"))
    monkeypatch.setitem(PartialState._shared_state, "num_processes", 2)
    with pytest.raises(UserError, match=r"train\.precision is bf16, and these processes have trained in fp32"):
        accelerator_for(settings(precision="bf16"))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_environment_does_not_accumulate_otherwise(monkeypatch: pytest.MonkeyPatch, accumulate: int) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator = accelerator_for(settings(accumulate=accumulate))
    synchronised = []
    for _ in range(4):
        with accelerator.accumulate():
            synchronised.append(accelerator.sync_gradients)
    assert synchronised == [number % accumulate == 0 for number in range(1, 5)]
