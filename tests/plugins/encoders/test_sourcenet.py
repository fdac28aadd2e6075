"""SourceNet against the whole copy of the denoiser, which hooks look into: the same tokens, the same gradients."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.composition.sites import sites_of
from pgsynth_core.errors import ContractError
from pgsynth_core.interfaces import BuildContext, Conditioning, SourceInputs, Tokens
from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES
from pgsynth_plugins.bases.tiny import Config as TinyConfig
from pgsynth_plugins.bases.tiny.model import Tiny
from pgsynth_plugins.encoders.sourcenet import Config
from pgsynth_plugins.encoders.sourcenet.model import SourceNet
from pgsynth_plugins.encoders.sourcenet.reading import Place

GRID = (13, 11)
SD1: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": (8, 8, 16),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": 2,
    "cross_attention_dim": 12,
}
"""Stable Diffusion 1.5 with a level less and few channels."""
SD2 = SD1 | {"use_linear_projection": True, "attention_head_dim": (1, 2, 4), "transformer_layers_per_block": 2}
"""Stable Diffusion 2's linear projections and heads by level; two transformer blocks at a place, as larger ones have."""
READ = {
    "all": "*",
    "down": "down_blocks.*",
    "middle": "mid_block.*",
    "up": "up_blocks.*",
    "first": "down_blocks.0.attentions.0.transformer_blocks.0.*",
    "coarse": "*_blocks.1.attentions.0.*",
}


@dataclass(frozen=True)
class Pair:
    """A SourceNet and the whole copy it is measured by."""

    encoder: SourceNet
    whole: UNet2DConditionModel
    paths: Mapping[str, str]
    """Path -> name of the layers that are read."""

    def inputs(self, batch: int, seed: int = 1) -> SourceInputs:
        """A latent and three tokens, wanting gradients, of the network's type."""
        drawn = torch.Generator().manual_seed(seed)
        like = {"generator": drawn, "dtype": self.whole.dtype}
        channels, width = (self.whole.config[name] for name in ("in_channels", "cross_attention_dim"))
        values = torch.randn(batch, 3, width, **like).requires_grad_()
        latent = torch.randn(batch, channels, *GRID, **like).requires_grad_()
        return SourceInputs(latent=latent, tokens=Tokens(values=values, is_global=(True,) * 3, spans={}))

    def given(self, source: SourceInputs) -> Mapping[str, Tensor]:
        """What the encoder gives."""
        return self.encoder(source, GRID).reference

    def looked_at(self, source: SourceInputs, time: int = 0) -> dict[str, Tensor]:
        """What enters the layers of the whole copy, by hooks."""
        found: dict[str, Tensor] = {}

        def look(name: str, layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            found[name] = args[0]

        hooks = [
            self.whole.get_submodule(path).register_forward_pre_hook(partial(look, name))
            for path, name in self.paths.items()
        ]
        assert source.latent is not None and source.tokens is not None
        times = torch.full((source.latent.shape[0],), time)
        self.whole(source.latent, times, encoder_hidden_states=source.tokens.values)
        for hook in hooks:
            hook.remove()
        return found


Make = Callable[..., Pair]


def tiny(context: Callable[..., BuildContext]) -> UNet2DConditionModel:
    return Tiny(TinyConfig(), context(label="tiny")).denoiser


@pytest.fixture
def pair(context: Callable[..., BuildContext]) -> Make:
    """A SourceNet of a shape that is read where `read` says."""

    def make(shape: str = "sd1", read: str = "all", *, double: bool = False, **options: Any) -> Pair:
        torch.manual_seed(0)
        denoiser = tiny(context) if shape == "tiny" else UNet2DConditionModel(**{"sd1": SD1, "sd2": SD2}[shape])
        denoiser = denoiser.double() if double else denoiser
        sites = [site for site in sites_of("denoiser", denoiser) if fnmatchcase(site.path, READ[read])]
        build = context(label="sourcenet", denoiser=denoiser, read_sites=tuple(sites))
        paths = {site.path: f"source:self:{site.path}" for site in sites if site.kind == "self"}
        return Pair(SourceNet(Config(**options), build), copy.deepcopy(denoiser).requires_grad_(), paths)

    return make


def weighed(reference: Mapping[str, Tensor]) -> Tensor:
    """A number that every value of every site has its own part in."""
    drawn = torch.Generator().manual_seed(2)
    return torch.stack(
        [(value * torch.randn(value.shape, generator=drawn).to(value)).sum() for _, value in sorted(reference.items())]
    ).sum()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


# ------------------------------------------------------------------------------------------- against the whole copy
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("shape", ["tiny", "sd1", "sd2"])
def test_tokens_and_gradients_are_those_of_the_whole_copy(shape: str, read: str, batch: int, pair: Make) -> None:
    both = pair(shape, read, double=True)
    ours, theirs = both.inputs(batch), both.inputs(batch)
    given, expected = both.given(ours), both.looked_at(theirs)
    assert given.keys() == expected.keys() and len(given) == len(both.paths) > 0
    for name, value in expected.items():
        torch.testing.assert_close(given[name], value, atol=1e-12, rtol=1e-12)
    weighed(given).backward()
    weighed(expected).backward()
    kept, reached = gradients(both.encoder.network), gradients(both.whole)
    assert {name for name, _ in both.encoder.network.named_parameters()} == kept.keys() == reached.keys()
    for name, value in reached.items():
        torch.testing.assert_close(kept[name], value, atol=1e-10, rtol=1e-10, msg=name)
    for mine, other in ((ours.latent, theirs.latent), (ours.tokens.values, theirs.tokens.values)):
        assert (mine.grad is None) == (other.grad is None) == (read == "first" and mine is ours.tokens.values)
        if other.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, atol=1e-10, rtol=1e-10)


