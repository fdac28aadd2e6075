"""Sites: names, depths and grids of a real network; patterns."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from pgsynth_core.composition.sites import matches, select, sites_of
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.interfaces import Site


@pytest.fixture(scope="module")
def sites() -> tuple[Site, ...]:
    with torch.device("meta"):
        return sites_of("denoiser", UNet2DConditionModel(cross_attention_dim=768))


def test_stable_diffusion_has_sixteen_of_each_kind(sites: tuple[Site, ...]) -> None:
    kinds = [site.kind for site in sites]
    assert kinds.count("self") == kinds.count("cross") == 16
    assert len({site.name for site in sites}) == 32


@pytest.mark.parametrize(
    ("latent", "grids"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8)]),
        ((64, 44), [(64, 44), (32, 22), (16, 11), (8, 6)]),
        ((32, 22), [(32, 22), (16, 11), (8, 6), (4, 3)]),
    ],
)
def test_grids_are_halved_with_ceil(
    sites: tuple[Site, ...], latent: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    by_depth = {site.down: site.grid(latent) for site in sites}
    assert [by_depth[depth] for depth in range(4)] == grids


def test_depths_follow_the_blocks(sites: tuple[Site, ...]) -> None:
    depth = {site.path: site.down for site in sites}
    layer = "attentions.0.transformer_blocks.0.attn1"
    assert depth[f"down_blocks.2.{layer}"] == 2
    assert depth[f"mid_block.{layer}"] == 3
    assert depth[f"up_blocks.1.{layer}"] == 2
    assert depth[f"up_blocks.3.{layer}"] == 0


def test_twins_are_paired_by_name(sites: tuple[Site, ...]) -> None:
    assert sites[0].twin("source") == sites[0].name.replace("denoiser:", "source:")


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("denoiser:self", 16), ("*:cross", 16), ("denoiser:*:up_blocks.*", 18), ("denoiser:self:mid_block*", 1)],
)
def test_patterns_select(sites: tuple[Site, ...], pattern: str, count: int) -> None:
    assert len(select(pattern, sites, label="pma")) == count


def test_pose_means_every_pose_branch() -> None:
    site = Site(network="pose.second", path="mid_block.x", kind="cross", channels=4, heads=1, down=0)
    assert matches("pose:cross", site) and not matches("pos:cross", site) and not matches("pose:self", site)


def test_a_pattern_without_a_site_is_refused_with_names(sites: tuple[Site, ...]) -> None:
    with pytest.raises(
        UserError, match=r"no attention layer matches 'denoiser:self:down_blocks.9\*'.*named like"
    ) as error:
        select(["denoiser:self", "denoiser:self:down_blocks.9*"], sites, label="pma")
    assert error.value.problems[0].cure


def test_layers_that_chains_cannot_stand_in_for_are_refused() -> None:
    network = torch.nn.Module()
    with torch.device("meta"):
        block = UNet2DConditionModel(cross_attention_dim=768).mid_block
    network.strange_blocks = torch.nn.ModuleList([block])
    with pytest.raises(PartError, match="cannot tell the token grid of attention layer strange_blocks.0"):
        sites_of("denoiser", network)
