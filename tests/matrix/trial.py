"""A combination tried: composed, trained for a few steps, sampled, saved, and read into a method built anew.

Its chains come off and on again in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsynth_core import compose
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.composition.chain import attach, chains_of, detach
from pgsynth_core.composition.conditions import labels_of
from pgsynth_core.composition.hub import Weights
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.weights import kept_tensors, load_kept, trained_parameters
from pgsynth_core.data.order import Order
from pgsynth_core.data.tensors import Batch, Examples, collate
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.objective import Objective

STEPS = 4
"""Until what lies behind a weight that starts at zero has a gradient too, whatever is dropped."""


def attempt(words: tuple[str, ...], folder: Path, *, source: Mapping[str, Any] | None = None) -> None:
    """Everything that a combination must be able to do; raises what is wrong.

    Every condition is dropped in some samples of training, and is a branch of guidance in sampling.

    Args:
        words: Its overrides.
        folder: Where its weights are written.
        source: A spec to override.
    """
    composition = compose(source, *words, "train.warmup_steps=0", adapt=True)
    spec, registry = composition.spec, composition.registry

    def built(seed: int) -> Assembly:
        seeded = spec.model_copy(update={"train": spec.train.model_copy(update={"seed": seed})})
        return Assembly.of(seeded, registry, composition.verdict, device="cpu", weights=Weights())

    assembly = built(0)
    batch = _batch(assembly)
    _train(assembly, batch)
    before = _sampled(assembly.method, batch)
    base = spec.base.label
    file = folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in kept_tensors(assembly.method, base).items()}, file)
    other = built(1)  # with other new weights, so that whatever is not in the file shows
    load_kept(other.method, base, load_file(file), where=str(file))
    _take_off_and_put_on(other.method)
    after = _sampled(other.method, batch)
    assert before.isfinite().all()
    assert torch.equal(before, after), "what was read back samples something else"


def _batch(assembly: Assembly) -> Batch:
    dataset = dataset_of(assembly.spec, assembly.registry, "train")
    examples = Examples(dataset, assembly.plan(source_pose=True), order=Order(len(dataset), 0))
    batch = collate([examples[position] for position in range(2)])
    assert isinstance(batch, Batch)
    return batch


def _train(assembly: Assembly, batch: Batch) -> None:
    """A few steps on one batch; afterwards every parameter that trains has had a gradient that is a number."""
    method, spec = assembly.method.train(), assembly.spec
    objective = Objective(method, spec.train.loss)
    parameters = trained_parameters(method, spec.base.label)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-3, weight_decay=0.0)
    labels = labels_of("all", method)
    chance = Chance(
        seed=0,
        times=objective.scheduler.config["num_train_timesteps"],
        shape=(method.latent_channels, *batch.conditioning().latent_grid),
        drop={"all": 0.1} | dict.fromkeys(labels, 0.3),
        groups={"all": labels} | {label: (label,) for label in labels},
        halves=objective.halves,
    )
    waiting = set(parameters)
    for step in range(STEPS):
        optimizer.zero_grad()
        objective(batch, chance.draw([2 * step, 2 * step + 1]))["loss"].backward()
        for name, parameter in parameters.items():
            assert parameter.grad is not None, f"no gradient at {name}"
            assert parameter.grad.isfinite().all(), f"gradient at {name} is no number"
        waiting = {name for name in waiting if not parameters[name].grad.any()}
        optimizer.step()
    waiting = {name for name in waiting if not _chooses_between_one(name, method)}
    assert not waiting, f"only zeros as gradient at {sorted(waiting)}"


def _chooses_between_one(name: str, method: Method) -> bool:
    """Queries and keys of an attention to one learned token: its weight is 1, whatever they are."""
    return method.null_token is not None and any(
        part in name for part in ("attn2.to_q", "attn2.to_k", "norm2.weight", "norm2.bias")
    )


def _take_off_and_put_on(method: Method) -> None:
    """Chains on a network and off again leave its tree and its keys as they were without any."""
    for network in method.networks():
        chains = chains_of(network)
        detach(network, {path: AttnProcessor2_0() for path in chains})
        before = [name for name, _ in network.named_modules()], list(network.state_dict())
        assert not any(".processor" in name for names in before for name in names), "a chain stays behind"
        detach(network, attach(network, chains))
        assert before == ([name for name, _ in network.named_modules()], list(network.state_dict()))
        attach(network, chains)


def _sampled(method: Method, batch: Batch) -> Tensor:
    method.eval()
    plan = SamplePlan(scheduler="ddim", steps=2, guidance=dict.fromkeys(labels_of("all", method), 1.5))
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    return sample_latents(method, batch.source_inputs(), batch.conditioning(), plan, generators)
