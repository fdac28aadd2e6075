"""The CLIP encoder against open_clip itself, on a small checkpoint in its own layout; its options; its weights."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsynth_core.composition.hub import Weights
from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning, SourceInputs
from pgsynth_core.registry import discover
from pgsynth_plugins.encoders.clip import Config
from pgsynth_plugins.encoders.clip.backbone import Backbone
from pgsynth_plugins.encoders.clip.model import CLIP, existing

from ...fixtures.fake_packages import FakePackages
from ...fixtures.places import look_where_their_patches_are
from ...fixtures.toys.make_manifest import text as toys_manifest

VISION = {"image_size": 32, "layers": 3, "width": 48, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 4, "vocab_size": 9, "width": 16, "heads": 2, "layers": 1}
MODEL: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
TOYS = Path(__file__).parents[2] / "fixtures" / "toys"

MakeCLIP = Callable[..., CLIP]


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def checkpoint(open_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP with random weights, both halves, as open_clip saves one."""
    return written(open_clip, tmp_path_factory.mktemp("clip"))


def written(open_clip: Any, folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    model = MODEL | changes
    save_file(open_clip.CLIP(**copy.deepcopy(model)).state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    return folder


@pytest.fixture
def clip(checkpoint: Path, context: Callable[..., BuildContext]) -> MakeCLIP:
    """The encoder on the small checkpoint in float64; keywords replace options."""

    def make(label_set: str = "atr18", **options: Any) -> CLIP:
        torch.manual_seed(1)
        build_context = context(label="appearance", weights=lambda weight_id, files=(): weight_id, label_set=label_set)
        return CLIP(Config(**({"backbone": str(checkpoint)} | options)), build_context).double()

    return make


def photos(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def theirs(open_clip: Any, folder: Path, size: tuple[int, int]) -> Any:
    """The same weights loaded by open_clip, which interpolates positions to another size itself."""
    return open_clip.create_model(f"local-dir:{folder}", force_image_size=size).double().eval()


def projected(projection: torch.nn.Module, hidden: Tensor) -> Tensor:
    """LayerNorm and Linear, written out."""
    weights = dict(projection.named_parameters())
    centred = hidden - hidden.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return (normed * weights["0.weight"] + weights["0.bias"]) @ weights["1.weight"].T + weights["1.bias"]


# ------------------------------------------------------------------------------------------- tokens
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (40, 24), (24, 40), (16, 56), (8, 8)])
@pytest.mark.parametrize("layer", [-1, -2, -3])
def test_tokens_are_open_clips_hidden_states(
    layer: int, size: tuple[int, int], batch: int, clip: MakeCLIP, checkpoint: Path, open_clip: Any
) -> None:
    """Its own interpolation of positions included; squares, tall and wide grids."""
    image, block = photos(batch, *size), 3 + layer
    given = theirs(open_clip, checkpoint, size).visual.forward_intermediates(
        image,
        indices=[block],
        normalize_intermediates=True,
        intermediates_only=True,
        output_fmt="NLC",
        output_extra_tokens=True,
    )
    hidden = torch.cat([given["image_intermediates_prefix"][0], given["image_intermediates"][0]], dim=1)
    encoder = clip(layer=layer)
    torch.testing.assert_close(encoder.backbone(image), hidden, rtol=1e-5, atol=1e-5)
    tokens = encoder(SourceInputs(image=image), (4, 3)).tokens
    torch.testing.assert_close(tokens.values, projected(encoder.token_out, hidden), rtol=1e-5, atol=1e-5)


def test_the_last_block_is_what_open_clip_puts_out(clip: MakeCLIP, checkpoint: Path, open_clip: Any) -> None:
    visual, image = theirs(open_clip, checkpoint, (32, 32)).visual, photos(2, 32, 32)
    visual.output_tokens = True
    torch.testing.assert_close(clip().backbone(image)[:, 1:], visual(image)[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("size", [(33, 25), (11, 8), (26, 22), (128, 64)])
def test_roles_spans_and_odd_sizes(size: tuple[int, int], fit: str, clip: MakeCLIP) -> None:
    conditioning = clip(fit=fit)(SourceInputs(image=photos(2, *size)), (13, 11))
    tokens = conditioning.tokens
    count = {(33, 25): 12, (11, 8): 1, (26, 22): 9, (128, 64): 18}[size] if fit == "aspect" else 16
    assert tokens.values.shape == (2, 1 + count, 64) and tokens.values.isfinite().all()
    assert tokens.is_global == (True,) + (False,) * count
    assert tokens.spans == {"appearance": (0, 1 + count)} and conditioning.latent_grid == (13, 11)
    assert conditioning.regions is None


@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("place", [(0, 20), (127, 20), (64, 0), (64, 63)])
def test_a_tall_photo_is_seen_from_head_to_foot(place: tuple[int, int], fit: str, clip: MakeCLIP) -> None:
    """open_clip's own preparation would cut the upper and the lower quarter off."""
    encoder, image = clip(fit=fit), photos(1, 128, 64)
    changed = image.clone()
    changed[..., place[0], place[1]] += 3.0
    before, after = (encoder(SourceInputs(image=each), (4, 3)).tokens.values for each in (image, changed))
    assert (before - after).abs().max() > 1e-6


def test_more_resolution_is_more_tokens(clip: MakeCLIP) -> None:
    counts = [
        clip(resolution=side)(SourceInputs(image=photos(1, 128, 64)), (4, 3)).tokens.values.shape[1]
        for side in (0, 16, 32, 64, 500)
    ]
    assert counts == [1 + 6 * 3, 1 + 3 * 1, 1 + 6 * 3, 1 + 11 * 6, 1 + 16 * 8]


# ------------------------------------------------------------------------------------------- places
@pytest.mark.parametrize("fit", ["aspect", "pad", "squash"])
@pytest.mark.parametrize("size", [(48, 32), (33, 25)])
def test_a_token_looks_where_its_patch_is(size: tuple[int, int], fit: str, clip: MakeCLIP) -> None:
    look_where_their_patches_are(clip(fit=fit), photos(2, *size), fit=fit, patch=8)


def test_regions_alone_have_no_places(clip: MakeCLIP) -> None:
    assert clip(output="regions").places(SourceInputs(), (4, 3)) is None


# ------------------------------------------------------------------------------------------- regions
def source(batch: int, crop: int = 32, labels: tuple[int, ...] = (0, 2, 17)) -> SourceInputs:
    """Photos in which only some labels occur; crops of those that do not are not a number."""
    parsing = torch.tensor(labels)[torch.arange(batch * 40 * 24).reshape(batch, 40, 24) % len(labels)]
    crops = torch.randn(batch, 18, 3, crop, crop, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return SourceInputs(image=photos(batch, 40, 24), parsing=parsing, crops=crops)


@pytest.mark.parametrize("crop", [32, 48])
@pytest.mark.parametrize("batch", [1, 3])
def test_regions_are_open_clips_image_embeddings(
    batch: int, crop: int, clip: MakeCLIP, checkpoint: Path, open_clip: Any
) -> None:
    encoder, given = clip(output="regions"), source(batch, crop)
    conditioning = encoder(given, (4, 3))
    crops = given.crops.flatten(0, 1)
    if crop != 32:
        crops = F.interpolate(crops, (32, 32), mode="bicubic", antialias=True)
    embedded = theirs(open_clip, checkpoint, (32, 32)).encode_image(crops)
    wanted = projected(encoder.region_out, embedded).unflatten(0, (batch, 18))
    there = torch.zeros(batch, 18, dtype=torch.bool)
    there[:, [0, 2, 17]] = True
    regions = conditioning.regions
    assert torch.equal(regions.exists, there) and regions.label_set == "atr18" and conditioning.tokens is None
    torch.testing.assert_close(regions.values[there], wanted[there], rtol=1e-5, atol=1e-5)
    assert not regions.values[~there].any() and regions.values[there].any(dim=-1).all()


def test_a_missing_regions_crop_leaves_no_trace(clip: MakeCLIP) -> None:
    given = source(2)
    given.crops[:, 5] = torch.nan
    assert clip(output="regions")(given, (4, 3)).regions.values.isfinite().all()


def test_both_are_each_of_them(clip: MakeCLIP) -> None:
    both, given = clip(output="both", layer=-2), source(2)
    conditioning = both(given, (4, 3))
    for output, port in (("tokens", "tokens"), ("regions", "regions")):
        one = clip(output=output, layer=-2)
        kept = {name: value for name, value in both.state_dict().items() if name in one.state_dict()}
        one.load_state_dict(kept)
        assert torch.equal(getattr(one(given, (4, 3)), port).values, getattr(conditioning, port).values)


def test_the_label_set_is_the_compositions(clip: MakeCLIP) -> None:
    assert clip(output="regions", label_set="lip20")(source(1), (4, 3)).regions.label_set == "lip20"


def test_which_labels_exist() -> None:
    parsing = torch.tensor([[[0, 0], [3, 1]], [[2, 2], [2, 9]]])
    wanted = [[True, True, False, True], [False, False, True, False]]
    assert existing(parsing, 4).tolist() == wanted


# ------------------------------------------------------------------------------------------- dropping, training
@pytest.mark.parametrize("output", ["tokens", "regions", "both"])
def test_dropped_is_zeros_of_the_same_form(output: str, clip: MakeCLIP) -> None:
    encoder = clip(output=output)
    given = encoder(source(2), (4, 3))
    null = encoder.null(given)
    if output != "regions":
        assert null.tokens.values.shape == given.tokens.values.shape and not null.tokens.values.any()
        assert null.tokens.is_global == given.tokens.is_global
    if output != "tokens":
        assert null.regions.values.shape == given.regions.values.shape and not null.regions.values.any()
        assert not null.regions.exists.any()


@pytest.mark.parametrize("output", ["tokens", "regions", "both"])
@pytest.mark.parametrize("train", [False, True])
def test_what_trains_gets_a_gradient(train: bool, output: str, clip: MakeCLIP) -> None:
    encoder = clip(output=output, train_backbone=train, layer=-2 if output == "tokens" else -1)
    given = encoder(source(2), (4, 3))
    sum(port.values.sin().sum() for port in (given.tokens, given.regions) if port is not None).backward()
    assert {parameter.requires_grad for parameter in encoder.backbone.parameters()} == {train}
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (train or not name.startswith("backbone")), name
        assert (parameter.grad is not None and parameter.grad.isfinite().all()) == parameter.requires_grad, name
    assert not any(module.training for module in encoder.train().backbone.modules())


def test_a_frozen_backbone_lets_the_gradient_through_to_the_picture(clip: MakeCLIP) -> None:
    image = photos(1, 40, 24).requires_grad_()
    clip()(SourceInputs(image=image), (4, 3)).tokens.values.sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.any()


def test_what_nothing_reads_is_not_there(clip: MakeCLIP) -> None:
    assert len(clip(layer=-3).backbone.network.transformer.resblocks) == 1
    assert not [name for name, _ in clip().named_parameters() if name.endswith("network.proj")]
    assert len(clip(output="both", layer=-3).backbone.network.transformer.resblocks) == 3


@pytest.mark.compiled
def test_compiled_equals_eager(clip: MakeCLIP) -> None:
    encoder, given = clip(output="both"), source(2)

    def run(image: Tensor, parsing: Tensor, crops: Tensor) -> tuple[Tensor, Tensor]:
        ports = encoder(SourceInputs(image=image, parsing=parsing, crops=crops), (4, 3))
        return ports.tokens.values, ports.regions.values

    arguments = given.image, given.parsing, given.crops
    for ours, wanted in zip(torch.compile(run, fullgraph=True)(*arguments), run(*arguments), strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-7, atol=1e-9)


# ------------------------------------------------------------------------------------------- which backbone
def asked(options: dict[str, Any], context: Callable[..., BuildContext]) -> tuple[Backbone, list[str]]:
    """A backbone on the meta device, and the weight ids it asked for."""
    ids: list[str] = []
    with torch.device("meta"):
        return Backbone(Config(**options), context(label="clip", weights=lambda name, files=(): ids.append(name))), ids


def test_the_default_is_vit_l_14_of_openai(context: Callable[..., BuildContext], open_clip: Any) -> None:
    backbone, ids = asked({}, context)
    entry = discover().find("encoder", "clip")
    assert ids == [weights.id for weights in entry.component.weights]
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 303_966_208 - 1024 * 768
    with torch.device("meta"):
        encoder = CLIP(Config(), context(axes={"D": 768}))
        tokens = encoder(SourceInputs(image=torch.empty(1, 3, 512, 352)), (64, 44)).tokens
    assert tokens.values.shape == (1, 1 + 19 * 13, 768)


@pytest.mark.parametrize(
    ("backbone", "weights", "activation"),
    [
        ("ViT-B-32:openai", "timm/vit_base_patch32_clip_224.openai", "QuickGELU"),
        ("ViT-B-32-quickgelu:openai", "timm/vit_base_patch32_clip_224.openai", "QuickGELU"),
        ("ViT-B-32:laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "GELU"),
        ("roberta-ViT-B-32:laion2b_s12b_b32k", "laion/CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k", "QuickGELU"),
    ],
)
def test_a_tag_says_its_weights_and_its_activation(
    backbone: str, weights: str, activation: str, context: Callable[..., BuildContext], open_clip: Any
) -> None:
    built, ids = asked({"backbone": backbone}, context)
    assert ids == [weights]
    assert type(built.network.transformer.resblocks[0].mlp.gelu).__name__ == activation


def test_without_weights_a_plain_name_is_enough(context: Callable[..., BuildContext], open_clip: Any) -> None:
    backbone, ids = asked({"backbone": "ViT-S-32", "pretrained": False, "train_backbone": True}, context)
    assert ids == [] and backbone.width == 384


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "ViT-L14:openai"}, r"neither a folder nor a model of open_clip.*Did you mean 'ViT-L-14'"),
        ({"backbone": "hf-hub:laion/x"}, r"'hf-hub' is neither a folder nor a model"),
        ({"backbone": "ViT-L-14"}, r"does not say which weights. Allowed: ViT-L-14:openai, "),
        ({"backbone": "ViT-L-14:opanai"}, r"no weights tagged 'opanai'. Allowed: ViT-L-14:openai, "),
        ({"backbone": "ViT-S-32:openai"}, r"open_clip has none; give ViT-S-32:FILE.safetensors"),
        ({"backbone": "ViT-L-14:lost.safetensors"}, r"there is no file lost.safetensors"),
        ({"backbone": "RN50:openai"}, r"no vision transformer of open_clip's own"),
        ({"backbone": "ViT-B-16-SigLIP:webli"}, r"no vision transformer of open_clip's own"),
        ({"backbone": "coca_ViT-B-32:laion2b_s13b_b90k"}, r"does not gather the picture in its class token"),
        ({"backbone": "ViT-L-14-CLIPA:datacomp1b"}, r"does not gather the picture in its class token"),
        ({"backbone": "ViT-L-14:laion2b_s32b_b82k"}, r"expects the mean \(0.5, 0.5, 0.5\)"),
        ({"backbone": "ViT-B-32:openai", "layer": -13}, r"has 12 blocks; layer is -13. Allowed: -12 to -1"),
    ],
)
def test_a_backbone_that_does_not_serve_is_refused_with_its_cure(
    options: dict[str, Any], message: str, context: Callable[..., BuildContext], open_clip: Any
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        asked(options, context)
    assert caught.value.problems[0].where == f"encoder.clip.{'layer' if 'layer' in options else 'backbone'}"


# ------------------------------------------------------------------------------------------- its weights
def test_a_file_is_loaded_into_the_model_named_with_it(
    tmp_path: Path, checkpoint: Path, context: Callable[..., BuildContext], open_clip: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small", copy.deepcopy(MODEL))
    stored = load_file(checkpoint / "open_clip_model.safetensors")
    file = tmp_path / "mine.safetensors"
    save_file({name: value.half() for name, value in stored.items()}, file)
    built = context(weights=lambda name, files=(): name)
    backbone = Backbone(Config(backbone=f"small:{file}", output="both"), built)
    for name, value in backbone.network.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, stored[f"visual.{name}"].half().float()), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 2}, r"12 weights differ, e.g. visual.transformer.resblocks.2.*where none is wanted"),
        ({"layers": 4}, r"12 weights differ, e.g. visual.transformer.resblocks.3.*is absent where"),
        ({"width": 64}, r"weights differ, e.g. visual.class_embedding is \(48,\) where \(64,\) is wanted"),
        ({"patch_size": 16}, r"2 weights differ, e.g. visual.conv1.weight"),
    ],
)
def test_weights_of_another_network_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, context: Callable[..., BuildContext], open_clip: Any
) -> None:
    folder = written(open_clip, tmp_path)
    config = {"model_cfg": MODEL | {"vision_cfg": VISION | changes}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(PartError, match=message):
        Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))


