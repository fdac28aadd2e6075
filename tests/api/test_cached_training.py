"""Runs with a cache beside runs without: the same losses, whatever state the cache is in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pgsynth_core import Run, compose
from pgsynth_core.api import continue_run
from pgsynth_core.data.cache import held_in

from ..fixtures.small_sd import save_small_sd
from .conftest import write_folder

BACKBONE = "test_byobnet.r160_in1k"
QFFT = (
    "encoder=qfft",
    f"encoder.qfft.backbone={BACKBONE}",
    "encoder.qfft.local_queries=4",
    "encoder.qfft.depth=1",
)
SETTINGS = {
    "batch_size": 2,
    "learning_rate": 0.001,
    "warmup_steps": 0,
    "workers": 0,
    "validate_pairs": 1,
    "sample_every": 0,
    "ema": 0,
    "flip": 0.5,
}
STEPS = 4  # 8 of 3 pairs: into the third epoch

Train = Callable[..., Run]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[str, ...]]:
    """A codec without weights, and a small Stable Diffusion's."""
    folder = save_small_sd(tmp_path_factory.mktemp("checkpoint"))
    return {
        "tiny": ("base=tiny", "size=32x24"),
        "sd": ("base=sd", f"base.sd.weights={folder}", "base.sd.train=all", "size=64x48"),
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_folder(folder)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the id of QFFT's weights is a path to some."""
    import timm
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("here")
    (folder / "timm" / BACKBONE).mkdir(parents=True)
    torch.manual_seed(0)
    network = timm.create_model(BACKBONE.partition(".")[0], pretrained=False)
    save_file(network.state_dict(), folder / "timm" / BACKBONE / "model.safetensors")
    return folder


@pytest.fixture
def root(tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache, empty; weights are found from here."""
    monkeypatch.chdir(here)
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def train(bases: Mapping[str, tuple[str, ...]], photos: Path, root: Path, tmp_path: Path) -> Train:
    """A few steps on three pairs."""

    def make(base: str, *words: str, steps: int = STEPS, told: list[Any] | None = None, **settings: Any) -> Run:
        written = [f"train.{key}={value}" for key, value in (SETTINGS | settings).items()]
        data = ("data=folder", f"data.folder.root={photos}", "pose=none", "sample.steps=1")
        composition = compose(None, *bases[base], *(words or (*QFFT, "attn=none")), *data, *written)
        listen = None if told is None else told.append
        return composition.train(runs=tmp_path / "runs", steps=steps, on_event=listen)

    return make


Losses = Mapping[int, float]


@pytest.fixture(scope="module")
def trained() -> dict[str, Losses]:
    """Losses without a cache, of the settings."""
    return {}


@pytest.fixture
def plain(train: Train, trained: dict[str, Losses]) -> Callable[..., Losses]:
    """The losses without a cache; the same words are trained once."""

    def losses(*words: str, **settings: Any) -> Losses:
        key = f"{words} {settings}"
        if key not in trained:
            trained[key] = train(*words, **settings).losses()
        return trained[key]

    return losses


def entries(root: Path) -> dict[str, int]:
    return {held.kind: held.entries for held in held_in(root)}


@pytest.mark.parametrize("base", ["tiny", pytest.param("sd", marks=pytest.mark.slow)])
def test_losses_are_the_same_with_every_cache_and_without(
    base: str, train: Train, plain: Callable[..., Losses], root: Path
) -> None:
    without = plain(base)
    assert not root.exists() and len(without) == STEPS
    assert train(base, cache="latents").losses() == without
    assert set(entries(root)) == {"latents"} and 4 <= entries(root)["latents"] <= 6, "three photos, some mirrored"
    kept = train(base, cache="all").losses()
    np.testing.assert_allclose([*kept.values()], [*without.values()], rtol=1e-5)
    assert set(entries(root)) == {"latents", "qfft"}
    assert train(base, cache="all").losses() == kept, "and from a full cache"


@pytest.mark.parametrize("base", ["tiny", pytest.param("sd", marks=pytest.mark.slow)])
def test_of_single_samples_they_are_bitwise_the_same(base: str, train: Train) -> None:
    alone = {"batch_size": 1, "accumulate": 2}
    assert train(base, cache="all", **alone).losses() == train(base, **alone).losses()


@pytest.mark.slow
def test_workers_and_accumulation_change_nothing(train: Train, root: Path) -> None:
    settings = {"accumulate": 2, "cache": "all"}
    one = train("sd", **settings).losses()
    for file in [*root.rglob("*.safetensors")][::2]:
        file.unlink()
    assert train("sd", workers=2, **settings).losses() == one


def test_the_arithmetic_is_the_runs(train: Train, plain: Callable[..., Losses], root: Path) -> None:
    assert train("sd", precision="bf16", cache="latents").losses() == plain("sd", precision="bf16")
    held = entries(root)
    assert train("sd", cache="latents").losses() == plain("sd") and entries(root)["latents"] > held["latents"]


@pytest.mark.slow
def test_sourcenet_reads_the_latent_that_is_kept(train: Train, root: Path) -> None:
    words = ("encoder=sourcenet", "attn=reference")
    for weight in (1.0, 0.0):
        settings = {"loss.reconstruction": weight}
        assert train("sd", *words, cache="latents", **settings).losses() == train("sd", *words, **settings).losses()


@pytest.fixture
def half(train: Train, root: Path, trained: dict[str, Losses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped after half of its steps, with its cache in place; both are made once and copied."""
    made = tmp_path_factory.getbasetemp() / "half"
    if not made.exists():
        trained["whole"] = train("sd", cache="all").losses()
        shutil.copytree(train("sd", cache="all", steps=STEPS // 2).path, made / "run")
        shutil.copytree(root, made / "cache")
    shutil.copytree(made / "cache", root, dirs_exist_ok=True)
    return Path(shutil.copytree(made / "run", root.parent / "runs" / "half"))


@pytest.mark.parametrize(
    "damage", ["deleted", *(pytest.param(how, marks=pytest.mark.slow) for how in ("half of it deleted", "damaged"))]
)
def test_a_run_joins_whatever_became_of_the_cache(
    damage: str, half: Path, trained: dict[str, Losses], root: Path
) -> None:
    files = sorted(root.rglob("*.safetensors"))
    assert len(files) > 4
    for number, file in enumerate(files):
        if damage == "deleted" or (damage == "half of it deleted" and number % 2):
            file.unlink()
        elif damage == "damaged":
            content = bytearray(file.read_bytes())
            content[-3] ^= 4
            file.write_bytes(content)
    told: list[Mapping[str, Any]] = []
    assert continue_run(half, steps=STEPS, on_event=told.append).losses() == trained["whole"]
    warned = [event["message"] for event in told if event["kind"] == "warning"]
    assert sum("removed and made anew" in message for message in warned) == (damage == "damaged")


def test_a_run_says_how_large_its_cache_may_grow(train: Train, root: Path) -> None:
    told: list[Mapping[str, Any]] = []
    train("tiny", cache="latents", steps=1, told=told)
    (message,) = [
        event["message"] for event in told if event["kind"] == "warning" and "train.cache" in event["message"]
    ]
    assert "at most 12 entries" in message and str(root) in message


def test_a_cache_that_cannot_be_written_stops_nobody(train: Train, plain: Callable[..., Losses], root: Path) -> None:
    root.touch()  # a file where the folder would be
    told: list[Mapping[str, Any]] = []
    run = train("tiny", cache="latents", told=told)
    assert run.status.state == "finished"
    warned = [event["message"] for event in told if event["kind"] == "warning"]
    assert sum("not written any more" in message for message in warned) == 1
    assert run.losses() == plain("tiny")
