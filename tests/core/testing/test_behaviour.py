"""The checks of what a part computes and leaves behind: each lie, told by a toy, fails the check that is about it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.interfaces import Conditioning, Grid, Regions, SourceInputs
from pgsynth_core.registry import Registry, load_part
from pgsynth_core.testing import Outcome, check_part
from pgsynth_core.testing import behaviour as does
from pgsynth_core.testing import state as keeps
from pgsynth_core.testing.subject import Check

pytestmark = pytest.mark.slow  # each lie builds a method of its own

Changed = Callable[[Any, Tensor], Tensor]
"""What a liar makes of the tokens that the honest toy gives."""

COUNT = itertools.count()


def after(change: Changed) -> Callable[[Any], Callable[..., Conditioning]]:
    """A forward whose tokens are changed."""

    def lying(forward: Any) -> Callable[..., Conditioning]:
        def changed(self: Any, source: SourceInputs, latent_grid: Grid) -> Conditioning:
            given = forward(self, source, latent_grid)
            return replace(given, tokens=replace(given.tokens, values=change(self, given.tokens.values)))

        return changed

    return lying


def keeping(self: Any, values: Tensor) -> Tensor:
    """Holds the tokens of the last call, and uses them in none."""
    self.last = values
    return values


def listing(self: Any, values: Tensor) -> Tensor:
    """Holds a list that grows."""
    self.calls = [*getattr(self, "calls", ()), "another"]
    return values


def queueing(self: Any, values: Tensor) -> Tensor:
    """Holds the tokens of the last two calls in a queue that grows no more."""
    self.calls = getattr(self, "calls", deque([values, values], maxlen=2))
    self.calls.append(values)
    return values


class Slotted:
    """An object without a `__dict__`."""

    __slots__ = ("__kept",)

    def keep(self, values: object) -> None:
        """Holds it."""
        self.__kept = values


def pocketing(self: Any, values: Tensor) -> Tensor:
    """Holds the tokens of the last call on an object of its own."""
    self.pocket = getattr(self, "pocket", Slotted())
    self.pocket.keep(values)
    return values


def pocketing_numbers(self: Any, values: Tensor) -> Tensor:
    """Holds the tokens of the last call as numbers, in the iterator of a list."""
    if values.device.type != "meta":
        self.pocket = iter([values.detach().float().numpy()])
    return values


def remembering(self: Any, values: Tensor) -> Tensor:
    """What it gives depends on the call before; no tensor is left on it."""
    before = getattr(self, "mean", 0.0)
    self.mean = float(values.detach().mean()) if values.device.type != "meta" else 0.0
    return values + before


def upcasting(self: Any, values: Tensor) -> Tensor:
    """Insists on float32, as does a layer of its own after it."""
    return values.float()


def only_float32(self: Any, values: Tensor) -> Tensor:
    """Breaks in a smaller type."""
    if values.dtype not in (torch.float32, torch.float64):
        return values / 0 * 0
    return values


def writing(self: Any, values: Tensor) -> Tensor:
    """Writes a log where the user is."""
    try:
        Path("toy.log").write_text("called")
    except OSError:
        pass
    return values


def sowing(self: Any, values: Tensor) -> Tensor:
    """Sets everybody's seed."""
    torch.manual_seed(1234)
    return values


def sowing_the_common_seed(self: Any, values: Tensor) -> Tensor:
    """Sets the seed that is set most."""
    torch.manual_seed(0)
    return values


def fixing(self: Any, values: Tensor) -> Tensor:
    """Sets everybody's algorithms."""
    torch.use_deterministic_algorithms(True)
    return values


