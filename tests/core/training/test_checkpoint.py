"""What a checkpoint holds beside tensors: the step, the scale of the loss in fp16, and its own form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.errors import UserError
from pgsynth_core.training.checkpoint import OPTIMIZER, STATE, Trained, read_tensors

from .conftest import Stage


def trained(stage: Stage, scaler: torch.amp.GradScaler | None = None) -> Trained:
    method = stage("encoder=toy_tokens").assembly.method
    optimizer = torch.optim.AdamW(trained_parameters(method, "tiny").values(), lr=1e-3, fused=True)
    return Trained(method, "tiny", optimizer, None, scaler)


def write(kept: Trained, folder: Path) -> None:
    for name, writer in kept.writers(7).items():
        writer(folder / name)


def test_the_scale_of_the_loss_is_restored(stage: Stage, tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(1))
    write(trained(stage, scaler), tmp_path)
    fresh = torch.amp.GradScaler("cpu")
    assert trained(stage, fresh).restore(tmp_path) == 7
    fresh.scale(torch.ones(1))
    assert fresh.get_scale() == 1024.0
    assert trained(stage).restore(tmp_path) == 7, "a run in another precision goes on without it"


def test_its_size_is_known_before_the_first_step(stage: Stage, tmp_path: Path) -> None:
    kept = trained(stage)
    expected = kept.size()
    for parameter in trained_parameters(kept.method, "tiny").values():
        parameter.grad = torch.zeros_like(parameter)
    kept.optimizer.step()
    write(kept, tmp_path)
    written = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert expected <= written < 1.2 * expected


def test_moments_go_where_their_parameters_are(stage: Stage, tmp_path: Path) -> None:
    """The step too: a fused optimiser on a GPU counts there."""
    kept = trained(stage)
    for parameter in trained_parameters(kept.method, "tiny").values():
        parameter.grad = torch.zeros_like(parameter)
    kept.optimizer.step()
    write(kept, tmp_path)
    other = trained(stage)
    other.method.to("meta")
    other._restore_moments(read_tensors(tmp_path / OPTIMIZER))
    assert len(other.optimizer.state) == len(kept.optimizer.state)
    for state in other.optimizer.state.values():
        assert {name: value.device.type for name, value in state.items()} == dict.fromkeys(
            ("step", "exp_avg", "exp_avg_sq"), "meta"
        )


def test_a_checkpoint_of_a_later_form_is_refused(stage: Stage, tmp_path: Path) -> None:
    kept = trained(stage)
    write(kept, tmp_path)
    state = json.loads((tmp_path / STATE).read_text(encoding="utf-8"))
    (tmp_path / STATE).write_text(json.dumps(state | {"state": 99}), encoding="utf-8")
    with pytest.raises(UserError, match="of form 99; this pgsynth reads up to 1"):
        kept.restore(tmp_path)
