"""The resolved spec: every part with every option, every setting, nothing left to look up.

What `resolve` returns, what runs and checkpoints store, and what contract, composition, training and sampling read.
Frozen; changed copies come from `model_copy(update=...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pgsynth_core.spec.settings import SampleSettings, TrainSettings
from pgsynth_core.spec.write import to_yaml

SPEC_VERSION: Final = 1
"""Version of the spec's form; the key `pgsynth` of a spec file."""

Fit = Literal["squash", "pad", "crop"]


class PartChoice(BaseModel):
    """One part of a composition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="Its name in this composition, unique in it; begins its keys in a checkpoint.")
    part: str = Field(description="Qualified name, package:name.")
    options: dict[str, Any] = Field(default_factory=dict, description="Every option, defaults filled in.")


class Spec(BaseModel):
    """A whole composition, resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: PartChoice = Field(description="Codec, denoiser and noise schedule.")
    encoder: tuple[PartChoice, ...] = Field(default=(), description="Appearance encoders, in order.")
    pose: tuple[PartChoice, ...] = Field(default=(), description="Pose branches, in order.")
    attn: tuple[PartChoice, ...] = Field(default=(), description="Attention processors; the first is innermost.")
    data: tuple[PartChoice, ...] = Field(default=(), description="The dataset; empty: not chosen yet.")
    size: tuple[int, int] = Field(description="Image height and width in pixels.")
    fit: Fit = Field(default="squash", description="How an image and its pose get to that size.")
    adapters: dict[str, dict[str, tuple[int, int]]] = Field(
        default_factory=dict, description="Label -> port -> (width given, width wanted): linear layers put between."
    )
    train: TrainSettings = Field(default_factory=TrainSettings, description="How it is trained.")
    sample: SampleSettings = Field(default_factory=SampleSettings, description="How it samples.")

    def choices(self) -> tuple[tuple[str, PartChoice], ...]:
        """(slot, part) of every part: the base first, then slot by slot, in order."""
        slots = {"base": (self.base,), "encoder": self.encoder, "pose": self.pose, "attn": self.attn, "data": self.data}
        return tuple((slot, choice) for slot, choices in slots.items() for choice in choices)

    @property
    def slug(self) -> str:
        """What a run of it is named after: its parts, the dataset left out."""
        return "-".join(choice.label for slot, choice in self.choices() if slot != "data")

    def to_mapping(self) -> dict[str, Any]:
        """The canonical form, as JSON and YAML know it; `resolve` of it gives an equal spec."""
        slots: dict[str, Any] = {slot: "none" for slot in ("base", "encoder", "pose", "attn", "data")}
        for slot, choice in self.choices():
            parts = slots[slot] if isinstance(slots[slot], dict) else {}
            slots[slot] = parts | {choice.label: {"part": choice.part} | _plain(choice.options)}
        mapping = {"pgsynth": SPEC_VERSION} | slots | {"size": f"{self.size[0]}x{self.size[1]}", "fit": self.fit}
        if self.adapters:
            mapping["adapters"] = _plain(self.adapters)
        return mapping | {"train": _plain(self.train.model_dump()), "sample": _plain(self.sample.model_dump())}

    def to_yaml(self, lock: Mapping[str, Any] | None = None) -> str:
        """The canonical form as YAML text; with what it was written with, see `locked.lock_of`, where that is given."""
        return to_yaml(self.to_mapping() | ({"lock": lock} if lock else {}))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
