"""What parts implement and what travels between them. Floor 0; imports torch.

Registry, spec, contract and cli never import this module at their top. `Conditioning` is the one thing that goes
from encoders, pose branches and data through every attention call: no string-keyed contexts, no state on modules.

Axes: B batch, N tokens, D cross-attention width, R regions, H W pixels, h w token grid, C channels of a site,
Q rows and K columns of an attention map, N_s source tokens of a site, Z latent channels.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from pgsynth_core.annotators import WeightFinder
from pgsynth_core.options import PartConfig

__all__ = [
    "AttentionCall",
    "AttentionProcessor",
    "AttentionResult",
    "AttentionView",
    "Base",
    "BuildContext",
    "Codec",
    "Conditioning",
    "Encoder",
    "Grid",
    "Inner",
    "KeyValue",
    "PoseBranch",
    "PoseFeatures",
    "Regions",
    "Site",
    "SourceInputs",
    "Tokens",
    "Watch",
    "WeightFinder",
    "zeros_like_ports",
]

Grid = tuple[int, int]
"""(h, w) of a token grid; never the square root of a length."""


# ------------------------------------------------------------------------------------------- what travels
@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Appearance tokens of one or several encoders.

    Attributes:
        values: The tokens.
        is_global: Role of each of the N tokens, True = global, False = local; static, known at build.
        spans: Encoder label -> (start, stop) of its tokens.
    """

    values: Float[Tensor, "B N D"]
    is_global: tuple[bool, ...]
    spans: Mapping[str, tuple[int, int]]

    @staticmethod
    def cat(items: Sequence[Tokens]) -> Tokens:
        """Join along N, in order; spans move along."""
        spans: dict[str, tuple[int, int]] = {}
        offset = 0
        for tokens in items:
            spans |= {label: (start + offset, stop + offset) for label, (start, stop) in tokens.spans.items()}
            offset += tokens.values.shape[1]
        return Tokens(
            values=torch.cat([tokens.values for tokens in items], dim=1),
            is_global=tuple(role for tokens in items for role in tokens.is_global),
            spans=spans,
        )


