"""The vision transformer of a CLIP: found by its name in open_clip, loaded from safetensors, read at any grid.

open_clip is imported only where a backbone is built: with it come torchvision, timm and transformers, a second of them.

Reading: the backbone always runs in evaluation mode, trained or not, so that a sample's features depend neither on its
    batch nor on a random stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.errors import PartError, SpecError, nearest
from pgsynth_core.interfaces import BuildContext, Grid
from pgsynth_plugins.encoders.clip import Config

__all__ = ["Backbone"]

_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
"""Of the range ``clip``, in which core gives photos and crops."""

_CONFIG: Final = "open_clip_config.json"
_FILES: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
_TEXT: Final = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}

_SMALL: Final = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 64, "head_width": 16, "patch_size": 8},
}
"""The form of ``small``, for a CPU: no open_clip model is less than twenty million parameters. It has no weights."""


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What the option names.

    Attributes:
        model: open_clip's config of the model.
        weights: Id or path of its weights; empty if none are named.
        mean: The mean its photos are expected with.
    """

    model: Mapping[str, Any]
    weights: str
    mean: tuple[float, ...] = _MEAN


class Backbone(nn.Module):
    """A vision transformer with a class token. Blocks and weights that nothing reads are left out.

    Args:
        config: `output`, `backbone`, `layer`, `pretrained`, `train_backbone`.
        build: `weights` finds the file.

    Attributes:
        width: Channels of its tokens.
        embedding_width: Channels of its image embedding.
        patch: Side of a patch in pixels.
        side: Side of the square it was trained on, in pixels.

    Raises:
        SpecError: Unknown model or tag, no such block, or a network that cannot be read as one.
        PartError: If open_clip is not installed, or the weights are not there or not its own.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__()
        open_clip, where = _open_clip(), f"encoder.{build.label}.backbone"
        named = _named(open_clip, config, where)
        _refuse_unreadable(named, config, where)
        # before anything is built for nothing
        path = build.weights(named.weights, ("*.json", *_FILES)) if config.pretrained else None
        # Of the text half the smallest there can be: the vision half comes from open_clip's own public constructor.
        vision, quick = named.model["vision_cfg"], named.model.get("quick_gelu", False)
        whole = open_clip.CLIP(named.model["embed_dim"], vision_cfg=vision, text_cfg=_TEXT, quick_gelu=quick)
        self.network: Any = whole.visual
        if path is not None:
            _load(self.network, _weights_file(Path(path)), config.backbone)
        self.width, self.embedding_width = self.network.conv1.out_channels, self.network.output_dim
        self.patch, self.side = self.network.patch_size[0], self.network.image_size[0]
        blocks = len(self.network.transformer.resblocks)
        self.depth = blocks + 1 + config.layer
        if self.depth < 1:
            text = f"{config.backbone!r} has {blocks} blocks; layer is {config.layer}."
            raise SpecError(text, where=f"encoder.{build.label}.layer", cure=f"Allowed: -{blocks} to -1.")
        if config.output == "tokens":
            self.network.proj = None
            self.network.transformer.resblocks = self.network.transformer.resblocks[: self.depth]
        self.network.requires_grad_(config.train_backbone)
        self.train(False)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N width"]:
        """The class token, then the patches in row order, after the chosen block and CLIP's last norm.

        Args:
            image: In CLIP's range; H and W are multiples of the patch.
        """
        return self._tokens(image, self.depth)

    def embedding(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B width"]:
        """CLIP's image embedding, as it is before it is scaled to length one; needs `output` with regions."""
        whole = self._tokens(image, len(self.network.transformer.resblocks))
        projected: Tensor = whole[:, 0] @ self.network.proj
        return projected

    def _tokens(self, image: Tensor, depth: int) -> Tensor:
        network = self.network
        patches: Tensor = network.conv1(image.to(network.conv1.weight.dtype))
        first = network.class_embedding.to(patches.dtype).expand(patches.shape[0], 1, -1)
        grid = patches.shape[-2], patches.shape[-1]
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1) + self.positions(grid).to(patches.dtype)
        tokens = network.ln_pre(tokens)
        for block in network.transformer.resblocks[:depth]:
            tokens = block(tokens)
        normed: Tensor = network.ln_post(tokens)
        return normed

    def positions(self, grid: Grid) -> Float[Tensor, "N width"]:
        """The position table on a grid, the class token's first: open_clip's own interpolation, at any shape."""
        table: Tensor = self.network.positional_embedding
        if grid == tuple(self.network.grid_size):
            return table
        cells = table[1:].reshape(1, *self.network.grid_size, -1).permute(0, 3, 1, 2)
        precise = cells.to(torch.promote_types(cells.dtype, torch.float32))
        cells = F.interpolate(precise, grid, mode="bicubic", antialias=True).to(cells.dtype)
        return torch.cat([table[:1], cells[0].flatten(1).transpose(0, 1)])

    def train(self, mode: bool = True) -> Backbone:
        """Stays in evaluation mode; what is trained is decided by `requires_grad`."""
        super().train(False)
        return self


