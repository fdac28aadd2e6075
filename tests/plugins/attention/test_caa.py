"""CAA against its equations with an explicit loop over samples and a softmax over the chosen regions, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pgsynth_core.attention import split_heads
from pgsynth_core.data.labels import LABELS
from pgsynth_core.interfaces import AttentionCall, AttentionResult, BuildContext, Conditioning, Regions, Site
from pgsynth_plugins.attention.caa import Config
from pgsynth_plugins.attention.caa.model import CAA

CHANNELS, WIDTH, HEADS = 8, 6, 2
SITE = Site("denoiser", "layer", "self", CHANNELS, HEADS, 0)
GRIDS = ((13, 11), (7, 5), (3, 1))


@pytest.fixture
def caa(context: Callable[..., BuildContext]) -> Callable[..., CAA]:
    """A processor with the given options, its output no longer zero."""

    def make(label_set: str = "atr18", **options: Any) -> CAA:
        part = CAA(Config(**options), SITE, context(axes={"D": WIDTH}, label_set=label_set))
        if part.k:
            nn.init.normal_(part.to_out.weight)
        return part

    return make


def make_call(
    grid: tuple[int, int] = (7, 5), batch: int = 3, *, label_set: str = "atr18", missing: str = ""
) -> AttentionCall:
    """A call; `missing`: of the first sample ``all`` regions, all but ``one``, or what is ``here`` at the site."""
    count, hidden = len(LABELS[label_set]), torch.randn(batch, grid[0] * grid[1], CHANNELS)
    labels = torch.randint(0, count, (batch, *grid))
    exists = torch.rand(batch, count) < 0.8
    exists[:, 1:3] = True
    if missing == "all":
        exists[0] = False
    if missing == "one":
        exists[0] = torch.arange(count) == labels[0].max().clamp(min=1)
    if missing == "here":
        labels[0] = 0
    return AttentionCall(
        site=SITE,
        hidden=hidden,
        context=hidden,
        query=split_heads(hidden, HEADS),
        mask=None,
        grid=grid,
        conditioning=Conditioning(
            latent_grid=grid,
            regions=Regions(
                values=torch.randn(batch, count, WIDTH, requires_grad=True), exists=exists, label_set=label_set
            ),
            parsing=(labels,),
        ),
        backbone=nn.Module(),
        prepared={},
    )


def inside(result: Tensor, scores: Tensor) -> Callable[[AttentionCall], AttentionResult]:
    """A chain inside that gives these."""
    return lambda call: AttentionResult(hidden=result, region_attention=scores)


def dense(part: CAA, call: AttentionCall, hidden: Tensor, scores: Tensor, label_set: str) -> Tensor:
    """Sample by sample: sort the candidates by (score, label), attend to the first K, add."""
    regions, rows = call.conditioning.regions, []
    assert regions is not None
    for sample in range(hidden.shape[0]):
        present = set(call.conditioning.parsing[0][sample].flatten().tolist())
        candidates = [
            region
            for region, group in enumerate(LABELS[label_set].groups)
            if group != "background" and bool(regions.exists[sample, region]) and region in present
        ]
        chosen = sorted(candidates, key=lambda region: (float(scores[sample, region]), region))[: part.k]
        if not chosen:
            rows.append(hidden[sample])
            continue
        embedded, width = regions.values[sample, sorted(chosen)], CHANNELS // HEADS
        query, key, value = part.to_q(hidden[sample]), part.to_k(embedded), part.to_v(embedded)
        heads = [slice(head * width, (head + 1) * width) for head in range(HEADS)]
        summed = [torch.softmax(query[:, h] @ key[:, h].T / width**0.5, -1) @ value[:, h] for h in heads]
        rows.append(hidden[sample] + part.to_out(torch.cat(summed, -1)))
    return torch.stack(rows)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("missing", ["", "all", "one", "here"])
@pytest.mark.parametrize("k", [1, 2, 25])
def test_equals_the_equations(caa: Callable[..., CAA], k: int, missing: str, batch: int) -> None:
    for grid, label_set in zip(GRIDS, LABELS, strict=True):
        part, call = caa(label_set, k=k), make_call(grid, batch, label_set=label_set, missing=missing)
        regions = call.conditioning.regions
        assert regions is not None
        hidden = torch.randn_like(call.hidden).requires_grad_()
        scores = torch.rand_like(regions.exists, dtype=torch.float64)
        ours = part(call, inside(hidden, scores)).hidden
        theirs = dense(part, call, hidden, scores, label_set)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
        seed, inputs = torch.randn_like(ours), [hidden, regions.values, *part.parameters()]
        got, expected = (
            torch.autograd.grad(out, inputs, seed, allow_unused=True, materialize_grads=True) for out in (ours, theirs)
        )
        for one, other in zip(got, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_ties_go_to_the_lower_label_and_the_background_is_none(caa: Callable[..., CAA]) -> None:
    part, call = caa(k=2), make_call(batch=1)
    regions = call.conditioning.regions
    assert regions is not None
    labels = torch.tensor([0, 5, 4, 11, 16] * 7).view(1, 7, 5)
    everything = replace(regions, exists=torch.ones_like(regions.exists))
    call = replace(call, conditioning=replace(call.conditioning, parsing=(labels,), regions=everything))
    scores = torch.full((1, 18), 0.5)
    scores[:, 0] = 0.0
    candidates = part.prepare(call.conditioning, call.backbone)["candidates"]
    chosen = part.chosen(AttentionResult(hidden=call.hidden, region_attention=scores), candidates)
    assert chosen.nonzero()[:, 1].tolist() == [4, 5]
    scores[:, 16] = 0.4
    chosen = part.chosen(AttentionResult(hidden=call.hidden, region_attention=scores), candidates)
    assert chosen.nonzero()[:, 1].tolist() == [4, 16]


def test_it_starts_as_if_it_were_not_there(context: Callable[..., BuildContext]) -> None:
    part, call = CAA(Config(), SITE, context(axes={"D": WIDTH})), make_call()
    scores = torch.rand(3, 18)
    assert torch.equal(part(call, inside(call.hidden, scores)).hidden, call.hidden)


def test_dropped_regions_add_nothing_and_hand_on_the_scores(caa: Callable[..., CAA]) -> None:
    part, call = caa(), make_call()
    regions = call.conditioning.regions
    assert regions is not None
    none = replace(
        regions, values=torch.zeros_like(regions.values), exists=torch.zeros_like(regions.exists, dtype=torch.bool)
    )
    scores = torch.rand(3, 18)
    dropped = replace(call, conditioning=replace(call.conditioning, regions=none))
    result = part(dropped, inside(call.hidden, scores))
    assert torch.equal(result.hidden, call.hidden)
    assert result.region_attention is scores


def test_without_any_region_it_is_the_ablation(caa: Callable[..., CAA]) -> None:
    part, call = caa(k=0), make_call()
    bare = replace(call, conditioning=Conditioning(latent_grid=(7, 5)))
    result = AttentionResult(hidden=call.hidden)
    assert part(bare, lambda call: result) is result
    assert not list(part.parameters())
    assert part.prepare(bare.conditioning, bare.backbone) == {}
    assert part.views(bare, lambda call: result) == {}


def test_prepared_gives_the_same_bits_and_is_read(caa: Callable[..., CAA]) -> None:
    part, call = caa(), make_call()
    link = inside(call.hidden, torch.rand(3, 18))
    kept = part.prepare(call.conditioning, call.backbone)
    plain = part(call, link).hidden
    assert torch.equal(part(replace(call, prepared=kept), link).hidden, plain)
    for name in kept:
        other = kept | {name: kept[name] * 2 if kept[name].is_floating_point() else torch.zeros_like(kept[name])}
        assert not torch.equal(part(replace(call, prepared=other), link).hidden, plain), name


def test_in_float32_it_is_that_of_float64(caa: Callable[..., CAA]) -> None:
    part, call = caa(), make_call((13, 11))
    hidden, scores = torch.randn_like(call.hidden), torch.rand(3, 18)
    exact = dense(part, call, hidden, scores, "atr18")
    given = call.conditioning.regions
    assert given is not None
    low = replace(call, conditioning=replace(call.conditioning, regions=replace(given, values=given.values.float())))
    got = part.float()(low, inside(hidden.float(), scores.float())).hidden
    assert ((got.double() - exact).abs() > 1e-4).double().mean() <= 1e-3


def test_what_does_not_arrive_is_named(caa: Callable[..., CAA]) -> None:
    part, call = caa(), make_call()
    scores = torch.rand(3, 18)
    with pytest.raises(ValueError, match="region_attention did not arrive"):
        part(call, lambda call: AttentionResult(hidden=call.hidden))
    for name, nothing in (("regions", None), ("parsing", ())):
        bare = replace(call, conditioning=replace(call.conditioning, **{name: nothing}))
        with pytest.raises(ValueError, match=f"{name}.* did not arrive"):
            part(bare, inside(call.hidden, scores))


def test_views_name_the_chosen(caa: Callable[..., CAA]) -> None:
    part, call = caa(), make_call()
    scores = torch.rand(3, 18)
    views = part.views(call, inside(call.hidden, scores))
    told = views["mean attention"].values
    candidates = part.prepare(call.conditioning, call.backbone)["candidates"]
    assert torch.equal(told[candidates], scores[candidates]) and told[~candidates].isnan().all()
    assert views["chosen"].values.sum(1).tolist() == [2, 2, 2]
    assert views["chosen"].names == LABELS["atr18"].names
