"""The proof: every shape of method the interfaces must carry passes; every lie is caught and named."""

from __future__ import annotations

import pytest
from diffusers import UNet2DConditionModel
from torch import nn

from pgsynth_core.composition.proof import Proof
from pgsynth_core.errors import PartError, ProofError, UserError
from pgsynth_core.interfaces import AttentionCall, AttentionResult, Inner
from pgsynth_plugins.attention.pma.model import PMA
from pgsynth_plugins.bases.tiny.model import Tiny
from pgsynth_plugins.encoders.qfft.model import QFFT
from pgsynth_plugins.pose.controlnet.model import ControlNet

from .conftest import Compose

TOYS = ("encoder=toy_source+toy_regions", "pose=toy_stem", "attn=toy_hpfa+toy_caa")
METHODS = {
    "pma": ("encoder=toy_tokens", "attn=pma"),
    "hpfa and caa": TOYS,
    "reference attention": ("encoder=toy_source", "attn=toy_reference"),
    "image adapter": ("encoder=toy_tokens", "encoder.toy_tokens.tokens_to=pgsynth-toys:image_tokens", "attn=toy_ip"),
    "adapted width": ("encoder=toy_wide", "adapters.toy_wide.tokens=[40, 64]"),
    "two pose branches": ("encoder=toy_tokens", "pose=toy_stem+controlnet", "attn=pma"),
    "everything": (
        "encoder=toy_tokens+toy_source+toy_regions",
        "pose=toy_stem+controlnet",
        "attn=pma+toy_hpfa+toy_caa+toy_reference",
    ),
}


def proof_of(composed: Compose, *overrides: str) -> Proof:
    return composed(*overrides).proof()


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_every_shape_are_proved(composed: Compose, name: str) -> None:
    proof = proof_of(composed, *METHODS[name])
    assert proof.sampling_bytes > 0
    assert {cost.label for cost in proof.parts} >= {"tiny"}
    assert all(cost.flops > 0 for cost in proof.parts[:1])


def test_sites_carry_the_chain_in_order(composed: Compose) -> None:
    acting = {labels for site, labels in proof_of(composed, *TOYS).sites if site.name.startswith("denoiser:self")}
    assert acting == {("toy_hpfa", "toy_caa")}


LIES = {
    "liar_pooled": (("encoder=liar_pooled",), r"liar_pooled promises `tokens` as \[B=2, N, D=64\] and gives \[2, 64\]"),
    "liar_transposed": (
        ("encoder=liar_transposed",),
        r"liar_transposed promises `tokens` as \[B=2, N, D=64\] and gives \[2, 64, 6\]",
    ),
    "liar_blind": (("encoder=liar_blind",), "liar_blind declares that it needs `source_image` and does not read it"),
    "liar_roleless": (("encoder=liar_roleless",), "promises tokens of role local and global and gives local"),
    "liar_idle": (("encoder=liar_idle",), r"liar_idle: no gradient reaches 2 of its trainable parameters.*unused"),
    "liar_mask": (
        ("encoder=toy_tokens", "attn=liar_mask"),
        "liar_mask declares that it needs `pose_mask` and does not read it",
    ),
    "liar_reference": (
        ("encoder=toy_source", "attn=liar_reference"),
        r"toy_source produces `reference\[source:self:.*\]` and it is not read, though liar_reference should",
    ),
    "liar_detached": (
        ("encoder=toy_source", "attn=liar_detached"),
        r"`reference\[source:self:.*\]` from toy_source is read, but no gradient comes back: it is detached",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_part_that_lies_is_named(composed: Compose, name: str) -> None:
    overrides, message = LIES[name]
    with pytest.raises(ProofError, match=message) as error:
        proof_of(composed, *overrides)
    assert all(problem.cure for problem in error.value.problems)
    assert error.value.exit_code == 2


def test_the_same_parts_told_truly_pass(composed: Compose) -> None:
    """The canary's other side: what the liars stand in for is accepted."""
    proof_of(composed, "encoder=toy_source", "attn=toy_reference")
    proof_of(composed, "encoder=toy_tokens", "attn=pma")


def test_several_lies_are_told_at_once(composed: Compose) -> None:
    with pytest.raises(ProofError) as error:
        proof_of(composed, "encoder=liar_blind+liar_idle")
    assert len(error.value.problems) == 2


def test_a_mask_read_nowhere_is_caught_beside_one_that_reads(composed: Compose) -> None:
    """A union over readers would hide the liar if pma read the mask; the port counts as read then, and that is said."""
    proof = proof_of(composed, "encoder=toy_tokens", "attn=pma+liar_mask")
    assert any("liar_mask" in labels for _, labels in proof.sites)


def test_reference_at_sites_that_are_not_given_is_refused(composed: Compose) -> None:
    with pytest.raises(UserError, match="no attention layer matches") as error:
        proof_of(composed, "encoder=toy_source", "attn=toy_reference", "attn.toy_reference.sites=denoiser:self:no.*")
    assert "toy_reference" in str(error.value)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (PMA, "pma (pgsynth:pma) failed in forward: RuntimeError: mat1 and mat2 shapes"),
        (ControlNet, "controlnet (pgsynth:controlnet) failed in forward: RuntimeError: mat1 and mat2 shapes"),
        (UNet2DConditionModel, "the denoiser of tiny failed with what parts give it: RuntimeError: mat1 and mat2"),
    ],
)
def test_a_fault_in_the_step_names_the_part_and_what_was_given(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, part: type[nn.Module], words: str
) -> None:
    def refuse(self: object, *given: object, **named: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(part, "forward", refuse)
    with pytest.raises(ProofError) as error:
        proof_of(composed, "encoder=toy_tokens", "pose=toy_stem+controlnet", "attn=pma")
    (problem,) = error.value.problems
    assert problem.message.startswith(words) and "toy_tokens.tokens [2, 6, 64]" in problem.cure
    assert part is not UNet2DConditionModel or "toy_stem.stem [2, 32, " in problem.cure


def test_a_processor_that_gives_another_width_is_named(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    def widened(self: PMA, call: AttentionCall, inner: Inner) -> AttentionResult:
        return AttentionResult(hidden=inner(call).hidden.repeat(1, 1, 2))

    monkeypatch.setattr(PMA, "forward", widened)
    with pytest.raises(PartError, match=r"pma gives \[2, 143, 64\] at pose:cross:.*, where \[2, 143, 32\] is read"):
        proof_of(composed, "encoder=toy_tokens", "attn=pma")


def test_a_part_that_cannot_be_built_points_at_what_was_written(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, *given: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(QFFT, "__init__", refuse)
    with pytest.raises(PartError, match=r"too large.*not as it comes: encoder\.qfft\.local_queries=7"):
        proof_of(composed, "encoder=qfft", "encoder.qfft.local_queries=7")
    monkeypatch.setattr(Tiny, "__init__", refuse)
    with pytest.raises(PartError, match=r"too large.*reinstall"):
        proof_of(composed, "encoder=toy_tokens")
