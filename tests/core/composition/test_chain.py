"""Chains on diffusers' seam: exactly what stock diffusers computes when empty, gone without a trace when detached."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from pgsynth_core.composition.chain import AttentionChain, StemConv, attach, chains_of, detach
from pgsynth_core.composition.sites import sites_of
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionResult,
    BuildContext,
    Conditioning,
    Inner,
    Site,
)
from pgsynth_core.options import PartConfig

CONTEXT = BuildContext(label="x", axes={}, image_size=(26, 22), stride=2, weights=lambda weight, files=(): None)
GRID = (13, 11)


@pytest.fixture
def network() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()


class Adds(AttentionProcessor):
    """Adds a number to what is inside it, and remembers the order by doubling first."""

    def __init__(self, config: PartConfig, site: Site, build: BuildContext, number: float = 1.0) -> None:
        super().__init__(config, site, build)
        self.number = nn.Parameter(torch.tensor(number))

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        return AttentionResult(hidden=2 * inner(call).hidden + self.number)


def chained(network: nn.Module, numbers: Mapping[str, float]) -> dict[str, AttentionChain]:
    return {
        site.path: AttentionChain(
            site, {label: Adds(PartConfig(), site, CONTEXT, number) for label, number in numbers.items()}
        )
        for site in sites_of("denoiser", network)
    }


def run(network: nn.Module, **attention: object) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noisy, tokens = torch.randn(2, 4, *GRID, generator=generator), torch.randn(2, 5, 12, generator=generator)
    out: torch.Tensor = network(
        noisy, torch.tensor([3, 7]), encoder_hidden_states=tokens, cross_attention_kwargs=attention or None
    ).sample
    return out


def test_empty_chains_give_what_stock_diffusers_gives(network: UNet2DConditionModel) -> None:
    stock = run(network)
    attach(network, chained(network, {}))
    torch.testing.assert_close(run(network, conditioning=Conditioning(latent_grid=GRID)), stock, atol=1e-6, rtol=0)


def test_detach_leaves_tree_and_state_dict_as_they_were(network: UNet2DConditionModel) -> None:
    tree, keys, stock = repr(network), list(network.state_dict()), run(network)
    before = attach(network, chained(network, {"adds": 1.0}))
    assert repr(network) != tree and len(chains_of(network)) == len(before)
    added = [key for key in network.state_dict() if key not in keys]
    assert added and all(key.endswith(".processor.adds.number") for key in added)
    detach(network, before)
    assert repr(network) == tree and list(network.state_dict()) == keys and not chains_of(network)
    assert torch.equal(run(network), stock)


def test_first_written_is_innermost(network: UNet2DConditionModel) -> None:
    site = sites_of("denoiser", network)[0]
    layer = network.get_submodule(site.path)
    layer.get_submodule("to_out.0").load_state_dict(
        {"weight": torch.eye(site.channels), "bias": torch.zeros(site.channels)}
    )
    hidden = torch.zeros(1, 143, site.channels)
    for numbers, expected in (({"a": 1.0, "b": 10.0}, 12.0), ({"b": 10.0, "a": 1.0}, 21.0)):
        chain = chained(network, numbers)[site.path]
        out = chain(layer, hidden, conditioning=Conditioning(latent_grid=GRID))
        assert out.unique().tolist() == [expected]


def test_tokens_that_do_not_fit_the_grid_are_named(network: UNet2DConditionModel) -> None:
    attach(network, chained(network, {}))
    with pytest.raises(PartError, match=r"denoiser:self:down_blocks\.0.*143 tokens arrived where the grid is 12x12"):
        run(network, conditioning=Conditioning(latent_grid=(12, 12)))


def test_a_network_called_past_the_method_says_so(network: UNet2DConditionModel) -> None:
    attach(network, chained(network, {}))
    with pytest.raises(PartError, match="no conditioning arrived"):
        run(network)


def test_a_mask_of_diffusers_own_is_refused(network: UNet2DConditionModel) -> None:
    site = sites_of("denoiser", network)[0]
    chain = chained(network, {})[site.path]
    with pytest.raises(PartError, match="masks come from processors"):
        chain(network.get_submodule(site.path), torch.zeros(1, 143, 8), attention_mask=torch.ones(1))


def test_links_may_not_take_a_name_the_module_has(network: UNet2DConditionModel) -> None:
    with pytest.raises(KeyError, match="forward"):
        chained(network, {"forward": 1.0})


def test_stem_features_are_added_after_conv_in_and_nothing_else_changes(network: UNet2DConditionModel) -> None:
    keys, stock, conv = list(network.state_dict()), run(network), network.conv_in
    network.conv_in = StemConv.around(conv)
    assert list(network.state_dict()) == keys and network.conv_in.weight is conv.weight
    assert torch.equal(run(network), stock)
    latent, features = torch.randn(2, 4, *GRID), torch.randn(2, 8, *GRID)
    assert torch.equal(network.conv_in(torch.cat([latent, features], 1)), conv(latent) + features)


@pytest.mark.compiled
def test_compiled_equals_eager(network: UNet2DConditionModel) -> None:
    attach(network, chained(network, {"a": 0.1, "b": 0.2}))
    conditioning = Conditioning(latent_grid=GRID)
    eager = run(network, conditioning=conditioning)
    compiled = torch.compile(network, fullgraph=True)
    torch.testing.assert_close(run(compiled, conditioning=conditioning), eager, atol=1e-5, rtol=1e-5)
