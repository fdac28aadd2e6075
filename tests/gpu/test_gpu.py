"""What only a CUDA device can show: masked attention's backward at our lengths, bf16, compile, steps nobody waits for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch.nn.attention import SDPBackend, sdpa_kernel

from pgsynth_core import compose
from pgsynth_core.attention import masked_attention
from pgsynth_core.composition.build import build, no_weights
from pgsynth_core.runs import read_events
from pgsynth_core.spec import TrainSettings
from pgsynth_core.testing.around import Around
from pgsynth_core.training.marks import mark
from pgsynth_core.training.report import Report
from pgsynth_core.training.step import Stepper, StepTaken
from pgsynth_plugins.attention.hpfa.weighted import Weighting, weighted_attention

pytestmark = pytest.mark.gpu

LENGTHS = (704, 2816)
"""Tokens at 512x352; 704 is 64 modulo 128, where cuDNN's masked backward has given NaN (pytorch issue 196678)."""


def inputs(length: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    shape = (2, 8, length, 40)
    query, key, value = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    return (query * 30).requires_grad_(), key.requires_grad_(), value.requires_grad_()


def mask_of(length: int) -> torch.Tensor:
    mask = torch.rand(2, 1, length, length, device="cuda") > 0.5
    mask[0, :, ::7] = False  # rows with nothing to attend to
    return mask


@pytest.mark.parametrize("length", LENGTHS)
def test_masked_attention_has_finite_gradients_and_zero_rows(length: int) -> None:
    query, key, value = inputs(length)
    out = masked_attention(query, key, value, mask_of(length))
    out.float().square().sum().backward()
    assert not out[0, :, ::7].any()
    assert all(torch.isfinite(tensor.grad).all() for tensor in (query, key, value))


@pytest.mark.parametrize("length", LENGTHS)
def test_what_cudnn_does_here_is_reported(length: int) -> None:
    """The self-test that decides whether cuDNN may be trusted with masks: its verdict is printed, ours does not need it."""
    query, key, value = inputs(length)
    mask = mask_of(length)
    mask |= ~mask.any(-1, keepdim=True)
    try:
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
            F.scaled_dot_product_attention(query, key, value, attn_mask=mask).float().square().sum().backward()
    except RuntimeError as error:
        pytest.skip(f"cuDNN takes no such call: {error}")
    finite = all(torch.isfinite(tensor.grad).all() for tensor in (query, key, value))
    print(
        f"\ncuDNN {torch.backends.cudnn.version()}, {length} tokens: gradients {'finite' if finite else 'NOT finite'}"
    )


@pytest.mark.parametrize("length", LENGTHS)
def test_weighted_attention_in_bf16_is_that_of_double_precision(length: int) -> None:
    """HPFA's operation: all but the entries at the threshold agree, forward and backward, and no matrix is held."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 8, length, 40, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    by = Weighting(base=torch.rand(2, length, device="cuda"), more=torch.rand(2, length, device="cuda"))
    exact_by = Weighting(base=by.base.double(), more=by.more.double())
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    leaves = [
        [tensor.to(kind, copy=True).requires_grad_() for tensor in (query, key, value)]
        for kind in (torch.bfloat16, torch.float64)
    ]
    results = []
    for given, one in zip(leaves, (by, exact_by), strict=True):
        out, share = weighted_attention(*given, one)
        (out.double().square().sum() + share.double().square().sum()).backward()
        results.append([out, share, *(tensor.grad for tensor in given)])
        if given is leaves[0]:
            print(f"\n{length} tokens: {(torch.cuda.max_memory_allocated() - held) / 2**20:.0f} MiB at the peak")
    for ours, exact in zip(*results, strict=True):
        error = (ours.double() - exact).abs()
        assert torch.isfinite(ours).all()
        assert (error > 0.02 * exact.abs().max()).double().mean() < 1e-3


@pytest.mark.compiled
def test_the_tiny_method_compiles_and_equals_eager() -> None:
    composition = compose("tiny", "data=none")
    around = Around(composition.spec, composition.verdict, composition.registry)
    with torch.device("cuda"):
        method = around.method(device="cuda")
        made = around.inputs(method, batch=2)
        with torch.no_grad():
            shown = method.encode(made.source, made.data)
            eager = method(made.noisy, made.timesteps, shown)
            compiled = torch.compile(method, fullgraph=True)(made.noisy, made.timesteps, shown)
    torch.testing.assert_close(compiled, eager, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("preset", ["qen", "truepose"])
def test_a_step_at_stable_diffusion_size_in_bf16(preset: str) -> None:
    composition = compose(preset, "data=none")
    around = Around(composition.spec, composition.verdict, composition.registry)
    method = build(composition.spec, composition.registry, composition.verdict, device="cuda", weights=no_weights)
    with torch.device("cuda"):
        made = around.inputs(method, batch=2)
    with torch.autocast("cuda", torch.bfloat16):
        loss = made.predicted(method).float().square().mean()
    loss.backward()
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    assert torch.isfinite(loss) and all(torch.isfinite(parameter.grad).all() for parameter in trained)
    print(f"\npeak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB, loss {loss.item():.4f}")


def test_a_run_tells_what_it_holds(tmp_path: Path) -> None:
    words = ("data.figures.identities=1", "data.figures.poses=2", "train.batch_size=1", "train.workers=0")
    run = compose("tiny", "data=figures", *words, "sample.steps=2").train(runs=tmp_path, steps=3)
    held = [event["memory_bytes"] for event in read_events(run.folder.events_file) if event["kind"] == "step"]
    assert len(held) == 3 and held == sorted(held) and 2**20 < held[0] < torch.cuda.max_memory_allocated() + 1


# ------------------------------------------------------------------------------------------- who waits for whom
needs_a_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@needs_a_device
def test_no_step_waits_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But the first two, in which libraries set themselves up; what is waited for is an event of the step before."""
    take, tell, taken = Stepper.take, Report.step, list[StepTaken]()

    def watched(self: Stepper, batches: Any) -> StepTaken:
        if len(taken) >= 2:
            torch.cuda.set_sync_debug_mode("error")
        taken.append(take(self, batches))
        return taken[-1]

    def told(self: Report, *given: Any, **named: Any) -> None:
        try:
            tell(self, *given, **named)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Stepper, "take", watched)
    monkeypatch.setattr(Report, "step", told)
    words = ("data.figures.identities=1", "data.figures.poses=2", "train.batch_size=1", "train.workers=0")
    try:
        run = compose("tiny", "data=figures", *words, "sample.steps=2").train(runs=tmp_path, steps=6)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(run.losses()) == len(taken) == 6


@needs_a_device
def test_the_host_is_a_step_ahead_and_the_pace_is_the_device_s() -> None:
    device, told = torch.device("cuda", torch.cuda.current_device()), list[Mapping[str, Any]]()
    report = Report(TrainSettings(steps=100), Accelerator(), lambda kind, data: told.append(data))
    first = mark(device)
    for step in range(1, 7):
        began = mark(device)
        torch.cuda._sleep(200_000_000)  # cycles: a tenth of a second
        one = torch.ones((), device=device)
        shown = StepTaken(losses={"loss": one}, norm=one, pairs=(), skipped=())
        report.step(step, shown, began, asked=frozenset())
        if step > 2:  # kernels are loaded at their first use, for which the driver may wait
            assert not torch.cuda.current_stream().query(), "the host has waited for the step that it queued"
    last = mark(device)
    report.flush()
    last.synchronize()
    assert told[-1]["seconds_per_step"] == pytest.approx(first.elapsed_time(last) / 1000 / 6, rel=0.3)
