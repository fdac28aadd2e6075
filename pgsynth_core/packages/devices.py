"""What torch can compute on, asked in a process of its own. Floor 2; this process never imports torch.

A torch that does not fit its driver may raise, hang or kill its process; none of that may reach the one who asks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from pgsynth_core.packages.checks import Check
from pgsynth_core.registry import FOREIGN_FAULTS, reason_of
from pgsynth_core.registry.fresh import FreshPython, state_fact

__all__ = ["device_checks"]

_GIB: Final = 2**30


def device_checks(patience: float = 120.0) -> Iterator[Check]:
    """One check for torch itself, then one per device.

    Args:
        patience: Seconds to wait; importing torch from a cold disk takes tens of them.
    """
    with FreshPython("pgsynth_core.packages.devices:answer") as child:
        facts = next(child.facts(patience), None)
        if facts:
            yield from _described(facts)
        elif child.late:
            cure = "Try again; if it stays so, restart the machine or reinstall the GPU's driver."
            yield Check("torch at work", "fail", f"torch gave no answer within {patience:g} seconds.", cure)
        else:
            cure = "Install a torch that fits this machine: https://pytorch.org/get-started/locally."
            yield Check("torch at work", "fail", f"a process that only uses torch ended {child.ended}", cure)


def _described(facts: dict[str, Any]) -> Iterator[Check]:
    libraries = [
        f"torch {facts['torch']}",
        f"built for CUDA {facts['cuda']}" if facts["cuda"] else "built for CPU only",
    ]
    libraries += [f"cuDNN {facts['cudnn']}"] if facts["cudnn"] else []
    yield Check("torch at work", "ok", f"{', '.join(libraries)}, {facts['threads']} CPU threads")
    for device in facts["devices"]:
        yield _device(device)
    if facts["devices"]:
        return
    if shutil.which("nvidia-smi"):
        cure = "Install a torch built for this driver: https://pytorch.org/get-started/locally."
        yield Check("devices", "warn", "an NVIDIA driver is installed, but torch finds no GPU: CPU only.", cure)
    else:
        yield Check("devices", "ok", "no GPU: CPU only")


def _device(device: dict[str, Any]) -> Check:
    facts = [device["name"]]
    facts += [f"{device['memory'] / _GIB:.1f} GiB"] if device["memory"] else []
    facts += [f"compute capability {device['capability']}"] if device["capability"] else []
    facts += ["bf16" if device["bf16"] else "no bf16"]
    if device["fault"]:
        cure = "Install a torch built for this device: https://pytorch.org/get-started/locally."
        return Check(device["place"], "fail", f"{', '.join(facts)}: it does not compute: {device['fault']}", cure)
    return Check(device["place"], "ok", ", ".join(facts))


# ------------------------------------------------------------------------------------------- in the child
def answer() -> None:
    """Compute something on every device; run by the child only."""
    torch: Any = import_module("torch")  # in the child alone, which the floors cannot know
    devices = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        place, found = f"cuda:{index}", torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        known = {"place": place, "name": found.name, "memory": found.total_memory, "bf16": bf16}
        devices.append({**known, "capability": f"{found.major}.{found.minor}", "fault": _fault_of(torch, place)})
    if torch.backends.mps.is_available():
        known = {"place": "mps", "name": "Apple GPU", "memory": 0, "bf16": False}
        devices.append({**known, "capability": "", "fault": _fault_of(torch, "mps")})
    state_fact(
        {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "devices": devices,
            "cuda": torch.version.cuda or torch.version.hip,
            "cudnn": torch.backends.cudnn.version() if devices else None,
        }
    )


def _fault_of(torch: Any, device: str) -> str:
    try:
        ones = torch.ones(8, 8, device=device)
        return "" if (ones @ ones).sum().item() == 512 else "a product of two matrices came out wrong"
    except FOREIGN_FAULTS as error:
        return reason_of(error)