def test_it_is_run_at_time_zero(pair: Make) -> None:
    both = pair(double=True)
    later, given = both.looked_at(both.inputs(1), time=1), both.given(both.inputs(1))
    assert not any(torch.allclose(given[name], later[name], atol=1e-6) for name in given)


def test_what_is_read_decides_what_is_kept(pair: Make) -> None:
    sizes = {read: sum(value.numel() for value in pair("sd1", read).encoder.parameters()) for read in READ}
    whole = sum(value.numel() for value in pair("sd1").whole.parameters())
    assert sizes["first"] < sizes["down"] < sizes["middle"] < sizes["coarse"] < sizes["up"] == sizes["all"] < whole


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("down_blocks.2.attentions.1.transformer_blocks.0.attn1", (0, 2, 1, 0)),
        ("mid_block.attentions.0.transformer_blocks.3.attn1", (1, 0, 0, 3)),
        ("up_blocks.11.attentions.0.transformer_blocks.0.attn1", (2, 11, 0, 0)),
    ],
)
def test_places_are_told_from_paths(path: str, place: tuple[int, ...]) -> None:
    assert Place.of(path) == Place(*place)


def test_what_cannot_be_read_is_refused(pair: Make, context: Callable[..., BuildContext]) -> None:
    denoiser = pair().whole
    crossing = tuple(site for site in sites_of("denoiser", denoiser) if site.kind == "cross")
    for sites in ((), crossing):
        with pytest.raises(ContractError, match=r"nobody reads at one\. Leave it out, or let a processor"):
            SourceNet(Config(), context(label="sourcenet", denoiser=denoiser, read_sites=sites))


def test_a_base_that_cannot_be_copied_is_the_users_to_change(context: Callable[..., BuildContext], pair: Make) -> None:
    """Not a broken part: it names the base's fault, and to install anything again is no cure."""
    denoiser = pair().whole
    sites = sites_of("denoiser", denoiser)
    temporal = (replace(next(site for site in sites if site.kind == "self"), path="down_blocks.0.temporal"),)
    for given, read, fault in (
        (nn.Linear(2, 2), sites, "denoiser is a Linear"),
        (denoiser, temporal, "the order of layer down_blocks.0.temporal"),
    ):
        with pytest.raises(ContractError, match=fault) as refused:
            SourceNet(Config(), context(label="twin", denoiser=given, read_sites=read))
        (problem,) = refused.value.problems
        assert problem.cure.startswith("Take a base") and problem.cure.endswith("or leave twin out.")


@pytest.mark.parametrize(("architecture", "millions"), [("sd15", 857.1), ("sd2", 863.3)])
def test_stable_diffusion_is_cut_on_the_meta_device(
    architecture: str, millions: float, context: Callable[..., BuildContext]
) -> None:
    with torch.device("meta"):
        denoiser = UNet2DConditionModel(**ARCHITECTURES[architecture].unet)
        sites = [site for site in sites_of("denoiser", denoiser) if site.kind == "self"]
        encoder = SourceNet(Config(), context(label="sourcenet", denoiser=denoiser, read_sites=tuple(sites)))
        tokens = Tokens(values=torch.empty(2, 1, denoiser.config["cross_attention_dim"]), is_global=(True,), spans={})
        reference = encoder(SourceInputs(latent=torch.empty(2, 4, 64, 44), tokens=tokens), (64, 44)).reference
        weighed_on_meta = torch.stack([value.sum() for value in reference.values()]).sum()
        weighed_on_meta.backward()
    assert len(sites) == 16 and list(reference) == [site.twin("source") for site in sites]
    for site in sites:
        rows, columns = site.grid((64, 44))
        assert reference[site.twin("source")].shape == (2, rows * columns, site.channels)
    assert all(value.grad is not None for value in encoder.parameters())
    assert round(sum(value.numel() for value in encoder.parameters()) / 1e6, 1) == millions


