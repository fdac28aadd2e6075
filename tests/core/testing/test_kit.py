"""The kit itself: honest third-party parts pass, each lie fails its check, zero ran is a failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.interfaces import Conditioning, Grid, SourceInputs
from pgsynth_core.manifest import SLOTS, Kind
from pgsynth_core.registry import Registry, load_part
from pgsynth_core.testing import CHECKS, Outcome, Report, check_part, checks_of, compose_around
from pgsynth_core.testing.behaviour import contract_is_honest, features_are_of_one_source
from pgsynth_core.testing.kit import ANNOTATOR_CHECKS, DATASET_CHECKS, METRIC_CHECKS
from pgsynth_core.testing.state import keeps_nothing_of_a_call
from pgsynth_core.testing.subject import Subject


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("encoder", "toy_wide"),
        pytest.param("pose", "toy_stem", marks=pytest.mark.slow),
        pytest.param("encoder", "toy_tokens", marks=pytest.mark.slow),
        pytest.param("attention", "toy_ip", marks=pytest.mark.slow),
    ],
)
def test_an_honest_part_of_a_third_party_passes(toys: Registry, kind: Kind, name: str) -> None:
    report = check_part(kind, name, registry=toys)
    report.raise_if_failed()
    assert report.part == f"pgsynth-toys:{name}" and report.kind == kind and report.counts["ran"] >= 18
    assert len(report.outcomes) == len(CHECKS)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("encoder", "liar_pooled"), ("encoder", "liar_blind"), ("encoder", "liar_idle"), ("attention", "liar_detached")],
)
def test_a_lie_fails_the_check_of_honesty(toys: Registry, kind: Kind, name: str) -> None:
    report = check_part(kind, name, registry=toys, only=[contract_is_honest])
    failed = {outcome.check for outcome in report.outcomes if outcome.status == "failed"}
    assert "contract_is_honest" in failed and not report.ok
    with pytest.raises(PartError, match=f"pgsynth-toys:{name}: contract_is_honest"):
        report.raise_if_failed()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("encoder", "liar_first_image"), pytest.param("attention", "liar_first_mask", marks=pytest.mark.slow)],
)
def test_what_the_first_photo_leaves_for_good_is_found(toys: Registry, kind: Kind, name: str) -> None:
    (outcome,) = check_part(kind, name, registry=toys, only=[keeps_nothing_of_a_call]).outcomes
    assert outcome.status == "failed" and "where it is the first" in outcome.reason, outcome


@pytest.mark.parametrize(
    ("kind", "name"), [("encoder", "toy_wide"), pytest.param("attention", "toy_ip", marks=pytest.mark.slow)]
)
def test_what_keeps_nothing_is_as_it_was(toys: Registry, kind: Kind, name: str) -> None:
    subject = Subject(toys.find(kind, name), toys, {})
    method = subject.small_method()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    keeps_nothing_of_a_call(subject)
    after = method.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_cures_lead_to_a_composition(toys: Registry) -> None:
    around = compose_around(toys.find("attention", "toy_caa"), toys)
    labels = [choice.label for _, choice in around.spec.choices()]
    assert "toy_caa" in labels and {"hpfa", "toy_hpfa"} & set(labels) and around.spec.size == (26, 22)


def test_the_part_is_in_what_is_composed_around_it(toys: Registry) -> None:
    for entry in toys.entries:
        if entry.kind in SLOTS:
            choices = compose_around(entry, toys).spec.choices()
            assert entry.qualified in {choice.part for _, choice in choices}, entry.qualified


def test_a_plain_installation_has_all_it_takes(toys: Registry) -> None:
    around = compose_around(toys.find("attention", "pma"), toys)
    entries = [toys.find("base", around.spec.base.part), toys.find("encoder", around.spec.encoder[0].part)]
    assert [entry.name for entry in entries] == ["tiny", "qfft"] and not any(entry.component.extra for entry in entries)


def test_what_stands_around_a_part_is_as_small_as_in_a_preset(toys: Registry, tmp_path: Path) -> None:
    def qfft(kind: Kind, name: str, registry: Registry = toys) -> Mapping[str, Any]:
        return compose_around(registry.find(kind, name), registry).spec.encoder[0].options

    defaults = toys.find("encoder", "qfft").component.defaults()
    small = {"backbone": "conv4", "local_queries": 16, "depth": 2}
    assert {name: qfft("attention", "pma")[name] for name in small} == small
    assert defaults.items() <= qfft("encoder", "qfft").items(), "the part that is checked keeps its own"
    (tmp_path / "no.yaml").write_text("base: [", encoding="utf-8")
    presets = tuple(replace(preset, path=tmp_path / "no.yaml") for preset in toys.presets)
    assert defaults.items() <= qfft("attention", "pma", replace(toys, presets=presets)).items()


def test_the_lightest_base_is_taken_whatever_its_name(toys: Registry) -> None:
    bases = [entry for entry in toys.entries if entry.name == "tiny"]
    other = replace(bases[0], component=bases[0].component.model_copy(update={"name": "other"}))
    rest = tuple(entry for entry in toys.entries if entry.name != "tiny")
    around = compose_around(toys.find("encoder", "toy_tokens"), replace(toys, entries=(*rest, other)))
    assert around.spec.base.part == "pgsynth:other" and around.spec.size == (26, 22)


# ------------------------------------------------------------------------------------------- features
def frozen(encoder: Any, source: SourceInputs) -> Mapping[str, Tensor]:
    """Honest: of each photo alone, and of no weight that trains."""
    return {"image": source.image / 2}


def mixing(encoder: Any, source: SourceInputs) -> Mapping[str, Tensor]:
    """One sample sees the others."""
    return {"image": source.image - source.image.mean(0, keepdim=True)}


def without_rows(encoder: Any, source: SourceInputs) -> Mapping[str, Tensor]:
    """Not a row a sample."""
    return {"image": source.image.flatten(0, 1)}


def stale(encoder: Any, source: SourceInputs) -> Mapping[str, Tensor]:
    """Of a weight that trains, behind the gradient's back."""
    with torch.no_grad():
        return {"image": source.image * encoder.patches.bias.mean().exp()}


