"""The method: ports joined with spans and roles, the null token, checkpointing, `prepare`, saving."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgsynth_core.composition.inputs import data_conditioning, noisy_latent, source_inputs
from pgsynth_core.composition.method import Method, add_features
from pgsynth_core.composition.proof import shapes_for
from pgsynth_core.composition.ranges import to_range
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import Conditioning, PoseFeatures

from .conftest import Compose, built

EVERYTHING = (
    "encoder=toy_tokens+toy_source+toy_regions",
    "pose=toy_stem+controlnet",
    "attn=pma+toy_hpfa+toy_caa+toy_reference",
)


def made(composed: Compose, *overrides: str, batch: int = 2) -> tuple[Method, Conditioning, Tensor, Tensor]:
    torch.manual_seed(0)
    composition = composed(*overrides)
    method = built(composition)
    shapes = shapes_for(composition.spec, composition.registry, composition.verdict, method, batch=batch)
    conditioning = method.encode(source_inputs(shapes), data_conditioning(shapes))
    return method, conditioning, *noisy_latent(shapes)


def test_tokens_of_several_encoders_join_with_spans_and_roles(composed: Compose) -> None:
    _, conditioning, _, _ = made(composed, "encoder=toy_tokens+qfft", "encoder.qfft.backbone=conv4")
    tokens = conditioning.tokens
    assert tokens is not None and tokens.spans == {"toy_tokens": (0, 6), "qfft": (6, 78)}
    assert tokens.values.shape == (2, 78, 64) and len(tokens.is_global) == 78
    assert tokens.is_global[5] and not any(tokens.is_global[:5]) and sum(tokens.is_global) == 1 + 8


def test_tokens_sent_elsewhere_are_not_read_by_cross_attention(composed: Compose) -> None:
    _, conditioning, _, _ = made(
        composed, "encoder=toy_tokens", "encoder.toy_tokens.tokens_to=pgsynth-toys:image_tokens", "attn=toy_ip"
    )
    assert conditioning.tokens is not None and conditioning.tokens.spans == {"null": (0, 1)}
    assert conditioning.extra["pgsynth-toys:image_tokens"].shape == (2, 6, 64)


def test_without_tokens_one_learned_null_token_is_read(composed: Compose) -> None:
    method, conditioning, noisy, timesteps = made(composed, "encoder=toy_source", "attn=toy_reference")
    assert method.null_token is not None
    method(noisy, timesteps, conditioning).square().mean().backward()
    assert method.null_token.grad is not None and method.null_token.grad.abs().sum() > 0


def test_activation_checkpointing_gives_bitwise_the_same(composed: Compose) -> None:
    results = []
    for on in (False, True):
        method, conditioning, noisy, timesteps = made(composed, *EVERYTHING)
        method.enable_checkpointing(on)
        predicted = method(noisy, timesteps, conditioning)
        predicted.square().mean().backward()
        gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
        results.append((predicted.detach(), gradients))
    (plain, plain_gradients), (saved, saved_gradients) = results
    assert torch.equal(plain, saved) and plain_gradients.keys() == saved_gradients.keys()
    assert all(torch.equal(plain_gradients[name], saved_gradients[name]) for name in plain_gradients)


def test_checkpointing_can_be_turned_off_again(composed: Compose) -> None:
    method, *_ = made(composed, "encoder=toy_tokens")
    method.enable_checkpointing(True)
    assert method.base.denoiser.is_gradient_checkpointing
    method.enable_checkpointing(False)
    assert not method.base.denoiser.is_gradient_checkpointing


def test_prepared_is_keyed_by_site_and_changes_nothing(composed: Compose) -> None:
    method, conditioning, noisy, timesteps = made(
        composed, "encoder=toy_tokens", "encoder.toy_tokens.tokens_to=pgsynth-toys:image_tokens", "attn=toy_ip"
    )
    kept = method.prepare(conditioning)
    crossing = [site for site in method.sites if site.name.startswith("denoiser:cross")]
    assert set(kept) == {f"{site.name}/toy_ip" for site in crossing}
    with torch.no_grad():
        plain = method(noisy, timesteps, conditioning)
        assert torch.equal(method(noisy, timesteps, conditioning, kept), plain)
        other = {key: {name: value + 1 for name, value in row.items()} for key, row in kept.items()}
        assert not torch.equal(method(noisy, timesteps, conditioning, other), plain), "prepared values are not read"


def test_processors_own_their_weights_under_the_site(composed: Compose) -> None:
    method, *_ = made(composed, *EVERYTHING)
    keys = [key for key in method.state_dict() if ".processor." in key]
    assert keys and all(".attn1.processor.toy_" in key for key in keys)


def test_a_loaded_state_dict_gives_bitwise_the_same(composed: Compose) -> None:
    method, conditioning, noisy, timesteps = made(composed, *EVERYTHING)
    other, *_ = made(composed, *EVERYTHING)
    torch.manual_seed(9)
    for parameter in other.parameters():
        parameter.data.normal_()
    other.load_state_dict(method.state_dict())
    with torch.no_grad():
        assert torch.equal(other(noisy, timesteps, conditioning), method(noisy, timesteps, conditioning))


def test_pose_features_sum_place_by_place() -> None:
    one, two = torch.ones(1, 2, 3, 3), torch.full((1, 2, 3, 3), 2.0)
    total = add_features([PoseFeatures(stem=one, down=(one, two), mid=two), PoseFeatures(down=(two, two), mid=one)])
    assert total.stem is not None and torch.equal(total.stem, one) and total.intrablock == ()
    assert [residual.mean().item() for residual in total.down] == [3, 4] and total.mid is not None


def test_branches_that_do_not_match_are_refused() -> None:
    one = torch.ones(1, 2, 3, 3)
    with pytest.raises(PartError, match=r"\[1, 2\] residuals at `down`"):
        add_features([PoseFeatures(down=(one,)), PoseFeatures(down=(one, one))])


@pytest.mark.parametrize(
    ("wanted", "black", "white"),
    [("any", -1, 1), ("[-1,1]", -1, 1), ("[0,1]", 0, 1), ("imagenet", -0.485 / 0.229, (1 - 0.485) / 0.229)],
)
def test_ranges(wanted: str, black: float, white: float) -> None:
    image = torch.stack([torch.full((3, 2, 2), -1.0), torch.ones(3, 2, 2)])
    red = to_range(image, wanted)[:, 0, 0, 0]
    torch.testing.assert_close(red, torch.tensor([black, white], dtype=torch.float32))


@pytest.mark.compiled
def test_the_whole_step_compiles_in_one_graph(composed: Compose) -> None:
    method, conditioning, noisy, timesteps = made(composed, *EVERYTHING)
    with torch.no_grad():
        eager = method(noisy, timesteps, conditioning)
        compiled = torch.compile(method, fullgraph=True)(noisy, timesteps, conditioning)
    torch.testing.assert_close(compiled, eager, atol=1e-4, rtol=1e-4)
