"""Which device is meant; torch, and nothing that takes longer to import."""

from __future__ import annotations

import torch

from pgsynth_core.errors import UserError, suggestion

__all__ = ["device_named"]


def device_named(wanted: str | torch.device | None) -> str:
    """The device that is wanted, if there is such a one; if none is named, a GPU where there is one."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    there = [] if found is None else [f"{found.type}:{number}" for number in range(torch.accelerator.device_count())]
    if wanted is None:
        return "cuda" if "cuda:0" in there else "cpu"
    wanted = str(wanted)
    if wanted not in ("cpu", *there) and not (found and there and wanted == found.type):
        cure = suggestion(wanted, ["cpu", *there], what="devices")
        raise UserError(f"there is no device {wanted!r} here.", where="device", cure=cure)
    return wanted