@pytest.mark.parametrize(("features", "fails"), [(frozen, False), (mixing, True), (without_rows, True), (stale, True)])
def test_features_are_of_one_source_and_frozen(
    features: Callable[..., Any], fails: bool, toys: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_part(toys.find("encoder", "toy_tokens"))
    forward = encoder.forward

    def reading(self: Any, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        image = (source.features or self.features(source))["image"]
        return forward(self, replace(source, image=image.view_as(source.image)), latent_grid)

    monkeypatch.setattr(encoder, "features", features)
    monkeypatch.setattr(encoder, "forward", reading)
    (outcome,) = check_part("encoder", "toy_tokens", registry=toys, only=[features_are_of_one_source]).outcomes
    assert outcome.status == ("failed" if fails else "passed"), outcome.reason


def test_unknown_parts_are_refused_with_the_nearest(toys: Registry) -> None:
    with pytest.raises(SpecError, match="toy_tokens"):
        check_part("encoder", "toy_token", registry=toys)


def test_zero_ran_is_a_failure() -> None:
    report = Report("x:y", (Outcome("one", "skipped", "no device"),))
    assert report.counts == {"ran": 0, "passed": 0, "failed": 0, "skipped": 1} and not report.ok
    with pytest.raises(PartError, match="no check ran.*no device"):
        report.raise_if_failed()


def test_the_report_is_plain_data() -> None:
    report = Report("x:y", (Outcome("one", "passed"), Outcome("two", "failed", "why")))
    facts = report.to_json()
    assert set(facts) == {"kind", "part", "ok", "counts", "outcomes"} and not facts["ok"]
    assert report.to_json()["counts"]["failed"] == 1 and report.to_json()["outcomes"][1]["reason"] == "why"


def test_every_check_says_what_it_checks() -> None:
    for checks in (CHECKS, DATASET_CHECKS, METRIC_CHECKS, ANNOTATOR_CHECKS):
        assert len({check.__name__ for check in checks}) == len(checks)
        assert all(check.__doc__ and check.__doc__.count("\n") == 0 for check in checks)
    assert checks_of("dataset") == DATASET_CHECKS and checks_of("pose") == CHECKS
    assert checks_of("metric") == METRIC_CHECKS and checks_of("annotator") == ANNOTATOR_CHECKS
