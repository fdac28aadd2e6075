"""What a checkpoint keeps: of what was given weights only what trains, of anything else everything, bitwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from pgsynth_core.api import Composition
from pgsynth_core.composition.build import build, no_weights
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.weights import kept_tensors, load_kept, trained_parameters
from pgsynth_core.errors import PartError, SpecError, UserError
from pgsynth_core.interfaces import BuildContext, WeightFinder
from pgsynth_plugins.encoders.sourcenet import Config
from pgsynth_plugins.encoders.sourcenet.model import SourceNet

Compose = Callable[..., Composition]
Build = Callable[..., Method]

PARTS = ("encoder=toy_tokens+toy_source", "attn=toy_hpfa")


@pytest.fixture
def made(composed: Compose) -> Build:
    """A method whose source encoder is a frozen copy of the denoiser, from a seed."""
    composition = composed(*PARTS)

    def make(seed: int, weights: WeightFinder = no_weights) -> Method:
        torch.manual_seed(seed)
        spec, registry, verdict = composition.spec, composition.registry, composition.verdict
        return build(spec, registry, verdict, device="cpu", weights=weights)

    return make


def copied(method: Method) -> dict[str, Tensor]:
    return {key: value for key, value in kept_tensors(method, "tiny").items() if ".copied." in key}


def whole(method: Method) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in kept_tensors(method, "tiny").items()}


def test_what_is_frozen_of_a_part_without_weights_comes_back_on_another_seed(made: Build) -> None:
    first, second = made(1), made(2)
    for method in (first, second):
        method.base.denoiser.requires_grad_(False)
        method.base.codec.register_buffer("table", torch.rand(3))
    load_kept(second, "tiny", whole(first), where="here")
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys() and "base.codec.table" in ours
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert copied(first) and not copied(first).keys() & trained_parameters(first, "tiny").keys()


def test_weights_that_are_not_here_name_the_part_and_the_option_that_does_without(composed: Compose) -> None:
    composition = composed("encoder=qfft", "encoder.qfft.pretrained=true")

    def nowhere(name: str, files: Sequence[str] = (), /) -> str | None:
        raise PartError(f"weights {name!r} are not on this machine.", cure="Get them.")

    with pytest.raises(PartError) as refused:
        spec, registry, verdict = composition.spec, composition.registry, composition.verdict
        build(spec, registry, verdict, device="meta", weights=nowhere)
    (problem,) = refused.value.problems
    assert problem.where == "qfft" and problem.cure == (
        "Get them. Without them: encoder.qfft.pretrained=false encoder.qfft.train_backbone=true."
    )


def test_what_is_frozen_does_not_train(made: Build) -> None:
    method = made(1)
    trained = trained_parameters(method, "tiny")
    assert all(parameter.requires_grad for parameter in trained.values())
    expected = sum(p.numel() for p in method.parameters() if p.requires_grad)
    assert sum(parameter.numel() for parameter in trained.values()) == expected


def test_of_a_part_that_was_given_weights_only_what_trains_is_kept(
    made: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if every part but core's own had read some."""
    asked: list[str] = []

    def find(weight_id: str, files: Sequence[str] = (), /) -> str:
        asked.append(weight_id)
        return "/somewhere"

    started = BuildContext.__init__

    def reading(context: BuildContext, **given: object) -> None:
        started(context, **given)  # type: ignore[arg-type]
        context.weights("owner/name")

    monkeypatch.setattr(BuildContext, "__init__", reading)
    method = made(1, find)
    assert asked and {"tiny", "toy_tokens", "toy_source"} <= method.pretrained
    assert kept_tensors(method, "tiny").keys() == trained_parameters(method, "tiny").keys() and not copied(method)


