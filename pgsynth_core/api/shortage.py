"""When training runs out of memory: what was asked for, what there is, and which setting would save how much."""

from __future__ import annotations

import re
import resource
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import torch
from accelerate.utils import parse_flag_from_env
from accelerate.utils.memory import clear_device_cache

from pgsynth_core.api import may_change
from pgsynth_core.contract import Verdict
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import RunFolder, latest_checkpoint
from pgsynth_core.runs.differences import again
from pgsynth_core.runs.durable import amount
from pgsynth_core.spec import Spec
from pgsynth_core.training.report import Tell
from pgsynth_core.training.savings import Saving, savings

__all__ = ["Shortage", "shortage_of", "within_memory"]

T = TypeVar("T")

_ASKED: Final = re.compile(r"(?:tried to allocate|Unable to allocate) ([\d.]+) (bytes|[KMGTP]iB)", re.IGNORECASE)
_THERE: Final = re.compile(r"total capacity of ([\d.]+ [KMGTP]iB) of which ([\d.]+ [KMGTP]iB) is free")
_ON_CPU: Final = "DefaultCPUAllocator"


@dataclass(frozen=True)
class Shortage:
    """What an error says about memory.

    Attributes:
        asked: How much was asked for at once, in words; empty if it does not say.
        there: What there is, in words.
    """

    asked: str
    there: str

    def __str__(self) -> str:
        more = f": {self.asked} more were asked for, and {self.there}" if self.asked else f": {self.there}"
        return f"out of memory{more}."


def within_memory(  # noqa: PLR0913 - a composition, and whom to tell
    work: Callable[[], T],
    spec: Spec,
    registry: Registry,
    verdict: Verdict,
    *,
    folder: RunFolder | None = None,
    tell: Tell | None = None,
) -> T:
    """Do something that needs what training needs.

    Args:
        work: What to do.
        spec: What trains.
        registry: Where its parts come from.
        verdict: Of the contract check.
        folder: The run, if there is one yet.
        tell: Takes events: to reckon out what would save some takes a while.

    Raises:
        UserError: If memory runs out, with the settings that would save some and how much; and whatever `work` raises.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        lacking = shortage_of(error)
        if lacking is None:
            raise
    clear_device_cache(garbage_collection=True)  # here, where no traceback holds what the step made any more
    if tell:
        tell("doing", {"doing": "reckoning what would save memory"})
    raise UserError(f"{lacking} {_standing(folder)}".rstrip(), cure=_cure(spec, registry, verdict, folder))


def shortage_of(error: BaseException) -> Shortage | None:
    """What is lacking, if the error says that memory is: of a GPU, of the CPU, or Python's own."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        said = _THERE.search(text)
        there = f"of the device's {said[1]}, {said[2]} are free" if said else "the device has no more"
        return Shortage(_asked(text), there)
    if isinstance(error, MemoryError) or _ON_CPU in text:
        return Shortage(_asked(text), _there())
    return None


def _asked(text: str) -> str:
    said = _ASKED.search(text)
    if said is None:
        return ""
    if said[2] != "bytes":
        return f"{said[1]} {said[2]}"
    return amount(int(float(said[1])))


def _there() -> str:
    """What this process may still take of the machine's memory."""
    found = "the system gives no more"
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                found = f"{amount(int(line.split()[1]) * 1024)} are free on this machine"
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return found if most == resource.RLIM_INFINITY else f"{found}; this process may hold {amount(most)} (ulimit -v)"


def _standing(folder: RunFolder | None) -> str:
    """What is kept of the run."""
    if folder is None:
        return ""
    last = latest_checkpoint(folder)
    return f"The last checkpoint stands: {last.path}." if last else "There is no checkpoint yet."


def _cure(spec: Spec, registry: Registry, verdict: Verdict, folder: RunFolder | None) -> str:
    try:
        memory, found = savings(spec, registry, verdict, sharded=parse_flag_from_env("ACCELERATE_USE_FSDP"))
    except Exception:  # noqa: BLE001 - e.g. torch refuses an operation by shape; memory is what was lacking
        return (
            "What each setting would save cannot be reckoned for these parts. Try train.checkpointing=true, a smaller "
            "train.batch_size with more train.accumulate, a smaller size, or a device with more memory."
        )
    told = f"Training this is estimated to hold {amount(memory.total)}."
    if not found:
        return f"{told} No setting would save much: train on a device with more memory, or at a smaller size."
    told = " ".join([told, *_rows(found)])
    if folder and (same := next((one.words for one in found if all(map(may_change, one.words.split()))), None)):
        told += f" Go on with this run: {again(folder, same)}."
    if found[0].alike:
        place = "SPEC" if folder is None else shlex.quote(str(folder.spec_file))
        how = "Try it first" if folder is None else "Or try another run first"
        told += f" {how}: pgsynth train {place} {found[0].words} --rehearse."
    return told


def _rows(found: Sequence[Saving]) -> Iterator[str]:
    """What is saved by what; last, by having less train."""
    for alike, begins in ((True, ""), (False, "Where less is to train: ")):
        if said := [f"{one.words} saves {amount(one.bytes)}" for one in found if one.alike is alike]:
            yield f"{begins}{'; '.join(said)}."
