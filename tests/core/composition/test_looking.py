"""Looking on at a step: nothing is changed by it, views are asked once a site, and attention lies where it is paid."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from pgsynth_core.attention import plain_attention
from pgsynth_core.composition.chain import chains_of
from pgsynth_core.composition.inputs import Shapes, data_conditioning, noisy_latent, source_inputs
from pgsynth_core.composition.looking import CROSS, SOURCE_ATTENTION, Looked, look
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.proof import shapes_for
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionResult,
    AttentionView,
    BuildContext,
    Conditioning,
    Inner,
    Site,
    SourceInputs,
)
from pgsynth_core.options import PartConfig

from .conftest import Compose, built

CONTEXT = BuildContext(label="x", axes={}, image_size=(26, 22), stride=2, weights=lambda weight, files=(): None)
TWO = ("encoder=qfft+toy_tokens", "encoder.qfft.backbone=conv4", "encoder.qfft.depth=1", "encoder.qfft.local_queries=4")


def made(composed: Compose, *overrides: str, batch: int = 2) -> tuple[Method, Shapes]:
    torch.manual_seed(0)
    composition = composed(*overrides)
    method = built(composition).eval()
    return method, shapes_for(composition.spec, composition.registry, composition.verdict, method, batch=batch)


def step(shapes: Shapes) -> tuple[Tensor, Tensor, SourceInputs, Conditioning]:
    torch.manual_seed(1)
    noisy, times = noisy_latent(shapes)
    return noisy, times, source_inputs(shapes), data_conditioning(shapes)


class Shows(AttentionProcessor):
    """Shows what it is told to, and asks what is inside it as often as it likes."""

    def __init__(self, site: Site, view: Callable[[AttentionCall], Mapping[str, AttentionView]]) -> None:
        super().__init__(PartConfig(), site, CONTEXT)
        self.view = view

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        return inner(call)

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        inner(call)
        inner(call)
        return self.view(call)


def link(method: Method, kind: str, view: Callable[[AttentionCall], Mapping[str, AttentionView]]) -> list[str]:
    """Put a link that shows something outermost at every site of a kind in the denoiser; the names of the sites."""
    names = []
    for chain in chains_of(method.base.denoiser).values():
        if chain.site.kind == kind:
            chain["shows"] = Shows(chain.site, view)
            names.append(chain.site.name)
    return names


def constant(call: AttentionCall) -> dict[str, AttentionView]:
    return {"numbers": AttentionView(values=torch.ones(call.hidden.shape[0], 2), names=("a", "b"))}


def test_the_step_is_as_if_nobody_looked(composed: Compose) -> None:
    method, shapes = made(composed, *TWO, "pose=controlnet", "attn=pma")
    noisy, times, source, data = step(shapes)
    with torch.no_grad():
        conditioning = method.encode(source, data)
        alone = method(noisy, times, conditioning)
        seen: list[str] = []
        watched = method(noisy, times, conditioning, watch=lambda site, label, *_: seen.append(f"{site.name}/{label}"))
    assert torch.equal(watched, alone)
    assert len(seen) == len(set(seen)), "every link of every site once"
    assert len([name for name in seen if name.endswith("/")]) == len(method.sites), "and innermost, with no label"
    keys = list(method.state_dict())
    look(method, noisy, times, source, data)
    assert list(method.state_dict()) == keys
    with torch.no_grad():
        assert torch.equal(method(noisy, times, conditioning), alone)


def test_where_tokens_are_read(composed: Compose) -> None:
    """Against softmax over all columns, brought to one within the encoder and laid out by hand."""
    method, shapes = made(composed, *TWO, "pose=controlnet", "attn=pma")
    looked = look(method, *step(shapes))
    assert {read.by for read in looked.reads} == {CROSS} and {read.encoder for read in looked.reads} == {"qfft"}
    crossing = [site.name for site in method.sites if site.kind == "cross"]
    assert sorted(read.site for read in looked.reads) == sorted(crossing)
    assert looked.places["toy_tokens"] is None and looked.places["qfft"] is not None

    calls: dict[str, AttentionCall] = {}
    noisy, times, source, data = step(shapes)
    with torch.no_grad():
        method(
            noisy,
            times,
            method.encode(source, data),
            watch=lambda site, label, link, call, inner: calls.setdefault(site.name, call) if not label else None,
        )
    for read in looked.reads:
        call, places = calls[read.site], looked.places["qfft"]
        key = call.backbone.to_k(call.context).unflatten(2, (call.site.heads, -1)).transpose(1, 2)
        logits = call.query @ key.mT / call.query.shape[-1] ** 0.5
        weights = (logits.exp() if call.mask is None else logits.exp() * call.mask).double()
        weights = (weights / weights.sum(-1, keepdim=True)).mean((1, 2))[:, : places.shape[1]]
        shares = weights / weights.sum(1, keepdim=True)
        wanted = (shares[:, :, None, None] * places).sum(1)
        torch.testing.assert_close(read.where.double(), wanted, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(read.where.sum((1, 2)) + read.nowhere, torch.ones(2))


def test_tokens_of_no_place_are_read_nowhere(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    method, shapes = made(composed, "encoder=toy_tokens", "pose=controlnet")
    places = torch.zeros(2, 6, 3, 2)
    places[:, 0, 2, 1] = 1
    monkeypatch.setattr(method.encoders["toy_tokens"], "places", lambda source, grid: places, raising=False)
    looked = look(method, *step(shapes))
    assert looked.reads
    for read in looked.reads:
        assert read.where.count_nonzero() == 2 and (read.where[:, 2, 1] > 0).all()
        torch.testing.assert_close(read.where.sum((1, 2)), 1 - read.nowhere)
        assert (read.nowhere > 0.5).all()


def test_nobody_reads_tokens_that_are_closed_to_all(composed: Compose) -> None:
    method, shapes = made(composed, *TWO, "pose=controlnet", "attn=pma", "attn.pma.mask=eq9")
    noisy, times, source, data = step(shapes)
    data = Conditioning(
        latent_grid=data.latent_grid,
        skeleton=data.skeleton,
        pose_mask=tuple(torch.zeros_like(mask) for mask in data.pose_mask),
    )
    looked = look(method, noisy, times, source, data)
    assert {read.site.split(":")[0] for read in looked.reads} == {"denoiser"}, "the pose branch saw no token"


def test_links_are_asked_once_and_what_they_ask_is_not_watched(composed: Compose) -> None:
    method, shapes = made(composed, *TWO, "pose=none")
    names = link(method, "cross", constant)
    looked = look(method, *step(shapes))
    assert list(looked.views) == ["shows"] and sorted(looked.views["shows"]) == sorted(names)
    assert len(looked.reads) == len(names), "the inner calls of views are no reads"


def test_a_link_without_views_is_not_there(composed: Compose) -> None:
    method, shapes = made(composed, "encoder=toy_source", "attn=toy_reference", "pose=none")
    assert look(method, *step(shapes)) == Looked(places={"toy_source": None})


def test_features_are_read_where_they_stand(composed: Compose) -> None:
    method, shapes = made(composed, "encoder=toy_source", "attn=toy_reference", "pose=none")
    shares = torch.rand(2, 1, 4, 3, generator=torch.Generator().manual_seed(2)) / 100

    def view(call: AttentionCall) -> dict[str, AttentionView]:
        return {SOURCE_ATTENTION: AttentionView(values=shares, names=("A",), grid="source")}

    names = link(method, "self", view)
    looked = look(method, *step(shapes))
    assert [(read.encoder, read.by) for read in looked.reads] == [("toy_source", "shows")] * len(names)
    for read in looked.reads:
        torch.testing.assert_close(read.where, shares[:, 0] / shares.sum((1, 2, 3))[:, None, None])
        assert (read.nowhere == 0).all()


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (AttentionView(values=torch.ones(2, 3), names=("a", "b")), r"\[2, 3\] with 2 names; wanted: \[B, n\]"),
        (AttentionView(values=torch.ones(2, 1, 4, 3), names=("a",)), r"wanted: \[B, n\]"),
        (AttentionView(values=torch.ones(2, 1), names=("a",), grid="source"), r"wanted: \[B, n, h, w\]"),
    ],
)
def test_a_view_of_another_form_is_named(view: AttentionView, told: str, composed: Compose) -> None:
    method, shapes = made(composed, *TWO, "pose=none")
    link(method, "cross", lambda call: {"odd": view})
    with pytest.raises(PartError, match=r"attn shows at denoiser:cross:down_blocks.*view 'odd' is .*" + told):
        look(method, *step(shapes))


def test_places_of_another_form_are_named(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    method, shapes = made(composed, *TWO, "pose=none")
    monkeypatch.setattr(method.encoders["qfft"], "places", lambda source, grid: torch.zeros(2, 3, 4, 4), raising=False)
    with pytest.raises(
        PartError, match=r"encoder qfft: its places are \[2, 3, 4, 4\]; for its tokens .* \[2, 12, h, w\]"
    ):
        look(method, *step(shapes))


def test_the_innermost_link_is_plain_attention(composed: Compose) -> None:
    method, shapes = made(composed, *TWO, "pose=none")
    noisy, times, source, data = step(shapes)
    inner: list[Inner] = []
    with torch.no_grad():
        method(noisy, times, method.encode(source, data), watch=lambda *given: inner.append(given[-1]))
    assert inner and all(one is plain_attention for one in inner)
