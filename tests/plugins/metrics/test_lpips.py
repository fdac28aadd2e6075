"""LPIPS against its authors' package, on the same seeded random trunk."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pgsynth_core.evaluation import weights_in
from pgsynth_core.metrics import FoundWeights, MetricContext, NotComputed, WeightFile
from pgsynth_core.registry import discover
from pgsynth_core.reports.published import published
from pgsynth_plugins.metrics.lpips import Config
from pgsynth_plugins.metrics.lpips.metric import LPIPS, TRUNK

from ...fixtures.scored import picture

lpips = pytest.importorskip("lpips", reason="the extra `metrics` is not installed")


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AlexNet of torchvision with random weights, as its publisher calls the file."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / TRUNK.name
    torch.save(alexnet(weights=None).state_dict(), path)
    return path


def context(path: Path) -> MetricContext:
    return MetricContext(label="lpips", weights=weights_in([path]))


def test_it_is_the_packages_value_on_the_same_weights(trunk: Path) -> None:
    predicted, truth = [picture(seed, 64, 44) for seed in range(3)], [picture(seed, 64, 44) for seed in range(3, 6)]
    found = LPIPS(Config(), context(trunk)).values(predicted, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(trunk, weights_only=True)
    slices = [theirs.net.slice1, theirs.net.slice2, theirs.net.slice3, theirs.net.slice4, theirs.net.slice5]
    for layers in slices:
        for number, layer in layers.named_children():
            own = {name: state[f"features.{number}.{name}"] for name in layer.state_dict()}
            layer.load_state_dict(own)
    for value, one, other in zip(found, predicted, truth, strict=True):
        pixels = [torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in (one, other)]
        with torch.no_grad():
            wanted = theirs(*pixels, normalize=True).item()
        assert value == pytest.approx(wanted, rel=1e-5) and value > 0


def test_size_and_batch_change_no_value(trunk: Path) -> None:
    of = LPIPS(Config(), context(trunk))
    one, two = [picture(0, 64, 44), picture(1, 40, 36), picture(2, 64, 44)], [picture(n, 64, 44) for n in (3, 4, 5)]
    two[1] = picture(4, 40, 36)
    together = of.values(one, two)
    assert together == pytest.approx([of.values([a], [b])[0] for a, b in zip(one, two, strict=True)], rel=1e-5)
    assert of.values(one[:1], one[:1]) == [0]


def test_weights_that_are_not_the_published_ones_are_told_by_the_id(trunk: Path) -> None:
    found = weights_in([trunk])(TRUNK)
    assert not found.official and found.id.startswith("/weights-")
    assert LPIPS(Config(), context(trunk)).id.endswith(found.id)

    def official(wanted: WeightFile) -> FoundWeights:
        return FoundWeights(trunk, wanted.sha256.ljust(64, "0"), official=True)

    assert LPIPS(Config(), MetricContext(label="lpips", weights=official)).id == "lpips/alex/v0.1/range-1to1/own-size"
    assert published(discover())[0].way.ids["lpips"] == "lpips/alex/v0.1/range-1to1/own-size"


def test_given_places_that_hold_none_of_it_are_told(trunk: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "pairs8.csv"
    wrong.write_text("from,to", encoding="utf-8")
    find = weights_in([wrong, tmp_path, trunk])
    assert not find.unused, "nobody asked"
    find(TRUNK)
    assert find.unused == (
        f"--weights {wrong} is not used: it is not {TRUNK.name}.",
        f"--weights {tmp_path} is not used: it holds no {TRUNK.name}.",
    )


def test_what_is_no_alexnet_is_not_computed(tmp_path: Path) -> None:
    path = tmp_path / TRUNK.name
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(NotComputed, match="no AlexNet"):
        LPIPS(Config(), context(path))


def test_without_weights_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    find: Callable[[WeightFile], FoundWeights] = weights_in([])
    with pytest.raises(NotComputed) as caught:
        LPIPS(Config(), MetricContext(label="lpips", weights=find))
    (problem,) = caught.value.problems
    assert TRUNK.name in problem.message and TRUNK.url in problem.cure and str(tmp_path) in problem.cure
