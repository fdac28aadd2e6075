"""A composed method: the module between a batch and a noise prediction. It is what trains, samples and is saved.

`encode` runs the encoders once per image, `prepare` lets the attention processors compute what depends on the source
alone, and `forward` is one denoising step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float, Num
from torch import Tensor, nn

from pgsynth_core.composition.chain import Prepared, chains_of
from pgsynth_core.composition.ranges import to_range
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import (
    AttentionProcessor,
    Base,
    Conditioning,
    Encoder,
    PoseBranch,
    PoseFeatures,
    Regions,
    Site,
    SourceInputs,
    Tokens,
    Watch,
)


@dataclass(frozen=True, kw_only=True)
class EncoderPlan:
    """How core feeds one encoder and where its tokens go; from the manifest and the spec.

    Attributes:
        image_range: Range of `source_image`, or None if it does not read the image.
        crops_range: Range of `source_crops`, or None.
        reads: Names of the ports it reads.
        gives_tokens: Whether it gives tokens.
        tokens_to: ``cross``, or the ``package:port`` that gets its tokens.
    """

    image_range: str | None = None
    crops_range: str | None = None
    reads: frozenset[str] = frozenset()
    gives_tokens: bool = False
    tokens_to: str = "cross"


@dataclass(frozen=True, kw_only=True)
class MethodParts:
    """The built parts of a method, by label, in the spec's order.

    `pretrained` are the labels of those that were given weights: what is frozen of them comes again from there.
    `copied` are the checkpoint's keys of what parts keep of a copy of a denoiser that was given weights: so does that.
    """

    base: Base
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    poses: Mapping[str, PoseBranch] = field(default_factory=dict)
    plans: Mapping[str, EncoderPlan] = field(default_factory=dict)
    adapters: Mapping[str, Mapping[str, nn.Module]] = field(default_factory=dict)
    sites: tuple[Site, ...] = ()
    pretrained: frozenset[str] = frozenset()
    copied: frozenset[str] = frozenset()


class Method(nn.Module):
    """Base, encoders, pose branches and attention chains as one module.

    Args:
        parts: What it is made of; the chains are attached to the networks already.
        width: D, the width of the denoiser's cross-attention.
        null_token: Whether cross-attention reads one learned token because no encoder gives any.
    """

    def __init__(self, parts: MethodParts, *, width: int, null_token: bool) -> None:
        super().__init__()
        self.base = parts.base
        self.encoders = nn.ModuleDict(parts.encoders)
        self.poses = nn.ModuleDict(parts.poses)
        self.adapters = nn.ModuleDict({label: nn.ModuleDict(ports) for label, ports in parts.adapters.items()})
        self.plans = dict(parts.plans)
        self.sites = parts.sites
        self.pretrained = parts.pretrained
        self.copied = parts.copied
        self.null_token = nn.Parameter(torch.zeros(1, 1, width)) if null_token else None

    # ------------------------------------------------------------------ once per image
    def encode(self, source: SourceInputs, data: Conditioning) -> Conditioning:
        """Run every encoder and join what they give with what the data gives.

        Args:
            source: `image` in [-1, 1]; `latent` is made by the codec if an encoder reads it and it is None.
            data: The ports made from data: latent grid, pose mask, parsing, skeleton, heatmaps.

        Returns:
            Conditioning with every port of the composition.
        """
        return self.joined(self.encode_parts(source, data), data)

    def encode_parts(
        self, source: SourceInputs, data: Conditioning, features: Mapping[str, Mapping[str, Tensor]] | None = None
    ) -> dict[str, Conditioning]:
        """Every encoder's own ports by label, before adapters and joining, so that each can be dropped by itself.

        Args:
            source: As for `encode`.
            data: As for `encode`.
            features: Label of an encoder -> what `features` gave of this source, where it is known.
        """
        given: dict[str, Conditioning] = {}
        for label in self.encoding_order():
            known = replace(source, features=(features or {}).get(label, {}))
            given[label] = self.run_encoder(label, self.with_tokens(label, known, given, data), data)
        return {label: given[label] for label in self.encoders}

    def joined(self, parts: Mapping[str, Conditioning], data: Conditioning) -> Conditioning:
        """What the encoders gave, adapted, joined with what the data gives."""
        return self.merge({label: self.adapted(label, ports) for label, ports in parts.items()}, data)

    def encoding_order(self) -> list[str]:
        """Encoders that read the tokens of others come after those that give some; else as written.

        The contract refuses two encoders that would need each other's tokens.
        """
        plans = self.plans
        return sorted(self.encoders, key=lambda label: ("tokens" in plans[label].reads, not plans[label].gives_tokens))

    def with_tokens(
        self, label: str, source: SourceInputs, given: Mapping[str, Conditioning], data: Conditioning
    ) -> SourceInputs:
        """The source with the tokens that the encoders so far gave, for an encoder that reads them."""
        if "tokens" not in self.plans[label].reads:
            return source
        batch = next(tensor.shape[0] for tensor in (source.image, source.latent) if tensor is not None)
        return replace(source, tokens=self.batched(self.joined(given, data), batch).tokens)

    def run_encoder(self, label: str, source: SourceInputs, data: Conditioning) -> Conditioning:
        """One encoder on the inputs its manifest needs, in its ranges."""
        inputs = self.inputs_for(self.plans[label], source)
        given: Conditioning = self.encoders[label](inputs, data.latent_grid)
        return given

    def features(self, label: str, source: SourceInputs) -> Mapping[str, Tensor]:
        """What one encoder's frozen weights make of the source; see `Encoder.features`."""
        encoder = self.encoders[label]
        assert isinstance(encoder, Encoder), "built as one"
        return encoder.features(replace(self.inputs_for(self.plans[label], source), tokens=None))

    @torch.no_grad()
    def latents(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B Z h w"]:
        """The codec's latents, one image after the other: each is the same in any batch, and needs no more memory."""
        return torch.cat([self.base.codec.encode(image) for image in torch.split(images, 1)])

    def adapted(self, label: str, given: Conditioning) -> Conditioning:
        """An encoder's ports brought to the width of their reader, where the spec has adapters."""
        if label not in self.adapters:
            return given
        adapters = dict(self.adapters[label].named_children())
        tokens, regions = given.tokens, given.regions
        if tokens is not None and "tokens" in adapters:
            tokens = replace(tokens, values=adapters["tokens"](tokens.values))
        if regions is not None and "regions" in adapters:
            regions = replace(regions, values=adapters["regions"](regions.values))
        extra = {port: adapters[port](value) if port in adapters else value for port, value in given.extra.items()}
        return replace(given, tokens=tokens, regions=regions, extra=extra)

    def inputs_for(self, plan: EncoderPlan, source: SourceInputs) -> SourceInputs:
        """Only what the encoder declared, images in its range."""
        image, latent, crops = source.image, source.latent, source.crops
        if "source_latent" in plan.reads and latent is None and image is not None:
            latent = self.latents(image)
        return SourceInputs(
            image=None if plan.image_range is None or image is None else to_range(image, plan.image_range),
            latent=latent if "source_latent" in plan.reads else None,
            parsing=source.parsing if "source_parsing" in plan.reads else None,
            crops=None if plan.crops_range is None or crops is None else to_range(crops, plan.crops_range),
            tokens=source.tokens if "tokens" in plan.reads else None,
            features=source.features,
        )

    def merge(self, given: Mapping[str, Conditioning], data: Conditioning) -> Conditioning:
        """Join the encoders' ports: tokens along N in order, unless the spec sends them to a port of their own."""
        cross: list[Tokens] = []
        reference: dict[str, Tensor] = {}
        regions: Regions | None = None
        extra: dict[str, Tensor] = dict(data.extra)
        for label, ports in given.items():
            if ports.tokens is not None and self.plans[label].tokens_to == "cross":
                cross.append(replace(ports.tokens, spans={label: (0, ports.tokens.values.shape[1])}))
            elif ports.tokens is not None:
                extra[self.plans[label].tokens_to] = ports.tokens.values
            reference |= ports.reference
            regions = ports.regions if ports.regions is not None else regions
            extra |= ports.extra
        return replace(data, tokens=self._tokens(cross), reference=reference, regions=regions, extra=extra)

    def _tokens(self, cross: Sequence[Tokens]) -> Tokens | None:
        if cross:
            return Tokens.cat(list(cross))
        if self.null_token is None:
            return None
        return Tokens(values=self.null_token, is_global=(True,), spans={"null": (0, 1)})

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """What each processor computes from the source alone; for the sampler to keep over all its steps."""
        prepared: dict[str, Mapping[str, Tensor]] = {}
        for network in self.networks():
            for path, chain in chains_of(network).items():
                layer = network.get_submodule(path)
                for label, link in chain.items():
                    assert isinstance(link, AttentionProcessor), "chains are built of them"
                    if result := link.prepare(conditioning, layer):
                        prepared[f"{chain.site.name}/{label}"] = result
        return prepared

    @property
    def latent_channels(self) -> int:
        """Z: channels of a latent."""
        channels = self.base.denoiser.get_submodule("conv_in").in_channels
        assert isinstance(channels, int), "a convolution"
        return channels

    @property
    def crop_side(self) -> int:
        """Side of the regions' crops in pixels: the largest that an encoder of crops asks for."""
        reading = [label for label, plan in self.plans.items() if plan.crops_range is not None]
        encoders = [encoder for label, encoder in self.encoders.items() if label in reading]
        return max([int(encoder.crop_side) for encoder in encoders], default=Encoder.crop_side)  # type: ignore[arg-type]

    def networks(self) -> tuple[nn.Module, ...]:
        """The networks that carry chains: the denoiser, then those of the pose branches."""
        branches = (branch for branch in self.poses.values() if isinstance(branch, PoseBranch))
        return (self.base.denoiser, *(branch.network for branch in branches if branch.network is not None))

    def enable_checkpointing(self, on: bool = True) -> None:
        """Recompute activations in the backward pass, in every network that can: less memory, a quarter more work."""
        for network in (*self.networks(), *self.encoders.modules()):
            if isinstance(network, ModelMixin) and network._supports_gradient_checkpointing:
                network.enable_gradient_checkpointing() if on else network.disable_gradient_checkpointing()

    # ------------------------------------------------------------------ every step
    def forward(  # noqa: PLR0913 - what a step is made of, and who looks on
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        conditioning: Conditioning,
        prepared: Prepared | None = None,
        branches: Mapping[str, Conditioning] | None = None,
        *,
        watch: Watch | None = None,
    ) -> Float[Tensor, "B Z h w"]:
        """One step: what the denoiser predicts, in the sense of the schedule's prediction type.

        Args:
            noisy: Noisy latent.
            timesteps: Diffusion time of each sample.
            conditioning: From `encode`.
            prepared: From `prepare`; None in training.
            branches: Label of a pose branch -> what it reads instead of `conditioning`; see `conditions`.
            watch: Called at every link of every attention site, to look on.
        """
        batch, others = noisy.shape[0], branches or {}
        attention: dict[str, object] = {"conditioning": self.batched(conditioning, batch), "prepared": prepared or {}}
        if watch is not None:
            attention["watch"] = watch
        own = {label: {**attention, "conditioning": self.batched(other, batch)} for label, other in others.items()}
        features = [self.pose_features(label, noisy, timesteps, own.get(label, attention)) for label in self.poses]
        return self.denoise(noisy, timesteps, attention, add_features(features))

    @staticmethod
    def batched(conditioning: Conditioning, batch: int) -> Conditioning:
        """A learned null token is one row; everything else has the batch already."""
        tokens = conditioning.tokens
        if tokens is None or tokens.values.shape[0] == batch:
            return conditioning
        return replace(conditioning, tokens=replace(tokens, values=tokens.values.expand(batch, -1, -1)))

    def pose_features(
        self,
        label: str,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        attention: Mapping[str, object],
    ) -> PoseFeatures:
        """What one pose branch gives for this step."""
        features: PoseFeatures = self.poses[label](noisy, timesteps, attention["conditioning"], attention)
        return features

    def denoise(
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        attention: Mapping[str, object],
        features: PoseFeatures,
    ) -> Float[Tensor, "B Z h w"]:
        """The denoiser alone, called as diffusers calls it."""
        conditioning = attention["conditioning"]
        assert isinstance(conditioning, Conditioning) and conditioning.tokens is not None, "encode gives tokens"
        sample = noisy if features.stem is None else torch.cat([noisy, features.stem], dim=1)
        predicted: Tensor = self.base.denoiser(
            sample,
            timesteps,
            encoder_hidden_states=conditioning.tokens.values,
            cross_attention_kwargs=dict(attention),
            down_block_additional_residuals=features.down or None,
            mid_block_additional_residual=features.mid,
            down_intrablock_additional_residuals=list(features.intrablock) or None,
            return_dict=False,
        )[0]
        return predicted


def add_features(features: Sequence[PoseFeatures]) -> PoseFeatures:
    """Sum what several pose branches give, place by place.

    Raises:
        PartError: If two branches give different numbers of residuals for the same place.
    """
    return PoseFeatures(
        stem=_sum([one.stem for one in features if one.stem is not None]),
        intrablock=_sum_each("intrablock", [one.intrablock for one in features if one.intrablock]),
        down=_sum_each("down", [one.down for one in features if one.down]),
        mid=_sum([one.mid for one in features if one.mid is not None]),
    )


def _sum(tensors: Sequence[Tensor]) -> Tensor | None:
    total: Tensor | None = None
    for tensor in tensors:
        total = tensor if total is None else total + tensor
    return total


def _sum_each(place: str, rows: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    if len({len(row) for row in rows}) > 1:
        raise PartError(
            f"pose branches give {[len(row) for row in rows]} residuals at `{place}`; they cannot be summed."
        )
    totals = [_sum(column) for column in zip(*rows, strict=True)]
    return tuple(total for total in totals if total is not None)
