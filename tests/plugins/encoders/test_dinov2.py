"""The DINOv2 encoder against transformers itself, on small checkpoints in its own layout; its options; its weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsynth_core.composition.hub import Weights
from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning, SourceInputs
from pgsynth_core.registry import discover
from pgsynth_plugins.encoders.dinov2 import Config
from pgsynth_plugins.encoders.dinov2.backbone import KNOWN, Backbone
from pgsynth_plugins.encoders.dinov2.model import DINOv2

from ...fixtures.places import look_where_their_patches_are

SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 40,
    "patch_size": 8,
    "initializer_range": 0.2,
}
KINDS = ("dinov2", "dinov2_with_registers")

MakeDINOv2 = Callable[..., DINOv2]


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def checkpoints(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of each kind with random weights, as save_pretrained writes one."""
    return {kind: written(transformers, tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def model_of(transformers: Any, kind: str) -> tuple[Any, Any]:
    name = "Dinov2" if kind == "dinov2" else "Dinov2WithRegisters"
    return getattr(transformers, f"{name}Config"), getattr(transformers, f"{name}Model")


def written(transformers: Any, folder: Path, kind: str = "dinov2") -> Path:
    torch.manual_seed(0)
    configuration, model = model_of(transformers, kind)
    network = model(configuration(**SMALL))
    for parameter in network.parameters():  # layer scales of one and tokens of zero would hide mistakes
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def dinov2(checkpoints: dict[str, Path], context: Callable[..., BuildContext]) -> MakeDINOv2:
    """The encoder on a small checkpoint in float64; keywords replace options."""

    def make(kind: str = "dinov2", **options: Any) -> DINOv2:
        torch.manual_seed(1)
        build_context = context(label="appearance", weights=lambda name, files=(): name)
        return DINOv2(Config(**({"backbone": str(checkpoints[kind])} | options)), build_context).double()

    return make


def photos(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def projected(projection: torch.nn.Module, hidden: Tensor) -> Tensor:
    """LayerNorm and Linear, written out."""
    weights = dict(projection.named_parameters())
    centred = hidden - hidden.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return (normed * weights["0.weight"] + weights["0.bias"]) @ weights["1.weight"].T + weights["1.bias"]


# ------------------------------------------------------------------------------------------- tokens
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(40, 40), (48, 32), (32, 48), (16, 96), (8, 8)])
@pytest.mark.parametrize("layer", [-1, -2, -3])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_librarys_hidden_states(
    kind: str,
    layer: int,
    size: tuple[int, int],
    batch: int,
    dinov2: MakeDINOv2,
    checkpoints: dict[str, Path],
    transformers: Any,
) -> None:
    """Positions interpolated by the library itself; squares, tall and wide grids."""
    image = photos(batch, *size)
    library = model_of(transformers, kind)[1].from_pretrained(checkpoints[kind]).double().eval()
    given = library(image, output_hidden_states=True)
    hidden = library.layernorm(given.hidden_states[layer])
    if layer == -1:
        torch.testing.assert_close(hidden, given.last_hidden_state)
    if kind != "dinov2":
        hidden = torch.cat([hidden[:, :1], hidden[:, 5:]], dim=1)
    encoder = dinov2(kind, layer=layer)
    torch.testing.assert_close(encoder.backbone(image), hidden, rtol=1e-9, atol=1e-9)
    tokens = encoder(SourceInputs(image=image), (4, 3)).tokens
    torch.testing.assert_close(tokens.values, projected(encoder.out, hidden), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_interpolated_from_the_trained_square(kind: str, dinov2: MakeDINOv2) -> None:
    """Bicubic over the table, rows and columns apart; the class token's position stays."""
    embeddings = dinov2(kind).backbone.network.embeddings
    table = embeddings.position_embeddings
    given = embeddings.interpolate_pos_encoding(torch.zeros(1, 1 + 6 * 4, 48, dtype=torch.float64), 48, 32)
    cells = table[:, 1:].reshape(1, 5, 5, 48).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.interpolate(cells, (6, 4), mode="bicubic", antialias=kind != "dinov2")
    torch.testing.assert_close(given[:, 1:], wanted.flatten(2).transpose(1, 2), rtol=1e-5, atol=1e-5)
    assert torch.equal(given[:, 0], table[:, 0])


@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("size", [(33, 25), (11, 8), (26, 22), (128, 64)])
def test_roles_spans_and_odd_sizes(size: tuple[int, int], fit: str, dinov2: MakeDINOv2) -> None:
    conditioning = dinov2(fit=fit)(SourceInputs(image=photos(2, *size)), (13, 11))
    tokens = conditioning.tokens
    count = {(33, 25): 12, (11, 8): 1, (26, 22): 9, (128, 64): 28}[size] if fit == "aspect" else 25
    assert tokens.values.shape == (2, 1 + count, 64) and tokens.values.isfinite().all()
    assert tokens.is_global == (True,) + (False,) * count
    assert tokens.spans == {"appearance": (0, 1 + count)} and conditioning.latent_grid == (13, 11)


@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("place", [(0, 20), (127, 20), (64, 0), (64, 63)])
def test_a_tall_photo_is_seen_from_head_to_foot(place: tuple[int, int], fit: str, dinov2: MakeDINOv2) -> None:
    """The library's own preparation would cut the upper and the lower quarter off."""
    encoder, image = dinov2(fit=fit), photos(1, 128, 64)
    changed = image.clone()
    changed[..., place[0], place[1]] += 3.0
    before, after = (encoder(SourceInputs(image=each), (4, 3)).tokens.values for each in (image, changed))
    assert (before - after).abs().max() > 1e-6


def test_dropped_is_zeros_of_the_same_form(dinov2: MakeDINOv2) -> None:
    encoder = dinov2()
    given = encoder(SourceInputs(image=photos(2, 40, 24)), (4, 3))
    null = encoder.null(given)
    assert null.tokens.values.shape == given.tokens.values.shape and not null.tokens.values.any()
    assert null.tokens.is_global == given.tokens.is_global and null.tokens.spans == given.tokens.spans


# ------------------------------------------------------------------------------------------- places
@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("size", [(48, 32), (33, 25)])
def test_a_token_looks_where_its_patch_is(size: tuple[int, int], fit: str, dinov2: MakeDINOv2) -> None:
    look_where_their_patches_are(dinov2(fit=fit), photos(2, *size), fit=fit, patch=8)


# ------------------------------------------------------------------------------------------- training
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_trains_gets_a_gradient(kind: str, train: bool, dinov2: MakeDINOv2) -> None:
    encoder = dinov2(kind, train_backbone=train, layer=-2)
    encoder(SourceInputs(image=photos(2, 40, 24)), (4, 3)).tokens.values.sin().sum().backward()
    assert {parameter.requires_grad for parameter in encoder.backbone.parameters()} == {train}
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (train or not name.startswith("backbone")), name
        assert (parameter.grad is not None and parameter.grad.isfinite().all()) == parameter.requires_grad, name
    assert not any(module.training for module in encoder.train().backbone.modules())


def test_a_frozen_backbone_lets_the_gradient_through_to_the_picture(dinov2: MakeDINOv2) -> None:
    image = photos(1, 40, 24).requires_grad_()
    dinov2()(SourceInputs(image=image), (4, 3)).tokens.values.sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.any()


@pytest.mark.compiled
@pytest.mark.parametrize("kind", [KINDS[0], pytest.param(KINDS[1], marks=pytest.mark.slow)])
def test_compiled_equals_eager(kind: str, dinov2: MakeDINOv2) -> None:
    encoder, image = dinov2(kind), photos(2, 48, 32)

    def run(image: Tensor) -> Tensor:
        return encoder(SourceInputs(image=image), (4, 3)).tokens.values

    torch.testing.assert_close(torch.compile(run, fullgraph=True)(image), run(image), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------- which backbone
def asked(options: dict[str, Any], context: Callable[..., BuildContext]) -> tuple[Backbone, list[str]]:
    """A backbone on the meta device, and the weight ids it asked for."""
    ids: list[str] = []
    with torch.device("meta"):
        return Backbone(
            Config(**options), context(label="dinov2", weights=lambda name, files=(): ids.append(name))
        ), ids


def test_the_default_is_the_base_model(context: Callable[..., BuildContext], transformers: Any) -> None:
    _, ids = asked({}, context)
    entry = discover().find("encoder", "dinov2")
    assert ids == [weights.id for weights in entry.component.weights] == ["facebook/dinov2-base"]
    with torch.device("meta"):
        encoder = DINOv2(Config(), context(axes={"D": 1024}))
        tokens = encoder(SourceInputs(image=torch.empty(1, 3, 512, 352)), (64, 44)).tokens
    assert tokens.values.shape == (1, 1 + 37 * 25, 1024)


MILLIONS = {"small": 22.1, "base": 86.6, "large": 304.4, "giant": 1136.5}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_known_model_has_its_published_size(
    name: str, context: Callable[..., BuildContext], transformers: Any
) -> None:
    backbone, ids = asked({"backbone": name}, context)
    assert ids == [name] and (backbone.patch, backbone.side) == (14, 518)
    assert backbone.registers == (4 if "registers" in name else 0)
    millions = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
    assert millions == pytest.approx(MILLIONS[name.rpartition("-")[2]], abs=0.06)


def test_without_weights_none_are_asked_for(context: Callable[..., BuildContext], transformers: Any) -> None:
    assert asked({"pretrained": False, "train_backbone": True}, context)[1] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "facebook/dinov2-bass"}, r"Did you mean 'facebook/dinov2-base'.*hf download ID --local-dir"),
        ({"backbone": "facebook/dinov2-small", "layer": -13}, r"has 12 blocks; layer is -13. Allowed: -12 to -1"),
    ],
)
def test_a_backbone_that_does_not_serve_is_refused_with_its_cure(
    options: dict[str, Any], message: str, context: Callable[..., BuildContext], transformers: Any
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        asked(options, context)
    assert caught.value.problems[0].where == f"encoder.dinov2.{'layer' if 'layer' in options else 'backbone'}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as a model of transformers"),
        ("[]", "cannot be read as a model of transformers"),
        ('{"hidden_size": 3}', "cannot be read as a model of transformers"),
        ('{"model_type": "vit"}', "is of a 'vit'; dinov2 reads dinov2 and dinov2_with_registers"),
    ],
)
def test_a_folder_that_is_no_dinov2_is_refused(
    content: str, message: str, tmp_path: Path, context: Callable[..., BuildContext]
) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SpecError, match=message):
        asked({"backbone": str(tmp_path)}, context)