LIES: dict[str, tuple[Changed, Check, str]] = {
    "nan": (lambda self, values: values / 0 * 0, does.ports_hold_values, "tokens is not finite"),
    "nan for the gradient": (lambda self, values: values / 0 * 0, does.gradients_are_finite, "the prediction is not finite"),
    "infinite gradient": (lambda self, values: values + (values * 0).abs().sqrt(), does.gradients_are_finite, "gradient of"),
    "wide": (lambda self, values: values.double(), does.ports_hold_values, "float64"),
    "only float32": (only_float32, does.trains_in_bfloat16, "in bfloat16: the prediction is not finite"),
    "upcast": (upcasting, does.computes_in_float64, "float32"),
    "dice": (lambda self, values: values + torch.rand_like(values), does.same_inputs_same_output, "two calls differ"),
    "neighbours": (lambda self, values: values - values.mean(0, keepdim=True), does.a_sample_alone_is_the_same, "not close"),
    "holds the last": (keeping, keeps.keeps_nothing_of_a_call, ".last keeps what a call made"),
    "grows": (listing, keeps.keeps_nothing_of_a_call, ".calls keeps what a call made"),
    "queues": (queueing, keeps.keeps_nothing_of_a_call, "keeps what a call made"),
    "pockets": (pocketing, keeps.keeps_nothing_of_a_call, ".pocket._Slotted__kept keeps what a call made"),
    "pockets numbers": (pocketing_numbers, keeps.keeps_nothing_of_a_call, "keeps what a call made"),
    "remembers": (remembering, keeps.keeps_nothing_of_a_call, "after another photo"),
    "seed": (sowing, keeps.leaves_torch_as_it_was, "seed of all random numbers: 1234"),
    "common seed": (sowing_the_common_seed, keeps.leaves_torch_as_it_was, "seed of all random numbers: 0"),
    "algorithms": (fixing, keeps.leaves_torch_as_it_was, "deterministic algorithms"),
    "log": (writing, keeps.keeps_to_itself, "toy.log"),
}  # fmt: skip


