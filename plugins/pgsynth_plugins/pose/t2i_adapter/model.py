"""T2I-Adapter: a small network makes of the drawn skeleton one residual for each level of the denoiser's way down.

Paper: *T2I-Adapter: Learning Adapters to Dig out More Controllable Ability for Text-to-Image Diffusion Models* (arXiv
2302.08453), section 3.3; the network is diffusers' own.

=======================  ============================================  ============================
paper                    here                                          axes
=======================  ============================================  ============================
C, the condition         `conditioning.skeleton`, RGB in [0, 1]        [B, 3, H, W]
F_AD                     `adapter`
F_c^i, i = 1..levels     `PoseFeatures.intrablock`                     [B, C_i, h_i, w_i]
F_enc^i + F_c^i          in the denoiser's i-th block, before it halves
=======================  ============================================  ============================

C_i are the denoiser's `block_out_channels`; (h_1, w_1) is the latent's grid, halved with ceil from level to level, by
pooling here and by strided convolution there: odd grids add up.

Differs: the paper's adapter starts from random weights and adds noise to the features of a denoiser at first. Here
    each residual of a new one leaves through a 1 x 1 convolution that starts at zero, as ControlNet's do, so that the
    denoiser begins undisturbed; ``start=random`` is the paper's. An adapter trained before (`weights`) has none.
Differs: `light` has a level for each of the denoiser's; diffusers' own is the case where the last two are equally wide,
    as in Stable Diffusion.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from diffusers.models.adapter import T2IAdapter as Network
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float, Num
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pgsynth_core.errors import ContractError, PartError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning, PoseBranch, PoseFeatures
from pgsynth_plugins.pose.t2i_adapter import Config

__all__ = ["T2IAdapter"]

_SHAPE: Final = "config.json"
_TENSORS: Final = "diffusion_pytorch_model.safetensors"

_RESIDUAL_BLOCKS: Final[Mapping[str, int]] = {"full": 2, "light": 4}
"""Of each level; as in every published adapter of its type."""


class T2IAdapter(PoseBranch):
    """diffusers' `T2IAdapter`, shaped after the denoiser.

    Args:
        config: Which adapter, and what it starts from.
        build: Its `denoiser` and `stride` give the shape; `weights` finds those of the options.

    Raises:
        TypeError: If the base's denoiser is not a `UNet2DConditionModel`.
        ContractError: If one of its levels takes no residual before it halves.
        SpecError: If the weights are of an adapter of another shape.
        PartError: If the weights cannot be read, or are not all there.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        widths = _widths(build.denoiser)
        shape = {
            "in_channels": 3,
            "channels": widths,
            "num_res_blocks": _RESIDUAL_BLOCKS[config.type],
            "downscale_factor": build.stride,
            "adapter_type": f"{config.type}_adapter",
        }
        self.adapter = Network(**shape)
        if config.type == "light":  # it counts one level less than it has, taking the last two to be equally wide
            del self.adapter.adapter.body[-1]
            shape["channels"] = widths[:-1]
        self.zero_convolutions: nn.ModuleList | None = None
        if config.weights:
            self._start_from(config.weights, build, shape)
        elif config.start == "zero":
            self.zero_convolutions = nn.ModuleList(_zero_convolution(width) for width in widths)

    def forward(
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        conditioning: Conditioning,
        attention: Mapping[str, object],
    ) -> PoseFeatures:
        """One residual for each level of the denoiser; with ``start=zero``, zero before the first training step."""
        assert conditioning.skeleton is not None, "the manifest asks for a skeleton"
        residuals: Sequence[Tensor] = self.adapter(conditioning.skeleton)
        if self.zero_convolutions is not None:
            residuals = [leave(one) for leave, one in zip(self.zero_convolutions, residuals, strict=True)]
        return PoseFeatures(intrablock=tuple(residuals))

    def _start_from(self, weights: str, build: BuildContext, shape: Mapping[str, Any]) -> None:
        """Load them; where there are no weights, on the meta device, a folder's shape is looked at all the same."""
        found = build.weights(weights, (_SHAPE, _TENSORS))
        folder = Path(found or weights)
        if found or folder.is_dir():
            _refuse_another_shape(folder, shape, build.label)
        if not found:
            return
        cure = f"It needs {_SHAPE} and {_TENSORS}, as save_pretrained writes them; a .bin is never read."
        try:
            tensors = load_file(folder / _TENSORS)
            if others := sorted(self.adapter.state_dict().keys() ^ tensors.keys()):
                raise PartError(
                    f"{folder}: {len(others)} weights are missing or too many, e.g. {others[0]}.", cure=cure
                )
            self.adapter.load_state_dict(tensors)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise PartError(f"{folder}: the weights cannot be read: {error}", cure=cure) from error


def _widths(denoiser: nn.Module | None) -> list[int]:
    """Channels of the denoiser's levels, the first at the latent's grid."""
    if not isinstance(denoiser, UNet2DConditionModel):
        raise TypeError(f"t2i_adapter follows a UNet2DConditionModel; the base gives {type(denoiser).__name__}")
    for index, block in enumerate(denoiser.down_blocks):
        # diffusers adds it inside a block with cross-attention, but after one without, which has halved by then
        if not getattr(block, "has_cross_attention", False) and block.downsamplers is not None:
            raise ContractError(
                f"t2i_adapter adds to each level of the denoiser before it halves; down_blocks[{index}], a "
                f"{type(block).__name__} without cross-attention, has no place for that.",
                cure="Write pose=controlnet, or use a base whose levels that halve have cross-attention.",
            )
    return list(denoiser.config["block_out_channels"])


def _zero_convolution(width: int) -> nn.Conv2d:
    layer = nn.Conv2d(width, width, 1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _refuse_another_shape(folder: Path, shape: Mapping[str, Any], label: str) -> None:
    where, file = f"pose.{label}.weights", folder / _SHAPE
    try:
        written: Mapping[str, Any] = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        text = f"{file} cannot be read as an adapter's: {type(error).__name__}: {error}"
        cure = "Give a folder that diffusers' T2IAdapter.save_pretrained wrote."
        raise SpecError(text, where=where, cure=cure) from error
    wanted = {"_class_name": "T2IAdapter", **shape}
    differing = [name for name, value in wanted.items() if written.get(name) != value]
    if not differing:
        return
    text = "; ".join(f"{name} is {written.get(name)!r} and must be {wanted[name]!r}" for name in differing)
    kind = str(written.get("adapter_type")).removesuffix("_adapter")
    another = "Give an adapter that was made for this base, or leave weights out."
    retyped = written.get("_class_name") == "T2IAdapter" and "adapter_type" in differing and kind in _RESIDUAL_BLOCKS
    raise SpecError(f"{file}: {text}.", where=where, cure=f"Set pose.{label}.type={kind}." if retyped else another)