# ------------------------------------------------------------------------------------------- its weights
def test_half_precision_files_are_read_in_single_precision(
    tmp_path: Path, checkpoints: dict[str, Path], context: Callable[..., BuildContext], transformers: Any
) -> None:
    transformers.Dinov2Model.from_pretrained(checkpoints["dinov2"]).half().save_pretrained(tmp_path)
    backbone = Backbone(Config(backbone=str(tmp_path)), context(weights=lambda name, files=(): name))
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


def test_the_hubs_own_names_of_the_weights_are_understood(
    tmp_path: Path, checkpoints: dict[str, Path], context: Callable[..., BuildContext], transformers: Any
) -> None:
    """Meta's files say attention.attention.query; transformers renamed its modules and translates."""
    stored = load_file(checkpoints["dinov2"] / "model.safetensors")
    old = {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value"}
    old |= {"o_proj": "output.dense"}
    assert any("attention.q_proj" in name or "attention.attention.query" in name for name in stored)

    def renamed(name: str) -> str:
        for new, was in old.items():
            name = name.replace(f"attention.{new}.", f"attention.{was}.")
        return name

    save_file({renamed(name): value for name, value in stored.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((checkpoints["dinov2"] / "config.json").read_bytes())
    image = torch.rand(1, 3, 40, 40)
    one, other = (
        Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))(image)
        for folder in (checkpoints["dinov2"], tmp_path)
    )
    assert torch.equal(one, other)


def test_missing_weights_are_refused(tmp_path: Path, context: Callable[..., BuildContext], transformers: Any) -> None:
    """transformers would fill them with noise and go on."""
    folder = written(transformers, tmp_path)
    stored = load_file(folder / "model.safetensors")
    left = {name: value for name, value in stored.items() if "layer.1.mlp" not in name}
    assert len(left) < len(stored)
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PartError, match=r"lacks 4 weights of the model, e.g. encoder.layer.1.mlp.fc1.bias"):
        Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))