def test_weights_that_cannot_be_read_are_refused(
    tmp_path: Path, context: Callable[..., BuildContext], open_clip: Any
) -> None:
    folder = written(open_clip, tmp_path)
    file = folder / "open_clip_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PartError, match=r"open_clip_model.safetensors cannot be read: .*Get the weights again"):
        Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))
    file.rename(folder / "open_clip_pytorch_model.bin")
    with pytest.raises(PartError, match="holds no weights of open_clip as safetensors"):
        Backbone(Config(backbone=str(folder)), context(weights=lambda name, files=(): name))


@pytest.mark.parametrize("content", ["{", "[]", '{"embed_dim": 3}', '{"model_cfg": {}, "preprocess_cfg": 3}'])
def test_a_folder_that_is_no_model_is_refused(
    content: str, tmp_path: Path, context: Callable[..., BuildContext], open_clip: Any
) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    with pytest.raises(SpecError, match="open_clip_config.json cannot be read as a model of open_clip"):
        asked({"backbone": str(tmp_path)}, context)


def test_a_folders_own_mean_counts(tmp_path: Path, context: Callable[..., BuildContext], open_clip: Any) -> None:
    content = {"model_cfg": MODEL, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5]}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    with pytest.raises(SpecError, match=r"expects the mean \(0.5, 0.5, 0.5\)"):
        asked({"backbone": str(tmp_path)}, context)


