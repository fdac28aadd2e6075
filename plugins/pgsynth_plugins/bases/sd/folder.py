"""What is read of a checkpoint in diffusers layout, and what keeps a folder from being Stable Diffusion. No torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import Problem, SpecError
from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES

__all__ = [
    "HALF",
    "NETWORKS",
    "READ",
    "READ_HALF",
    "SCHEDULER",
    "block_problems",
    "folder_problems",
    "read_json",
    "variant_of",
]

NETWORKS: Final = ("unet", "vae")
SCHEDULER: Final = "scheduler/scheduler_config.json"
_WEIGHTS: Final = "diffusion_pytorch_model.safetensors"

READ: Final = (
    *(f"{name}/config.json" for name in NETWORKS),
    *(f"{name}/{_WEIGHTS}{index}" for name in NETWORKS for index in ("", ".index.json")),
    *(f"{name}/diffusion_pytorch_model-*-of-*.safetensors" for name in NETWORKS),
    SCHEDULER,
)
"""A repository holds the same weights several times over, and a text encoder: of 20 GB, 4 GB are read."""

HALF: Final = "fp16"
READ_HALF: Final = (
    *READ,
    *(f"{name}/diffusion_pytorch_model*.{HALF}*.safetensors" for name in NETWORKS),
    *(f"{name}/{_WEIGHTS}.index.{HALF}.json" for name in NETWORKS),
)
"""Where a network has no other weights than of half precision."""

_STRIDE: Final = 8
_CHANNELS: Final = 4
_PLAIN: Final = (
    "Use a text-to-image checkpoint of Stable Diffusion 1.x or 2.x: no inpainting or depth one, no upscaler, no unCLIP,"
    " no SDXL, none distilled for few steps (LCM)."
)
_UNFED: Final[Mapping[str, Mapping[str, Any]]] = {
    "unet": {
        "class_embed_type": None,
        "num_class_embeds": None,
        "addition_embed_type": None,
        "encoder_hid_dim": None,
        "encoder_hid_dim_type": None,
        "time_cond_proj_dim": None,
        "attention_type": "default",
    },
    "vae": {"shift_factor": None, "latents_mean": None, "latents_std": None},
}
"""What a network may have that nothing here feeds or applies, and its value where it has none."""

_BLOCKS: Final = ("block_out_channels", "layers_per_block", "down_block_types", "up_block_types", "mid_block_type")
"""Which attention layers there are, and how wide."""


def variant_of(folder: Path, name: str) -> str | None:
    """Which files a network's weights are read from, one or the index of several.

    Args:
        folder: A checkpoint in diffusers layout.
        name: ``unet`` or ``vae``.

    Returns:
        Empty for the plain ones, `HALF` where there are only those of half precision, None if there are none.
    """
    files = {
        "": (_WEIGHTS, f"{_WEIGHTS}.index.json"),
        HALF: (f"diffusion_pytorch_model.{HALF}.safetensors", f"{_WEIGHTS}.index.{HALF}.json"),
    }
    return next((variant for variant, names in files.items() if any((folder / name / f).exists() for f in names)), None)


def folder_problems(folder: Path, architecture: str, label: str) -> Iterator[Problem]:
    """What keeps a folder from being this base: missing files, other widths or channels, conditioning nobody feeds.

    Args:
        folder: A checkpoint in diffusers layout.
        architecture: What the composition was checked with.
        label: The base's name in the spec.

    Yields:
        Every problem, with its cure.

    Raises:
        SpecError: If a config cannot be read.
    """
    missing = [
        name for name in (*(f"{name}/config.json" for name in NETWORKS), SCHEDULER) if not (folder / name).exists()
    ]
    missing += [f"{name}/{_WEIGHTS}" for name in NETWORKS if variant_of(folder, name) is None]
    if missing:
        cure = f"Set base.{label}.weights to a folder in diffusers layout, with weights as safetensors."
        yield Problem(f"{folder}: there is no {', no '.join(sorted(missing, key=_place))}.", cure=cure)
    if "unet/config.json" not in missing:
        unet = read_json(folder / "unet/config.json")
        yield from _width_problems(unet, folder, architecture, label)
        yield from _channel_problems(unet, ("in_channels", "out_channels"), folder / "unet")
        yield from _unfed_problems(unet, "unet", folder)
    if "vae/config.json" not in missing:
        vae = read_json(folder / "vae/config.json")
        blocks = len(vae.get("block_out_channels", (0,)))
        if 2 ** (blocks - 1) != _STRIDE:
            text = f"{folder}/vae: one latent cell is {2 ** (blocks - 1)} pixels wide; architecture={architecture} has"
            yield Problem(f"{text} {_STRIDE}.", cure=f"Set base.{label}.weights to a Stable Diffusion checkpoint.")
        yield from _channel_problems(vae, ("latent_channels",), folder / "vae")
        yield from _unfed_problems(vae, "vae", folder)


def block_problems(folder: Path, architecture: str, label: str, weights: str) -> Iterator[Problem]:
    """Blocks that are not the published ones, of a repository: composing could not look, and proved the published.

    Args:
        folder: Its snapshot, without `folder_problems`.
        architecture: What was proved.
        label: The base's name in the spec.
        weights: The repository, ``owner/name`` or ``owner/name@revision``.
    """
    unet, known = read_json(folder / "unet/config.json"), ARCHITECTURES[architecture].unet
    others = {key: unet[key] for key in _BLOCKS if _tuple(unet.get(key, known[key])) != known[key]}
    if others:
        written = ", ".join(f"{key}={json.dumps(value)}" for key, value in others.items())
        got = shlex.quote(weights).replace("@", " --revision ", 1)
        yield Problem(
            f"{weights}: its denoiser has other blocks than architecture={architecture}, which was proved: {written}.",
            cure=f"A folder is proved with the blocks it has. Run: hf download {got} --local-dir PATH"
            f" - and set base.{label}.weights=PATH.",
        )


def _place(name: str) -> tuple[bool, str, bool]:
    """In the order of folders, the scheduler last; a config before its weights."""
    return name == SCHEDULER, name.partition("/")[0], not name.endswith("config.json")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _width_problems(unet: Mapping[str, Any], folder: Path, architecture: str, label: str) -> Iterator[Problem]:
    width, wanted = unet.get("cross_attention_dim"), ARCHITECTURES[architecture].cross_attention_dim
    if width == wanted:
        return
    fitting = [name for name, known in ARCHITECTURES.items() if known.cross_attention_dim == width]
    widths = ", ".join(f"{name} {known.cross_attention_dim}" for name, known in ARCHITECTURES.items())
    cure = (
        f"Set base.{label}.architecture={fitting[0]}." if fitting else f"Use a checkpoint of a known width: {widths}."
    )
    yield Problem(
        f"{folder}/unet: its cross-attention reads tokens {width} wide; architecture={architecture} has {wanted}.",
        cure=cure,
    )


def _channel_problems(config: Mapping[str, Any], keys: tuple[str, ...], folder: Path) -> Iterator[Problem]:
    for key in keys:
        if (channels := config.get(key, _CHANNELS)) != _CHANNELS:
            yield Problem(f"{folder}: {key} is {channels}; the latent has {_CHANNELS}.", cure=_PLAIN)


def _unfed_problems(config: Mapping[str, Any], name: str, folder: Path) -> Iterator[Problem]:
    """One problem with every key: they come together, and one other checkpoint mends them all."""
    found = {key: config[key] for key, plain in _UNFED[name].items() if config.get(key, plain) not in (plain, None)}
    if found:
        written = ", ".join(f"{key}={json.dumps(value)}" for key, value in found.items())
        yield Problem(f"{folder}/{name}: nothing here gives what it reads or applies: {written}.", cure=_PLAIN)


def read_json(path: Path) -> dict[str, Any]:
    """A config.

    Raises:
        SpecError: If it cannot be read, or is no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(f"{path} cannot be read: {error}", cure="Get the checkpoint again.") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path} holds a {type(content).__name__}, not an object.", cure="Get the checkpoint again.")
    return content
