"""What the tests of pose branches share: the interesting grids, methods on the tiny base, and a run of two steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pgsynth_core import Composition, Model, compose, load
from pgsynth_core.composition.method import Method
from pgsynth_core.data import write_pose
from pgsynth_core.interfaces import Conditioning
from pgsynth_core.testing.around import Around, Inputs

from ...fixtures.people import standing, write_pairs, write_photo

ENCODER = ("encoder=qfft", "encoder.qfft.backbone=conv4", "encoder.qfft.depth=1", "encoder.qfft.local_queries=4")

Composed = Callable[..., Composition]
MakeMethod = Callable[..., tuple[Method, Inputs]]


def drawn(grid: tuple[int, int], stride: int, batch: int = 1) -> Conditioning:
    """A skeleton of noise, for a latent of (rows, columns)."""
    torch.manual_seed(0)
    size = grid[0] * stride, grid[1] * stride
    return Conditioning(latent_grid=grid, skeleton=torch.rand(batch, 3, *size, requires_grad=True))


def step(grid: tuple[int, int], batch: int, channels: int = 4) -> tuple[Tensor, Tensor]:
    """A noisy latent, and times."""
    return torch.randn(batch, channels, *grid), torch.arange(batch) * 100


@pytest.fixture(scope="session")
def composed() -> Composed:
    """A small encoder and the given pose branches, on `tiny` unless told otherwise."""
    return lambda pose, *words: compose("base=tiny", *ENCODER, "data=none", f"pose={pose}", *words)


@pytest.fixture(scope="session")
def made(composed: Composed) -> MakeMethod:
    """The method built at random, and inputs whose latent grid 13x11 is odd and not square."""

    def make(pose: str, *words: str, batch: int = 2, seed: int = 0) -> tuple[Method, Inputs]:
        composition = composed(pose, "size=26x22", *words)
        around = Around(composition.spec, composition.verdict, composition.registry)
        method = around.method(seed=seed)
        return method, around.inputs(method, batch=batch)

    return make


@pytest.fixture
def changes_nothing(made: MakeMethod) -> Callable[..., None]:
    """An untrained branch, beside the same method without it: not one bit of the prediction differs."""

    def check(pose: str, *words: str) -> None:
        for batch in (1, 3):
            without, inputs = made("none", batch=batch)
            method, _ = made(pose, *words, batch=batch, seed=1)
            missing, unexpected = method.load_state_dict(without.state_dict(), strict=False)
            assert not unexpected and missing and all(key.startswith(f"poses.{pose}.") for key in missing)
            with torch.no_grad():
                plain = inputs.predicted(without)
                guided = method(inputs.noisy, inputs.timesteps, _encoded(method, inputs))
            assert torch.equal(guided, plain)

    return check


def _encoded(method: Method, inputs: Inputs) -> Conditioning:
    height, width = (2 * side for side in inputs.data.latent_grid)
    skeleton = torch.rand(inputs.noisy.shape[0], 3, height, width)
    given = method.encode(inputs.source, inputs.data)
    return Conditioning(latent_grid=given.latent_grid, tokens=given.tokens, skeleton=skeleton)


@pytest.fixture
def learns_from_the_second_step(made: MakeMethod) -> Callable[..., None]:
    """The first step moves what starts at zero; from the second on every parameter of the branch is reached."""

    def check(pose: str, *words: str) -> None:
        method, inputs = made(pose, *words, batch=3)
        branch = method.poses[pose]
        optimizer = torch.optim.AdamW(method.parameters(), lr=1e-3)
        for number in (1, 2):
            optimizer.zero_grad()
            (inputs.predicted(method) - inputs.noisy).square().mean().backward()
            grads = {name: parameter.grad for name, parameter in branch.named_parameters()}
            assert all(grad is not None and grad.isfinite().all() for grad in grads.values())
            reached = {name for name, grad in grads.items() if grad is not None and grad.any()}
            assert reached if number == 1 else reached == set(grads), sorted(set(grads) - reached)
            assert number == 2 or len(reached) < len(grads), "canary: at first what stands behind the zero is not"
            optimizer.step()

    return check


@pytest.fixture
def loads_as_trained(tmp_path: Path) -> Callable[..., None]:
    """Two steps of training; what the run painted at its end is what it paints when it is loaded."""

    def check(pose: str, *words: str) -> None:
        for number, name in enumerate("ab"):
            write_photo(tmp_path / f"{name}.png", seed=number)
            write_pose(tmp_path / f"{name}.pose.json", standing())
        write_pairs(tmp_path / "pairs.csv", [("a.png", "b.png"), ("b.png", "a.png")], "source,target")
        every = ("batch_size=2", "warmup_steps=0", "workers=0", "checkpoint_every=0", "sample_every=0", "ema=0")
        settings = [*(f"train.{word}" for word in every), "train.learning_rate=0.002", "sample.steps=2"]
        data = ("data=folder", f"data.folder.root={tmp_path}")
        composition = compose("tiny", *ENCODER, *data, *settings, "attn=none", f"pose={pose}", *words)
        run = composition.train(runs=tmp_path / "runs", steps=2)
        model = load(run)
        # Both pairs at once, as the sheet has them: in a batch of another size a grey value may round otherwise.
        shown, changed = (next(iter(model.sample_pairs(split="train", limit=2))) for _ in _changing(model, pose))
        painted = np.asarray(Image.open(run.path / "samples" / "00000002" / "0000.png"))
        assert np.array_equal(painted, shown.output)
        assert not np.array_equal(painted, changed.output), "canary: the branch does not show in the picture"

    return check


def _changing(model: Model, pose: str) -> Iterator[None]:
    """Once as it is loaded, and once with the branch as new."""
    yield
    with torch.no_grad():
        for parameter in model.assembly.method.poses[pose].parameters():
            parameter.zero_()
    yield
