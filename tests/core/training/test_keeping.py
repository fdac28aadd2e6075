"""What a run keeps of frozen networks, what makes an entry another one, and batches made whole."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsynth_core.data.cache import held_in
from pgsynth_core.data.tensors import Batch, Examples, checked, collate
from pgsynth_core.interfaces import Encoder, SourceInputs
from pgsynth_core.spec import LossWeights
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.keeping import Keeper, Keeping, keeping_of
from pgsynth_core.training.objective import Objective

from .conftest import Scene, Stage

FROZEN = (
    "encoder=qfft",
    "encoder.qfft.backbone=test_byobnet.r160_in1k",
    "encoder.qfft.local_queries=4",
    "encoder.qfft.depth=1",
    "attn=pma",
)
"""QFFT on a frozen backbone of timm's, small enough for a test."""

ROUNDING = 1e-5
"""Of a loss with features made one photo at a time, beside one of the whole batch at once."""

CPU = torch.device("cpu")


def keeping(scene: Scene, root: Path, **changes: Any) -> Keeping:
    spec = scene.assembly.spec
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"cache": "all"} | changes)})
    assembly = scene.assembly
    return keeping_of(
        spec,
        assembly.registry,
        assembly.method,
        assembly.shapes(),
        root=root,
        pairs=len(scene.people),
        device=CPU,
        autocast=nullcontext,
    )


def loaded(scene: Scene, found: Keeping, *indices: int) -> Batch:
    examples = Examples(scene.people, scene.plan).looking_up(found.lookup)
    return checked(collate([examples[index] for index in indices]))


def networks(found: Keeping) -> dict[str, str]:
    return {wanted.name: wanted.network for wanted in found.lookup.wanted}


# ------------------------------------------------------------------------------------------- which
@pytest.mark.parametrize(
    ("cache", "names"),
    [
        ("latents", {"target", "source"}),
        ("features", {"encoder qfft"}),
        ("all", {"target", "source", "encoder qfft"}),
    ],
)
def test_what_is_asked_for_is_kept(cache: str, names: set[str], stage: Stage, tmp_path: Path) -> None:
    found = keeping(stage(*FROZEN), tmp_path, cache=cache)
    assert set(networks(found)) == names and found.entries == 5 * len(names) and not found.warnings
    assert not held_in(tmp_path), "nothing is written before the first step"


def test_the_source_has_a_latent_only_where_somebody_reads_it(stage: Stage, tmp_path: Path) -> None:
    alone = {"loss": LossWeights(reconstruction=0.0)}
    assert set(networks(keeping(stage(*FROZEN), tmp_path, **alone))) == {"target", "encoder qfft"}
    sourcenet = stage("encoder=sourcenet", "attn=reference")
    assert set(networks(keeping(sourcenet, tmp_path, **alone))) == {"target", "source"}


def test_what_a_gradient_leads_to_is_not_kept(stage: Stage, tmp_path: Path) -> None:
    for train in (("encoder.qfft.train_backbone=true",), ("encoder.qfft.backbone=conv4",)):
        scene = stage(*FROZEN, *train)
        assert set(networks(keeping(scene, tmp_path))) == {"target", "source"}
        found = keeping(scene, tmp_path, cache="features")
        assert not found.lookup.wanted and "train.cache=features has no effect" in " ".join(found.told(0))


def test_a_codec_that_is_not_a_function_of_the_image_is_not_kept(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(*FROZEN)
    codec = scene.assembly.method.base.codec
    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda image: encode(image) + torch.rand(()))
    found = keeping(scene, tmp_path)
    assert set(networks(found)) == {"encoder qfft"}
    assert len(found.warnings) == 1 and "the codec does not give the same twice" in found.warnings[0]


