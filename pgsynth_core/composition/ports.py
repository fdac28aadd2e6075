"""The ports inside a `Conditioning`, tensor by tensor: named, grouped, or cut from what made them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from pgsynth_core.interfaces import Conditioning

PYRAMIDS = ("pose_mask", "parsing")
"""Ports of several levels; one level read is the port read, for not every depth of a network has an acting site."""


def port_tensors(ports: Conditioning) -> dict[str, Tensor]:
    """Every tensor by name: ``tokens``, ``reference[<site>]``, ``regions``, ``regions.exists``, ``pose_mask[0]``, …"""
    found: dict[str, Tensor | None] = {
        "tokens": ports.tokens.values if ports.tokens else None,
        "regions": ports.regions.values if ports.regions else None,
        "regions.exists": ports.regions.exists if ports.regions else None,
        "skeleton": ports.skeleton,
        "heatmaps": ports.heatmaps,
    }
    found |= {f"reference[{site}]": value for site, value in ports.reference.items()}
    found |= {f"pose_mask[{level}]": mask for level, mask in enumerate(ports.pose_mask)}
    found |= {f"parsing[{level}]": labels for level, labels in enumerate(ports.parsing)}
    found |= dict(ports.extra)
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def port_of(name: str) -> str:
    """The port a tensor's name belongs to, as manifests write it."""
    return name.split("[")[0].removesuffix(".exists")


def tensors_by_mark(ports: Conditioning) -> dict[str, list[Tensor]]:
    """Tensors that are followed together: a pyramid is one, a reference is one per site."""
    groups: dict[str, list[Tensor]] = {}
    for name, tensor in port_tensors(ports).items():
        mark = port_of(name) if name.startswith(PYRAMIDS) else name
        groups.setdefault(mark, []).append(tensor)
    return groups


def as_leaves(ports: Conditioning) -> Conditioning:
    """The same ports cut from what made them; float tensors will collect a gradient."""

    def leaf(tensor: Tensor) -> Tensor:
        return tensor.detach().requires_grad_(tensor.is_floating_point())

    tokens, regions = ports.tokens, ports.regions
    return replace(
        ports,
        tokens=replace(tokens, values=leaf(tokens.values)) if tokens else None,
        regions=replace(regions, values=leaf(regions.values), exists=leaf(regions.exists)) if regions else None,
        reference={site: leaf(value) for site, value in ports.reference.items()},
        pose_mask=tuple(leaf(mask) for mask in ports.pose_mask),
        parsing=tuple(leaf(labels) for labels in ports.parsing),
        skeleton=None if ports.skeleton is None else leaf(ports.skeleton),
        heatmaps=None if ports.heatmaps is None else leaf(ports.heatmaps),
        extra={name: leaf(value) for name, value in ports.extra.items()},
    )
