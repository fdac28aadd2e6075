"""`Model.to` and `Model.compile`: the model itself moves and is compiled, and its pictures stay what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pgsynth_core import Run, compose, load
from pgsynth_core.errors import UserError

from ..fixtures.people import noise, standing
from .conftest import SMALL, write_folder

PHOTO, POSE = noise((72, 48)), standing()


def test_it_is_itself_that_moves(small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That pictures stay the same on a GPU and back is shown in tests/gpu."""
    model = load(small_run, device=torch.device("cpu"))
    moved: list[object] = []

    def asked(method: torch.nn.Module, device: str) -> torch.nn.Module:
        moved.append((method, device))
        return method

    monkeypatch.setattr(torch.nn.Module, "to", asked)
    for device in ("cpu", torch.device("cpu")):
        moved.clear()
        assert model.to(device) is model and moved == [(model.assembly.method, "cpu")]
    moved.clear()
    for wrong in ("cdua", "meta", torch.device("meta")):
        with pytest.raises(UserError, match=f"no device '{wrong}' here"):
            model.to(wrong)
        with pytest.raises(UserError, match=f"no device '{wrong}' here"):
            load(small_run, device=wrong)
    assert not moved


def test_it_is_itself_that_is_compiled(small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(small_run)
    before = [*model.assembly.method.state_dict()]
    asked: list[dict[str, object]] = []

    def compiled(call: object, **how: object) -> object:
        asked.append(how)
        return call

    monkeypatch.setattr(torch, "compile", compiled)
    assert model.compile(mode="max-autotune") is model
    assert asked == [{"mode": "max-autotune"}] and [*model.assembly.method.state_dict()] == before
    assert len(model.sample(PHOTO, POSE)) == 1


def test_without_a_compiler_it_is_told_before_minutes_pass(small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no C\\+\\+ compiler 'no-such-compiler'"):
        load(small_run).compile()


@pytest.mark.compiled
@pytest.mark.slow
def test_compiled_pictures_are_those_of_before(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos")
    words = [*SMALL, f"data.folder.root={tmp_path / 'photos'}", "size=32x24", "attn=pma"]
    run = compose(*words).train(runs=tmp_path / "runs", steps=1)
    model = load(run, device="cpu")
    how = {"steps": 2, "guidance": {"pose": 2.0, "appearance": 3.0}, "n": 2}
    eager = [np.asarray(one, np.int16) for one in model.sample(PHOTO, POSE, **how)]  # type: ignore[arg-type]
    torch._dynamo.utils.counters.clear()
    model.compile()
    again = [np.asarray(one, np.int16) for one in model.sample(PHOTO, POSE, **how)]  # type: ignore[arg-type]
    counted = torch._dynamo.utils.counters
    assert counted["stats"]["unique_graphs"] >= 1 and not counted["graph_break"], "all of a step is compiled"
    for before, after in zip(eager, again, strict=True):
        assert np.abs(before - after).max() <= 1, "of 255: rounding"