@dataclass(frozen=True, kw_only=True)
class Regions:
    """One embedding per parsing region of the source.

    Attributes:
        values: The embeddings; rows of regions that do not exist are zero.
        exists: Which regions the source has.
        label_set: ``atr18``, ``lip20`` or ``cihp20``: what the R indices mean.
    """

    values: Float[Tensor, "B R D"]
    exists: Bool[Tensor, "B R"]
    label_set: str


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Everything a denoising step is conditioned on.

    Attributes:
        latent_grid: (h, w) of the latent; a site's grid is this, halved `down` times with ceil.
        tokens: What cross-attention reads.
        reference: Source site name -> the tokens entering that site's attention, normed.
        regions: Embeddings of the source's parsing regions.
        pose_mask: Level l: True where the dilated target body touches the patch, l halvings below the latent.
        parsing: Level l: region index of the source at each patch.
        skeleton: Drawn target skeleton in [0, 1].
        heatmaps: One map per OpenPose-18 joint in [0, 1].
        extra: ``package:port`` of third parties, declared like any port.
    """

    latent_grid: Grid
    tokens: Tokens | None = None
    reference: Mapping[str, Float[Tensor, "B _ _"]] = field(default_factory=dict)
    regions: Regions | None = None
    pose_mask: tuple[Bool[Tensor, "B 1 _ _"], ...] = ()
    parsing: tuple[Int[Tensor, "B _ _"], ...] = ()
    skeleton: Float[Tensor, "B 3 H W"] | None = None
    heatmaps: Float[Tensor, "B 18 H W"] | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)


def zeros_like_ports(like: Conditioning) -> Conditioning:
    """The dropped form of every port: tensors zero, no region exists, `pose_mask` all True (nothing is masked)."""
    tokens, regions = like.tokens, like.regions
    return replace(
        like,
        tokens=None if tokens is None else replace(tokens, values=torch.zeros_like(tokens.values)),
        reference={name: torch.zeros_like(value) for name, value in like.reference.items()},
        regions=None
        if regions is None
        else replace(regions, values=torch.zeros_like(regions.values), exists=torch.zeros_like(regions.exists)),
        pose_mask=tuple(torch.ones_like(mask) for mask in like.pose_mask),
        skeleton=None if like.skeleton is None else torch.zeros_like(like.skeleton),
        heatmaps=None if like.heatmaps is None else torch.zeros_like(like.heatmaps),
        extra={name: torch.zeros_like(value) for name, value in like.extra.items()},
    )


@dataclass(frozen=True, kw_only=True)
class SourceInputs:
    """What an encoder may read of the source; only what its manifest needs is given, the rest is None.

    Attributes:
        image: In the range the manifest asks for; the data path normalises, the part never does.
        latent: The codec's latent of the source.
        parsing: Label map in the composition's label set.
        crops: One crop per region, in the range the manifest asks for.
        tokens: Joined tokens of the other encoders, for an encoder whose manifest needs `tokens`; the learned null
            token where no encoder gives any.
        features: What the encoder's own `features` gave of this source; empty where nobody has asked it yet.
    """

    image: Float[Tensor, "B 3 H W"] | None = None
    latent: Float[Tensor, "B Z h w"] | None = None
    parsing: Int[Tensor, "B H W"] | None = None
    crops: Float[Tensor, "B R 3 a b"] | None = None
    tokens: Tokens | None = None
    features: Mapping[str, Tensor] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------- attention
@dataclass(frozen=True)
class Site:
    """One attention layer.

    Attributes:
        network: ``denoiser``, ``pose``, ``source``; a second pose branch is ``pose.<label>``.
        path: diffusers path without the trailing ``.processor``.
        kind: ``self`` or ``cross``.
        channels: Width of the tokens entering the layer.
        heads: Attention heads.
        down: 0 at the latent grid, +1 per halving.
    """

    network: str
    path: str
    kind: str
    channels: int
    heads: int
    down: int

    @property
    def name(self) -> str:
        """``NETWORK:KIND:PATH``; unique in a composition."""
        return f"{self.network}:{self.kind}:{self.path}"

    def grid(self, latent: Grid) -> Grid:
        """(h, w) of this layer's tokens for a latent of the given grid."""
        h, w = latent
        for _ in range(self.down):
            h, w = -(-h // 2), -(-w // 2)
        return h, w

    def twin(self, network: str) -> str:
        """Name of the same layer in another network: how source and target features are paired."""
        return replace(self, network=network).name


KeyValue = tuple[Float[Tensor, "B heads _ d"], Float[Tensor, "B heads _ d"]]
"""Keys and values of any number of tokens, heads split."""


@dataclass(frozen=True, kw_only=True)
class AttentionCall:
    """One call of a chain's link.

    Attributes:
        site: Where.
        hidden: Tokens entering the layer, already normed by the block.
        context: What keys and values are made of; equals `hidden` at self sites.
        query: `hidden` through the backbone's `to_q`, split in heads; once for the whole chain.
        mask: True = may attend; None = everything may.
        grid: (h, w) of the Q rows.
        conditioning: The step's conditioning.
        backbone: The diffusers `Attention`: to_q, to_k, to_v, to_out, heads.
        prepared: What this link's `prepare` returned for these sources; empty in training.
        beside: Further keys and values, heads split, which the innermost link attends to beside those of `context`;
            no mask closes them.
    """

    site: Site
    hidden: Float[Tensor, "B Q C"]
    context: Float[Tensor, "B K E"]
    query: Float[Tensor, "B heads Q d"]
    mask: Bool[Tensor, "#B 1 #Q #K"] | None
    grid: Grid
    conditioning: Conditioning
    backbone: nn.Module
    prepared: Mapping[str, Tensor]
    beside: tuple[KeyValue, ...] = ()

    def narrowed(self, mask: Bool[Tensor, "#B 1 #Q #K"]) -> AttentionCall:
        """The same call with fewer pairs allowed."""
        return replace(self, mask=mask if self.mask is None else self.mask & mask)


@dataclass(frozen=True, kw_only=True)
class AttentionResult:
    """What a link gives outwards.

    Attributes:
        hidden: Heads joined, before `to_out`, which runs once after the chain.
        region_attention: The chain-scoped port; mean attention per region, or None.
    """

    hidden: Float[Tensor, "B Q C"]
    region_attention: Float[Tensor, "B R"] | None = None


Inner = Callable[[AttentionCall], AttentionResult]


@dataclass(frozen=True, kw_only=True)
class AttentionView:
    """Something of one call that can be looked at; see `AttentionProcessor.views`.

    Attributes:
        values: [B, n, h, w] for maps on a token grid, [B, n] for one number each; heads averaged. Not a number where
            there is nothing to tell.
        names: Of the n.
        grid: Of which picture the maps are: ``target`` or ``source``; empty for numbers.
    """

    values: Float[Tensor, "B n *grid"]
    names: tuple[str, ...]
    grid: Literal["target", "source", ""] = ""


Watch = Callable[[Site, str, "AttentionProcessor | None", AttentionCall, Inner], None]
"""Called at every link of every chain before it runs, with the site, the label, the link, its call and what is inside
it; innermost, at plain attention, with an empty label and None. For looking on only."""


# ------------------------------------------------------------------------------------------- building
@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """What a part may know while it is built. Never kept.

    Attributes:
        label: The part's name in the spec; spans and conditions use it.
        axes: Bound symbols, e.g. ``{"D": 768, "Z": 4}``.
        image_size: (height, width) in pixels.
        stride: Image pixels along one side of a latent cell.
        weights: Weight id, and the files wanted of it -> local path; None on the meta device.
        sites: Every site of the composition that is known so far: the denoiser's for pose branches and encoders,
            all of them for attention processors; empty for a base.
        denoiser: For parts that are shaped after it or copy it, see `copy_of_denoiser`; None for a base.
        read_sites: For an encoder that gives a port per site: the sites at which somebody reads it. What nobody
            reads is not built.
        label_set: Of the composition's parsing: what the R regions mean.
        copying: Told of every copy of the denoiser that this part takes.
    """

    label: str
    axes: Mapping[str, int]
    image_size: tuple[int, int]
    stride: int
    weights: WeightFinder
    sites: tuple[Site, ...] = ()
    denoiser: nn.Module | None = None
    read_sites: tuple[Site, ...] = ()
    label_set: str = "atr18"
    copying: Callable[[nn.Module], None] = lambda copied: None

    @property
    def latent_grid(self) -> Grid:
        """(h, w) of the latent."""
        height, width = self.image_size
        return height // self.stride, width // self.stride

    def copy_of_denoiser(self) -> nn.Module:
        """The denoiser as it begins, weights and all, for a part to keep.

        Where the base was given pretrained weights, so was its copy: a checkpoint keeps of it what trains, and the
        rest comes again from there. So what is to have other values than the base's must train, or be the part's own
        tensor in its place. Whatever else the part has is kept as of any part.
        """
        assert self.denoiser is not None, "a base is built before there is one to copy"
        copied = copy.deepcopy(self.denoiser)
        self.copying(copied)
        return copied


class Codec(nn.Module, ABC):
    """Between pixels and latents."""

    @abstractmethod
    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B Z h w"]:
        """Latent of an image in [-1, 1], scaled as the denoiser expects."""

    @abstractmethod
    def decode(self, latent: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B 3 H W"]:
        """Image in [-1, 1] of a latent."""


class Base(nn.Module, ABC):
    """Codec, denoiser and noise schedule.

    Attributes:
        codec: Pixels to latents and back.
        denoiser: A diffusers `UNet2DConditionModel`, called as diffusers calls it.
        schedule: A diffusers scheduler config; the sampler always uses the one the run was trained with.
    """

    codec: Codec
    denoiser: nn.Module
    schedule: Mapping[str, object]

    def __init__(self, config: PartConfig, build: BuildContext) -> None:
        super().__init__()

    def adapt(self) -> None:
        """Add to the denoiser what no copy of it shall have, e.g. LoRA: called once, when every copy is taken.

        Chains of processors come after it. By default nothing is added.
        """


class Encoder(nn.Module, ABC):
    """Source in, appearance ports out.

    Attributes:
        crop_side: Side in pixels of the regions' crops that it wants, where it reads `source_crops`.
    """

    crop_side: int = 224

    def __init__(self, config: PartConfig, build: BuildContext) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        """Only the ports that the manifest says it provides; core merges."""

    def features(self, source: SourceInputs) -> Mapping[str, Float[Tensor, "B ..."]]:
        """What `forward` makes of the source before any weight that trains: its frozen backbone's result.

        `forward` begins with ``source.features or self.features(source)``. So training may keep them on disk: it does
        where no gradient leads to them, and asks for them a sample at a time. They are a function of `source`, without
        its tokens, of weights and buffers that do not change, and of nothing else. Empty: there is nothing to keep.
        """
        return {}

    def null(self, like: Conditioning) -> Conditioning:
        """The ports of `like`, dropped: zeros; overridden only where the manifest says ``dropped = "learned"``."""
        return zeros_like_ports(like)

    def places(self, source: SourceInputs, latent_grid: Grid) -> Float[Tensor, "B N h w"] | None:
        """Where on the source each token looks, for `pgsynth inspect`: shares of a grid over the whole photo.

        A token that stands for one patch has one there; one that gathers several has its attention to them; one of
        no place has zeros. None: nothing can be said.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class PoseFeatures:
    """What a pose branch adds to the denoiser; several branches sum.

    Attributes:
        stem: Added after `conv_in`.
        intrablock: diffusers' `down_intrablock_additional_residuals`.
        down: diffusers' `down_block_additional_residuals`.
        mid: diffusers' `mid_block_additional_residual`.
    """

    stem: Float[Tensor, "B C h w"] | None = None
    intrablock: tuple[Float[Tensor, "B _ _ _"], ...] = ()
    down: tuple[Float[Tensor, "B _ _ _"], ...] = ()
    mid: Float[Tensor, "B _ _ _"] | None = None


class PoseBranch(nn.Module, ABC):
    """Target pose in, residuals for the denoiser out.

    Attributes:
        network: The tree whose attention layers become sites ``pose:*``; None if it has none.
    """

    network: nn.Module | None

    def __init__(self, config: PartConfig, build: BuildContext) -> None:
        super().__init__()
        self.network = None  # on the instance: a class attribute would hide the registered module

    @abstractmethod
    def forward(
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        conditioning: Conditioning,
        attention: Mapping[str, object],
    ) -> PoseFeatures:
        """One step.

        Args:
            noisy: The noisy latent.
            timesteps: Diffusion time of each sample.
            conditioning: What the step is conditioned on.
            attention: Pass on as `cross_attention_kwargs` of diffusers models, so that the chains are reached.
        """


class AttentionProcessor(nn.Module, ABC):
    """One link of a site's chain; one instance per site. First written is innermost: hpfa+caa is caa(hpfa(plain)).

    Weights of the backbone stay in the backbone; only new weights belong to the processor.
    """

    def __init__(self, config: PartConfig, site: Site, build: BuildContext) -> None:
        super().__init__()

    def prepare(self, conditioning: Conditioning, backbone: nn.Module) -> Mapping[str, Tensor]:
        """Whatever depends on the source alone, once per image; kept by the sampler, never on the module.

        Every tensor has the batch first: where a step needs only some branches of guidance, their rows are taken.
        """
        return {}

    @abstractmethod
    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        """Call `inner`, or replace it; give the heads joined, before `to_out`."""

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        """What `pgsynth inspect` shows of this link in this call, by title; never called in training or sampling."""
        return {}
