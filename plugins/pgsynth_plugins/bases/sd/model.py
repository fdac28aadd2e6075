"""Stable Diffusion 1.x and 2.x: autoencoder, U-Net and noise schedule of any checkpoint in diffusers layout.

Paper: *High-Resolution Image Synthesis with Latent Diffusion Models* (arXiv 2112.10752).

On the meta device no weight is read: the published architecture is built untrained, which is all that composing and
proving need (a local folder's configs are looked at all the same, so that a wrong folder is refused early). With
weights, each of `unet/`, `vae/`, `scheduler/` comes from the folder with its own config.

Reading: the latent is the mean of the encoder's posterior, not a sample of it, times the scaling factor: the same
    image always gives the same latent, which a cache of latents and a bitwise resume rely on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from pgsynth_core.errors import PartError, Problem, SpecError
from pgsynth_core.interfaces import Base, BuildContext, Codec
from pgsynth_plugins.bases.sd import Config
from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES

__all__ = ["StableDiffusion", "VAECodec"]

_WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
_SCHEDULER: Final = "scheduler/scheduler_config.json"
_READ: Final = (
    *(f"{name}/config.json" for name in ("unet", "vae")),
    *(f"{name}/{_WEIGHTS}{index}" for name in ("unet", "vae") for index in ("", ".index.json")),
    *(f"{name}/diffusion_pytorch_model-*-of-*.safetensors" for name in ("unet", "vae")),
    _SCHEDULER,
)
"""A repository holds the same weights several times over, and a text encoder: of 20 GB, 4 GB are read."""
_STRIDE: Final = 8
_LATENT_CHANNELS: Final = 4


class VAECodec(Codec):
    """The frozen autoencoder, with the checkpoint's scaling factor applied.

    Args:
        vae: Its parameters stop requiring gradients.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False).eval()
        self.scale = float(vae.config["scaling_factor"])

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B Z h w"]:
        """Mean of the posterior of an image in [-1, 1], scaled; H and W are multiples of 8."""
        latent: Tensor = self.vae.encode(image).latent_dist.mode() * self.scale
        return latent

    def decode(self, latent: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B 3 H W"]:
        """Image in about [-1, 1]; a decoder may overshoot."""
        image: Tensor = self.vae.decode(latent / self.scale).sample
        return image


class StableDiffusion(Base):
    """A Stable Diffusion checkpoint, or its untrained shape on the meta device.

    Args:
        config: Which checkpoint, and what of the denoiser is trained.
        build: `build.weights` turns the hub id or folder of the options into a local folder.

    Raises:
        SpecError: If the folder is incomplete or does not have the shape that `architecture` says.
        PartError: If its weights cannot be read, or are not all there.
    """

    codec: VAECodec
    denoiser: UNet2DConditionModel

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        folder = build.weights(config.weights, _READ)
        local = folder or (config.weights if Path(config.weights).is_dir() else None)
        if local and (problems := [*folder_problems(Path(local), config.architecture, build.label)]):
            raise SpecError(problems)
        if folder is None:
            known = ARCHITECTURES[config.architecture]
            self.denoiser = UNet2DConditionModel(**known.unet)
            self.codec = VAECodec(AutoencoderKL(**known.vae))
            self.schedule = dict(known.schedule)
        else:
            self.denoiser = _loaded(UNet2DConditionModel, Path(folder), "unet")
            self.codec = VAECodec(_loaded(AutoencoderKL, Path(folder), "vae"))
            self.schedule = _json(Path(folder, _SCHEDULER))
        for name, parameter in self.denoiser.named_parameters():
            parameter.requires_grad_(config.train == "all" or (config.train == "cross_attention" and ".attn2." in name))


_LOADING: Final[dict[str, Any]] = {"use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
"""Never the network, never pickle; single precision, which a training run's own precision setting starts from."""


def _loaded(network: Any, folder: Path, name: str) -> Any:
    cure = f"Get the checkpoint again: hf download, or copy {name}/ once more."
    try:
        loaded, found = network.from_pretrained(folder, subfolder=name, output_loading_info=True, **_LOADING)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise PartError(f"{folder}/{name}: the weights cannot be read: {error}", cure=cure) from error
    if missing := sorted(found["missing_keys"]):
        raise PartError(f"{folder}/{name} lacks {len(missing)} weights of the model, e.g. {missing[0]}.", cure=cure)
    return loaded


def folder_problems(folder: Path, architecture: str, label: str) -> Iterator[Problem]:
    """What keeps a folder from being this base: missing files, another cross-attention width, another latent.

    Args:
        folder: A checkpoint in diffusers layout.
        architecture: What the composition was checked with.
        label: The base's name in the spec.

    Yields:
        Every problem, with its cure.
    """
    wanted = ["unet/config.json", f"unet/{_WEIGHTS}", "vae/config.json", f"vae/{_WEIGHTS}", _SCHEDULER]
    missing = [name for name in wanted if not (folder / name).exists() and not (folder / f"{name}.index.json").exists()]
    if missing:
        cure = f"Set base.{label}.weights to a folder in diffusers layout, with weights as safetensors."
        yield Problem(f"{folder}: there is no {', no '.join(missing)}.", cure=cure)
    if "unet/config.json" not in missing:
        yield from _unet_problems(_json(folder / "unet/config.json"), folder, architecture, label)
    if "vae/config.json" not in missing:
        blocks = len(_json(folder / "vae/config.json").get("block_out_channels", (0,)))
        if 2 ** (blocks - 1) != _STRIDE:
            text = f"{folder}/vae: one latent cell is {2 ** (blocks - 1)} pixels wide; architecture={architecture} has"
            yield Problem(f"{text} {_STRIDE}.", cure=f"Set base.{label}.weights to a Stable Diffusion checkpoint.")


def _unet_problems(unet: dict[str, Any], folder: Path, architecture: str, label: str) -> Iterator[Problem]:
    width, wanted = unet.get("cross_attention_dim"), ARCHITECTURES[architecture].cross_attention_dim
    if width != wanted:
        fitting = [name for name, known in ARCHITECTURES.items() if known.cross_attention_dim == width]
        widths = ", ".join(f"{name} {known.cross_attention_dim}" for name, known in ARCHITECTURES.items())
        cure = (
            f"Set base.{label}.architecture={fitting[0]}."
            if fitting
            else f"Use a checkpoint of a known width: {widths}."
        )
        yield Problem(
            f"{folder}/unet: its cross-attention reads tokens {width} wide; architecture={architecture} has {wanted}.",
            cure=cure,
        )
    if unet.get("in_channels", _LATENT_CHANNELS) != _LATENT_CHANNELS:
        text = f"{folder}/unet: it reads {unet['in_channels']} channels; the latent has {_LATENT_CHANNELS}."
        yield Problem(text, cure="Use the plain text-to-image checkpoint, not an inpainting or depth one.")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"{path} cannot be read: {error}", cure="Get the checkpoint again.") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path} holds a {type(content).__name__}, not an object.", cure="Get the checkpoint again.")
    return content
