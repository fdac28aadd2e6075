"""The sections `train` and `sample`: what can be set, with its range, its default and a line of help.

The models are what training and sampling read. `TABLES` says the same as the options of a part are said
(`manifest.Option`), so that one check, one wording and one help serve parts and sections alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pgsynth_core.manifest import Option
from pgsynth_core.spec.schedules import Scale, Schedule

GROUPS: Final = ("all", "pose", "appearance")
"""Names of several conditions at once: every one, every pose branch, every encoder."""

SCHEDULERS: Final[Mapping[str, str]] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "deis": "DEISMultistepScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "dpm_single": "DPMSolverSinglestepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
"""Our name of a sampler to its class in diffusers. All of them sample on the noise schedule a run was trained with."""

SchedulerName = Literal[
    "ddim", "ddpm", "deis", "dpm", "dpm_single", "euler", "euler_ancestral", "heun", "pndm", "unipc"
]

TrackerName = Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive", "swanlab", "trackio"]
"""The trackers of experiments that Accelerate knows, by its names."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LossWeights(_Section):
    """Weights of the two noise-prediction losses; their weighted sum is minimised (QEN, Eq. 8)."""

    mse: float = Field(default=1.0, ge=0, description="Weight of source to target (QEN, Eq. 6).")
    reconstruction: float = Field(default=1.0, ge=0, description="Weight of source to source (QEN, Eq. 7); 0: off.")


class TrainSettings(_Section):
    """How a composition is trained."""

    steps: int = Field(default=1000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=8, ge=1, description="Pairs per process and step, before accumulation.")
    accumulate: int = Field(default=1, ge=1, description="Batches whose gradients make one step.")
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        default="adamw", description="AdamW; its two moments in fp32, or in 8 bits (pgsynth[bnb]): a quarter of them."
    )
    learning_rate: float = Field(default=1e-5, ge=0, le=1, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(default=100, ge=0, description="Steps of linear warm-up to the learning rate.")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="Decoupled weight decay of AdamW.")
    max_grad_norm: float = Field(default=1.0, ge=0, description="Gradients are clipped to this norm; 0: never.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(default="fp32", description="Arithmetic of the model's passes.")
    ema: float = Field(default=0.999, ge=0, le=1, description="Decay of the weights' fp32 moving average; 0: off.")
    seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Order, noise and drops follow from it.")
    flip: float = Field(default=0.0, ge=0, le=1, description="Probability that a pair is seen mirrored, left as right.")
    drop: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: {"all": 0.1, "pose": 0.05, "appearance": 0.05},
        description="Probability per sample that a condition is dropped: all, pose, appearance or a part's label.",
    )
    loss: LossWeights = Field(default_factory=LossWeights, description="Weights of the two losses.")
    min_snr: float = Field(0.0, ge=0, description="Gamma of min-SNR weighting of times (2303.09556); 0: all alike.")
    checkpoint_every: int = Field(default=500, ge=0, description="Steps between checkpoints; 0: only at the end.")
    sample_every: int = Field(default=500, ge=0, description="Steps between sample sheets; 0: only at the end.")
    keep_checkpoints: int = Field(
        default=3, ge=1, description="How many of the last checkpoints stay, beside the best."
    )
    validate_pairs: int = Field(
        default=16,
        ge=0,
        description="Test pairs whose loss, always with the same noise, says which checkpoint is best.",
    )
    only: tuple[str, ...] = Field(
        default=(), description="Patterns of checkpoint keys, e.g. [qfft.*]: what none matches is frozen; [] is all."
    )
    trackers: tuple[TrackerName, ...] = Field(
        default=(), description="Who is told of each figure and sheet besides, e.g. [tensorboard, wandb]; [] is nobody."
    )
    tracker_project: str = Field(default="pgsynth", description="Project there, where a tracker has projects.")
    checkpointing: bool = Field(default=False, description="Recompute activations: slower, far less memory.")
    workers: int = Field(default=2, ge=0, le=256, description="Processes that load data; 0: no extra ones.")
    cache: Literal["none", "latents", "features", "all"] = Field(
        default="none",
        description="Kept on disk: the codec's latents, the same bitwise; what frozen encoders make of the source, the "
        "same to rounding; all.",
    )