@pytest.mark.parametrize("given", [True, False])
def test_of_a_copy_of_the_denoiser_what_is_frozen_is_kept_only_if_it_comes_from_nowhere(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    """And whatever else is frozen beside the copy, or put into it, is kept: it comes from nowhere in any case."""
    own = {"fixed.weight", "fixed.bias", "table", "network.fixed.weight", "network.fixed.bias", "network.table"}
    started, copied = BuildContext.__init__, SourceNet.__init__

    def reading(context: BuildContext, **others: object) -> None:
        started(context, **others)  # type: ignore[arg-type]
        if given and context.label == "tiny":
            context.weights("owner/name")

    def with_more(encoder: SourceNet, config: Config, build: BuildContext) -> None:
        copied(encoder, config, build)
        for module in (encoder, encoder.network):
            module.fixed = nn.Linear(2, 3).requires_grad_(False)
            module.register_buffer("table", torch.rand(3))

    monkeypatch.setattr(BuildContext, "__init__", reading)
    monkeypatch.setattr(SourceNet, "__init__", with_more)
    composition = composed("encoder=sourcenet", "encoder.sourcenet.train=false", "attn=reference", "pose=none")
    methods = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        spec, registry, verdict = composition.spec, composition.registry, composition.verdict
        method = build(spec, registry, verdict, device="cpu", weights=lambda weight_id, files=(): "/somewhere")
        methods.append(method.double())  # a move of all tensors
    first, second = methods
    kept = whole(first)
    load_kept(second, "tiny", kept, where="here")
    ours, theirs = (method.encoders["sourcenet"].state_dict() for method in methods)
    names = {key.removeprefix("sourcenet.") for key in kept if key.startswith("sourcenet.")}
    assert own < ours.keys() and names == (own if given else ours.keys())
    assert all(torch.equal(ours[name], theirs[name]) for name in names)


def test_a_checkpoint_that_left_out_what_is_frozen_still_loads(made: Build) -> None:
    first, second = made(1), made(1)
    kept = whole(first)
    load_kept(second, "tiny", {key: value for key, value in kept.items() if ".copied." not in key}, where="here")
    trained = next(iter(trained_parameters(first, "tiny")))
    with pytest.raises(UserError, match="is missing"):
        load_kept(second, "tiny", {key: value for key, value in kept.items() if key != trained}, where="here")


# ------------------------------------------------------------------------------------------- only chosen parts
def trains_only(composed: Compose, *patterns: str) -> set[str]:
    words = f"train.only=[{', '.join(map(repr, patterns))}]"
    composition = composed(*PARTS, words)
    spec, registry, verdict = composition.spec, composition.registry, composition.verdict
    method = build(spec, registry, verdict, device="meta", weights=no_weights)
    return {*trained_parameters(method, "tiny")}


def test_only_what_a_pattern_matches_trains(composed: Compose) -> None:
    every = trains_only(composed)
    cross = trains_only(composed, "tiny.denoiser.*.attn2.*")
    assert cross == {key for key in every if ".attn2." in key and key.startswith("tiny.")} and cross
    both = trains_only(composed, "toy_tokens.*", "tiny.denoiser.*.attn2.to_q.weight")
    assert both == {
        key for key in every if key.startswith("toy_tokens.") or (key in cross and key.endswith(".to_q.weight"))
    }
    assert trains_only(composed, "*") == every


def test_what_is_frozen_is_counted_and_kept_all_the_same(composed: Compose) -> None:
    whole, part = composed(*PARTS), composed(*PARTS, "train.only=[toy_tokens.*]")
    costs = [{cost.label: cost for cost in one.proof().parts} for one in (whole, part)]
    assert costs[1]["tiny"].trainable == 0 and costs[1]["tiny"].frozen == costs[0]["tiny"].trainable
    assert costs[1]["toy_tokens"] == costs[0]["toy_tokens"]
    methods = [build(one.spec, one.registry, one.verdict, device="meta", weights=no_weights) for one in (whole, part)]
    kept = [{*kept_tensors(method, "tiny")} for method in methods]
    assert kept[0] == kept[1], "no part here comes from anywhere else"


def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest(composed: Compose) -> None:
    with pytest.raises(SpecError) as caught:
        trains_only(composed, "toy_token", "tiny.denoiser.conv_im.weight", "tiny.*")
    first, second = caught.value.problems
    assert "'toy_token' matches no parameter" in str(first) and "Did you mean 'toy_tokens.*'?" in str(first)
    assert "Did you mean 'tiny.denoiser.conv_in.weight'?" in str(second)


def test_a_pattern_of_what_is_frozen_says_that(composed: Compose) -> None:
    with pytest.raises(SpecError, match=r"matches nothing that trains: what it matches of toy_source is frozen"):
        trains_only(composed, "toy_source.copied.*")
