"""A training step with latents and features from the cache, beside the same step that computes them.

At the shape of Stable Diffusion 1.5 with QFFT's Swin-B, random weights, on this machine's CPU; both steps are taken in
turn in one process, and the cached one includes looking up, checking and joining what it reads. Printed, not asserted.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

from pgsynth_core import compose
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.composition.build import no_weights
from pgsynth_core.data.cache import held_in
from pgsynth_core.data.records import DataContext
from pgsynth_core.data.tensors import Batch, Examples, checked, collate
from pgsynth_core.options import PartConfig
from pgsynth_core.spec import LossWeights
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.keeping import Keeper, keeping_of
from pgsynth_core.training.objective import Objective

from ..fixtures.crowd import Crowd


@pytest.mark.bench
@pytest.mark.parametrize(("size", "steps"), [("256x176", 5), ("512x352", 2)])
def test_a_step_with_a_cache_beside_one_without(size: str, steps: int, tmp_path: Path) -> None:
    words = ("encoder=qfft", "pose=none", "attn=none", "train.cache=all")
    composition = compose(None, "base=sd", "base.sd.train=cross_attention", "data=none", f"size={size}", *words)
    spec, registry, verdict = composition.spec, composition.registry, composition.verdict
    assembly = Assembly.of(spec, registry, verdict, device="cpu", weights=no_weights)
    method, people = assembly.method, Crowd(PartConfig(), DataContext("train", spec.size), count=1)
    found = keeping_of(
        spec,
        registry,
        method,
        assembly.shapes(),
        root=tmp_path,
        pairs=1,
        device=torch.device("cpu"),
        autocast=nullcontext,
    )
    objective, plan = Objective(method, LossWeights()), assembly.plan(source_pose=True)
    keeper = Keeper(method, found.lookup, reserve=0, tell=lambda kind, data: None)
    chance = Chance(seed=0, times=1000, shape=(4, *plan.latent_grid), drop={}, groups={"all": ()}, halves=2)
    draws = chance.draw(range(1))
    trained = [weight for weight in method.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0, fused=True)  # all its work, and the same weights
    times: dict[str, list[float]] = {"without": [], "reading": [], "with": []}
    losses: dict[str, set[float]] = {"without": set(), "with": set()}

    for step in range(steps + 1):  # the first fills the cache, and is not counted
        plain = Examples(people, plan)[0]
        assert isinstance(plain, Batch), "Crowd has no bad pair"
        for name in ("without", "with"):
            batch, reading = plain, 0.0
            objective.complete = keeper if name == "with" else None
            start = time.perf_counter()
            if name == "with":
                kept = found.lookup(vars(plain))  # what a worker does beside loading the pair
                batch = checked(collate([replace(plain, kept=kept)]))
                reading = time.perf_counter() - start
            loss = objective(batch, draws)["loss"]
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if step:
                times[name].append(time.perf_counter() - start)
                times["reading"] += [reading] if name == "with" else []
            losses[name].add(loss.item())
    without, reading, cached = (median(times[name]) for name in ("without", "reading", "with"))
    held = {one.kind: one.bytes for one in held_in(tmp_path)}
    print(f"\nStable Diffusion 1.5's shape and QFFT on Swin-B at {size}, batch 1 doubled, cross-attention trains")
    print(f"  {torch.get_num_threads()} threads, medians of {steps} whole steps in turn")
    print(f"  without cache   {without:7.2f} s")
    print(f"  with cache      {cached:7.2f} s, of it looking up {reading * 1e3:.0f} ms   ratio {cached / without:.3f}")
    print(f"  {', '.join(f'{kind} {count / 2**20:.2f} MiB' for kind, count in held.items())} for one pair")
    assert len(losses["with"]) == 1 and losses["with"] == losses["without"]
