"""FID against torch-fidelity, scipy and CFLD's lines, on the same seeded random weights and features."""

from __future__ import annotations

import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import scipy.linalg
import torch

from pgsynth_core.evaluation import weights_in
from pgsynth_core.metrics import MetricContext, Moments, NotComputed
from pgsynth_core.registry import discover
from pgsynth_core.reports.published import published
from pgsynth_plugins.metrics.fid import Config
from pgsynth_plugins.metrics.fid.metric import FID, TENSORFLOW, TORCHVISION

from ...fixtures.scored import picture

torch_fidelity = pytest.importorskip("torch_fidelity", reason="the extra `metrics` is not installed")


def random_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights that let a signal through, so that features differ between pictures."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in module.state_dict().items():
        if name.endswith(("running_var", "bn.weight")):
            state[name] = torch.rand(value.shape, generator=generator) + 0.5
        elif value.dim() > 1:
            fan = value[0].numel()
            state[name] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
        else:
            state[name] = torch.zeros_like(value)
    return state


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torch-fidelity's Inception with random weights, in a file of its publisher's name."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("weights") / TENSORFLOW.name
    with mock.patch("torch.load", return_value={}), mock.patch.object(torch.nn.Module, "load_state_dict"):
        bare = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path="none")
    torch.save(random_state(bare), path)
    return path


@pytest.fixture(scope="module")
def torchvision_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's Inception with random weights, in a file of its publisher's name."""
    from torchvision.models import inception_v3

    path = tmp_path_factory.mktemp("weights") / TORCHVISION.name
    torch.save(random_state(inception_v3(weights=None, init_weights=False)), path)
    return path


def fid(network: str, weights: Path) -> FID:
    return FID(Config(network=network), MetricContext(label="fid", weights=weights_in([weights])))  # type: ignore[arg-type]


def moments(features: np.ndarray) -> Moments:
    found = Moments()
    for portion in np.array_split(features, 3):
        found.add(portion)
    return found


def test_features_are_torch_fidelitys(tensorflow: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    pictures = [picture(seed, 64, 44) for seed in range(2)]
    found = fid("tensorflow", tensorflow).features(pictures)
    theirs = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(tensorflow)).eval()
    with torch.no_grad():
        (wanted,) = theirs(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
    assert found.shape == (2, 2048) and np.abs(found[0] - found[1]).max() > 0.01
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_features_of_cflds_way_are_its_lines(torchvision_weights: Path) -> None:
    """As CFLD's metric class builds and feeds the network."""
    from torch import nn
    from torchvision import models

    pictures = [picture(seed, 256, 176) for seed in range(2)]
    found = fid("torchvision", torchvision_weights).features(pictures)
    inception = models.inception_v3(weights=None, init_weights=False)
    inception.load_state_dict(torch.load(torchvision_weights, weights_only=True))
    before = [inception.Conv2d_1a_3x3, inception.Conv2d_2a_3x3, inception.Conv2d_2b_3x3, nn.MaxPool2d(3, 2)]
    middle = [inception.Conv2d_3b_1x1, inception.Conv2d_4a_3x3, nn.MaxPool2d(3, 2)]
    mixed = [
        getattr(inception, f"Mixed_{name}")
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
    ]
    blocks = nn.Sequential(*before, *middle, *mixed, nn.AdaptiveAvgPool2d((1, 1))).eval()
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, size=(299, 299), mode="bilinear")
    x[:, 0] = x[:, 0] * (0.229 / 0.5) + (0.485 - 0.5) / 0.5
    x[:, 1] = x[:, 1] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
    x[:, 2] = x[:, 2] * (0.225 / 0.5) + (0.406 - 0.5) / 0.5
    with torch.no_grad():
        wanted = blocks(x).flatten(1).numpy()
    assert np.abs(found[0] - found[1]).max() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_distance_is_torch_fidelitys_and_scipys(torchvision_weights: Path) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    random = np.random.default_rng(0)
    one, two = random.normal(size=(200, 24)), random.normal(0.3, 1.4, size=(300, 24)) @ random.normal(size=(24, 24))
    found = fid("torchvision", torchvision_weights).distance(moments(one), moments(two))
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (one, two)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its call of scipy
        theirs = fid_statistics_to_metric(*statistics, verbose=False)
    assert found == pytest.approx(next(iter(theirs.values())), rel=1e-5)
    c1, c2 = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    apart = one.mean(0) - two.mean(0)
    scipys = apart @ apart + np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real)
    assert found == pytest.approx(scipys, rel=1e-5)
    same = fid("torchvision", torchvision_weights).distance(moments(one), moments(one))
    assert same == pytest.approx(0, abs=1e-6)


def test_moments_in_any_portions_are_numpys() -> None:
    features = np.random.default_rng(1).normal(3, 2, size=(50, 7))
    for portions in (1, 3, 50):
        found = Moments()
        for portion in np.array_split(features, portions):
            found.add(portion)
        found.add(features[:0])
        assert found.count == 50
        np.testing.assert_allclose(found.mean, features.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.covariance, np.cov(features, rowvar=False), rtol=1e-12)


def test_too_few_pictures_say_so_or_give_a_number(torchvision_weights: Path) -> None:
    """Fewer vectors than features: the covariance is singular, and scipy's root may be no real one."""
    random = np.random.default_rng(2)
    one, two = moments(random.normal(size=(3, 40))), moments(random.normal(size=(4, 40)))
    try:
        assert np.isfinite(fid("torchvision", torchvision_weights).distance(one, two))
    except NotComputed as error:
        assert "more pictures" in error.problems[0].cure


def test_the_two_networks_are_two_definitions(tensorflow: Path, torchvision_weights: Path) -> None:
    ids = {fid("tensorflow", tensorflow).id.partition("/weights")[0], fid("torchvision", torchvision_weights).id}
    assert len({one.split("/")[1] for one in ids}) == 2
    assert published(discover())[0].way.ids["fid"] in {one.partition("/weights")[0] for one in ids}
    with pytest.raises(NotComputed, match="does not fit"):
        weights = tensorflow.rename(tensorflow.with_name(TORCHVISION.name))
        try:
            fid("torchvision", weights)
        finally:
            weights.rename(tensorflow)
