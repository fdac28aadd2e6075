"""LPIPS (Zhang et al. 2018), by its authors' package `lpips`: AlexNet trunk, linear layers of version 0.1.

Pictures go in as [0, 1] with `normalize=True`, which brings them to [-1, 1]. Some published tables were made without
it, on [0, 1]: their values are lower, and no other method's compare with them.

The linear layers come with the package. The trunk is torchvision's AlexNet, whose weights must be on this machine; the
package itself would fetch them unasked.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from timm.models import load_state_dict
from torch import Tensor

from pgsynth_core.metrics import MetricContext, NotComputed, PairMetric, Picture, WeightFile
from pgsynth_plugins.metrics.lpips import Config

__all__ = ["LPIPS", "TRUNK"]

TRUNK: Final = WeightFile(
    name="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be79",
    megabytes=233,
)

_FEATURES: Final = "features."
_LEAST: Final = 32
"""Below it, the trunk has no cell left to look at."""


class LPIPS(PairMetric):
    """LPIPS of 8-bit RGB; 0 and up.

    Args:
        config: No options.
        context: Where the trunk's weights are, and the device.

    Raises:
        NotComputed: If the weights are not there, or no AlexNet's.
    """

    least = _LEAST
    libraries = ("lpips", "torch", "torchvision")

    def __init__(self, config: Config, context: MetricContext) -> None:
        super().__init__(config, context)
        import lpips

        found = context.weights(TRUNK)
        self._weights = found.id
        with warnings.catch_warnings():  # the package asks torchvision in words of old
            warnings.simplefilter("ignore", UserWarning)
            network = lpips.LPIPS(pretrained=True, net="alex", version="0.1", pnet_rand=True, verbose=False)
        state = load_state_dict(str(found.path), use_ema=False, device="cpu", weights_only=True)
        wanted = {key: f"{_FEATURES}{key.split('.', 1)[1]}" for key in network.net.state_dict()}
        if lost := [name for name in wanted.values() if name not in state]:
            raise NotComputed(
                f"{found.path} is no AlexNet of torchvision: it has no {lost[0]}.", cure=f"Download {TRUNK.url}."
            )
        network.net.load_state_dict({key: state[name] for key, name in wanted.items()})
        self._network = network.to(context.device).eval().requires_grad_(False)
        self._device = context.device

    @property
    def id(self) -> str:
        """The definition as one word."""
        return f"lpips/alex/v0.1/range-1to1/own-size{self._weights}"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        return (
            "Learned perceptual image patch similarity (Zhang et al. 2018): the authors' package, AlexNet trunk, "
            "linear layers of version 0.1, pictures brought from [0, 1] to [-1, 1], at their own size; mean over them."
        )

    @torch.inference_mode()
    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float]:
        """LPIPS of each pair; pictures of one size go through the network together."""
        found = [0.0] * len(predicted)
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(predicted):
            by_size.setdefault(picture.shape, []).append(index)
        for indices in by_size.values():
            one, other = ([pictures[index] for index in indices] for pictures in (predicted, truth))
            values = self._network(self._input(one), self._input(other), normalize=True).flatten().tolist()
            for index, value in zip(indices, values, strict=True):
                found[index] = value
        return found

    def _input(self, pictures: Sequence[Picture]) -> Tensor:
        pixels = torch.from_numpy(np.stack(pictures)).to(self._device)
        return pixels.permute(0, 3, 1, 2).float() / 255
