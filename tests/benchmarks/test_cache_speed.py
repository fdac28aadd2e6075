"""A training step with latents and features from the cache, beside the same step that computes them.

At the shape of Stable Diffusion 1.5 with QFFT's Swin-B, random weights, on this machine's CPU; both steps are taken in
turn in one process, and the cached one includes looking up, checking and joining what it reads. Times are printed, not
asserted; losses are the same bitwise at batch 1, and to `ROUNDING` where features are made of several photos at once.
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

ROUNDING = 1e-4
"""Of a loss, relative."""


@pytest.mark.bench
@pytest.mark.parametrize(("size", "batch_size", "steps"), [("256x176", 1, 5), ("256x176", 4, 2), ("512x352", 1, 2)])
def test_a_step_with_a_cache_beside_one_without(size: str, batch_size: int, steps: int, tmp_path: Path) -> None:
    words = ("encoder=qfft", "pose=none", "attn=none", "train.cache=all")
    composition = compose(None, "base=sd", "base.sd.train=cross_attention", "data=none", f"size={size}", *words)
    spec, registry, verdict = composition.spec, composition.registry, composition.verdict
    assembly = Assembly.of(spec, registry, verdict, device="cpu", weights=no_weights)
    method, people = assembly.method, Crowd(PartConfig(), DataContext("train", spec.size), count=batch_size)
    found = keeping_of(
        spec,
        registry,
        method,
        assembly.shapes(),
        root=tmp_path,
        pairs=batch_size,
        device=torch.device("cpu"),
        autocast=nullcontext,
    )
    objective, plan = Objective(method, LossWeights()), assembly.plan(source_pose=True)
    keeper = Keeper(method, found.lookup, reserve=0, tell=lambda kind, data: None)
    chance = Chance(seed=0, times=1000, shape=(4, *plan.latent_grid), drop={}, groups={"all": ()}, halves=2)
    draws = chance.draw(range(batch_size))
    trained = [weight for weight in method.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0, fused=True)  # all its work, and the same weights
    times: dict[str, list[float]] = {"without": [], "reading": [], "with": []}
    losses: dict[str, set[float]] = {"without": set(), "with": set()}

    for step in range(steps + 1):  # the first fills the cache, and is not counted
        loaded = map(Examples(people, plan).__getitem__, range(batch_size))
        pairs = [pair for pair in loaded if isinstance(pair, Batch)]
        for name in ("without", "with"):
            batch, reading = checked(collate(pairs)), 0.0
            objective.complete = keeper if name == "with" else None
            start = time.perf_counter()
            if name == "with":
                looked = [replace(pair, kept=found.lookup(vars(pair))) for pair in pairs]  # beside loading, in a worker
                batch = checked(collate(looked))
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
    print(
        f"\nStable Diffusion 1.5's shape and QFFT on Swin-B at {size}, batch {batch_size} doubled, cross-attention trains"
    )
    print(f"  {torch.get_num_threads()} threads, medians of {steps} whole steps in turn")
    print(f"  without cache   {without:7.2f} s")
    print(f"  with cache      {cached:7.2f} s, of it looking up {reading * 1e3:.0f} ms   ratio {cached / without:.3f}")
    print(f"  {', '.join(f'{kind} {count / 2**20:.2f} MiB' for kind, count in held.items())} for {batch_size} pairs")
    assert len(losses["with"]) == len(losses["without"]) == 1
    ((kept,), (made,)) = losses["with"], losses["without"]
    assert kept == pytest.approx(made, rel=ROUNDING if batch_size > 1 else 0, abs=0)
