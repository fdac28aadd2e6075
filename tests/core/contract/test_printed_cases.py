"""The nine cases of INTERFACES section 1: the very words, and what is said beyond them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsynth_core.contract import Verdict

Judged = Callable[..., Verdict]

PRINTED = {
    "encoder=qfft attn=hpfa": "hpfa needs `reference`. qfft provides `tokens`. "
    "Parts that provide `reference`: sourcenet.",
    "encoder=qfft encoder.qfft.queries=local attn=pma": "pma (mask=eq5) needs `tokens` with role global; qfft gives "
    "local only. Use attn.pma.mask=eq9, or encoder.qfft.queries=local+global.",
    "encoder=qfft pose=pose_encoder attn=pma": "pma acts at pose:cross, and nothing here has such a site (there are: "
    "denoiser:self, denoiser:cross). Parts that have it: controlnet; or set attn.pma.sites=denoiser:cross.",
    "encoder=sourcenet attn=hpfa data=deepfashion": "hpfa needs `parsing`, made from `source_parsing`, which "
    "deepfashion does not give. Set data.deepfashion.parsing=true: it reads NAME.parsing.png beside each photo, "
    "a label map of its size.",
    "encoder=qfft+sourcenet attn=pma": "sourcenet provides `reference` and nothing reads it. Readers: hpfa.",
    "encoder=sourcenet+clip encoder.clip.output=both attn=caa+hpfa": "caa needs `region_attention` from a processor "
    "before it in the chain. It is given by: hpfa; write attn=hpfa+caa.",
}


@pytest.mark.parametrize(("words", "printed"), PRINTED.items())
def test_it_is_refused_in_the_printed_words(judged: Judged, words: str, printed: str) -> None:
    (problem,) = judged(words).problems
    assert str(problem).startswith(printed)


BEYOND = {
    "encoder=qfft attn=hpfa": " Write encoder=qfft+sourcenet.",
    "encoder=qfft pose=pose_encoder attn=pma": " To have it, write pose=pose_encoder+controlnet.",
    "encoder=sourcenet attn=hpfa data=deepfashion": " Or write data=figures.",
    "encoder=qfft+sourcenet attn=pma": " Write attn=pma+hpfa.",
}


@pytest.mark.parametrize(("words", "more"), BEYOND.items())
def test_it_also_says_what_to_write(judged: Judged, words: str, more: str) -> None:
    assert str(judged(words).problems[0]) == PRINTED[words] + more


def test_what_fits_is_ok(judged: Judged) -> None:
    verdict = judged("encoder=qfft attn=pma")
    assert (verdict.ok, verdict.problems, verdict.adapters, verdict.remedy) == (True, (), (), ())


def test_where_only_a_width_differs_an_adapter_is_proposed(judged: Judged) -> None:
    verdict = judged("encoder=dinov2 attn=pma")
    assert verdict.problems == ()
    assert verdict.needs_adapt and not verdict.ok
    (adapter,) = verdict.adapters
    printed = "D is 1024, the base sd has D=768: adapter Linear(1024, 768); take it with --adapt"
    assert str(adapter) == f"dinov2 gives `tokens`: {printed}"
