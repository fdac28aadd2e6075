"""The optimiser: what its moments take, what bitsandbytes' needs, and that no step without a number gets past it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.errors import SpecError
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.checkpoint import OPTIMIZER, Trained, read_tensors
from pgsynth_core.training.optimizer import heeds_found_inf, moment_bytes, name_of, optimizer_for

from .conftest import Stage

NAMES = ["adamw", "adamw8bit"]


def made(name: str, *sizes: int) -> tuple[torch.optim.Optimizer, list[torch.nn.Parameter]]:
    if name == "adamw8bit":
        pytest.importorskip("bitsandbytes", reason="the extra bnb is not installed")
    parameters = [torch.nn.Parameter(torch.linspace(-1, 1, size)) for size in sizes]
    return optimizer_for(TrainSettings(optimizer=name, learning_rate=1e-3), parameters), parameters  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_what_the_moments_take_is_known_before(name: str) -> None:
    optimizer, parameters = made(name, 100, 4095, 4096, 100_000)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    kept = [
        value.nbytes
        for state in optimizer.state.values()
        for key, value in state.items()
        if isinstance(value, torch.Tensor) and value.numel() > 1 and "qmap" not in key
    ]
    assert moment_bytes(name, parameters) == sum(kept) and name_of(optimizer) == name


def test_eight_bits_are_a_quarter() -> None:
    parameters = [torch.zeros(10**6)]
    assert moment_bytes("adamw8bit", parameters) < 0.26 * moment_bytes("adamw", parameters)


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_downhill(name: str) -> None:
    optimizer, (parameter,) = made(name, 5000)
    for _ in range(20):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
    assert parameter.abs().mean() < 0.49, "it began at 0.5, with steps of 0.001"


def test_without_bitsandbytes_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = importlib.import_module

    def absent(name: str, *more: Any) -> Any:
        if name == "bitsandbytes":
            raise ModuleNotFoundError("No module named 'bitsandbytes'")
        return plain(name, *more)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SpecError, match=r'pip install "pgsynth\[bnb\]"'):
        optimizer_for(TrainSettings(optimizer="adamw8bit"), [torch.nn.Parameter(torch.zeros(2))])


def test_only_the_fused_one_looks_at_found_inf() -> None:
    assert heeds_found_inf(made("adamw", 2)[0])
    assert not heeds_found_inf(torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))], fused=False))


# ------------------------------------------------------------------------------------------- checkpoints
@pytest.fixture
def kept(stage: Stage) -> Callable[[], Trained]:
    """The toy method with its optimiser in 8 bits."""
    pytest.importorskip("bitsandbytes", reason="the extra bnb is not installed")

    def make() -> Trained:
        method = stage("encoder=toy_tokens").assembly.method
        optimizer = optimizer_for(TrainSettings(optimizer="adamw8bit"), trained_parameters(method, "tiny").values())
        return Trained(method, "tiny", optimizer, None)

    return make


def stepped(trained: Trained, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in trained_parameters(trained.method, "tiny").values():
        parameter.grad = torch.randn_like(parameter)
    trained.optimizer.step()


def test_eight_bit_moments_are_restored_bitwise(kept: Callable[[], Trained], tmp_path: Path) -> None:
    first, second = kept(), kept()
    stepped(first, 1)
    expected = first.size()
    for name, write in first.writers(1).items():
        write(tmp_path / name)
    tables = [tensor for key, tensor in read_tensors(tmp_path / OPTIMIZER).items() if "qmap" in key]
    written = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors")) - sum(one.nbytes for one in tables)
    assert tables and expected <= written < 1.25 * expected
    assert second.restore(tmp_path) == 1
    for trained in (first, second):
        stepped(trained, 2)
    ours, theirs = (trained_parameters(trained.method, "tiny") for trained in (first, second))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    states = [[*trained.optimizer.state.values()] for trained in (first, second)]
    assert {state["step"] for state in states[1]} == {2}
    assert all(torch.equal(a["state1"], b["state1"]) for a, b in zip(*states, strict=True))