def test_weights_that_cannot_be_read_are_refused(
    tmp_path: Path, context: Callable[..., BuildContext], transformers: Any
) -> None:
    folder = written(transformers, tmp_path)
    file = folder / "model.safetensors"
    whole = file.read_bytes()

    def refused(message: str) -> None:
        with pytest.raises(PartError, match=message):
            Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))

    file.write_bytes(whole[: len(whole) // 2])
    refused(r"the weights cannot be read: .*get them again")
    file.write_bytes(whole)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"hidden_size": 24}))
    refused("the weights cannot be read")
    (folder / "config.json").write_text(json.dumps(content))
    file.rename(folder / "pytorch_model.bin")
    refused("It needs config.json and model.safetensors")


def test_weights_out_of_reach_are_refused_with_the_command(
    context: Callable[..., BuildContext], monkeypatch: pytest.MonkeyPatch, transformers: Any
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PartError, match=r"hf download facebook/dinov2-base"):
        DINOv2(Config(), context(weights=Weights()))


def test_without_transformers_the_cure_is_named(
    context: Callable[..., BuildContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.dinov2.configuration_dinov2", None)
    with pytest.raises(PartError, match=r'pip install "pgsynth\[dinov2\]"'):
        Backbone(Config(), context())


def test_importing_the_part_does_not_import_transformers() -> None:
    program = (
        "import sys, pgsynth_plugins.encoders.dinov2.model\n"
        "print(*(name in sys.modules for name in ('transformers', 'torchvision', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


# ------------------------------------------------------------------------------------------- in a composition
def test_tokens_join_those_of_other_encoders(checkpoints: dict[str, Path], composed: Callable[..., Any]) -> None:
    """Two of one part, each with its own layer, and a qfft between them."""
    folder = str(checkpoints["dinov2"])
    encoders = {
        "early": {"part": "dinov2", "backbone": folder, "layer": -2},
        "qfft": {"backbone": "conv4", "local_queries": 5, "global_queries": 2},
        "late": {"part": "dinov2", "backbone": folder, "fit": "squash"},
    }
    composition = composed(encoders, attn="pma")
    proof = composition.proof()
    assert proof.ports["early.tokens"] == (2, 10, 64) and proof.ports["late.tokens"] == (2, 26, 64)
    image = torch.rand(3, 3, 26, 22) * 2 - 1
    tokens = composition.method().encode(SourceInputs(image=image), Conditioning(latent_grid=(13, 11))).tokens
    assert tokens.spans == {"early": (0, 10), "qfft": (10, 17), "late": (17, 43)}
    early, queries, late = (True,) + (False,) * 9, (False,) * 5 + (True,) * 2, (True,) + (False,) * 25
    assert tokens.is_global == early + queries + late and tokens.values.shape == (3, 43, 64)