def outcome_of(toys: Registry, *checks: Check, name: str = "toy_tokens") -> Outcome:
    """What the last of the checks came to."""
    report = check_part("encoder", name, registry=toys, only=checks)
    return next(outcome for outcome in report.outcomes if outcome.check == checks[-1].__name__)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_its_check(lie: str, toys: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    change, check, said = LIES[lie]
    encoder = load_part(toys.find("encoder", "toy_tokens"))
    monkeypatch.setattr(encoder, "forward", after(change)(encoder.forward))
    first = (
        () if check not in (keeps.keeps_to_itself, keeps.leaves_torch_as_it_was) else (does.same_inputs_same_output,)
    )
    outcome = outcome_of(toys, *first, check)
    assert outcome.status == "failed" and said in outcome.reason, outcome
    assert not (tmp_path / "toy.log").exists() and not torch.are_deterministic_algorithms_enabled()


def test_an_honest_toy_passes_them_all(toys: Registry) -> None:
    checks = dict.fromkeys(check for _, check, _ in LIES.values())
    report = check_part("encoder", "toy_tokens", registry=toys, only=tuple(checks))
    assert {outcome.status for outcome in report.outcomes} == {"passed"}, report.outcomes


# ------------------------------------------------------------------------------------------- dropping
def of_the_photo(self: Any, like: Conditioning) -> Conditioning:
    """A dropped photo that shows its mean."""
    assert like.tokens is not None
    return replace(like, tokens=replace(like.tokens, values=like.tokens.values.mean().expand_as(like.tokens.values)))


def by_place(self: Any, like: Conditioning) -> Conditioning:
    """The second of a batch is dropped otherwise."""
    assert like.tokens is not None
    ones = torch.ones_like(like.tokens.values)
    return replace(like, tokens=replace(like.tokens, values=ones * torch.arange(len(ones)).view(-1, 1, 1)))


@pytest.mark.parametrize("null", [of_the_photo, by_place])
def test_a_dropped_photo_leaves_no_trace(null: Any, toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_part(toys.find("encoder", "toy_tokens")), "null", null)
    outcome = outcome_of(toys, keeps.dropped_is_always_the_same)
    assert outcome.status == "failed" and "when it is dropped" in outcome.reason, outcome
    assert outcome_of(toys, keeps.dropped_is_what_the_manifest_says).status == "failed"


# ------------------------------------------------------------------------------------------- saving
def test_a_weight_that_is_not_saved_is_found(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_part(toys.find("encoder", "toy_tokens"))
    build = encoder.__init__

    def built(self: Any, config: Any, context: Any) -> None:
        build(self, config, context)
        self.hidden = (torch.rand(1) + 0.5,)  # in no state dict

    monkeypatch.setattr(encoder, "__init__", built)
    monkeypatch.setattr(encoder, "forward", after(lambda self, values: values * self.hidden[0])(encoder.forward))
    outcome = outcome_of(toys, keeps.saves_and_loads)
    assert outcome.status == "failed" and "predicts otherwise" in outcome.reason, outcome


def test_a_seed_set_while_it_is_built_is_told(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_part(toys.find("encoder", "toy_tokens"))
    build = encoder.__init__

    def built(self: Any, config: Any, context: Any) -> None:
        torch.manual_seed(0)
        build(self, config, context)

    monkeypatch.setattr(encoder, "__init__", built)
    outcome = outcome_of(toys, does.same_inputs_same_output, keeps.leaves_torch_as_it_was)
    assert outcome.status == "failed" and "seed of all random numbers: 0" in outcome.reason, outcome


# ------------------------------------------------------------------------------------------- attention
def furnish(denoiser: Any) -> None:
    """Leaves a layer of its own on the denoiser."""
    denoiser.mine = torch.nn.Linear(2, 2)


def reshape(denoiser: Any) -> None:
    """Puts another layer in the place of one."""
    denoiser.time_embedding.act = torch.nn.Identity()


def hook(denoiser: Any) -> None:
    """Looks at what passes."""
    denoiser.conv_out.register_forward_hook(lambda *given: None)


@pytest.mark.parametrize("change", [furnish, reshape, hook])
def test_what_stays_behind_on_the_denoiser_is_told(
    change: Callable[[Any], None], toys: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = load_part(toys.find("attention", "toy_reference"))
    build = attention.__init__

    def built(self: Any, config: Any, site: Any, context: Any) -> None:
        build(self, config, site, context)
        change(context.denoiser)

    honest = check_part("attention", "toy_reference", registry=toys, only=[keeps.detaches_clean])
    monkeypatch.setattr(attention, "__init__", built)
    lying = check_part("attention", "toy_reference", registry=toys, only=[keeps.detaches_clean])
    assert [honest.outcomes[0].status, lying.outcomes[0].status] == ["passed", "failed"], (honest, lying)
    assert "stays behind" in lying.outcomes[0].reason


def test_what_is_prepared_otherwise_is_told(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = load_part(toys.find("attention", "toy_ip"))
    forward = attention.forward

    def doubled(self: Any, call: Any, inner: Any) -> Any:
        return forward(self, replace(call, prepared={name: 2 * value for name, value in call.prepared.items()}), inner)

    honest = check_part("attention", "toy_ip", registry=toys, only=[does.prepared_is_the_same])
    monkeypatch.setattr(attention, "forward", doubled)
    lying = check_part("attention", "toy_ip", registry=toys, only=[does.prepared_is_the_same])
    assert [honest.outcomes[0].status, lying.outcomes[0].status] == ["passed", "failed"], (honest, lying)


# ------------------------------------------------------------------------------------------- the contract
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("liar_pooled", "promises `tokens` as [B=2, N, D=64] and gives [2, 64]"),
        ("liar_transposed", "promises `tokens`"),
        ("liar_blind", "`source_image` and does not read it"),
        ("liar_roleless", "role local and global and gives local"),
        ("liar_idle", "no gradient reaches"),
    ],
)
def test_a_lying_contract_is_told(name: str, said: str, toys: Registry) -> None:
    outcome = outcome_of(toys, does.contract_is_honest, name=name)
    assert outcome.status == "failed" and said in outcome.reason, outcome


def test_a_port_that_is_promised_and_not_given_is_told(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_part(toys.find("encoder", "toy_regions"))
    monkeypatch.setattr(encoder, "forward", lambda self, source, latent_grid: Conditioning(latent_grid=latent_grid))
    outcome = outcome_of(toys, does.contract_is_honest, name="toy_regions")
    assert "promises `regions` and does not give it" in outcome.reason, outcome


def test_regions_without_a_reader_of_their_width_are_told(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_part(toys.find("encoder", "toy_regions"))
    forward = encoder.forward

    def narrow(self: Any, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        regions: Regions = forward(self, source, latent_grid).regions
        return Conditioning(latent_grid=latent_grid, regions=replace(regions, values=regions.values[..., :3]))

    monkeypatch.setattr(encoder, "forward", narrow)
    outcome = outcome_of(toys, does.contract_is_honest, name="toy_regions")
    assert "promises `regions`" in outcome.reason and outcome.status == "failed", outcome


def test_a_size_that_is_built_in_is_told(toys: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_part(toys.find("encoder", "toy_tokens"))
    forward = encoder.forward

    def standing_only(self: Any, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        if latent_grid[0] < latent_grid[1]:
            raise RuntimeError("the size of tensor a must match the size of tensor b")
        return forward(self, source, latent_grid)

    monkeypatch.setattr(encoder, "forward", standing_only)
    assert outcome_of(toys, does.contract_is_honest).status == "passed"
    assert outcome_of(toys, does.contract_holds_at_another_size).status == "failed"
