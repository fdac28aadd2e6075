"""The source is seen once: sampling with what is kept of it, beside sampling that encodes it anew at every step.

Bitwise the same pictures, one forward of the source network, one projection of its keys and values; and what that
costs, as ratios taken side by side in one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pgsynth_core import compose
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.composition.build import no_weights
from pgsynth_core.composition.chain import chains_of
from pgsynth_core.composition.method import Method
from pgsynth_core.data.records import DataContext
from pgsynth_core.data.tensors import Examples, checked, collate
from pgsynth_core.interfaces import Conditioning, SourceInputs
from pgsynth_core.options import PartConfig
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

from ..fixtures.crowd import Crowd

STEPS, ROUNDS = 20, 5
GUIDANCE = {1: {"all": 1.0}, 2: {"all": 2.0}, 3: {"pose": 1.5, "appearance": 2.0}}
"""Branches of a step -> scales."""


@dataclass(frozen=True)
class Scene:
    """A method, sources and target poses for it."""

    method: Method
    source: SourceInputs
    data: Conditioning
    names: tuple[str, ...]

    def drawn(self, branches: int) -> Tensor:
        """Latents after all steps."""
        plan = SamplePlan(
            scheduler="ddim", steps=STEPS, guidance=SampleSettings(guidance=dict(GUIDANCE[branches])).guidance
        )
        chances = [generator(0, "sample", name) for name in self.names]
        return sample_latents(self.method, self.source, self.data, plan, chances)


def scene_of(reader: str, *overrides: str, batch: int = 2) -> Scene:
    """SourceNet and one reader on `tiny`, nothing at zero, so that what is read shows."""
    words = ("base=tiny", "data=none", "encoder=sourcenet", "pose=pose_encoder", f"attn={reader}", *overrides)
    composition = compose(None, *words)
    spec, registry, verdict = composition.spec, composition.registry, composition.verdict
    assembly = Assembly.of(spec, registry, verdict, device="cpu", weights=no_weights)
    torch.manual_seed(1)
    for parameter in assembly.method.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.1)
    examples = Examples(
        Crowd(PartConfig(), DataContext("train", spec.size), count=batch), assembly.plan(source_pose=False)
    )
    pairs = checked(collate([examples[index] for index in range(batch)]))
    return Scene(assembly.method.eval(), pairs.source_inputs(), pairs.conditioning(), pairs.names)


def counted(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch of each forward from now on."""
    calls, forward = list[int](), module.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(args[0].shape[0])
        return forward(*args, **kwargs)

    monkeypatch.setattr(module, "forward", counting)
    return calls


def encode_at_every_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on each step runs the source network itself, and takes nothing that was prepared."""
    forward = scene.method.forward

    def step(noisy: Tensor, times: Tensor, shown: Conditioning, prepared: object, branches: Any = None) -> Tensor:
        assert prepared, "there is something to do without"
        anew = scene.method.encode(scene.source, scene.data).reference

        def rows(name: str, kept: Tensor) -> Tensor:
            dropped = ~kept.flatten(1).any(1)
            again = torch.cat([anew[name]] * (len(kept) // len(anew[name])))
            return torch.where(dropped[:, None, None], 0.0, again)

        reference = {name: rows(name, kept) for name, kept in shown.reference.items()}
        return forward(noisy, times, replace(shown, reference=reference), None, branches)

    monkeypatch.setattr(scene.method, "forward", step)


@pytest.mark.parametrize("branches", [3, *(pytest.param(few, marks=pytest.mark.slow) for few in (1, 2))])
@pytest.mark.parametrize("reader", ["reference", pytest.param("hpfa", marks=pytest.mark.slow)])
def test_the_source_is_seen_once_and_pictures_are_bitwise_the_same(
    reader: str, branches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(reader, "size=26x22")
    network, denoiser = scene.method.encoders["sourcenet"].network, scene.method.base.denoiser
    path, chain = next((path, chain) for path, chain in chains_of(denoiser).items() if reader in chain)
    projected = chain[reader] if reader == "hpfa" else denoiser.get_submodule(path)
    own = STEPS if reader == "reference" else 0  # the backbone's projections are the target's own too
    seen, keys, values, steps = (
        counted(module, monkeypatch)
        for module in (network, projected.get_submodule("to_k"), projected.get_submodule("to_v"), denoiser)
    )
    kept = scene.drawn(branches)
    assert steps == [2 * branches] * STEPS
    assert seen == [2], "one forward, of each source once"
    assert len(keys) == len(values) == own + 1

    for calls in (seen, keys, values):
        calls.clear()
    encode_at_every_step(scene, monkeypatch)
    anew = scene.drawn(branches)
    assert seen == [2] * (STEPS + 1) and len(keys) == len(values) == own + 1 + STEPS
    assert torch.equal(kept, anew) and torch.isfinite(kept).all()

    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    assert not torch.allclose(scene.drawn(branches), anew, atol=1e-3), "canary: the source shows in the picture"


# ------------------------------------------------------------------------------------------- what it costs
class Beside:
    """Makes each call a second time, alone, right before or after it, so that a busy machine slows both alike."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call, self.alone = call, list[float]()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if first := len(self.alone) % 2:
            self._alone(*args, **kwargs)
        out = self.call(*args, **kwargs)
        if not first:
            self._alone(*args, **kwargs)
        return out

    def _alone(self, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        self.call(*args, **kwargs)
        self.alone.append(time.perf_counter() - start)


@pytest.mark.bench
@pytest.mark.parametrize("branches", GUIDANCE)
@pytest.mark.parametrize("reader", ["reference", "hpfa"])
def test_twenty_steps_cost_twenty_steps_and_one_source(
    reader: str, branches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 cached steps at most 1.05 (20 t_d + t_s); t_s is the encoders' forward alone, t_d the method's."""
    scene, rounds = scene_of(reader, "size=64x48", batch=2), list[tuple[float, float, float]]()
    scene.drawn(branches)
    for _ in range(ROUNDS):
        with monkeypatch.context() as patched:
            steps, source = Beside(scene.method.forward), Beside(scene.method.encode_parts)
            patched.setattr(scene.method, "forward", steps)
            patched.setattr(scene.method, "encode_parts", source)
            start = time.perf_counter()
            scene.drawn(branches)
            alone = sum(steps.alone), sum(source.alone)
            rounds.append((time.perf_counter() - start - sum(alone), *alone))
        assert (len(steps.alone), len(source.alone)) == (STEPS, 1)
    denoising, encoding = (statistics.median(one[place] for one in rounds) for place in (1, 2))
    ratio = statistics.median(whole / (step + once) for whole, step, once in rounds)  # taken in turn, in each round
    print(f"\n{reader}, {branches} branches, 2 pictures at 64x48, {torch.get_num_threads()} threads, {ROUNDS} rounds")
    print(f"  t_d {denoising / STEPS * 1e3:6.1f} ms   t_s {encoding * 1e3:6.1f} ms")
    print(f"  20 cached steps / (20 t_d + t_s)   {ratio:.3f}")
    assert ratio <= 1.05
