"""torch is asked in a process of its own: whatever becomes of it, the answer is a check."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.devices import device_checks
from pgsynth_core.packages.health import doctor
from pgsynth_core.registry import Registry
from pgsynth_core.registry.fresh import FreshPython

GPU = {"place": "cuda:0", "name": "GPU X", "memory": 80 * 2**30, "bf16": True, "capability": "9.0", "fault": ""}
FACTS = {"torch": "2.15.0", "threads": 4, "cuda": "13.2", "cudnn": 92600, "devices": [GPU]}


@pytest.fixture
def fake_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Call it with the text of a module `torch` that the asked process finds first."""

    def write(text: str) -> None:
        (tmp_path / "torch.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    return write


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call it with the facts that the asked process states."""

    def answer(**facts: object) -> None:
        monkeypatch.setattr(FreshPython, "facts", lambda self, patience: iter([FACTS | facts]))

    return answer


@pytest.mark.parametrize(
    ("torch", "words"),
    [
        (
            "raise ImportError('libcudart.so.13: cannot open')",
            "ended (exit code 1): ImportError: libcudart.so.13: cannot open",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended (signal 11)."),
        ("raise SystemExit(0)", "ended (exit code 0)."),
        ("__version__ = '0'", "has no attribute 'cuda'"),
    ],
    ids=["import", "crash", "exit", "odd"],
)
def test_a_broken_torch_is_a_finding(fake_torch: Callable[[str], None], torch: str, words: str) -> None:
    fake_torch(torch)
    (check,) = device_checks()
    assert check.status == "fail" and words in check.message and check.cure


def test_a_torch_that_hangs_is_a_finding(fake_torch: Callable[[str], None]) -> None:
    fake_torch("import time; time.sleep(60)")
    (check,) = device_checks(patience=0.5)
    assert check.status == "fail" and "no answer within 0.5 seconds" in check.message


def test_a_device_is_described(answering: Callable[..., None]) -> None:
    answering()
    assert list(device_checks()) == [
        Check("torch at work", "ok", "torch 2.15.0, built for CUDA 13.2, cuDNN 92600, 4 CPU threads"),
        Check("cuda:0", "ok", "GPU X, 80.0 GiB, compute capability 9.0, bf16"),
    ]


def test_a_device_that_does_not_compute_is_a_finding(answering: Callable[..., None]) -> None:
    answering(devices=[GPU | {"fault": "no kernel image is available", "bf16": False}])
    _, check = device_checks()
    assert check.status == "fail" and "no bf16: it does not compute: no kernel image" in check.message


@pytest.mark.parametrize(("driver", "status"), [(None, "ok"), ("/usr/bin/nvidia-smi", "warn")])
def test_no_device_is_told(
    answering: Callable[..., None], monkeypatch: pytest.MonkeyPatch, driver: str | None, status: str
) -> None:
    answering(devices=[], cuda=None, cudnn=None)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    torch, check = device_checks()
    assert "built for CPU only" in torch.message
    assert (check.name, check.status, "CPU only" in check.message) == ("devices", status, True)


def test_doctor_asks_only_when_told_to(fake_torch: Callable[[str], None]) -> None:
    fake_torch("raise ImportError('asked')")
    assert not any("asked" in check.message for check in doctor(Registry()))
    assert any("asked" in check.message for check in device_checks())
    assert sys.modules.get("torch") is None or hasattr(sys.modules["torch"], "__path__")


def test_the_real_torch_answers() -> None:
    first, *rest = device_checks()
    assert first.status == "ok" and first.message.startswith("torch 2.")
    assert rest
