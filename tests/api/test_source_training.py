"""SourceNet in training: accumulated, checkpointed, sampled from on the way, saved and loaded, in whole runs.

Where the source network leaves features on modules, these are the places where a batch meets those of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from pgsynth_core import Run, compose, load
from pgsynth_core.runs import latest_checkpoint

from ..fixtures.small_sd import save_small_sd
from .conftest import write_folder

FIGURES = ("base=tiny", "data=figures", "data.figures.identities=3", "data.figures.test_identities=1", "size=24x16")
SOURCE = ("encoder=sourcenet", "pose=pose_encoder")
EVERY = {
    "batch_size": 2,
    "learning_rate": 0.001,
    "warmup_steps": 0,
    "workers": 0,
    "checkpoint_every": 0,
    "sample_every": 0,
    "ema": 0,
    "drop.all": 0.2,
    "drop.appearance": 0.3,
}
STEPS = 3

Train = Callable[..., Run]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A few steps with SourceNet and one reader, on painted people; the same words, the same run."""

    @cache
    def make(reader: str, **settings: Any) -> Run:
        written = [f"train.{key}={value}" for key, value in (EVERY | settings).items()]
        composition = compose(None, *FIGURES, *SOURCE, f"attn={reader}", *written, "sample.steps=2")
        return composition.train(runs=tmp_path_factory.mktemp("runs"), steps=STEPS)

    return make


def saved(run: Run) -> Mapping[str, Tensor]:
    checkpoint = latest_checkpoint(run.folder)
    assert checkpoint is not None
    return load_file(checkpoint.path / "weights.safetensors")


def same(run: Run, other: Run) -> bool:
    """Bitwise: the losses of every step, and the weights after the last."""
    ours, theirs = saved(run), saved(other)
    assert ours.keys() == theirs.keys() and len(run.losses()) == STEPS
    return run.losses() == other.losses() and all(torch.equal(theirs[key], value) for key, value in ours.items())


@pytest.mark.parametrize(
    ("reader", "settings"),
    [
        ("reference", {"sample_every": 1}),
        pytest.param("reference", {"checkpointing": "true"}, marks=pytest.mark.slow),
        pytest.param("hpfa", {"sample_every": 1, "checkpointing": "true"}, marks=pytest.mark.slow),
    ],
)
def test_neither_checkpointing_nor_pictures_on_the_way_change_a_bit(
    reader: str, settings: dict[str, Any], train: Train
) -> None:
    plain, other = train(reader), train(reader, **settings)
    sheets = [len([*run.path.glob("samples/*/sheet.png")]) for run in (plain, other)]
    assert sheets == [1, STEPS if "sample_every" in settings else 1]
    assert same(plain, other)


@pytest.mark.parametrize(
    ("reader", "settings"),
    [
        ("reference", {}),
        pytest.param("hpfa", {"sample_every": 1, "checkpointing": "true"}, marks=pytest.mark.slow),
    ],
)
def test_accumulated_batches_are_one_large_batch(reader: str, settings: dict[str, Any], train: Train) -> None:
    large, accumulated, half = (
        np.array([*train(reader, **given).losses().values()])
        for given in ({"batch_size": 4}, {"accumulate": 2, **settings}, {})
    )
    assert len(large) == STEPS
    np.testing.assert_allclose(accumulated, large, atol=1e-5, rtol=0)
    assert np.abs(half - large).max() > 1e-3, "canary: half of the batch alone gives other losses"


# ------------------------------------------------------------------------------------------- what a run keeps
@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion of few channels, with weights, in diffusers layout."""
    return save_small_sd(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def loads_as_trained(tmp_path: Path) -> Callable[..., tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Train two steps; what the run painted at its end is what it paints when it is loaded.

    Gives the tensors of its checkpoint, and SourceNet's after loading.
    """

    def make(*words: str) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        (tmp_path / "photos").mkdir()
        write_folder(tmp_path / "photos")
        written = [f"train.{key}={value}" for key, value in EVERY.items()]
        data = ("data=folder", f"data.folder.root={tmp_path / 'photos'}", "size=64x48", "pose=none", "sample.steps=2")
        composition = compose(None, "encoder=sourcenet", "attn=reference", *words, *data, *written)
        run = composition.train(runs=tmp_path / "runs", steps=2)
        model = load(run)
        for number, shown in enumerate(model.sample_pairs(split="train", limit=3)):
            painted = np.asarray(Image.open(run.path / "samples" / "00000002" / f"{number:04}.png"))
            assert np.array_equal(painted, shown.output)
        return saved(run), model.assembly.method.encoders["sourcenet"].state_dict()

    return make


@pytest.mark.parametrize("trains", ["true", "false"])
def test_of_a_pretrained_copy_a_checkpoint_keeps_what_trains(
    trains: str, checkpoint: Path, loads_as_trained: Callable[..., Any]
) -> None:
    """Frozen, it begins anew from the base's own weights, not from what the denoiser has become."""
    kept, source = loads_as_trained(
        "base=sd", f"base.sd.weights={checkpoint}", "base.sd.train=all", f"encoder.sourcenet.train={trains}"
    )
    initial = load_file(checkpoint / "unet/diffusion_pytorch_model.safetensors")
    assert not all(torch.equal(kept[f"sd.denoiser.{name}"], value) for name, value in initial.items())
    as_initial = {name: torch.equal(value, initial[name.removeprefix("network.")]) for name, value in source.items()}
    names = {name.removeprefix("sourcenet.") for name in kept if name.startswith("sourcenet.")}
    assert names == (set(source) if trains == "true" else set())
    assert all(as_initial.values()) == (trains == "false")


def test_of_a_frozen_copy_of_what_has_no_weights_a_checkpoint_keeps_all(loads_as_trained: Callable[..., Any]) -> None:
    kept, source = loads_as_trained("base=tiny", "encoder.sourcenet.train=false")
    assert {name.removeprefix("sourcenet.") for name in kept if name.startswith("sourcenet.")} == set(source)
    assert all(torch.equal(kept[f"sourcenet.{name}"], value) for name, value in source.items())
    assert any(
        not torch.equal(kept[name.replace("network.", "tiny.denoiser.")], value) for name, value in source.items()
    )
