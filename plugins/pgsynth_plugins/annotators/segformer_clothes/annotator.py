"""SegFormer (Xie et al., NeurIPS 2021) trained on ATR's clothes, by transformers: a label of ATR-18 for each pixel.

A photo is prepared by the library's own processor, for the default network stretched to 512x512. The network gives
scores of its labels at a quarter of that; they are brought to the photo's size bilinearly, and the highest wins.

What a network's labels mean stands in its ``id2label``; they become ATR-18's by their names, whatever their order. A
network with a label that ATR-18 has not is refused. It labels every person in the photo alike.

Scores of all labels at a large photo's size do not fit into memory, so rows are scored a few at a time; the result is
that of the library, which scores them at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pgsynth_core.annotators import AnnotatorContext, Labels, ParsingAnnotator, Photo, digest_of, pretrained
from pgsynth_core.data import label_set_of
from pgsynth_core.errors import PartError, suggestion
from pgsynth_plugins.annotators.segformer_clothes import Config

__all__ = ["SegFormerClothes"]

_FILES: Final = ("config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json")
_ATR: Final = label_set_of("atr18")
_SCORES_AT_ONCE: Final = 2**25
"""Of one photo, in rows of it: 128 MiB in single precision."""


class SegFormerClothes(ParsingAnnotator):
    """Clothes, skin and hair, as ATR-18 has them.

    Args:
        config: Which network.
        context: Finds its weights; without any, a small untrained one of the same architecture stands in.

    Raises:
        PartError: If transformers is not installed, or the weights are not to be had, not readable, or of a network
            with other labels.
    """

    label_set = _ATR.name
    libraries = ("numpy", "torch", "torchvision", "transformers")

    def __init__(self, config: Config, context: AnnotatorContext) -> None:
        super().__init__(config, context)
        self._device = torch.device(context.device)
        place = context.weights(config.network, _FILES)
        try:
            network, self._prepares = _untrained() if place is None else _loaded(place)
        except ImportError as error:
            text = f"{context.label} needs transformers, and that cannot be imported: {error}"
            raise PartError(text, cure='pip install "pgsynth[annotators]"') from error
        self._meant = _meanings(network.config.id2label, config.network)
        self._network = network.to(self._device)
        self._weights = "untrained" if place is None else digest_of(place)

    @property
    def id(self) -> str:
        """The weights as one word."""
        return f"segformer-clothes/{self._weights}"

    @torch.inference_mode()
    def parsings(self, photos: Sequence[Photo]) -> list[Labels]:
        """Of each photo the labels of ATR-18, at its own size."""
        inputs = [
            self._prepares(photo, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
            for photo in photos
        ]
        together: dict[tuple[int, ...], list[int]] = {}
        for place, one in enumerate(inputs):
            together.setdefault(tuple(one.shape), []).append(place)
        found: dict[int, Labels] = {}
        for places in together.values():
            batch = torch.cat([inputs[place] for place in places]).to(self._device)
            scores = self._network(pixel_values=batch).logits
            found |= {
                place: self._meant[_highest(its, photos[place].shape[:2])]
                for place, its in zip(places, scores, strict=True)
            }
        return [found[place] for place in range(len(photos))]


def _highest(scores: Float[Tensor, "labels h w"], size: tuple[int, ...]) -> np.ndarray:
    """The place of the highest score of each pixel of a picture of that size, (height, width); uint8 [height, width].

    As `torch.nn.functional.interpolate` has it, bilinear, corners not aligned, but a few rows at a time.
    """
    height, width = size
    rows = (torch.arange(height, device=scores.device) + 0.5) * (scores.shape[1] / height) - 0.5
    rows = rows.clamp(0, scores.shape[1] - 1)
    above = rows.long()
    below = (above + 1).clamp(max=scores.shape[1] - 1)
    share = rows - above
    step = max(1, _SCORES_AT_ONCE // (len(scores) * width))
    found = []
    for first in range(0, height, step):
        some = slice(first, first + step)
        mixed = torch.lerp(scores[:, above[some]], scores[:, below[some]], share[some, None])
        wide = functional.interpolate(mixed[None], size=(mixed.shape[1], width), mode="bilinear", align_corners=False)
        found.append(wide[0].argmax(dim=0).byte().cpu())
    return torch.cat(found).numpy()


def _meanings(names: dict[int, str], network: str) -> np.ndarray:
    """The network's label -> ATR-18's, uint8 [256].

    Raises:
        PartError: If a name is none of ATR-18's, or two are the same.
    """
    table, plain = np.zeros(256, np.uint8), {int(label): _plain(name) for label, name in names.items()}
    if unknown := [names[label] for label, name in plain.items() if name not in _ATR.names]:
        text = f"network {network!r} has the label {unknown[0]!r}"
        more = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
        cure = "Take one that was trained on ATR and names its labels in config.json (id2label). "
        choice = suggestion(_plain(unknown[0]), _ATR.names, what="labels")
        raise PartError(f"{text}{more} that atr18 has not.", cure=cure + choice)
    if len(set(plain.values())) < len(plain) or _ATR.names[0] not in plain.values():
        text = f"the labels of network {network!r} are not those of atr18: {', '.join(plain.values())}."
        raise PartError(text, cure="Each has a name of its own, and one is background: see id2label in config.json.")
    for label, name in plain.items():
        table[label] = _ATR.index(name)
    return table


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", "-", str(name).lower()).strip("-")


# ------------------------------------------------------------------------------------------- the network
def _loaded(folder: str) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor, SegformerForSemanticSegmentation

    return pretrained(SegformerForSemanticSegmentation, AutoImageProcessor, folder)


def _untrained() -> tuple[Any, Any]:
    """The architecture, small, with random weights that are always the same."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    shape = SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8,
        id2label=dict(enumerate(_ATR.names)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SegformerForSemanticSegmentation(shape).eval()
    return network, SegformerImageProcessor(size={"height": 64, "width": 64})
