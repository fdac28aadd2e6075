"""How long the contract check takes, printed: the bar is 50 ms, the aim 2 ms. `pytest -m bench -s` shows it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from pgsynth_core.contract import check, fits
from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import Registry
from pgsynth_core.spec import resolve

from ..fixtures.standins import component, registry_with

WORDS = {
    "fits": "encoder=qfft attn=pma",
    "fits, many": "encoder=sourcenet+clip+qfft encoder.clip.output=both pose=controlnet+pose_encoder attn=hpfa+caa+pma",
    "one problem": "encoder=qfft encoder.qfft.queries=local attn=pma",
    "two problems": "encoder=qfft attn=caa",
    "five problems": "encoder=qfft+sourcenet encoder.qfft.queries=local pose=none attn=pma+caa",
}
TIMES = 50


def milliseconds(call: Callable[[], object]) -> str:
    """Median and slowest of some calls."""
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return f"{statistics.median(taken):6.2f} ms (slowest {max(taken):6.2f})"


def crowded() -> Registry:
    """The house and two hundred further encoders that give what others need, and need what nobody gives."""
    body = (
        '[component.provides.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"\n'
        '[component.needs."far:away"]\naxes = ["B", "N", "D"]'
    )
    return registry_with(*(component("encoder", f"crowd{number}", body) for number in range(200)))


@pytest.mark.bench
@pytest.mark.parametrize("size", ["house", "crowd"])
def test_check(size: str) -> None:
    registry = registry_with() if size == "house" else crowded()
    for what, words in WORDS.items():
        spec = resolve(None, words.split(), registry).spec
        print(f"\ncheck, {size}, {what}: {milliseconds(lambda spec=spec: check(spec, registry))}", end="")


@pytest.mark.bench
def test_fits_of_every_part() -> None:
    registry = registry_with()
    spec = resolve(None, ["encoder=qfft", "attn=pma"], registry).spec
    choices = [(slot, name) for kind, slot in SLOTS.items() for name in registry.names(kind)]
    taken = milliseconds(lambda: [fits(spec, slot, name, registry) for slot, name in choices])
    print(f"\nfits, all {len(choices)} parts: {taken}", end="")