# ------------------------------------------------------------------------------------------- what the option names
def _open_clip() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        text = f"clip's backbones come from open_clip, which cannot be imported: {error}"
        raise PartError(text, cure='pip install "pgsynth[clip]"') from error
    module: ModuleType = open_clip
    return module


def _named(open_clip: ModuleType, config: Config, where: str) -> _Named:
    if config.backbone == "small":
        if config.pretrained:
            raise SpecError("backbone 'small' has no weights.", where=where, cure="Set pretrained to false beside it.")
        return _Named(model=_SMALL, weights="")
    if Path(config.backbone).is_dir():
        return _folder(Path(config.backbone), where)
    name, _, weights = config.backbone.partition(":")
    model = open_clip.get_model_config(name)
    if model is None:
        hit = nearest(name, open_clip.list_models())
        cure = f"Did you mean {hit!r}? " if hit else ""
        text = f"backbone {name!r} is neither a folder nor a model of open_clip {open_clip.__version__}."
        raise SpecError(text, where=where, cure=f"{cure}open_clip.list_models() names them all.")
    if weights.endswith(".safetensors") and config.pretrained and not Path(weights).is_file():
        raise SpecError(f"backbone {config.backbone!r}: there is no file {weights}.", where=where)
    if weights.endswith(".safetensors") or not (weights or config.pretrained):
        return _Named(model=model, weights=weights)
    tags = [tag for other, tag in open_clip.list_pretrained() if other == name]
    if weights not in tags:
        given = f"has no weights tagged {weights!r}" if weights else "does not say which weights"
        allowed = f"Allowed: {', '.join(f'{name}:{tag}' for tag in tags)}, or" if tags else "open_clip has none; give"
        raise SpecError(
            f"backbone {config.backbone!r} {given}.", where=where, cure=f"{allowed} {name}:FILE.safetensors."
        )
    described = open_clip.pretrained.get_pretrained_cfg(name, weights)
    quick = model.get("quick_gelu", False) or described.get("quick_gelu", False)  # a tag knows its own activation
    return _Named(
        model=model | {"quick_gelu": quick}, weights=described["hf_hub"].rstrip("/"), mean=tuple(described["mean"])
    )


def _folder(folder: Path, where: str) -> _Named:
    """A model as open_clip saves it."""
    file = folder / _CONFIG
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        model, prepared = content["model_cfg"], content.get("preprocess_cfg", {})
        return _Named(model=model, weights=str(folder), mean=tuple(prepared.get("mean", _MEAN)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        text = f"{file} cannot be read as a model of open_clip: {type(error).__name__}: {error}"
        raise SpecError(text, where=where, cure="Give a folder that open_clip's own push or save wrote.") from error


def _refuse_unreadable(named: _Named, config: Config, where: str) -> None:
    """Networks without patches and a class token that stands for the picture, and those trained in another range."""
    vision, given = named.model["vision_cfg"], f"backbone {config.backbone!r}"
    cure = "Use a plain vision transformer, e.g. ViT-B-32:openai, ViT-L-14:openai or ViT-H-14:laion2b_s32b_b79k."
    if "timm_model_name" in vision or isinstance(vision.get("layers"), list):
        raise SpecError(f"{given} is no vision transformer of open_clip's own.", where=where, cure=cure)
    if vision.get("attentional_pool") or vision.get("pool_type", "tok") != "tok" or vision.get("final_ln_after_pool"):
        raise SpecError(f"{given} does not gather the picture in its class token.", where=where, cure=cure)
    if config.pretrained and named.mean != _MEAN:
        text = f"{given} expects the mean {named.mean}; clip is given {_MEAN}."
        raise SpecError(text, where=where, cure="Choose weights that were trained with CLIP's mean.")


# ------------------------------------------------------------------------------------------- its weights
def _weights_file(path: Path) -> Path:
    files = [path / name for name in _FILES] if path.is_dir() else [path]
    found = next((file for file in files if file.suffix == ".safetensors" and file.is_file()), None)
    if found is None:
        raise PartError(
            f"{path} holds no weights of open_clip as safetensors.",
            cure=f"Choose a tag that has them, or give a folder with {_CONFIG} and {_FILES[0]}.",
        )
    return found


def _load(network: nn.Module, file: Path, backbone: str) -> None:
    """Put the file's vision half in place; the text half is not even read."""
    from safetensors import SafetensorError, safe_open

    prefix = "visual."
    try:
        with safe_open(file, framework="pt") as opened:
            names: list[str] = opened.keys()
            vision = [name for name in names if name.startswith(prefix)]
            stored = {name.removeprefix(prefix): opened.get_tensor(name) for name in vision}
    except (OSError, SafetensorError) as error:
        raise PartError(f"{file} cannot be read: {error}", cure="Get the weights again.") from error
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in stored.items()}
    if wrong := sorted(name for name in wanted | given if wanted.get(name) != given.get(name)):
        name = wrong[0]
        raise PartError(
            f"{file} holds another network than {backbone}: {len(wrong)} weights differ, e.g. {prefix}{name} is "
            f"{given.get(name, 'absent')} where {wanted.get(name, 'none')} is wanted.",
            cure="Name the model that the file was saved from, as MODEL:FILE.safetensors.",
        )
    network.load_state_dict(stored)