# ------------------------------------------------------------------------------------------- what trains
@pytest.mark.parametrize("train", [True, False])
def test_it_trains_or_not_whatever_the_base_does(train: bool, context: Callable[..., BuildContext]) -> None:
    denoiser = tiny(context).requires_grad_(not train)
    sites = sites_of("denoiser", denoiser)
    encoder = SourceNet(Config(train=train), context(label="sourcenet", denoiser=denoiser, read_sites=sites))
    assert {value.requires_grad for value in encoder.parameters()} == {train}
    assert {value.requires_grad for value in denoiser.parameters()} == {not train}


def test_a_frozen_one_passes_gradients_on(pair: Make) -> None:
    both = pair(train=False, double=True)
    ours, theirs = both.inputs(2), both.inputs(2)
    weighed(both.given(ours)).backward()
    weighed(both.looked_at(theirs)).backward()
    torch.testing.assert_close(ours.tokens.values.grad, theirs.tokens.values.grad, atol=1e-10, rtol=1e-10)
    assert not gradients(both.encoder)


def test_it_begins_as_the_denoiser_and_shares_nothing_with_it(context: Callable[..., BuildContext]) -> None:
    denoiser = tiny(context)
    before = {name: value.clone() for name, value in denoiser.state_dict().items()}
    modules, processors = dict(denoiser.named_modules()), denoiser.attn_processors
    build = context(label="sourcenet", denoiser=denoiser, read_sites=sites_of("denoiser", denoiser))
    encoder = SourceNet(Config(), build)
    own = encoder.network.state_dict()
    assert own and all(torch.equal(value, before[name]) for name, value in own.items())
    for value in encoder.parameters():
        value.data.add_(1)
    after = denoiser.state_dict()
    assert list(after) == list(before) and all(torch.equal(value, before[name]) for name, value in after.items())
    found = dict(denoiser.named_modules())
    assert list(found) == list(modules) and all(found[path] is module for path, module in modules.items())
    assert all(denoiser.attn_processors[path] is processor for path, processor in processors.items())


# ------------------------------------------------------------------------------------------- nothing is left behind
def everything_on(module: nn.Module) -> dict[str, Any]:
    """Whatever hangs on any module of a tree: the objects themselves, and how full containers are."""
    found: dict[str, Any] = {}
    for path, one in module.named_modules():
        for name, value in vars(one).items():
            found[f"{path}.{name}"] = (id(value), len(value) if isinstance(value, dict | list | set) else 0)
            for key, inner in value.items() if isinstance(value, dict) else ():
                found[f"{path}.{name}[{key}]"] = id(inner)
        if hasattr(one, "processor"):
            found[f"{path}.processor.*"] = {name: id(value) for name, value in vars(one.processor).items()}
    return found


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_call_leaves_no_state(checkpointing: bool, pair: Make) -> None:
    both = pair()
    if checkpointing:
        both.encoder.network.enable_gradient_checkpointing()
    both.encoder.zero_grad()
    before = everything_on(both.encoder)
    reference = both.given(both.inputs(2))
    assert everything_on(both.encoder) == before
    weighed(reference).backward()
    assert everything_on(both.encoder) == before
    both.encoder.network.conv_in.seen = reference
    assert everything_on(both.encoder) != before, "canary: what is left on a module shows"


@pytest.mark.parametrize("checkpointing", [False, True])
def test_calls_do_not_mix(checkpointing: bool, pair: Make) -> None:
    """Two forwards, then both backwards, the first one's last: as with gradient accumulation and checkpointing."""
    both = pair(double=True)
    alone: dict[int, tuple[Mapping[str, Tensor], Tensor]] = {}
    for seed in (1, 2):
        source = both.inputs(2, seed)
        reference = both.given(source)
        weighed(reference).backward()
        alone[seed] = {name: value.detach() for name, value in reference.items()}, source.latent.grad
    if checkpointing:
        both.encoder.network.enable_gradient_checkpointing()
    sources = {seed: both.inputs(2, seed) for seed in (1, 2)}
    together = {seed: both.given(source) for seed, source in sources.items()}
    for seed in (2, 1):
        weighed(together[seed]).backward()
    for seed, (tokens, gradient) in alone.items():
        assert all(torch.equal(together[seed][name], value) for name, value in tokens.items())
        assert torch.equal(sources[seed].latent.grad, gradient)
    assert not torch.equal(alone[1][1], alone[2][1])


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_is_given_is_freed_with_its_last_user(checkpointing: bool, backward: bool, pair: Make) -> None:
    both = pair()
    if checkpointing:
        both.encoder.network.enable_gradient_checkpointing()
    reference = both.given(both.inputs(1))
    if backward:
        weighed(reference).backward()
    watched = [weakref.ref(value) for value in reference.values()]
    assert all(one() is not None for one in watched)
    del reference
    assert all(one() is None for one in watched)


