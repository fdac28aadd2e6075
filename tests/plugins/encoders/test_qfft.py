"""QFFT against section 3.2 written out as functions over its own weights, in float64; its options; its backbones."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.interfaces import BuildContext, SourceInputs
from pgsynth_plugins.encoders.qfft import Config
from pgsynth_plugins.encoders.qfft.backbones import Conv4, TimmBackbone
from pgsynth_plugins.encoders.qfft.model import QFFT, sine_positions

SMALL: dict[str, Any] = {"local_queries": 5, "global_queries": 3, "depth": 2, "heads": 2, "head_width": 5}
MakeQFFT = Callable[..., QFFT]


@pytest.fixture
def qfft(context: Callable[..., BuildContext]) -> MakeQFFT:
    """A small QFFT on conv4 in float64; keywords replace options."""

    def make(**options: Any) -> QFFT:
        torch.manual_seed(0)
        return QFFT(Config(**(SMALL | {"backbone": "conv4"} | options)), context(label="appearance")).double()

    return make


def photos(batch: int, height: int = 33, width: int = 25) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# ------------------------------------------------------------------------------------------- the reference
def normed(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attended(weights: dict[str, Tensor], name: str, x: Tensor, context: Tensor) -> Tensor:
    q, k, v = (
        linear(weights, f"{name}.to_q", x),
        linear(weights, f"{name}.to_k", context),
        linear(weights, f"{name}.to_v", context),
    )
    heads = []
    for q_h, k_h, v_h in zip(q.chunk(2, -1), k.chunk(2, -1), v.chunk(2, -1), strict=True):
        scores = (q_h @ k_h.transpose(1, 2) / math.sqrt(q_h.shape[-1])).exp()
        heads.append(scores / scores.sum(-1, keepdim=True) @ v_h)
    return linear(weights, f"{name}.to_out", torch.cat(heads, -1))


def positions(h: int, w: int, width: int) -> Tensor:
    """Each cell by itself: sin and cos of y and x over the image, at frequencies from 1/2 to 64 turns."""
    steps = math.ceil(width / 4)
    turns = [2 ** (-1 + 7 * step / (steps - 1)) for step in range(steps)]
    cells = [((row + 0.5) / h, (column + 0.5) / w) for row in range(h) for column in range(w)]
    angles = [[2 * math.pi * place * turn for place in cell for turn in turns] for cell in cells]
    code = [[wave(angle) for wave in (math.sin, math.cos) for angle in row][:width] for row in angles]
    return torch.tensor(code, dtype=torch.float64)


def reference(model: QFFT, image: Tensor) -> Tensor:
    """Local queries read F1..F4 in sequence, then [Q_l; Q_g] attend to each other; pre-norm residuals; projected."""
    weights, width, n_local = dict(model.named_parameters()), 10, 5
    levels = []
    for i, feature in enumerate(model.backbone(image)):
        b, h, w, c = feature.shape
        level = linear(weights, f"project.{i}.1", normed(weights, f"project.{i}.0", feature.reshape(b, h * w, c)))
        levels.append(level + positions(h, w, width))
    queries = weights["queries"].expand(image.shape[0], -1, -1)
    local, whole = queries[:, :n_local], queries[:, n_local:]
    for n in range(2):
        for i, level in enumerate(levels):
            local = local + attended(
                weights, f"layers.{n}.cross.{i}", normed(weights, f"layers.{n}.cross_norm.{i}", local), level
            )
        both = torch.cat([local, whole], 1)
        inward = normed(weights, f"layers.{n}.self_norm", both)
        both = both + attended(weights, f"layers.{n}.self_attention", inward, inward)
        hidden = linear(weights, f"layers.{n}.feed.0", normed(weights, f"layers.{n}.feed_norm", both))
        both = both + linear(weights, f"layers.{n}.feed.2", hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))
        local, whole = both[:, :n_local], both[:, n_local:]
    return linear(weights, "out.1", normed(weights, "out.0", torch.cat([local, whole], 1)))


# ------------------------------------------------------------------------------------------- the equations
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (32, 22), (33, 25), (11, 8)])
@pytest.mark.parametrize("queries", ["local", "local+global"])
def test_equals_the_section(queries: str, size: tuple[int, int], batch: int, qfft: MakeQFFT) -> None:
    model, image = qfft(queries=queries), photos(batch, *size)
    tokens = model(SourceInputs(image=image), (4, 3)).tokens
    wanted = reference(model, image)
    torch.testing.assert_close(tokens.values, wanted, rtol=1e-9, atol=1e-11)
    along = torch.linspace(-1, 1, wanted.numel(), dtype=torch.float64).view_as(wanted)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((tokens.values * along).sum(), parameters)
    theirs = torch.autograd.grad((wanted * along).sum(), parameters)
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine, yours, rtol=1e-7, atol=1e-9)


def looked(model: QFFT, image: Tensor) -> Tensor:
    """Where each query looks, cell by cell of F1's grid, with every softmax written out."""
    weights, n_local = dict(model.named_parameters()), 5
    features = model.backbone(image)
    grids = [feature.shape[1:3] for feature in features]
    levels = model._levels(features)
    rows, columns = grids[0]
    queries = weights["queries"].expand(image.shape[0], -1, -1)
    local, whole = queries[:, :n_local], queries[:, n_local:]
    layers = []
    for n in range(2):
        of_local, before = torch.zeros(image.shape[0], n_local, rows, columns, dtype=torch.float64), (local, whole)
        for i, (level, (h, w)) in enumerate(zip(levels, grids, strict=True)):
            name, inward = f"layers.{n}.cross.{i}", normed(weights, f"layers.{n}.cross_norm.{i}", local)
            shares = averaged(weights, name, inward, level).unflatten(2, (h, w))
            for row in range(rows):
                for column in range(columns):
                    of_local[:, :, row, column] += sum(
                        shares[:, :, y, x] * overlap(row, rows, y, h) * overlap(column, columns, x, w)
                        for y in range(h)
                        for x in range(w)
                    )
            local = local + attended(weights, name, inward, level)
        inward = normed(weights, f"layers.{n}.self_norm", torch.cat([local, whole], 1))
        among = averaged(weights, f"layers.{n}.self_attention", inward, inward)[:, n_local:, :n_local]
        given = among / among.sum(-1, keepdim=True)
        layers.append(torch.cat([of_local, torch.einsum("bgl,blhw->bghw", given, of_local)], 1) / 4)
        local, whole = model.layers[n](*before, levels)
    return (layers[0] + layers[1]) / 2


