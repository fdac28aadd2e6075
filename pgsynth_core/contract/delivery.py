"""Rules about what can be handed over at all: a part of each kind is given some ports and can hand on some ports.

`Conditioning` and `SourceInputs` have no place for anything else, so it would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from pgsynth_core.contract.changes import leave_out
from pgsynth_core.contract.cures import Clinic, Cure, Finding, one_of
from pgsynth_core.contract.plan import Placed, kind_of
from pgsynth_core.contract.view import View
from pgsynth_core.manifest import Kind, Port
from pgsynth_core.registry import NOUNS

__all__ = ["CARRIED", "HANDED", "is_handed", "uncarried", "unhanded"]

_CONDITIONING: Final = ("tokens", "reference", "regions", "pose_mask", "parsing", "skeleton", "heatmaps")

HANDED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "encoder": ("source_image", "source_latent", "source_parsing", "source_crops", "tokens"),
    "pose": _CONDITIONING,
    "attention": (*_CONDITIONING, "region_attention"),
}
"""Kind -> the ports it is handed. An encoder sees the source and runs once for it; the others see what came of it."""

CARRIED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "encoder": ("tokens", "reference", "regions"),
    "pose": (),
    "attention": ("region_attention",),
}
"""Kind -> the ports it can hand on."""


def is_handed(part: Placed, port: str) -> bool:
    """Whether a part of this kind can be handed the port; ports of packages go to all but encoders."""
    kind = kind_of(part.slot)
    return kind not in HANDED or port in HANDED[kind] or (":" in port and kind != "encoder")


def _is_carried(part: Placed, port: str, give: Port) -> bool:
    kind = kind_of(part.slot)
    if kind not in CARRIED or port in CARRIED[kind]:
        return True
    return ":" in port and kind == "encoder" and give.scope == "composition"


def unhanded(view: View) -> Iterator[Finding]:
    """Ports that a part reads and that its kind is never handed."""
    for part in view.plan.parts:
        for port in part.needs:
            if not is_handed(part, port):
                handed = ", ".join(HANDED[kind_of(part.slot)])
                message = f"{part.label} needs `{port}`, and {_noun(part)} is not handed it (it is handed {handed})."
                yield Finding(("unhanded", part.key, port), message, partial(_cure, part), (part,))


def uncarried(view: View) -> Iterator[Finding]:
    """Ports that a part gives and that its kind cannot hand on."""
    for part in view.plan.parts:
        for port, give in part.gives.items():
            if not _is_carried(part, port, give):
                carried = list(CARRIED[kind_of(part.slot)]) + ["ports of packages"] * (part.slot == "encoder")
                can = f"it can hand on {', '.join(carried)}" if carried else "it hands on none"
                message = f"{part.label} gives `{port}`, and {_noun(part)} cannot hand it on ({can})."
                yield Finding(("uncarried", part.key, port), message, partial(_cure, part), (part,))


def _noun(part: Placed) -> str:
    noun = NOUNS[kind_of(part.slot)][0]
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _cure(part: Placed, clinic: Clinic) -> Cure:
    working = clinic.first([leave_out(clinic.plan, part)])
    text = f"This is for the authors of {part.entry.origin.package} to mend."
    return Cure(f"{text} Until then do without: {one_of(working)}." if working else text, working)