def test_a_sample_alone_is_the_same_and_order_is_kept(pair: Make) -> None:
    both = pair(double=True)
    source = both.inputs(3)
    together = both.given(source)

    def rows(index: list[int]) -> SourceInputs:
        tokens = Tokens(values=source.tokens.values[index], is_global=(True,) * 3, spans={})
        return SourceInputs(latent=source.latent[index], tokens=tokens)

    for index in ([1], [2, 0, 1]):
        for name, value in both.given(rows(index)).items():
            torch.testing.assert_close(value, together[name][index], atol=1e-12, rtol=1e-12)


# ------------------------------------------------------------------------------------------- checkpointed, compiled
@pytest.mark.parametrize("shape", ["tiny", "sd1", "sd2"])
@pytest.mark.parametrize("read", ["all", "middle", "first"])
def test_activation_checkpointing_gives_bitwise_the_same(shape: str, read: str, pair: Make) -> None:
    results = []
    for on in (False, True):
        both = pair(shape, read)
        if on:
            both.encoder.network.enable_gradient_checkpointing()
        source = both.inputs(2)
        reference = both.given(source)
        weighed(reference).backward()
        results.append({**reference, **gradients(both.encoder), "latent": source.latent.grad})
    plain, checkpointed = results
    assert plain.keys() == checkpointed.keys()
    assert all(torch.equal(checkpointed[name], value) for name, value in plain.items())


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("backend", "read", "trains"),
    [
        ("inductor", "middle", False),
        pytest.param("aot_eager", "all", True, marks=pytest.mark.slow),
        ("aot_eager", "up", True),
    ],
)
def test_compiled_equals_eager(backend: str, read: str, trains: bool, pair: Make) -> None:
    """In one graph, the mapping that is filled on the way included; generating code for all of it takes minutes."""
    torch.compiler.reset()
    both = pair("tiny", read)

    def run(encoder: Callable[..., Conditioning]) -> Iterator[Tensor]:
        both.encoder.zero_grad()
        with torch.set_grad_enabled(trains):
            reference = encoder(both.inputs(2), GRID).reference
        yield from (reference[name] for name in sorted(reference))
        if trains:
            weighed(reference).backward()
            yield from gradients(both.encoder).values()

    compiled, eager = [*run(torch.compile(both.encoder, fullgraph=True, backend=backend))], [*run(both.encoder)]
    for one, other in zip(compiled, eager, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


# ------------------------------------------------------------------------------------------- composed
READER = {"pose": "none", "attn": "reference"}


def test_it_is_proved_with_and_without_tokens_of_others(composed: Callable[..., Any]) -> None:
    qfft = {"backbone": "conv4", "depth": 1, "local_queries": 4}
    alone, among = composed({"sourcenet": {}}, **READER), composed({"sourcenet": {}, "qfft": qfft}, **READER)
    sites = {site.name for site, _ in alone.proof().sites if site.kind == "self"}
    given = {name for name in alone.proof().ports if name.startswith("sourcenet.")}
    assert given == {f"sourcenet.reference[{name.replace('denoiser:', 'source:', 1)}]" for name in sites}
    method = among.method()
    assert method.null_token is None and method.encoding_order() == ["qfft", "sourcenet"]
    assert alone.method().null_token is not None
    source = SourceInputs(image=torch.rand(2, 3, 26, 22) * 2 - 1)
    data = Conditioning(latent_grid=GRID)
    with torch.no_grad():
        first = method.encode(source, data)
        for parameter in method.encoders["qfft"].parameters():
            parameter.normal_()
        second = method.encode(source, data)
    name, last = next(iter(first.reference)), [*first.reference][-1]
    assert torch.equal(first.reference[name], second.reference[name]), "the first layer comes before any token"
    assert not torch.allclose(first.reference[last], second.reference[last], atol=1e-5)


def test_activation_checkpointing_reaches_it(composed: Callable[..., Any]) -> None:
    method = composed({"sourcenet": {}}, **READER).method()
    network = method.encoders["sourcenet"].network
    for on in (True, False):
        method.enable_checkpointing(on)
        assert network.is_gradient_checkpointing is on and method.base.denoiser.is_gradient_checkpointing is on
