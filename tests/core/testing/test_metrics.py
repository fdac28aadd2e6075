"""The checks of metrics: honest ones pass all, each liar fails the check that its lie is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.testing import Report, check_part
from pgsynth_core.testing.kit import METRIC_CHECKS
from pgsynth_core.testing.metrics import (
    any_batch_is_the_same,
    any_size_is_taken,
    asked_again_it_says_the_same,
    asks_in_the_order_of_the_contract,
    says_what_it_is,
)
from pgsynth_core.testing.state import keeps_to_itself

from ...fixtures.fake_packages import FakePackages, fake_packages, top_level

__all__ = ["fake_packages"]

NAME = "pgsynth-plugin-measures"
OPTION = 'power: int = Field(default=1, ge=1, le=2, description="Of each difference.")'
WRITTEN = 'power = { type = "int", default = 1, ge = 1, le = 2, help = "Of each difference." }'
CONFIG = f"""\
from pydantic import Field

from pgsynth_core.options import PartConfig


class Config(PartConfig):
    {OPTION}
"""

PAIRS = '''\
"""Mean difference."""
import os
import pathlib
import time

import numpy as np

from pgsynth_core.metrics import NotComputed, PairMetric, WeightFile


class Part(PairMetric):
    """Mean difference of pixels."""

    least = 3
    libraries = ("numpy",)

    def __init__(self, config, context):
        super().__init__(config, context)
        self.power, self.asked, self.kept = config.power, 0, None
        # built

    @property
    def id(self):
        return f"difference/{self.power}"

    @property
    def definition(self):
        return "Mean difference of all pixels and channels."

    def values(self, predicted, truth):
        self.asked += 1
        # asked
        return [self.one(a, b) for a, b in zip(predicted, truth, strict=True)]

    def one(self, a, b):
        return float(np.mean(np.abs(a.astype(float) - b) ** self.power))
'''

SETS = '''\
"""How far apart two mean colours are."""
import numpy as np

from pgsynth_core.metrics import SetMetric


class Part(SetMetric):
    """Distance of mean colours."""

    def __init__(self, config, context):
        super().__init__(config, context)
        self.power = config.power

    @property
    def id(self):
        return f"colours/{self.power}"

    @property
    def definition(self):
        return "Distance of the mean colours of two sets."

    def features(self, pictures):
        return np.stack([one.mean((0, 1), dtype=np.float64) for one in pictures])

    def distance(self, predicted, reference):
        return float(np.linalg.norm(predicted.mean - reference.mean) ** self.power)
'''

LIES = {
    "another order": (PAIRS, "values(self, predicted, truth)", "values(self, truth, predicted)", "asks_in_the_order_of_the_contract"),
    "no id": (PAIRS, 'f"difference/{self.power}"', '""', "says_what_it_is"),
    "an id of two words": (PAIRS, 'f"difference/{self.power}"', '"mean difference"', "says_what_it_is"),
    "no sentence": (PAIRS, "Mean difference of all pixels and channels.", "differs", "says_what_it_is"),
    "a library of nowhere": (PAIRS, '("numpy",)', '("no-such-library",)', "says_what_it_is"),
    "one id for all options": (PAIRS, 'f"difference/{self.power}"', '"difference"', "other_values_have_another_id"),
    "the other direction": (PAIRS, "return float(", "return -float(", "the_same_is_best"),
    "no number": (PAIRS, "return float(", "return float('nan') * float(", "values_are_finite"),
    "no number of wide ones": (PAIRS, "return float(", "return float('nan') if a.shape[1] > 2 * a.shape[0] else float(", "any_size_is_taken"),
    "infinite": (PAIRS, "return float(", "return float('inf') if (a != b).any() else float(", "values_are_finite"),
    "too few values": (PAIRS, "strict=True)]", "strict=True)][:2]", "any_batch_is_the_same"),
    "a batch's mean": (PAIRS, "        return [", "        return [float(np.mean([self.one(a, b) for a, b in zip(predicted, truth)]))] * len(truth) or [", "any_batch_is_the_same"),
    "one size": (PAIRS, "# asked", "np.stack(predicted)", "any_batch_is_the_same"),
    "even sides": (PAIRS, "        return float(", "        assert a.shape[0] % 2 == a.shape[1] % 2 == 0\n        return float(", "any_size_is_taken"),
    "a count": (PAIRS, "return float(", "return self.asked * float(", "asked_again_it_says_the_same"),
    "its own pixels": (PAIRS, "# asked", "predicted[0][:] //= 2", "pictures_stay_as_they_are"),
    "shared state": (PAIRS, "        return float(", "        self.kept = a\n        time.sleep(0.002)\n        a = self.kept[:b.shape[0], :b.shape[1]]\n        b = b[:a.shape[0], :a.shape[1]]\n        return float(", "threads_do_not_meet"),
    "an end for small ones": (PAIRS, "# asked", "if min(predicted[0].shape[:2]) < 3: raise SystemExit(3)", "too_small_ends_nothing"),
    "a file beside it": (PAIRS, "# built", 'pathlib.Path(__file__).with_name("x.txt").write_text("x")', "keeps_to_itself"),
    "a set in the other direction": (SETS, "return float(", "return -float(", "the_same_is_best"),
    "features of a batch": (SETS, "return np.stack(", "return np.arange(3) * len(pictures) + np.stack(", "any_batch_is_the_same"),
    "features in 32 bits": (SETS, "np.float64", "np.float32", "any_size_is_taken"),
}  # fmt: skip


def checked(packages: FakePackages, model: str) -> Report:
    """The report of a metric in a package; the declared ones of the kit are tested elsewhere."""
    top, of = top_level(NAME), "set" if "SetMetric" in model else "pair"
    block = (
        f'[[component]]\nkind = "metric"\nname = "measure"\nsummary = "Some."\nlicence = "Apache-2.0"\n'
        f'target = "{top}.model:Part"\nconfig = "{top}.parts:Config"\n'
        f'scores = {{ of = "{of}", better = "lower", device = {str(of == "set").lower()} }}\n'
        f"[component.options]\n{WRITTEN}\n"
    )
    packages.install(NAME, manifest=packages.manifest(NAME, block), files={"parts.py": CONFIG, "model.py": model})
    first, last = METRIC_CHECKS.index(asks_in_the_order_of_the_contract), METRIC_CHECKS.index(keeps_to_itself)
    return check_part("metric", "measure", registry=discover(), only=METRIC_CHECKS[first : last + 1])


@pytest.mark.parametrize(
    ("model", "skipped"), [(PAIRS, set()), (SETS, {"threads_do_not_meet", "too_small_ends_nothing"})]
)
def test_an_honest_metric_passes(model: str, skipped: set[str], fake_packages: FakePackages) -> None:
    report = checked(fake_packages, model)
    report.raise_if_failed()
    assert {outcome.check for outcome in report.outcomes if outcome.status == "skipped"} == skipped


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_its_check(lie: str, fake_packages: FakePackages) -> None:
    model, before, after, check = LIES[lie]
    assert before in model
    report = checked(fake_packages, model.replace(before, after))
    assert check in {outcome.check for outcome in report.outcomes if outcome.status == "failed"}, report.outcomes


def test_without_its_weights_it_is_skipped_and_says_why(fake_packages: FakePackages) -> None:
    wanted = 'WeightFile(name="none.pth", url="https://example.org/none.pth", sha256="01234567", megabytes=1)'
    report = checked(fake_packages, PAIRS.replace("# built", f"context.weights({wanted})"))
    assert report.ok and report.counts["skipped"] == 10, report.outcomes
    reasons = {outcome.reason for outcome in report.outcomes if outcome.status == "skipped"}
    assert len(reasons) == 1 and "none.pth" in reasons.pop()


def test_the_class_is_of_the_kind_that_is_said(fake_packages: FakePackages) -> None:
    top = top_level(NAME)
    block = fake_packages.part("metric", "measure", package=NAME).replace(".parts:Part", ".model:Part")
    block = block.replace('of = "pair"', 'of = "set", device = true')
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, block), files={"model.py": PAIRS})
    report = check_part("metric", "measure", registry=discover())
    failed = {outcome.check: outcome.reason for outcome in report.outcomes if outcome.status == "failed"}
    assert "is no SetMetric" in failed["implements_its_kind"] and f"{top}.model" in failed["implements_its_kind"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than:UserWarning")
@pytest.mark.parametrize(("name", "options"), [("lpips", {}), ("fid", {"network": "torchvision"})])
def test_ours_conform_with_weights_of_the_right_form(
    name: str, options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded random weights where torch keeps what it fetched: the published ones are on few machines."""
    pytest.importorskip("lpips", reason="the extra `metrics` is not installed")
    import torch
    from torchvision.models import alexnet, inception_v3

    torch.manual_seed(0)
    hub = tmp_path / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    made = alexnet(weights=None) if name == "lpips" else inception_v3(weights=None, init_weights=False)
    file = {"lpips": "alexnet-owt-7be5be79.pth", "fid": "inception_v3_google-0cc3c7bd.pth"}[name]
    torch.save(made.state_dict(), hub / file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    short = (says_what_it_is, any_size_is_taken, any_batch_is_the_same, asked_again_it_says_the_same)  # no distance
    report = check_part("metric", name, options=options, only=short if name == "fid" else ())
    report.raise_if_failed()
    assert not [outcome for outcome in report.outcomes if "weights" in outcome.reason], report.outcomes
