"""What HPFA's link costs beside the whole matrix and beside plain attention, region scores included.

64x64 tokens, 8 heads of 40, batch 4, forward and backward on a CPU, each form in a process of its own: peak memory is
of a process. Run: make bench.
"""

from __future__ import annotations

import pytest

from ..fixtures.memory import needs_peak, run_apart

pytestmark = pytest.mark.bench

PROGRAM = """
import json, sys, time
import torch
import torch.nn.functional as F
from torch import nn
from pgsynth_core.attention import join_heads, project_keys, split_heads
from pgsynth_core.interfaces import AttentionCall, AttentionResult, BuildContext, Conditioning, Site
from pgsynth_plugins.attention.hpfa import Config
from pgsynth_plugins.attention.hpfa.model import HPFA

form, batch, side, heads, width = sys.argv[1], 4, 64, 8, 40
tokens, channels = side * side, heads * width
torch.manual_seed(0)
torch.set_num_threads(2)

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in range(3))

class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Layer()

site = Site("denoiser", "layer", "self", channels, heads, 0)
build = BuildContext(label="hpfa", axes={}, image_size=(64, 64), stride=1, weights=lambda *_: None, denoiser=Denoiser())
part = HPFA(Config(), site, build)

def call_of(count):
    hidden, source = (torch.randn(batch, count, channels, requires_grad=True) for _ in range(2))
    labels = torch.randint(0, 18, (batch, 1, count))
    given = Conditioning(latent_grid=(1, count), reference={"source:self:layer": source}, parsing=(labels,))
    query = split_heads(torch.randn(batch, count, channels), heads).requires_grad_()
    return AttentionCall(site=site, hidden=hidden, context=hidden, query=query, mask=None, grid=(1, count),
                         conditioning=given, backbone=build.denoiser.layer, prepared={})

def run(call):
    source, labels = call.conditioning.reference["source:self:layer"], call.conditioning.parsing[0].flatten(1)
    if form == "blocks":
        result = part(call, lambda call: AttentionResult(hidden=torch.zeros(call.hidden.shape)))
        return result.hidden, result.region_attention
    key, value = project_keys(part, source, heads)
    if form == "plain":
        return join_heads(F.scaled_dot_product_attention(call.query, key, value)), torch.zeros(())
    attention = torch.softmax(call.query @ key.transpose(2, 3) / width**0.5, dim=-1)
    inside = part.inside[labels][:, None, None]
    weights = attention * torch.where(inside, torch.where(attention >= 1 / key.shape[2], 1.6, 1.0), 0.3)
    regions = F.one_hot(labels, 18).float()
    scores = torch.einsum("bn,bnr->br", weights.mean((1, 2)), regions) / regions.sum(1).clamp(min=1)
    return join_heads(weights @ value), scores

def step(call):
    hidden, scores = run(call)
    (hidden.sum() + scores.sum()).backward()

step(call_of(64))
whole, seconds = call_of(tokens), []
before = peak_bytes()
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    step(whole)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds), "bytes": peak_bytes() - before}))
"""


@needs_peak
def test_hpfa_needs_no_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    ours, plain, dense = (
        run_apart(PROGRAM, form, rounds) for form, rounds in (("blocks", "3"), ("plain", "3"), ("dense", "2"))
    )
    with capsys.disabled():
        print(
            f"\nHPFA, 64x64 tokens, 8 heads of 40, batch 4, forward + backward: {ours['bytes'] / 1e6:.0f} MB above the "
            f"inputs (dense {dense['bytes'] / 1e6:.0f}), {ours['seconds']:.2f} s: {ours['seconds'] / dense['seconds']:.2f} x "
            f"dense ({dense['seconds']:.2f}), {ours['seconds'] / plain['seconds']:.2f} x plain ({plain['seconds']:.2f})"
        )
    assert ours["bytes"] <= min(1.0e9, dense["bytes"] / 10)
    assert ours["seconds"] <= 0.8 * dense["seconds"]
    assert ours["seconds"] <= 3.5 * plain["seconds"]