def test_weights_out_of_reach_are_refused_with_the_command(
    context: Callable[..., BuildContext], open_clip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PartError, match=r"hf download timm/vit_large_patch14_clip_224.openai"):
        CLIP(Config(), context(weights=Weights()))


def test_without_open_clip_the_cure_is_named(
    context: Callable[..., BuildContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(PartError, match=r'pip install "pgsynth\[clip\]"'):
        Backbone(Config(), context())


def test_importing_the_part_does_not_import_open_clip() -> None:
    program = (
        "import sys, pgsynth_plugins.encoders.clip.model\n"
        "print(*(name in sys.modules for name in ('open_clip', 'torchvision', 'transformers', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True"]


# ------------------------------------------------------------------------------------------- in a composition
QFFT = {"part": "qfft", "backbone": "conv4", "local_queries": 5, "global_queries": 2}


@pytest.mark.parametrize("order", [("qfft", "clip"), pytest.param(("clip", "qfft"), marks=pytest.mark.slow)])
def test_tokens_join_those_of_another_encoder(
    order: tuple[str, str], checkpoint: Path, composed: Callable[..., Any]
) -> None:
    """Spans and roles in the written order, which the mask of eq5 goes by."""
    options = {"qfft": QFFT, "clip": {"backbone": str(checkpoint)}}
    composition = composed({label: options[label] for label in order}, attn="pma")
    assert composition.proof().ports["clip.tokens"] == (2, 10, 64)
    image = torch.rand(3, 3, 26, 22) * 2 - 1
    tokens = composition.method().encode(SourceInputs(image=image), Conditioning(latent_grid=(13, 11))).tokens
    roles = {"qfft": (False,) * 5 + (True,) * 2, "clip": (True,) + (False,) * 9}
    starts = {order[0]: 0, order[1]: len(roles[order[0]])}
    assert tokens.spans == {label: (starts[label], starts[label] + len(roles[label])) for label in order}
    assert tokens.is_global == roles[order[0]] + roles[order[1]] and tokens.values.shape == (3, 17, 64)


@pytest.mark.parametrize("output", ["regions", "both"])
def test_regions_reach_their_reader(
    output: str, checkpoint: Path, composed: Callable[..., Any], fake_packages: FakePackages
) -> None:
    """The toys stand for sourcenet, hpfa and caa."""
    files = {name: (TOYS / name).read_text(encoding="utf-8") for name in ("parts.py", "liars.py", "options.py")}
    fake_packages.install("pgsynth-toys", manifest=toys_manifest(), files=files)
    encoders = {"clip": {"backbone": str(checkpoint), "output": output}, "toy_source": {}}
    composition = composed(encoders, attn={"toy_hpfa": {}, "toy_caa": {}})
    proof = composition.proof()
    assert proof.ports["clip.regions"] == (2, 18, 64)
    assert ("clip.tokens" in proof.ports) == (output == "both")
    assert "source_parsing" in composition.verdict.data_ports
    assert composition.method().encoders["clip"].label_set == "atr18"


def test_small_is_ours_and_has_no_weights(context: Callable[..., BuildContext], open_clip: Any) -> None:
    build = context(weights=lambda *_: pytest.fail("asked for weights"), axes={"D": 64})
    small = CLIP(Config(backbone="small", pretrained=False, train_backbone=True, output="both"), build)
    assert sum(value.numel() for value in small.parameters()) < 500_000
    with pytest.raises(SpecError, match=r"small' has no weights.*pretrained"):
        CLIP(Config(backbone="small"), build)
