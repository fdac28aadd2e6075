"""The Accelerator of a run: its settings win over what this process did before and over the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

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


# ------------------------------------------------------------------------------------------- sharded
@pytest.fixture
def several_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Accelerate is told by its launcher when it is to train on GPUs."""
    AcceleratorState._reset_state()
    PartialState()
    monkeypatch.setitem(PartialState._shared_state, "distributed_type", DistributedType.MULTI_GPU)
    yield
    AcceleratorState._reset_state()


@pytest.fixture
def sharded(several_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By FSDP, as its launcher says it when nothing else is asked for."""
    for name, value in SHARDED.items():
        monkeypatch.setenv(name, value)


SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "NO_WRAP",
    "FSDP_OFFLOAD_PARAMS": "false",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_ACTIVATION_CHECKPOINTING": "false",
}


@pytest.mark.usefixtures("sharded")
def test_what_is_sharded_is_read_by_every_process_and_computed_in_no_other_precision() -> None:
    plugin = accelerator_for(settings(precision="bf16")).state.fsdp_plugin
    assert not plugin.cpu_ram_efficient_loading and plugin.mixed_precision_policy is None


@pytest.mark.usefixtures("sharded")
@pytest.mark.parametrize(
    ("given", "environment", "said"),
    [
        ({"precision": "fp16"}, {}, "train.precision=bf16"),
        ({"optimizer": "adamw8bit"}, {}, "train.optimizer=adamw"),
        ({"cache": "all"}, {}, "train.cache=none"),
        ({}, {"FSDP_VERSION": "1"}, "--fsdp_version 2"),
        ({}, {"FSDP_AUTO_WRAP_POLICY": "SIZE_BASED_WRAP"}, "--fsdp_auto_wrap_policy NO_WRAP"),
        ({}, {"FSDP_OFFLOAD_PARAMS": "true"}, "--fsdp_offload_params false"),
        ({}, {"FSDP_ACTIVATION_CHECKPOINTING": "true"}, "train.checkpointing=true"),
        ({}, {"FSDP_IGNORED_MODULES": "encoders"}, "without --fsdp_ignored_modules"),
        ({}, {"ACCELERATE_DYNAMO_BACKEND": "EAGER"}, "--dynamo_backend no"),
    ],
)
def test_what_cannot_be_sharded_is_said_with_what_can(
    given: Mapping[str, object], environment: Mapping[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused:
        accelerator_for(settings(**given))
    (problem,) = refused.value.problems
    assert said in problem.cure


def test_what_would_silently_not_be_sharded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match="one process on a CPU: Accelerate would not shard it") as refused:
        accelerator_for(settings())
    assert "without --use_fsdp" in refused.value.problems[0].cure
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "false")
    assert accelerator_for(settings()).distributed_type == DistributedType.NO


def test_processes_that_would_each_train_alone_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun's are where there is no GPU and nobody has said that CPUs are meant."""
    PartialState()
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="2 processes were launched") as refused:
        accelerator_for(settings())
    assert "ACCELERATE_USE_CPU=true" in refused.value.problems[0].cure


def test_sharding_of_another_kind_is_refused_with_the_flags_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UserError, match="DeepSpeed is not supported") as refused:
        accelerator_for(settings())
    assert "--use_fsdp --fsdp_version 2" in refused.value.problems[0].cure
