"""`pgsynth doctor` and what it shows; what it finds out is tested with `pgsynth_core.packages`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgsynth_core.cli import doctor as command
from pgsynth_core.packages.checks import Check

Run = Callable[..., Any]


def finding(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    """Let the examination find this."""
    monkeypatch.setattr(command, "doctor", lambda *_, **__: checks)
    monkeypatch.setattr(command, "import_checks", lambda *_: ())
    monkeypatch.setattr(command, "device_checks", lambda: ())


def test_without_devices_torch_is_not_asked(run: Run) -> None:
    said = run("doctor", "--json")
    names = {check["name"] for check in said.facts["checks"]}
    assert set(said.facts) == {"ok", "checks", "broken"}
    assert {"python", "pgsynth", "torch"} <= names and not {"torch at work", "imports"} & names
    assert all(set(check) == {"name", "status", "message", "cure"} for check in said.facts["checks"])


@pytest.mark.parametrize(
    ("name", "status", "code", "last"),
    [
        ("torch", "ok", 0, "all is well"),
        ("torch", "warn", 0, "0 failed, 1 with a warning"),
        ("torch", "fail", 2, "1 failed, 0 with a warning"),
        ("package pgsynth", "fail", 2, "1 failed, 0 with a warning"),
        ("package pgsynth-plugin-x", "fail", 0, "1 failed, 0 with a warning"),
    ],
)
def test_the_code_says_whether_pgsynth_can_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, status: Any, code: int, last: str
) -> None:
    finding(monkeypatch, Check(name, status, "found this", "do that"))
    said = run("doctor")
    assert said.code == code and said.out.splitlines()[-2] == last and "doctor --deep" in said.out.splitlines()[-1]
    assert "found this" in said.out and "cure: do that" in said.out
