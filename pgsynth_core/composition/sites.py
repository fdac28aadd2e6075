"""Sites: every attention layer of a diffusers network, by a stable name, with its width and its token grid."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from torch import nn

from pgsynth_core.contract import SitePattern
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.interfaces import Site

_BLOCK: Final = re.compile(r"^(down_blocks|up_blocks)\.(\d+)\.|^(mid_block)\.")


def attention_layers(network: nn.Module) -> dict[str, nn.Module]:
    """diffusers path -> attention layer, in the network's own order.

    A layer is whatever carries diffusers' processor seam: `set_processor` and the projections.
    """
    return {
        path: module
        for path, module in network.named_modules()
        if hasattr(module, "set_processor") and hasattr(module, "to_q")
    }


def sites_of(name: str, network: nn.Module, *, only: Sequence[str] = ("self", "cross")) -> tuple[Site, ...]:
    """The sites of a network.

    Args:
        name: ``denoiser``, ``pose``, ``pose.<label>`` or ``source``.
        network: A diffusers UNet or ControlNet, or a tree with their block names.
        only: Kinds to list.

    Raises:
        PartError: If a layer is of a form the chains cannot stand in for, or its depth cannot be told.
    """
    levels = len(getattr(network, "down_blocks", ()))
    sites = (_site(name, path, layer, levels) for path, layer in attention_layers(network).items())
    return tuple(site for site in sites if site.kind in only)


def _site(network: str, path: str, layer: nn.Module, levels: int) -> Site:
    unsupported = [
        attribute
        for attribute in ("spatial_norm", "group_norm", "norm_cross", "norm_q", "norm_k", "residual_connection")
        if getattr(layer, attribute, None)
    ]
    if unsupported:
        raise PartError(
            f"{network}: attention layer {path} has {', '.join(unsupported)}, which chains do not carry.",
            cure="Use a base with plain transformer attention, as in Stable Diffusion 1.x and 2.x.",
        )
    query, key = layer.get_submodule("to_q"), layer.get_submodule("to_k")
    assert isinstance(query, nn.Linear) and isinstance(key, nn.Linear), f"{path}: projections are not linear"
    crosses = bool(getattr(layer, "is_cross_attention", key.in_features != query.in_features))
    return Site(
        network=network,
        path=path,
        kind="cross" if crosses else "self",
        channels=query.in_features,
        heads=int(layer.heads),  # type: ignore[arg-type]
        down=_down(network, path, levels),
    )


def _down(network: str, path: str, levels: int) -> int:
    match = _BLOCK.match(path)
    if match is None:
        raise PartError(
            f"{network}: cannot tell the token grid of attention layer {path}; "
            "known places are down_blocks.N, mid_block and up_blocks.N."
        )
    side, index, middle = match.groups()
    if middle:
        return levels - 1
    return int(index) if side == "down_blocks" else levels - 1 - int(index)


def matches(pattern: str, site: Site) -> bool:
    """Whether a site lies in ``NETWORK:KIND[:GLOB over the path]``; network ``pose`` also means ``pose.<label>``."""
    return SitePattern.parse(pattern).selects(site.network, site.kind, site.path)


def select(patterns: str | Iterable[str], sites: Iterable[Site], *, label: str) -> tuple[Site, ...]:
    """The sites that any of the patterns matches, in the network's order.

    Raises:
        UserError: If a pattern matches no site, naming some that exist.
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    sites = tuple(sites)
    for pattern in patterns:
        if not any(matches(pattern, site) for site in sites):
            there = ", ".join(site.name for site in sites[:3])
            raise UserError(
                f"{label}: no attention layer matches {pattern!r}; the {len(sites)} sites are named like {there}.",
                cure=f"Set attn.{label}.sites; `pgsynth compose … --json` lists every site.",
            )
    return tuple(site for site in sites if any(matches(pattern, site) for pattern in patterns))
