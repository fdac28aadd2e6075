"""The ports inside a `Conditioning`, tensor by tensor: named, grouped, or cut from what made them."""

from __future__ import annotations

from collections.abc import Callable
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
    return over_ports(lambda tensor: tensor.detach().requires_grad_(tensor.is_floating_point()), ports)


def over_ports(change: Callable[..., Tensor], *all_ports: Conditioning) -> Conditioning:
    """A conditioning whose every tensor is `change` of the tensors at the same place of the given ones.

    Everything that is no tensor (roles, spans, label set, grid) is taken from the last.
    """
    like = all_ports[-1]
    tokens, regions = [ports.tokens for ports in all_ports], [ports.regions for ports in all_ports]

    def at(name: str) -> Tensor | None:
        values = [getattr(ports, name) for ports in all_ports]
        return None if values[-1] is None else change(*values)

    def levels(name: str) -> tuple[Tensor, ...]:
        return tuple(change(*level) for level in zip(*(getattr(ports, name) for ports in all_ports), strict=True))

    def named(name: str) -> dict[str, Tensor]:
        return {key: change(*(getattr(ports, name)[key] for ports in all_ports)) for key in getattr(like, name)}

    return replace(
        like,
        tokens=None if like.tokens is None else replace(like.tokens, values=change(*(t.values for t in tokens if t))),
        regions=None
        if like.regions is None
        else replace(
            like.regions,
            values=change(*(r.values for r in regions if r)),
            exists=change(*(r.exists for r in regions if r)),
        ),
        reference=named("reference"),
        extra=named("extra"),
        pose_mask=levels("pose_mask"),
        parsing=levels("parsing"),
        skeleton=at("skeleton"),
        heatmaps=at("heatmaps"),
    )