def test_what_validation_would_make_otherwise_is_not_kept(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch norm that follows training mode: who came first would decide."""
    scene = stage(*FROZEN)
    encoder = scene.assembly.method.encoders["qfft"]
    assert isinstance(encoder, Encoder)
    features, norm = encoder.features, torch.nn.BatchNorm2d(3).requires_grad_(False)
    encoder.add_module("norm", norm)

    def normed(source: SourceInputs) -> Mapping[str, torch.Tensor]:
        return features(replace(source, image=norm(source.image)))

    monkeypatch.setattr(encoder, "features", normed)
    found = keeping(scene, tmp_path)
    assert set(networks(found)) == {"target", "source"}
    assert len(found.warnings) == 1 and "qfft gives other values in validation" in found.warnings[0]
    assert not norm.running_mean.any(), "trying it left its statistics alone"


def test_it_is_told_how_large_the_cache_may_grow(stage: Stage, tmp_path: Path) -> None:
    scene = stage(*FROZEN)
    plain, turned = (keeping(scene, tmp_path, cache="latents", flip=flip) for flip in (0.0, 0.5))
    assert plain.entries == 10 and turned.entries == 20 and turned.most == 2 * plain.most
    latent = 4 * scene.batch(0).source_image.numel()
    assert 10 * latent < plain.most < 10 * (latent + 1000)
    (fits,), (tight,) = (plain.told(reserve) for reserve in (0, 2**60))
    assert "at most 10 entries" in fits and str(tmp_path) in fits
    assert "no more is written" in tight and "no more is written" not in fits


# ------------------------------------------------------------------------------------------- what makes it another one
def test_the_same_composition_has_the_same_entries(stage: Stage, tmp_path: Path) -> None:
    assert networks(keeping(stage(*FROZEN), tmp_path)) == networks(keeping(stage(*FROZEN), tmp_path))


@pytest.mark.parametrize(
    ("words", "changes", "others"),
    [
        ((), {"precision": "bf16"}, {"target", "source", "encoder qfft"}),
        (("base.tiny.prediction=epsilon",), {}, set()),
        (("encoder.qfft.local_queries=5",), {}, {"encoder qfft"}),
        ((), {"learning_rate": 0.5, "seed": 3, "batch_size": 1}, set()),
    ],
)
def test_options_make_other_entries_where_they_may_matter(
    words: tuple[str, ...], changes: Mapping[str, Any], others: set[str], stage: Stage, tmp_path: Path
) -> None:
    plain = networks(keeping(stage(*FROZEN), tmp_path))
    other = networks(keeping(stage(*FROZEN, *words), tmp_path, **changes))
    assert {name for name in plain if plain[name] != other[name]} == others


def test_frozen_weights_make_other_entries_and_trained_ones_do_not(stage: Stage, tmp_path: Path) -> None:
    scene = stage(*FROZEN)
    encoder = scene.assembly.method.encoders["qfft"]
    plain = networks(keeping(scene, tmp_path))
    for weight in encoder.parameters():
        if weight.requires_grad:
            weight.data.add_(1.0)
    assert networks(keeping(scene, tmp_path)) == plain
    frozen = next(weight for weight in encoder.parameters() if not weight.requires_grad)
    frozen.data.flatten()[0] += 1e-3
    changed = networks(keeping(scene, tmp_path))
    assert {name for name in plain if plain[name] != changed[name]} == {"encoder qfft"}
    buffer = next(value for value in encoder.buffers() if value.dtype == torch.float32)
    buffer.flatten()[0] += 1e-3
    assert networks(keeping(scene, tmp_path))["encoder qfft"] != changed["encoder qfft"]


def test_a_number_that_is_no_weight_makes_other_entries(stage: Stage, tmp_path: Path) -> None:
    """A scaling factor, for one, comes from a file beside the weights."""
    scene = stage(*FROZEN)
    plain = networks(keeping(scene, tmp_path))
    scene.assembly.method.base.codec.scale = 0.18215  # type: ignore[assignment]
    other = networks(keeping(scene, tmp_path))
    assert {name for name in plain if plain[name] != other[name]} == {"target", "source"}


QFFT_FOLDER = "pgsynth_plugins.encoders.qfft"


@pytest.mark.parametrize(
    ("module", "changed", "others"),
    [
        ("pgsynth_core.patches", "patches.py", {"target", "source", "encoder qfft"}),
        ("pgsynth_core.composition.ranges", "ranges.py", {"target", "source", "encoder qfft"}),
        (QFFT_FOLDER, "__init__.py", {"encoder qfft"}),
        (QFFT_FOLDER, "helper/new.py", {"encoder qfft"}),
    ],
)
def test_another_code_makes_other_entries(
    module: str, changed: str, others: set[str], stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of core's preparation, and of every file of the part's folder, whether or not a class of the network is in it."""
    scene = stage(*FROZEN)
    plain = networks(keeping(scene, tmp_path))
    file = Path(str(sys.modules[module].__file__))
    copied = tmp_path / "copied" / file.parent.name
    shutil.copytree(file.parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    if module == QFFT_FOLDER:
        monkeypatch.setattr(sys.modules[module], "__path__", [str(copied)])
    else:
        monkeypatch.setattr(sys.modules[module], "__file__", str(copied / file.name))
    assert networks(keeping(scene, tmp_path)) == plain, "wherever it lies"
    (copied / changed).parent.mkdir(exist_ok=True)
    with (copied / changed).open("a", encoding="utf-8") as opened:
        opened.write("# another\n")
    other = networks(keeping(scene, tmp_path))
    assert {name for name in plain if plain[name] != other[name]} == others


def test_another_device_and_another_way_to_multiply_make_other_entries(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(*FROZEN)
    plain = networks(keeping(scene, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
        assert not set(plain.values()) & set(networks(keeping(scene, tmp_path)).values())
    multiplying, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.fp32_precision
    multiplying.fp32_precision = "tf32"
    try:
        assert not set(plain.values()) & set(networks(keeping(scene, tmp_path)).values())
    finally:
        multiplying.fp32_precision = before
    assert networks(keeping(scene, tmp_path)) == plain


def test_trying_leaves_mode_and_chance_as_they_were(stage: Stage, tmp_path: Path) -> None:
    scene = stage(*FROZEN)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    keeping(scene, tmp_path)
    assert torch.equal(torch.get_rng_state(), before) and not scene.assembly.method.training


# ------------------------------------------------------------------------------------------- batches made whole
Said = list[str]
MakeKeeper = Callable[..., tuple[Keeper, Said]]


@pytest.fixture
def keeper() -> MakeKeeper:
    """A keeper, and the warnings it gives."""

    def make(scene: Scene, found: Keeping, reserve: int = 0) -> tuple[Keeper, Said]:
        said: Said = []
        tell: Callable[[str, Mapping[str, Any]], None] = lambda kind, data: said.append(data["message"])
        return Keeper(scene.assembly.method, found.lookup, reserve=reserve, tell=tell), said

    return make


def same(one: Batch, other: Batch) -> bool:
    return one.kept.keys() == other.kept.keys() and all(
        torch.equal(tensor, other.kept[name].tensors[key])
        for name, kept in one.kept.items()
        for key, tensor in kept.tensors.items()
    )


def test_a_batch_is_the_same_from_an_empty_a_partial_and_a_full_cache(
    stage: Stage, tmp_path: Path, keeper: MakeKeeper
) -> None:
    scene = stage(*FROZEN)
    found = keeping(scene, tmp_path)
    complete, said = keeper(scene, found)
    whole = [complete(loaded(scene, found, 0, 1, 2))]
    held = {one.kind: one.entries for one in held_in(tmp_path)}
    assert held == {"latents": 6, "qfft": 3} and all(kept.complete for kept in whole[0].kept.values())
    files = {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.safetensors"))}
    full = loaded(scene, found, 0, 1, 2)
    assert all(kept.complete for kept in full.kept.values())
    whole.append(complete(full))
    for file in [*files][::2]:
        file.unlink()
    whole.append(complete(loaded(scene, found, 0, 1, 2)))
    assert {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.safetensors"))} == files
    for file in [*files][1::2]:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    assert not said
    whole.append(complete(loaded(scene, found, 0, 1, 2)))
    assert {file: file.read_bytes() for file in sorted(tmp_path.rglob("*.safetensors"))} == files
    assert len(said) == 1 and "removed and made anew" in said[0]
    assert all(same(whole[0], other) for other in whole[1:])


def test_an_entry_does_not_depend_on_the_batch_it_was_made_in(stage: Stage, tmp_path: Path, keeper: MakeKeeper) -> None:
    scene = stage(*FROZEN)
    contents = []
    for name, batches in (("together", [(0, 1, 2)]), ("apart", [(2,), (1, 0)])):
        found = keeping(scene, tmp_path / name)
        for indices in batches:
            keeper(scene, found)[0](loaded(scene, found, *indices))
        contents.append({file.name: file.read_bytes() for file in (tmp_path / name).rglob("*.safetensors")})
    assert len(contents[0]) == 9 and contents[0] == contents[1]


def test_the_loss_is_that_of_the_method_alone(stage: Stage, tmp_path: Path, keeper: MakeKeeper) -> None:
    scene = stage(*FROZEN)
    method, found = scene.assembly.method, keeping(scene, tmp_path)
    chance = Chance(seed=0, times=1000, shape=(12, *scene.plan.latent_grid), drop={}, groups={"all": ()}, halves=2)
    objective, draws, four = Objective(method, LossWeights()), chance.draw(range(4)), (0, 1, 2, 3)
    with torch.no_grad():
        plain = objective(scene.batch(*four), draws)
        objective.complete, _ = keeper(scene, found)
        made, kept = (objective(loaded(scene, found, *four), draws) for _ in range(2))
        assert made["loss"] == kept["loss"]
        torch.testing.assert_close(kept["loss"], plain["loss"], rtol=ROUNDING, atol=0)
        latents = loaded(scene, found, *four).kept["target"].tensors["latent"]
        assert torch.equal(latents, method.latents(scene.batch(*four).target_image)), "these bitwise"
        wrong = loaded(scene, found, *four)
        wrong = replace(wrong, kept={name: each.over(torch.zeros_like) for name, each in wrong.kept.items()})
        assert objective(wrong, draws)["loss"] != plain["loss"], "canary: what is kept is what is read"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_is_told_once_and_done_without(
    number: int, stage: Stage, tmp_path: Path, keeper: MakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(*FROZEN)
    found = keeping(scene, tmp_path / "cache")
    wanted, _ = keeper(scene, found)
    reference = wanted(loaded(scene, found, 0, 1))
    other = keeping(scene, tmp_path / "other")

    def refuse(*paths: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    complete, said = keeper(scene, other)
    assert all(same(complete(loaded(scene, other, 0, 1)), reference) for _ in range(2))
    assert len(said) == 1 and os.strerror(number) in said[0] and str(tmp_path / "other") in said[0]
    assert not held_in(tmp_path / "other") and not [*tmp_path.rglob("*.tmp")]


def test_room_for_checkpoints_is_left(
    stage: Stage, tmp_path: Path, keeper: MakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = stage(*FROZEN)
    found = keeping(scene, tmp_path)
    complete, said = keeper(scene, found, reserve=2**60)
    assert all(kept.complete for kept in complete(loaded(scene, found, 0)).kept.values())
    assert len(said) == 1 and "which it leaves to others" in said[0] and not held_in(tmp_path)

    def refuse(root: Path) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pgsynth_core.training.keeping.room_at", refuse)
    complete, said = keeper(scene, found)
    assert all(kept.complete for kept in complete(loaded(scene, found, 0)).kept.values())
    assert len(said) == 1 and os.strerror(errno.EACCES) in said[0], "nobody knows how much room there is"
