"""Frechet inception distance (Heusel et al. 2017): |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) of Inception features.

Two ways, which have nothing to do with each other:

- `tensorflow`: the network of the paper and TensorFlow's resizing, by torch-fidelity, which agrees with the original.
- `torchvision`: what pose transfer reports since GFLA, by the arithmetic of CFLD. It copied pytorch-fid from before the
  day in 2019 when that found that torchvision's weights are others, and uses them still. Pictures in [0, 1] are
  resized to 299x299 without antialiasing and then go through a formula that was meant for pictures normalised as
  ImageNet's, so that the network sees about [-0.03, 0.43]. To the letter, for comparing with those tables; to know
  how far two sets are apart, take the other.

The distance is the same: the square root is scipy's; if it is not finite, 1e-6 is added to both diagonals.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float64
from timm.models import load_state_dict
from torch import Tensor, nn

from pgsynth_core.metrics import MetricContext, Moments, NotComputed, Picture, SetMetric, WeightFile
from pgsynth_plugins.metrics.fid import Config

__all__ = ["FID", "TENSORFLOW", "TORCHVISION"]

TENSORFLOW: Final = WeightFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d",
    megabytes=91,
)
TORCHVISION: Final = WeightFile(
    name="inception_v3_google-0cc3c7bd.pth",
    url="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    sha256="0cc3c7bd",
    megabytes=104,
)

_SIDE: Final = 299
_EPSILON: Final = 1e-6
_IMAGINARY: Final = 1e-3


class FID(SetMetric):
    """FID of 8-bit RGB; 0 and up.

    Args:
        config: Whose network.
        context: Where its weights are, and the device.

    Raises:
        NotComputed: If the weights are not there, or not that network's.
    """

    def __init__(self, config: Config, context: MetricContext) -> None:
        super().__init__(config, context)
        self._name = config.network
        wanted = TENSORFLOW if config.network == "tensorflow" else TORCHVISION
        found = context.weights(wanted)
        self._weights, self._device = found.id, context.device
        try:
            network = _tensorflow(found.path) if config.network == "tensorflow" else _torchvision(found.path)
        except RuntimeError as error:
            why = str(error).splitlines()[0].rstrip(":")
            raise NotComputed(f"{found.path} does not fit: {why}.", cure=f"Download {wanted.url}.") from error
        self._network = network.to(context.device).eval().requires_grad_(False)
        self.libraries = (
            ("scipy", "torch", "torch-fidelity") if self._name == "tensorflow" else ("scipy", "torch", "torchvision")
        )

    @property
    def id(self) -> str:
        """The definition as one word."""
        if self._name == "tensorflow":
            return f"fid/torch-fidelity/inception-2015-12-05/tf1-bilinear-299/2048{self._weights}"
        return f"fid/cfld/torchvision-inception-imagenet1k-v1/bilinear-299-no-antialias/2048{self._weights}"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        if self._name == "tensorflow":
            return (
                "Frechet inception distance (Heusel et al. 2017): Inception of 2015-12-05 with TensorFlow's resizing "
                "to 299x299, 2048 features, by torch-fidelity."
            )
        return (
            "Frechet distance as the tables of pose transfer have it since GFLA (CFLD's arithmetic): torchvision's "
            "Inception v3 (IMAGENET1K_V1), 2048 features, pictures in [0, 1] resized to 299x299 bilinearly without "
            "antialiasing, then scaled as if they were normalised. No other FID compares with it."
        )

    @torch.inference_mode()
    def features(self, pictures: Sequence[Picture]) -> Float64[np.ndarray, "n F"]:
        """Features of pictures of one size."""
        pixels = torch.from_numpy(np.stack(pictures)).to(self._device).permute(0, 3, 1, 2)
        found: Tensor = self._network(pixels)
        features: Float64[np.ndarray, "n F"] = found.flatten(1).double().cpu().numpy()
        return features

    def distance(self, predicted: Moments, reference: Moments) -> float:
        """The distance of two sets.

        Raises:
            NotComputed: If there are far too few of them for a square root to be real.
        """
        c1, c2 = predicted.covariance, reference.covariance
        apart = predicted.mean - reference.mean
        return float(apart @ apart + np.trace(c1) + np.trace(c2) - 2 * np.trace(_root(c1 @ c2, c1, c2)))


class _First(nn.Module):
    """The one kind of features that torch-fidelity was asked for."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.extractor(pixels)[0]
        return features


def _tensorflow(path: Path) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return _First(FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path)))


class _Torchvision(nn.Module):
    """torchvision's Inception v3 up to its pooled features, fed as CFLD feeds it."""

    def __init__(self, inception: nn.Module) -> None:
        super().__init__()
        self.inception = inception
        mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", (spread / 0.5).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((mean - 0.5) / 0.5).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        resized = nn.functional.interpolate(pixels.float() / 255, size=(_SIDE, _SIDE), mode="bilinear")
        features: Tensor = self.inception(resized * self.scale + self.shift)
        return features


def _torchvision(path: Path) -> nn.Module:
    from torchvision.models import inception_v3

    inception = inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    inception.load_state_dict(load_state_dict(str(path), use_ema=False, device="cpu", weights_only=True))
    inception.dropout, inception.fc = nn.Identity(), nn.Identity()
    return _Torchvision(inception)


def _root(
    product: Float64[np.ndarray, "F F"], c1: Float64[np.ndarray, "F F"], c2: Float64[np.ndarray, "F F"]
) -> Float64[np.ndarray, "F F"]:
    """The square root of a product of covariances, as pytorch-fid, torch-fidelity 0.3 and CFLD take it."""
    from scipy.linalg import sqrtm

    root = sqrtm(product)
    if not np.isfinite(root).all():
        offset = np.eye(len(c1)) * _EPSILON
        root = sqrtm((c1 + offset) @ (c2 + offset))
    if np.iscomplexobj(root) and not np.allclose(np.diagonal(root).imag, 0, atol=_IMAGINARY):
        largest = np.abs(root.imag).max()
        raise NotComputed(
            f"the square root of the covariances is not real (imaginary parts up to {largest:.2g}).",
            cure="Score more pictures: with fewer than there are features, covariances are singular.",
        )
    real: Float64[np.ndarray, "F F"] = np.asarray(root.real)
    return real
