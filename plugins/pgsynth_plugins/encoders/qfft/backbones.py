"""The multi-scale backbone that QFFT reads: four levels F1..F4 of a timm model, or a small convolutional one.

timm is imported only where a timm model is asked for: importing it takes seconds, and `conv4` needs none of it.

Reading: the backbone always runs in evaluation mode, trained or not: normalisation by stored statistics, no stochastic
    depth or dropout, so that a sample's features depend neither on its batch nor on a random stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.errors import PartError, SpecError, nearest
from pgsynth_core.interfaces import BuildContext
from pgsynth_plugins.encoders.qfft import Config

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

__all__ = ["LEVELS", "Backbone", "Conv4", "Features", "TimmBackbone", "build_backbone"]

LEVELS: Final = 4
"""F1..F4."""

_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)

Features = tuple[Float[Tensor, "B _ _ _"], ...]
"""F1..F4, channels last."""


class Backbone(nn.Module, ABC):
    """Image in, four feature maps out, fine to coarse.

    Attributes:
        channels: Of each level.
    """

    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Features:
        """F1..F4, channels last: [B, h_i, w_i, C_i]. The image is in ImageNet range."""


def build_backbone(config: Config, build: BuildContext) -> Backbone:
    """The backbone of the options.

    Raises:
        SpecError: If timm does not have it, or QFFT cannot read it.
        PartError: If timm is not installed, or the weights are not there.
    """
    return Conv4() if config.backbone == "conv4" else TimmBackbone(config, build)


class Conv4(Backbone):
    """Four small convolutional stages at strides 2, 4, 8, 16, for small pictures. No weights exist; always trained."""

    channels = (32, 64, 96, 128)

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *self.channels[:-1])
        self.stages = nn.ModuleList(_stage(given, wanted) for given, wanted in zip(inputs, self.channels, strict=True))

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Features:
        """F1..F4, channels last; odd sizes halve upwards."""
        levels = []
        for stage in self.stages:
            image = stage(image)
            levels.append(image.permute(0, 2, 3, 1))
        return tuple(levels)


def _stage(given: int, wanted: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, wanted, 3, stride=2, padding=1),
        nn.GroupNorm(8, wanted),
        nn.SiLU(),
        nn.Conv2d(wanted, wanted, 3, padding=1),
        nn.GroupNorm(8, wanted),
        nn.SiLU(),
    )


class TimmBackbone(Backbone):
    """The last four levels of a timm model: strides 4, 8, 16, 32 for Swin.

    Args:
        config: `backbone`, `pretrained`, `train_backbone`.
        build: `image_size` fixes the size of models that have one (Swin's window masks); `weights` finds the file.

    Raises:
        SpecError: Unknown model, `pretrained` without a tag, fewer than four levels, or not ImageNet's mean.
        PartError: If timm is not installed, or the weights are not there.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__()
        timm, where = _timm(), f"encoder.{build.label}.backbone"
        described = _described(timm, config, where)
        file = _weights_file(build.weights(f"timm/{config.backbone}")) if config.pretrained else None
        self.network: nn.Module = timm.create_model(
            config.backbone,
            features_only=True,
            pretrained=file is not None,
            pretrained_cfg_overlay=None if file is None else {"file": str(file)},
            **({"img_size": build.image_size} if described.fixed_input_size else {}),
        )
        info = self.network.feature_info
        self.channels = tuple(info.channels()[-LEVELS:])
        if len(self.channels) < LEVELS:
            raise SpecError(
                f"backbone {config.backbone!r} gives {len(self.channels)} feature levels; QFFT reads {LEVELS}.",
                where=where,
                cure="Use a hierarchical model, e.g. swin_base_patch4_window7_224.ms_in1k or resnet50.a1_in1k.",
            )
        self.channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"  # some of timm's wrappers have none
        self.network.requires_grad_(config.train_backbone)
        self.train(False)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Features:
        """F1..F4, channels last whatever the model's own order."""
        levels = self.network(image)[-LEVELS:]
        return tuple(level if self.channels_last else level.permute(0, 2, 3, 1) for level in levels)

    def train(self, mode: bool = True) -> TimmBackbone:
        """Stays in evaluation mode; what is trained is decided by `requires_grad`."""
        super().train(False)
        return self


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        text = f"qfft's backbones come from timm, which cannot be imported: {error}"
        raise PartError(text, cure="pip install timm") from error
    return timm


def _described(timm: ModuleType, config: Config, where: str) -> PretrainedCfg:
    """What timm knows of the model, after checking that it serves."""
    name, _, tag = config.backbone.partition(".")
    if not timm.is_model(name):
        hit = nearest(name, ["conv4", *timm.list_models()])
        cure = f"Did you mean {hit!r}? " if hit else ""
        raise SpecError(
            f"backbone {name!r} is neither conv4 nor a model of timm {timm.__version__}.",
            where=where,
            cure=f"{cure}timm.list_models() names them all.",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    if tag not in tags and (tag or config.pretrained):
        given = f"has no weights tagged {tag!r}" if tag else "does not say which weights"
        allowed = ", ".join(f"{name}.{known}" for known in tags)
        cure = f"Allowed: {allowed}." if allowed else "timm has none: set pretrained=false and train_backbone=true."
        raise SpecError(f"backbone {config.backbone!r} {given}.", where=where, cure=cure)
    described: PretrainedCfg = timm.get_pretrained_cfg(config.backbone)
    if config.pretrained and described.mean != _IMAGENET_MEAN:
        text = f"backbone {config.backbone!r} expects the mean {described.mean}; qfft is given {_IMAGENET_MEAN}."
        raise SpecError(text, where=where, cure="Choose weights trained with ImageNet's mean.")
    return described


def _weights_file(path: str | None) -> Path | None:
    """The safetensors file at a path that is one or holds one; None on the meta device."""
    if path is None:
        return None
    file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
    if file.suffix != ".safetensors" or not file.is_file():
        raise PartError(f"{file} is no safetensors file.", cure="Get the weights again from the hub, as safetensors.")
    return file
