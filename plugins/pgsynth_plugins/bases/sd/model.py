"""Stable Diffusion 1.x and 2.x: autoencoder, U-Net and noise schedule of any checkpoint in diffusers layout.

Paper: *High-Resolution Image Synthesis with Latent Diffusion Models* (arXiv 2112.10752).

On the meta device no weight is read: a local folder's own shape is built untrained, of a hub id the published
architecture, which is all that composing and proving need. With weights, each of `unet/`, `vae/`, `scheduler/` comes
from the folder with its own config; a network that has only files of half precision (``*.fp16.*``) is read from those.

Reading: the latent is the mean of the encoder's posterior, not a sample of it, times the scaling factor: the same
    image always gives the same latent, which a cache of latents and a bitwise resume rely on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from pgsynth_core.errors import PartError, Problem, SpecError, suggestion
from pgsynth_core.interfaces import Base, BuildContext, Codec
from pgsynth_plugins.bases.sd import Config
from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES
from pgsynth_plugins.bases.sd.folder import (
    NETWORKS,
    READ,
    READ_HALF,
    SCHEDULER,
    block_problems,
    folder_problems,
    read_json,
    variant_of,
)

__all__ = ["StableDiffusion", "VAECodec"]

_ADAPTER: Final = "pgsynth"
"""PEFT's name of the updates; stands in their keys."""

_UNBOUNDED: Final[Mapping[str, object]] = {"clip_sample": False, "thresholding": False}
"""Latents lie in no range. The config of another sampler does not say so, and DDIM and DDPM clip by default."""

_LOADING: Final[dict[str, Any]] = {"use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
"""Never the network, never pickle; single precision, which a training run's own precision setting starts from."""


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
        SpecError: If the folder is incomplete, does not have the shape that `architecture` says, or reads what nothing
            here gives; if a folder is given with a revision; or if LoRA is to train and PEFT is not installed.
        PartError: If its weights cannot be read, or are not all there.
    """

    codec: VAECodec
    denoiser: UNet2DConditionModel

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        if config.train == "lora":
            _require_peft(build.label)  # before anything is read
        folder = _folder(config, build)
        if folder is None:
            known = ARCHITECTURES[config.architecture]
            self.denoiser = UNet2DConditionModel(**known.unet)
            self.codec = VAECodec(AutoencoderKL(**known.vae))
            schedule = known.schedule
        else:
            place, loads = folder
            make = _loaded if loads else _untrained
            self.denoiser = make(UNet2DConditionModel, place, "unet")
            self.codec = VAECodec(make(AutoencoderKL, place, "vae"))
            schedule = read_json(place / SCHEDULER)
        self.schedule = {"set_alpha_to_one": False, **schedule, **_UNBOUNDED}
        self._lora = config if config.train == "lora" else None
        self._label = build.label
        for name, parameter in self.denoiser.named_parameters():
            parameter.requires_grad_(config.train == "all" or (config.train == "cross_attention" and ".attn2." in name))

    def adapt(self) -> None:
        """With ``train: lora``, low-rank updates beside frozen layers (Hu et al., 2106.09685), through PEFT.

        W becomes W + (alpha / r) B A, with A [r, in] drawn and B [out, r] zero: an untrained update changes nothing.

        Raises:
            SpecError: If PEFT is not installed, or a target names no layer that can have an update.
        """
        if self._lora is None:
            return
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise _without_peft(self._label, f"cannot be imported: {error}") from error
        rank, targets = self._lora.lora_rank, [*self._lora.lora_targets]
        problems = [*_target_problems(self.denoiser, targets, self._label)]
        if problems:
            raise SpecError(problems)
        self.denoiser.add_adapter(
            LoraConfig(r=rank, lora_alpha=self._lora.lora_alpha, target_modules=targets, init_lora_weights=True),
            _ADAPTER,
        )


def _require_peft(label: str) -> None:
    if find_spec("peft") is None:
        raise _without_peft(label, "is not installed")


def _without_peft(label: str, why: str) -> SpecError:
    return SpecError(
        f"base.{label}.train=lora needs PEFT, which {why}.", cure='Install it: pip install "pgsynth[lora]".'
    )


def _target_problems(denoiser: UNet2DConditionModel, targets: list[str], label: str) -> Iterator[Problem]:
    """Targets that end no path of a linear layer or a convolution."""
    layers = [path for path, layer in denoiser.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    for target in targets:
        if not any(path == target or path.endswith(f".{target}") for path in layers):
            ends = dict.fromkeys(path.rpartition(".")[2] for path in layers if not path.rpartition(".")[2].isdigit())
            cure = suggestion(target, tuple(ends), what="ends of paths")
            yield Problem(f"base.{label}.lora_targets: {target!r} ends the path of no layer.", cure=cure)
    if not targets:
        yield Problem(f"base.{label}.lora_targets is empty.", cure="Write e.g. [to_q, to_v].")


def _folder(config: Config, build: BuildContext) -> tuple[Path, bool] | None:
    """The checkpoint, looked at, and whether its weights are wanted; None for the published shape."""
    given, wanted = Path(config.weights), config.weights
    if config.revision:
        if given.exists():
            message = f"base.{build.label}.revision={config.revision}: {given} is a folder, which has no revisions."
            raise SpecError(message, cure=f"Leave base.{build.label}.revision out.")
        wanted = f"{config.weights}@{config.revision}"
    found = build.weights(wanted, READ)
    if found and not all(variant_of(Path(found), name) == "" for name in NETWORKS):
        found = build.weights(wanted, READ_HALF)
    folder = Path(found) if found else given
    if not found and not given.is_dir():
        return None
    problems: list[Problem] = [*folder_problems(folder, config.architecture, build.label)]
    if not problems and not given.exists() and folder.parent.name == "snapshots":  # of the hub's cache
        problems += block_problems(folder, config.architecture, build.label, wanted)
    if problems:
        raise SpecError(problems)
    return folder, found is not None


def _untrained(network: Any, folder: Path, name: str) -> Any:
    """Of the shape that the folder's config says."""
    try:
        return network.from_config(read_json(folder / name / "config.json"))
    except (TypeError, ValueError) as error:
        cure = f"Get the checkpoint again: hf download, or copy {name}/ once more."
        raise PartError(f"{folder}/{name}/config.json is not such a network's: {error}", cure=cure) from error


def _loaded(network: Any, folder: Path, name: str) -> Any:
    cure = f"Get the checkpoint again: hf download, or copy {name}/ once more."
    loading = {**_LOADING, "subfolder": name, "variant": variant_of(folder, name) or None}
    try:
        loaded, found = network.from_pretrained(folder, output_loading_info=True, **loading)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise PartError(f"{folder}/{name}: the weights cannot be read: {error}", cure=cure) from error
    if missing := sorted(found["missing_keys"]):
        raise PartError(f"{folder}/{name} lacks {len(missing)} weights of the model, e.g. {missing[0]}.", cure=cure)
    return loaded
