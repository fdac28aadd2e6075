"""Import times: each part is charged with its own, and none that hangs, exits or dies is waited for."""

from __future__ import annotations

import pytest

from pgsynth_core.packages import timing
from pgsynth_core.packages.timing import import_times
from pgsynth_core.registry import discover

from ...fixtures.fake_packages import FakePackages

MODULES = {
    "slow": "import time\ntime.sleep(0.4)\n",
    "quick": "",
    "endless": "while True: pass\n",
    "exits": "raise SystemExit(3)\n",
    "raises": "import no_such_module\n",
    "dies": "import os\nos._exit(4)\n",
    "speaks": "print('hello')\nimport sys\nsys.stderr.write('well')\n",
    "brings": "import sqlite3, PIL.Image\n",
}


@pytest.fixture
def times(fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch) -> dict[str, timing.Imported]:
    """What each module was charged with; without torch, which every one would wait for."""
    monkeypatch.setattr(
        timing, "_BASELINES", {"config": ("pgsynth_core.options",), "target": ("pgsynth_core.options",)}
    )
    name = "pgsynth-plugin-x"
    parts = [fake_packages.part("metric", word).replace("parts:Config", f"{word}:Config") for word in MODULES]
    fake_packages.install(
        name,
        manifest=fake_packages.manifest(name, *parts),
        files={f"{word}.py": text for word, text in MODULES.items()},
    )
    rows = import_times(discover(), patience=3.0, packages=(name,))
    assert [row.seconds for row in rows if row.seconds is None] == [row.seconds for row in rows[:4]], "faults first"
    return {row.module.rpartition(".")[2]: row for row in rows if row.stage == "config"}


def test_each_is_charged_with_its_own(times: dict[str, timing.Imported]) -> None:
    assert set(times) == set(MODULES)
    slow, quick = times["slow"].seconds, times["quick"].seconds
    assert slow is not None and quick is not None and slow > 0.4 > quick
    assert times["speaks"].seconds is not None
    assert any(told.startswith("PIL (") for told in times["brings"].brought)
    faults = {word: row.fault for word, row in times.items() if row.fault}
    assert set(faults) == {"endless", "exits", "raises", "dies"}
    assert "not imported after 3 seconds" in faults["endless"] and "SystemExit: 3" in faults["exits"]
    assert "no_such_module" in faults["raises"] and "ended the process" in faults["dies"]