def averaged(weights: dict[str, Tensor], name: str, x: Tensor, context: Tensor) -> Tensor:
    q, k = linear(weights, f"{name}.to_q", x), linear(weights, f"{name}.to_k", context)
    heads = [
        (q_h @ k_h.transpose(1, 2) / math.sqrt(q_h.shape[-1])).softmax(-1)
        for q_h, k_h in zip(q.chunk(2, -1), k.chunk(2, -1), strict=True)
    ]
    return (heads[0] + heads[1]) / 2


def overlap(fine: int, of_fine: int, coarse: int, of_coarse: int) -> float:
    """How much of a coarse cell lies in a fine one, along one axis."""
    low, high = max(fine / of_fine, coarse / of_coarse), min((fine + 1) / of_fine, (coarse + 1) / of_coarse)
    return max(0.0, high - low) * of_coarse


@pytest.mark.parametrize("size", [(32, 22), (11, 8)])
@pytest.mark.parametrize("queries", ["local", "local+global"])
def test_places_are_where_the_queries_attend(queries: str, size: tuple[int, int], qfft: MakeQFFT) -> None:
    model, image = qfft(queries=queries), photos(2, *size)
    places = model.places(SourceInputs(image=image), (4, 3))
    tokens = model(SourceInputs(image=image), (4, 3)).tokens.values
    assert places.shape == (2, tokens.shape[1], -(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(places.sum((2, 3)), torch.ones(2, tokens.shape[1], dtype=torch.float64))
    torch.testing.assert_close(places, looked(model, image), rtol=1e-9, atol=1e-12)


def test_global_queries_read_the_levels_only_through_the_local_ones(qfft: MakeQFFT) -> None:
    """Section 3.2: they attend to the local queries by self-attention; without it no picture reaches them."""
    model = qfft()
    for layer in model.layers:
        layer.self_attention.to_out.weight.data.zero_()
    one, other = (model(SourceInputs(image=image), (4, 3)).tokens.values for image in photos(2).split(1))
    assert torch.equal(one[:, 5:], other[:, 5:]) and not torch.allclose(one[:, :5], other[:, :5])


@pytest.mark.parametrize(("queries", "roles"), [("local", (False,) * 5), ("local+global", (False,) * 5 + (True,) * 3)])
def test_roles_and_spans(queries: str, roles: tuple[bool, ...], qfft: MakeQFFT) -> None:
    conditioning = qfft(queries=queries)(SourceInputs(image=photos(2)), (4, 3))
    tokens = conditioning.tokens
    assert tokens.is_global == roles and tokens.spans == {"appearance": (0, len(roles))}
    assert tokens.values.shape == (2, len(roles), 64) and conditioning.latent_grid == (4, 3)


def test_the_same_place_has_the_same_position_on_every_level() -> None:
    fine, coarse = (
        sine_positions(torch.zeros(1, *grid, 1, dtype=torch.float64), 16)[0].unflatten(0, grid)
        for grid in ((9, 15), (3, 5))
    )
    torch.testing.assert_close(fine[1::3, 1::3], coarse)
    codes = sine_positions(torch.zeros(1, 16, 11, 1), 16)[0]
    assert (torch.cdist(codes, codes) + torch.eye(16 * 11)).min() > 0.1, "two cells share a position"


def test_its_operations_can_be_counted_without_gradients(qfft: MakeQFFT) -> None:
    model = qfft()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(SourceInputs(image=photos(1)), (4, 3))
    assert counter.get_total_flops() > 0


@pytest.mark.compiled
def test_compiled_equals_eager(qfft: MakeQFFT) -> None:
    model, image = qfft(depth=1), photos(2)

    def run(image: Tensor) -> Tensor:
        return model(SourceInputs(image=image), (4, 3)).tokens.values

    torch.testing.assert_close(torch.compile(run, fullgraph=True)(image), run(image), rtol=1e-9, atol=1e-11)


# ------------------------------------------------------------------------------------------- backbones
@pytest.fixture
def timm() -> Any:
    return pytest.importorskip("timm")


def test_conv4_halves_four_times_and_trains() -> None:
    backbone = Conv4()
    features = backbone(torch.randn(2, 3, 33, 25))
    assert [tuple(f.shape) for f in features] == [(2, 17, 13, 32), (2, 9, 7, 64), (2, 5, 4, 96), (2, 3, 2, 128)]
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_the_default_is_swin_b_with_channels_last(context: Callable[..., BuildContext], timm: Any) -> None:
    with torch.device("meta"):
        model = QFFT(Config(), context(image_size=(512, 352), axes={"D": 768}))
        image = torch.empty(1, 3, 512, 352)
        features = model.backbone(image)
        tokens = model(SourceInputs(image=image), (64, 44)).tokens
    grids = [(128, 88, 128), (64, 44, 256), (32, 22, 512), (16, 11, 1024)]
    assert [tuple(feature.shape[1:]) for feature in features] == grids
    assert tokens.values.shape == (1, 72, 768)
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    assert not any(module.training for module in model.train().backbone.modules())


def weights_file(timm: Any, folder: Path, name: str) -> dict[str, Tensor]:
    """Random weights of a timm model, as the hub's repository would hold them."""
    from safetensors.torch import save_file

    torch.manual_seed(3)
    weights: dict[str, Tensor] = timm.create_model(name, pretrained=False).state_dict()
    save_file(weights, folder / "model.safetensors")
    return weights


@pytest.mark.parametrize("train", [False, True])
def test_a_timm_backbone_gets_the_weights_of_its_tag(
    train: bool, tmp_path: Path, context: Callable[..., BuildContext], timm: Any
) -> None:
    weights = weights_file(timm, tmp_path, "test_byobnet")
    asked: list[str] = []
    build = context(weights=lambda weight_id, files=(): (asked.append(weight_id), str(tmp_path))[1])
    backbone = TimmBackbone(Config(backbone="test_byobnet.r160_in1k", train_backbone=train), build)
    assert asked == ["timm/test_byobnet.r160_in1k"]
    first = next(iter(backbone.network.parameters()))
    assert any(torch.equal(first, value) for value in weights.values())
    assert {parameter.requires_grad for parameter in backbone.parameters()} == {train}
    features = backbone(torch.randn(2, 3, 64, 44))
    assert [feature.shape[-1] for feature in features] == list(backbone.channels) and len(features) == 4


def test_a_frozen_backbone_lets_the_gradient_through_to_the_picture(
    context: Callable[..., BuildContext], timm: Any
) -> None:
    build = context()
    model = QFFT(Config(backbone="test_byobnet.r160_in1k", **SMALL), build)  # on meta nothing would be loaded either
    image = torch.randn(1, 3, 64, 44, requires_grad=True)
    model(SourceInputs(image=image), (4, 3)).tokens.values.sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.any()
    assert all(parameter.grad is None for parameter in model.backbone.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "swin_bas_patch4_window7_224"}, r"Did you mean 'swin_base_patch4_window7_224'"),
        ({"backbone": "swin_base_patch4_window7_224"}, r"does not say which weights. Allowed: .*ms_in1k, .*ms_in22k"),
        ({"backbone": "swin_base_patch4_window7_224.ms_in2k"}, r"no weights tagged 'ms_in2k'. Allowed: .*ms_in1k"),
        ({"backbone": "test_resnet", "pretrained": False, "train_backbone": True}, r""),
        ({"backbone": "vit_tiny_patch16_224.augreg_in21k"}, r"expects the mean \(0.5, 0.5, 0.5\)"),
    ],
)
def test_a_backbone_that_does_not_serve_is_refused_with_its_cure(
    options: dict[str, Any], message: str, context: Callable[..., BuildContext], timm: Any
) -> None:
    if not message:  # canary: with no weights asked for, a plain name is enough
        TimmBackbone(Config(**options), context(image_size=(64, 48)))
        return
    with pytest.raises(SpecError, match=message) as caught:
        TimmBackbone(Config(**options), context(label="qfft"))
    assert caught.value.problems[0].where == "encoder.qfft.backbone"


