"""The dictionary of names: axes of tensors and ports of the contract. Floor 0, no torch.

An axis entry of a manifest is an int, a symbol of `AXES`, the name of an integer option of the part, or a sum of
those (``"local_queries + global_queries"``). A letter, and of a package's own port (``package:port``) any word, may
stand for a number that is free. Shape suffixes in dense maths (``q_BND``) use the same letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["AXES", "DATA_PORTS", "LABEL_SETS", "PORTS", "Axis", "PortInfo", "axis_value", "port_info"]

Axis = int | str

AXES: Final[Mapping[str, str]] = {
    "B": "batch",
    "N": "tokens",
    "D": "width of the denoiser's cross-attention, bound by the base",
    "R": "regions of the label set",
    "H": "image height in pixels",
    "W": "image width in pixels",
    "h": "rows of a site's token grid, or of the latent",
    "w": "columns of a site's token grid, or of the latent",
    "h_s": "rows of the source's token grid at a site",
    "w_s": "columns of the source's token grid at a site",
    "N_s": "source tokens at a site",
    "C": "channels of a site",
    "Z": "channels of the latent, bound by the base",
}

LABEL_SETS: Final[Mapping[str, int]] = {"atr18": 18, "lip20": 20, "cihp20": 20}
"""Human-parsing label sets and how many labels each has, background included."""


@dataclass(frozen=True)
class PortInfo:
    """What core knows about a port.

    Attributes:
        name: The port's name in manifests.
        meaning: One line for people.
        made_from: Data ports that core derives it from; empty if a part must provide it.
        command: What to make where a dataset can read it from files; empty if the dataset must bring it.
    """

    name: str
    meaning: str
    made_from: tuple[str, ...] = ()
    command: str = ""


def _table(*ports: PortInfo) -> Mapping[str, PortInfo]:
    return {port.name: port for port in ports}


_LABEL_MAPS: Final = "NAME.parsing.png beside each photo, a label map of its size"

DATA_PORTS: Final[Mapping[str, PortInfo]] = _table(
    PortInfo("source_image", "photo of the person"),
    PortInfo("target_image", "photo of the same person in the target pose; training and scoring only"),
    PortInfo("source_keypoints", "OpenPose-18 joints of the source"),
    PortInfo("target_keypoints", "OpenPose-18 joints of the target"),
    PortInfo("source_parsing", "human parsing of the source, label map", command=_LABEL_MAPS),
)
"""What datasets give. `source_image`, `source_parsing` may also be read by parts as they are."""

PORTS: Final[Mapping[str, PortInfo]] = _table(
    PortInfo("tokens", "appearance tokens with a role each"),
    PortInfo("reference", "per-site source features"),
    PortInfo("regions", "one embedding per parsing region"),
    PortInfo("region_attention", "mean attention per region, outwards in the chain of one site"),
    PortInfo("pose_mask", "binary pyramid of the dilated target body", ("target_keypoints",)),
    PortInfo("parsing", "region index pyramid of the source", ("source_parsing",)),
    PortInfo("skeleton", "drawn target skeleton", ("target_keypoints",)),
    PortInfo("heatmaps", "one Gaussian map per target joint", ("target_keypoints",)),
    PortInfo("source_latent", "codec latent of the source", ("source_image",)),
    PortInfo("source_crops", "crops of the source's regions", ("source_image", "source_parsing")),
)
"""What travels in `Conditioning` and `SourceInputs`, beside the data ports themselves."""


def port_info(name: str) -> PortInfo | None:
    """The port's entry, or None if core does not know it (a third party's ``package:port``)."""
    return PORTS.get(name) or DATA_PORTS.get(name)


def axis_value(axis: Axis, bound: Mapping[str, int], options: Mapping[str, object]) -> int | None:
    """The number an axis entry stands for, or None while it is free.

    Args:
        axis: An int, a symbol, an option's name, or a sum of those.
        bound: Symbols the base binds, e.g. ``{"D": 768}``.
        options: The part's own option values.

    Returns:
        The value; None if any term of it is a symbol nobody binds.
    """
    if isinstance(axis, int):
        return axis
    total = 0
    for term in (piece.strip() for piece in axis.split("+")):
        if term.isascii() and term.isdigit():
            total += int(term)
        elif term in bound:
            total += bound[term]
        elif isinstance(value := options.get(term), int) and not isinstance(value, bool):
            total += value
        else:
            return None
    return total
