"""A diffusers U-Net as a function from a latent to the tokens of some of its layers: what is read, what is cut off.

diffusers' own forward runs, on fewer blocks; no forward is written anew. What is wanted travels with the call, in
`cross_attention_kwargs`, as a mapping from name to None, and each layer puts its tokens there if its name is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.attention import join_heads, masked_attention, project_keys, split_heads

__all__ = ["Place", "trimmed"]

Wanted = MutableMapping[str, Tensor | None]
"""Source site name -> its tokens, None until the layer is reached."""

_SIDES: Final = ("down_blocks", "mid_block", "up_blocks")
"""In the order of the forward; a U-Net registers its middle last."""

_LAYER: Final = re.compile(
    r"(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)\.transformer_blocks\.(\d+)\.attn1"
)


@dataclass(frozen=True, order=True)
class Place:
    """Where a self-attention layer stands; places compare as the forward reaches them.

    Attributes:
        side: Down 0, middle 1, up 2.
        block: Of that side.
        attention: Of that block.
        layer: Of that attention's transformer blocks.
    """

    side: int
    block: int
    attention: int
    layer: int

    @classmethod
    def of(cls, path: str) -> Place:
        """From a diffusers path.

        Raises:
            ValueError: If it is no layer whose order among the others is known.
        """
        match = _LAYER.fullmatch(path)
        if match is None:
            raise ValueError(f"the order of layer {path} in the forward is not known")
        side, block, attention, layer = match.groups()
        return cls(_SIDES.index(side), int(block or 0), int(attention), int(layer))


def trimmed(network: UNet2DConditionModel, names: Mapping[str, str]) -> UNet2DConditionModel:
    """The network with nothing behind the last layer that is read, changed in place; parameters keep their names.

    Args:
        network: A copy that is the caller's own.
        names: diffusers path of each self-attention layer that is read -> its name in the mapping of what is wanted.

    Raises:
        ValueError: If the order of a layer that is read is not known.
    """
    last = max(names, key=Place.of)
    _cut(network, Place.of(last))
    _end_at(network.get_submodule(last.removesuffix(".attn1")), names[last])
    recorders: dict[str, Any] = {
        path: _Recorder(names.get(path.removesuffix(".processor"))) for path in network.attn_processors
    }
    network.set_attn_processor(recorders)
    return network


def _cut(network: Any, last: Place) -> None:
    """Take off every block, resnet, attention and layer behind the last, and what would follow them."""
    network.conv_norm_out, network.conv_out = None, nn.Identity()
    for name in _SIDES[last.side + 1 :]:
        setattr(network, name, None if name == "mid_block" else nn.ModuleList())
    block = network.mid_block
    if _SIDES[last.side] != "mid_block":
        setattr(network, _SIDES[last.side], getattr(network, _SIDES[last.side])[: last.block + 1])
        block = getattr(network, _SIDES[last.side])[-1]
        name = "downsamplers" if last.side == 0 else "upsamplers"
        setattr(block, name, None)
        block.resnets = block.resnets[: last.attention + 1]
    else:  # its first resnet stands before the first attention, and each attention runs with the resnet behind it
        block.resnets = nn.ModuleList([*block.resnets[: last.attention + 1], _Through()])
    block.attentions = block.attentions[: last.attention + 1]
    transformer = block.attentions[-1]
    transformer.transformer_blocks = transformer.transformer_blocks[: last.layer + 1]
    transformer.proj_out = nn.Identity()


def _end_at(block: Any, name: str) -> None:
    """Leave of a transformer block what brings the tokens to its self-attention: the first norm."""
    block.attn1, block.attn2, block.norm2 = _Reached(name), None, None
    block.norm3, block.ff = nn.Identity(), nn.Identity()


def _hand_over(name: str | None, tokens: Tensor, wanted: Wanted | None) -> None:
    if name is not None and wanted is not None and name in wanted:
        wanted[name] = tokens


class _Through(nn.Module):
    """Stands for a resnet whose result nobody reads."""

    def forward(self, hidden: Float[Tensor, "B C h w"], temb: Tensor) -> Float[Tensor, "B C h w"]:
        """The same."""
        return hidden


class _Reached(nn.Module):
    """Stands for the self-attention layer that is read last."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(
        self, hidden: Float[Tensor, "B N C"], *, wanted: Wanted | None = None, **unread: object
    ) -> Float[Tensor, "B N C"]:
        """Hand the tokens over; what is given on is read by nobody."""
        _hand_over(self.name, hidden, wanted)
        return hidden


@dataclass(frozen=True)
class _Recorder:
    """Plain attention that hands the tokens entering it to the caller who wants them.

    Attributes:
        name: Of these tokens; None where nobody reads.
    """

    name: str | None

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Float[Tensor, "B Q C"],
        encoder_hidden_states: Float[Tensor, "B K E"] | None = None,
        attention_mask: None = None,
        wanted: Wanted | None = None,
    ) -> Float[Tensor, "B Q C"]:
        """The seam of diffusers' `Attention`, whose names these are."""
        _hand_over(self.name, hidden_states, wanted)
        heads = int(attn.heads)  # type: ignore[arg-type]
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = split_heads(attn.get_submodule("to_q")(hidden_states), heads)
        out = join_heads(masked_attention(query, *project_keys(attn, context, heads)))
        for layer in attn.get_submodule("to_out").children():
            out = layer(out)
        return out
