"""Load an exported folder with diffusers and torch alone, and denoise with it: ``python run.py --help``.

`pgsynth export --diffusers` copies this file beside the networks. It imports nothing of pgsynth, and so runs what
diffusers knows: the denoiser, ControlNets, what LoRA learned (which needs peft), the noise schedule. Other networks are
loaded and named, and not used. What stands for the person are tokens that pgsynth's encoders make of a photo; give some
by --tokens, or zeros stand in their place.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
LORA = "pytorch_lora_weights.safetensors"
OUTPUT = "safetensors to write `latent` to; the base's VAE, if it has one, decodes latent / vae.config.scaling_factor"


def networks(folder: Path) -> dict[str, Any]:
    """Every network of the folder whose class diffusers has, by its place in it; others are named and left out."""
    found = {}
    for config in sorted(folder.rglob("config.json")):
        kind, name = json.loads(config.read_text(encoding="utf-8"))["_class_name"], config.parent.relative_to(folder)
        if hasattr(diffusers, kind):
            found[name.as_posix()] = getattr(diffusers, kind).from_pretrained(config.parent)
        else:
            print(f"{name.as_posix()}: a {kind}, which is not of diffusers, is left out")
    return found


def denoiser_of(found: dict[str, Any], base: str | None, folder: Path) -> Any:
    """The denoiser that trained, or the base's with what LoRA learned beside it; None without a base."""
    unet = found.get("unet")
    if unet is None and base:
        unet = diffusers.UNet2DConditionModel.from_pretrained(base, subfolder="unet")
    if unet is not None and (folder / LORA).is_file():
        if not importlib.util.find_spec("peft"):
            raise SystemExit(f"{LORA} needs peft: pip install peft")
        unet.load_lora_adapter(str(folder), prefix="unet", weight_name=LORA)
    return unet


@torch.no_grad()
def denoise(
    unet: Any, controls: list[Any], scheduler: Any, tokens: torch.Tensor, arguments: argparse.Namespace
) -> torch.Tensor:
    """From noise to a latent [1, Z, h, w], ControlNets shown black pictures: no pose."""
    height, width = arguments.grid
    noise = torch.Generator().manual_seed(arguments.seed)
    latent: torch.Tensor = torch.randn(1, unet.config.in_channels, height, width, generator=noise)
    scheduler.set_timesteps(arguments.steps)
    latent = latent * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        shown = scheduler.scale_model_input(latent, time)
        down, middle = None, None
        for network in controls:
            pixels = 2 ** (len(network.config.conditioning_embedding_out_channels) - 1)
            pose = torch.zeros(1, network.config.conditioning_channels, height * pixels, width * pixels)
            downs, mid = network(shown, time, tokens, pose, return_dict=False)
            down = downs if down is None else [one + other for one, other in zip(down, downs, strict=True)]
            middle = mid if middle is None else middle + mid
        predicted = unet(
            shown, time, tokens, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        latent = scheduler.step(predicted, time, latent).prev_sample
    return latent


def main() -> None:
    """Load, say what there is, and denoise where there is a denoiser that takes tokens alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="id or folder of what the run stands on, where its denoiser did not train")
    parser.add_argument("--tokens", help="safetensors with `tokens`, float [1, N, D]; by default one of zeros")
    parser.add_argument("--grid", type=int, nargs=2, default=(64, 44), help="height and width of the latent")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", help=OUTPUT)
    arguments = parser.parse_args()
    found = networks(HERE)
    for name, network in found.items():
        used = isinstance(network, diffusers.ControlNetModel | diffusers.UNet2DConditionModel)
        size = f"{sum(one.numel() for one in network.parameters()):,} parameters"
        print(f"{name}: {type(network).__name__}, {size}{'' if used else '; not used here'}")
    unet = denoiser_of(found, arguments.base, HERE)
    if unet is None:
        print("The denoiser did not train, and is not here: name what it comes from by --base.")
        return
    if (kind := type(unet).__name__) != "UNet2DConditionModel":
        print(f"The denoiser is a {kind}; this script denoises with a UNet2DConditionModel alone.")
        return
    width = unet.config.cross_attention_dim
    tokens = load_file(arguments.tokens)["tokens"] if arguments.tokens else torch.zeros(1, 1, width)
    controls = [one for one in found.values() if isinstance(one, diffusers.ControlNetModel)]
    scheduler = diffusers.DDIMScheduler.from_pretrained(HERE, subfolder="scheduler")
    latent = denoise(unet, controls, scheduler, tokens, arguments)
    print(f"latent {list(latent.shape)}, mean {latent.mean():.4f}, deviation {latent.std():.4f}")
    if arguments.output:
        save_file({"latent": latent}, arguments.output)


if __name__ == "__main__":
    main()