RESUMABLE: Final = (
    "steps",
    "workers",
    "checkpointing",
    "cache",
    "checkpoint_every",
    "sample_every",
    "keep_checkpoints",
    "trackers",
    "tracker_project",
)
"""Keys of `train` that may be others when a run goes on: no step learns anything else, and checkpoints compare."""


class SampleSettings(_Section):
    """How pictures are sampled."""

    scheduler: SchedulerName = Field(default="ddim", description="Sampler.")
    steps: int = Field(default=50, ge=1, le=1000, description="Denoising steps.")
    guidance: dict[str, Scale | Schedule] = Field(
        default_factory=lambda: dict[str, float | Schedule](all=2.0),
        description="Guidance, nested in written order: one scale, or those of all, pose, appearance, labels; by step. "
        "NAME=none takes one out.",
    )
    seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Each pair's seed follows from it.")
    batch_size: int = Field(default=4, ge=1, description="Pictures at once.")


SETTINGS: Final[Mapping[str, type[TrainSettings | SampleSettings]]] = {
    "train": TrainSettings,
    "sample": SampleSettings,
}


def evaluations(scheduler: str, steps: int) -> int:
    """How often a sampler asks the denoiser in so many steps: heun twice a step but for the last, pndm once more."""
    return {"heun": 2 * steps - 1, "pndm": steps + (steps > 1)}.get(scheduler, steps)


@dataclass(frozen=True)
class Setting:
    """One key of a section.

    Attributes:
        option: Type, range, default and help of its value; of a mapping: of each of its values.
        names: None for a single value; for a mapping, the names it may hold, and empty where they are conditions.
        shorthand: Of a mapping: the name that a single value stands for; empty if a single value is refused.
        keys: Of a mapping whose values may change by step: the keys of such a value, the first is what a number sets.
    """

    option: Option
    names: tuple[str, ...] | None = None
    shorthand: str = ""
    keys: Mapping[str, Option] = field(default_factory=dict)


_TYPES: Final = {"boolean": "bool", "integer": "int", "number": "float", "string": "str"}


def _option(schema: Mapping[str, Any], about: Mapping[str, Any]) -> Option:
    schema = schema["anyOf"][0] if "anyOf" in schema else schema  # a number, or a list or schedule of them
    return Option(
        type="choice" if "enum" in schema else _type(schema),
        default=about.get("default"),
        ge=schema.get("minimum"),
        le=schema.get("maximum"),
        choices=tuple(schema.get("enum") or schema.get("items", {}).get("enum", ())),
        help=about["description"],
    )


def _type(schema: Mapping[str, Any]) -> str:
    return f"list[{_TYPES[schema['items']['type']]}]" if schema["type"] == "array" else _TYPES[schema["type"]]


def _setting(name: str, schema: Mapping[str, Any]) -> Setting:
    value = schema.get("additionalProperties")
    if not isinstance(value, Mapping):
        return Setting(_option(schema, schema))
    if name != "guidance":
        return Setting(_option(value, schema), names=())
    properties = Schedule.model_json_schema(mode="serialization")["properties"]
    keys = {key: _option(inner, inner) for key, inner in properties.items()}
    return Setting(_option(value, schema), names=(), shorthand=GROUPS[0], keys=keys)


def _table(model: type[BaseModel]) -> Mapping[str, Setting]:
    properties = model.model_json_schema(mode="serialization")["properties"]
    weights = LossWeights.model_json_schema(mode="serialization")["properties"]
    rows = {name: _setting(name, schema) for name, schema in properties.items() if name != "loss"}
    if "loss" in properties:
        option = _option(weights["mse"], properties["loss"])
        rows["loss"] = Setting(option, names=tuple(weights))
    return {name: rows[name] for name in properties}


TABLES: Final[Mapping[str, Mapping[str, Setting]]] = {section: _table(model) for section, model in SETTINGS.items()}
"""Section -> key -> what may be written there, in the order of the models."""
