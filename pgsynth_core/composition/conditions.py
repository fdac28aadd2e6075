"""Conditions: what can be dropped, per sample, in training and in guidance alike.

A condition is one encoder or one pose branch, by its label; ``appearance`` means all encoders, ``pose`` all pose
branches with everything made from the target pose, ``all`` both. Without a branch, ``pose`` is itself a condition:
what processors are shown of the target pose. A dropped condition is the same tensor in training and in sampling: an
encoder's `null`; a pose's maps zero and its mask all True.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import over_ports
from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.interfaces import Conditioning, Encoder

Rows = Bool[Tensor, " B"]
"""Which samples of a batch are dropped."""


@dataclass(frozen=True)
class Conditions:
    """What one step is conditioned on.

    Attributes:
        shared: What encoders' ports and the denoiser's processors read.
        branches: Label of a pose branch -> what it reads instead, where branches are dropped one by one.
    """

    shared: Conditioning
    branches: Mapping[str, Conditioning] = field(default_factory=dict)


def labels_of(name: str, method: Method) -> tuple[str, ...]:
    """The labels of the conditions that a name means: ``all``, ``appearance``, ``pose``, or one label.

    Raises:
        SpecError: If it means none; a condition that nobody has would be dropped and shown without a difference.
    """
    encoders, poses = tuple(method.encoders), _pose_labels(method)
    groups = {"all": (*encoders, *poses), "pose": poses, "appearance": encoders}
    known = {label: (label,) for label in (*encoders, *poses)} | groups
    if name not in known:
        cure = suggestion(name, (*groups, *encoders, *poses), what="conditions")
        raise SpecError(f"there is no condition {name!r}.", cure=cure)
    return known[name]


def conditions(
    method: Method, parts: Mapping[str, Conditioning], data: Conditioning, dropped: Mapping[str, Rows]
) -> Conditions:
    """Join what encoders and data give, with some conditions dropped in some samples.

    Args:
        method: The method.
        parts: From `Method.encode_parts`.
        data: The ports made from data.
        dropped: Label -> which samples; labels that are absent are kept.
    """
    shown = {label: _encoder_dropped(method, label, ports, dropped.get(label)) for label, ports in parts.items()}
    poses = _pose_labels(method)
    rows = {label: dropped[label] for label in poses if label in dropped}
    everywhere = _all([rows[label] for label in rows]) if len(rows) == len(poses) else None
    shared = method.joined(shown, pose_dropped(data, everywhere))
    if len({id(row) for row in rows.values()}) <= 1 and len(rows) in (0, len(poses)):
        return Conditions(shared)  # every branch is dropped in the same samples
    return Conditions(shared, {label: method.joined(shown, pose_dropped(data, row)) for label, row in rows.items()})


def _pose_labels(method: Method) -> tuple[str, ...]:
    return tuple(method.poses) or ("pose",)  # a name that no part may have


def _all(rows: Iterable[Rows]) -> Rows | None:
    stacked = list(rows)
    return torch.stack(stacked).all(0) if stacked else None


def _encoder_dropped(method: Method, label: str, ports: Conditioning, rows: Rows | None) -> Conditioning:
    if rows is None:
        return ports
    encoder = method.encoders[label]
    assert isinstance(encoder, Encoder), "built as one"
    return chosen(rows, encoder.null(ports), ports)


def pose_dropped(data: Conditioning, rows: Rows | None) -> Conditioning:
    """The data's ports with the target pose dropped in some samples: maps zero, `pose_mask` all True."""
    if rows is None:
        return data
    null = replace(
        data,
        pose_mask=tuple(torch.ones_like(mask) for mask in data.pose_mask),
        skeleton=None if data.skeleton is None else torch.zeros_like(data.skeleton),
        heatmaps=None if data.heatmaps is None else torch.zeros_like(data.heatmaps),
    )
    return chosen(rows, null, data)


def chosen(rows: Rows, null: Conditioning, given: Conditioning) -> Conditioning:
    """`null` in the samples that `rows` names, `given` in the others, tensor by tensor."""

    def pick(dropped: Tensor, kept: Tensor) -> Tensor:
        return torch.where(rows.view(-1, *[1] * (kept.ndim - 1)), dropped.to(kept.dtype), kept)

    return over_ports(pick, null, given)


def repeated(ports: Conditioning, times: int) -> Conditioning:
    """The batch `times` over: [B, …] -> [times * B, …]."""
    return over_ports(lambda tensor: torch.cat([tensor] * times), ports)


def stacked(*all_ports: Conditioning) -> Conditioning:
    """Several batches after each other."""
    return over_ports(lambda *tensors: torch.cat(tensors), *all_ports)
