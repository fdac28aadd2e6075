"""What torch can compute on, asked in a process of its own. Floor 2; this process never imports torch.

A torch that does not fit its driver may raise, hang or kill its process; none of that may reach the one who asks.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

from pgsynth_core.packages.checks import Check

__all__ = ["device_checks"]

_GIB: Final = 2**30
_MARK: Final = "pgsynth-devices:"

_ASK_TORCH: Final = f"""
import json, torch

def works(device):
    try:
        ones = torch.ones(8, 8, device=device)
        return "" if (ones @ ones).sum().item() == 512 else "a product of two matrices came out wrong"
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"

devices = []
for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
    found = torch.cuda.get_device_properties(index)
    with torch.cuda.device(index):
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    devices.append(dict(
        place=f"cuda:{{index}}", name=found.name, memory=found.total_memory, bf16=bf16,
        capability=f"{{found.major}}.{{found.minor}}", fault=works(f"cuda:{{index}}"),
    ))
if torch.backends.mps.is_available():
    devices.append(dict(place="mps", name="Apple GPU", memory=0, bf16=False, capability="", fault=works("mps")))
facts = dict(
    torch=torch.__version__, threads=torch.get_num_threads(), devices=devices,
    cuda=torch.version.cuda or torch.version.hip, cudnn=torch.backends.cudnn.version() if devices else None,
)
print({_MARK!r} + json.dumps(facts))
"""


def device_checks(patience: float = 120.0) -> Iterator[Check]:
    """One check for torch itself, then one per device.

    Args:
        patience: Seconds to wait; importing torch from a cold disk takes tens of them.
    """
    command = [sys.executable, "-P", "-W", "ignore", "-c", _ASK_TORCH]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        cure = "Try again; if it stays so, restart the machine or reinstall the GPU's driver."
        yield Check("torch at work", "fail", f"torch gave no answer within {patience:g} seconds.", cure)
        return
    answer = next((line for line in ran.stdout.splitlines() if line.startswith(_MARK)), None)
    if ran.returncode or answer is None:
        said = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1][:500]
        ended = f"was killed by signal {-ran.returncode}" if ran.returncode < 0 else f"ended with {ran.returncode}"
        cure = "Install a torch that fits this machine: https://pytorch.org/get-started/locally."
        yield Check("torch at work", "fail", f"a process that only uses torch {ended}: {said}", cure)
        return
    yield from _described(json.loads(answer.removeprefix(_MARK)))


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
