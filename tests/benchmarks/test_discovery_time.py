"""How long it takes to know what is installed, with no foreign package and with a hundred. Printed, not asserted."""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgsynth_core.registry import discover

from ..fixtures.fake_packages import FakePackages

pytestmark = pytest.mark.bench

COLD = (
    "import time; start = time.perf_counter(); from pgsynth_core.registry import discover; "
    "imported = time.perf_counter(); "
    "found = discover(); end = time.perf_counter(); "
    "print(f'{1000 * (imported - start):.0f} {1000 * (end - imported):.0f} {len(found.entries)}')"
)


@pytest.mark.parametrize("packages", [0, 100])
def test_discovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], packages: int
) -> None:
    fake = FakePackages(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("PGSYNTH_PLUGINS", raising=False)
    fake.crowd(packages)
    assert len({entry.origin for entry in discover().entries}) >= packages

    def seconds() -> float:
        start = time.perf_counter()
        discover()
        return time.perf_counter() - start

    warm = statistics.median(seconds() for _ in range(7))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path)])}
    runs = [
        subprocess.run([sys.executable, "-c", COLD], env=environment, capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    imports, finds, parts = zip(*(map(int, run.stdout.split()) for run in runs), strict=True)
    with capsys.disabled():
        print(
            f"\ndiscovery, {packages} foreign packages, {parts[0]} parts: {1000 * warm:.1f} ms again; "
            f"in a new process {statistics.median(finds):.0f} ms after {statistics.median(imports):.0f} ms of imports"
        )
    importlib.invalidate_caches()
