"""What a manifest ships that is no part: presets, protocols, ablations, published tables; and papers they cite.

Floor 0, no torch. Tables of `manifest.Manifest`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "MetricUse",
    "Name",
    "Paper",
    "Preset",
    "ProtocolTable",
    "Resizing",
    "ResultsFile",
    "Strict",
    "SweepRow",
    "SweepTable",
]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Strict(BaseModel):
    """A table that never changes; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Paper(Strict):
    """Where the method was published."""

    title: str
    arxiv: str = ""
    section: str = ""
    equations: tuple[str, ...] = ()
    bibtex: str = ""


class Preset(Strict):
    """A spec shipped as YAML; `file` is ``top_level_package:path/inside.yaml``, as in the entry point."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*:[\w./-]+\.ya?ml$")]
    summary: str
    paper: Paper | None = None


Resizing = Literal["none", "pillow-bicubic", "torch-bicubic-truncated"]


class MetricUse(BaseModel):
    """A metric in a protocol: which part, and option values that are not its defaults."""

    model_config = ConfigDict(frozen=True, extra="allow")

    part: str

    @property
    def options(self) -> dict[str, Any]:
        """What is set, by name."""
        return dict(self.model_extra or {})


class ProtocolTable(Strict):
    """How results are scored, whole: numbers compare only within one protocol.

    `sizes`: (height)x(width) at which pictures may be compared, the first unless another is asked for; none: at their
    own, or at any that is asked for. `predictions`, `truths`: how they are brought to that size. `reference`: what sets
    of predictions are compared with, the truths of the scored pairs or the training images. `metrics`: label -> part.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    summary: str
    paper: Paper | None = None
    sizes: tuple[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$")], ...] = ()
    predictions: Resizing
    truths: Resizing
    reference: Literal["truths", "training"]
    metrics: dict[Name, MetricUse] = Field(min_length=1)


Overrides = tuple[Annotated[str, Field(pattern=r"^[^=\s]+=.+$")], ...]


class SweepRow(Strict):
    """One row of an ablation that is no product: its name in the paper's table, and its overrides."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*$")]
    words: Overrides = ()


class SweepTable(Strict):
    """An ablation: a preset, what is fixed of it, and what is varied, as in ``pgsynth sweep``.

    `vary`: ``path=value,value``, every combination of them. `row`: rows that are no product; each is combined with
    everything that is varied.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    summary: str
    preset: str
    fixed: Overrides = ()
    vary: Overrides = ()
    row: tuple[SweepRow, ...] = ()
    paper: Paper | None = None

    @model_validator(mode="after")
    def _varies(self) -> SweepTable:
        if not self.vary and not self.row:
            raise ValueError(f"sweep {self.name}: it varies nothing; give it `vary` or [[sweep.row]]")
        if len({row.name for row in self.row}) < len(self.row):
            raise ValueError(f"sweep {self.name}: two rows have one name")
        return self


class ResultsFile(Strict):
    """Published tables of numbers, shipped as TOML; `file` is ``top_level_package:path/inside.toml``.

    What such a file holds, see `pgsynth_core.reports.published`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*:[\w./-]+\.toml$")]
    summary: str