def test_too_few_levels_are_refused(context: Callable[..., BuildContext], timm: Any, monkeypatch: Any) -> None:
    whole = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **given: whole(name, out_indices=(0, 1, 2), **given))
    with pytest.raises(SpecError, match="gives 3 feature levels; QFFT reads 4"):
        TimmBackbone(Config(backbone="test_byobnet.r160_in1k"), context())


@pytest.mark.parametrize("name", ["model.safetensors", "weights.pth"])
def test_weights_that_are_no_safetensors_file_are_refused(
    name: str, tmp_path: Path, context: Callable[..., BuildContext], timm: Any
) -> None:
    (tmp_path / "weights.pth").touch()
    path = tmp_path if name.startswith("model") else tmp_path / name
    with pytest.raises(PartError, match="is no safetensors file"):
        TimmBackbone(Config(backbone="test_byobnet.r160_in1k"), context(weights=lambda weight_id, files=(): str(path)))


def test_without_timm_the_cure_is_named(context: Callable[..., BuildContext], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PartError, match="pip install timm"):
        TimmBackbone(Config(), context())


def test_conv4_never_imports_timm() -> None:
    program = (
        "import sys\n"
        "from pgsynth_core.interfaces import BuildContext\n"
        "from pgsynth_plugins.encoders.qfft import Config\n"
        "from pgsynth_plugins.encoders.qfft.model import QFFT\n"
        "build = BuildContext(label='q', axes={'D': 8}, image_size=(8, 8), stride=2, weights=lambda name, files=(): None)\n"
        "QFFT(Config(backbone='conv4', depth=1), build)\n"
        "print('timm' in sys.modules, 'pgsynth_plugins.encoders.qfft.backbones' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
