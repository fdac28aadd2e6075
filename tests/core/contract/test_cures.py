"""Every cure is tried here as a user would: as overrides, through `resolve`, and judged again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsynth_core.contract import Misfit, Verdict
from pgsynth_core.registry import Registry

from ...fixtures.standins import component

Judged = Callable[..., Verdict]
Extended = Callable[..., Registry]

REFUSED = (
    "encoder=qfft attn=hpfa",
    "encoder=qfft encoder.qfft.queries=local attn=pma",
    "encoder=qfft pose=pose_encoder attn=pma",
    "encoder=qfft pose=none attn=pma",
    "encoder=sourcenet attn=hpfa data=deepfashion",
    "encoder=qfft+sourcenet attn=pma",
    "encoder=sourcenet",
    "encoder=sourcenet+clip encoder.clip.output=both attn=caa+hpfa",
    "encoder=sourcenet+clip encoder.clip.output=both attn=caa",
    "encoder=sourcenet+clip attn=hpfa+caa",
    "encoder=clip encoder.clip.output=both attn=pma",
    "encoder=clip encoder.clip.output=regions attn=pma",
    "attn=pma",
    "attn=hpfa",
    "attn=caa",
    "encoder=qfft attn=caa",
    "encoder=qfft attn=ip_attention",
    "encoder=ip_image",
    "encoder=qfft encoder.qfft.tokens_to=pgsynth-ip:image_tokens",
    "encoder=qfft encoder.qfft.tokens_to=pgsynth-ip:image_tokens attn=pma",
    "encoder=ip_image+clip encoder.clip.tokens_to=pgsynth-ip:image_tokens attn=ip_attention",
    "encoder=sourcenet attn=hpfa attn.hpfa.sites=pose:self",
    "encoder=qfft attn=pma attn.pma.sites=source:cross",
    "encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa attn.hpfa.sites=denoiser:self:up_blocks.*",
)


def claim(problem: Misfit) -> str:
    """What is wrong, without what the other parts have to do with it."""
    return problem.message.split("`.")[0]


@pytest.mark.parametrize("words", REFUSED)
def test_every_cure_cures(judged: Judged, words: str) -> None:
    verdict = judged(words)
    assert verdict.problems, "this composition was meant to be refused"
    for problem in verdict.problems:
        assert problem.remedies, f"no override cures it: {problem}"
        for remedy in problem.remedies:
            cured = judged([*words.split(), *remedy])
            before, after = ({claim(each) for each in one.problems} for one in (verdict, cured))
            assert claim(problem) not in after, f"{remedy} does not cure it"
            assert after <= before, f"{remedy} brings a new problem"
            assert " ".join(remedy) in str(problem), "what works is also said"


@pytest.mark.parametrize("words", REFUSED)
def test_the_whole_remedy_leaves_nothing(judged: Judged, words: str) -> None:
    verdict = judged(words)
    assert verdict.remedy
    assert judged([*words.split(), *verdict.remedy]).ok


def test_a_cure_brings_along_what_it_needs_in_turn(judged: Judged) -> None:
    problem = judged("encoder=qfft attn=caa").problems[1]
    assert problem.remedies == (("attn=hpfa+caa", "encoder=qfft+sourcenet"),)


def test_several_problems_are_mended_by_one_line(judged: Judged) -> None:
    verdict = judged("attn=caa")
    assert len(verdict.problems) == 2
    assert judged(["attn=caa", *verdict.remedy]).ok
    assert verdict.remedy == ("encoder=clip+sourcenet", "encoder.clip.output=regions", "attn=hpfa+caa")


def test_an_override_that_would_bring_a_new_problem_is_not_suggested(judged: Judged) -> None:
    """`output=regions` gives what caa needs and takes from pma what it needs; `output=both` serves both."""
    (problem,) = judged("encoder=sourcenet+clip attn=hpfa+caa+pma").problems
    assert problem.remedies == (("encoder.clip.output=both",),)


def test_a_value_that_keeps_what_others_read_comes_first(judged: Judged) -> None:
    """`output=regions` would take from the denoiser the tokens it reads."""
    words = "encoder=sourcenet+clip attn=hpfa+caa"
    (problem,) = judged(words).problems
    assert problem.remedies[0] == ("encoder.clip.output=both",)
    before, after = (
        {(link.giver, link.port) for link in judged(one).links}
        for one in (words, f"{words} {' '.join(problem.remedies[0])}")
    )
    assert before <= after


def test_where_nothing_installed_helps_it_says_so_and_how_to_do_without(judged: Judged, extended: Extended) -> None:
    body = (
        '[component.sites]\nallowed="denoiser:self"\ndefault="denoiser:self"\n[component.needs."far:away"]\naxes=["B"]'
    )
    registry = extended(component("attention", "lonely", body))
    (problem,) = judged("encoder=qfft attn=lonely", registry).problems
    sendable = "Encoders whose tokens can be sent there: qfft, clip, dinov2."
    assert problem.cure == f"{sendable} Or do without: attn=none."
    assert problem.remedies == (("attn=none",),)


def test_a_name_of_two_packages_is_suggested_with_its_package(judged: Judged, extended: Extended) -> None:
    give = '[component.provides.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"'
    registry = extended(component("encoder", "sourcenet", give))
    (problem,) = judged("encoder=qfft attn=hpfa", registry).problems
    assert "Parts that provide `reference`: pgsynth:sourcenet, pgsynth-more:sourcenet." in problem.cure
    assert problem.remedies == (("encoder=qfft+pgsynth:sourcenet",),)
    assert judged("encoder=qfft attn=hpfa encoder=qfft+pgsynth:sourcenet", registry).ok


def test_a_name_that_is_taken_as_a_label_gets_a_number(judged: Judged, extended: Extended) -> None:
    sites = '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n'
    need = '[component.needs."pgsynth-more:thing"]\naxes = ["B", "N", "D"]'
    give = '[component.provides."pgsynth-more:thing"]\naxes = ["B", "N", "D"]'
    registry = extended(component("encoder", "twin", give), component("attention", "twin", sites + need))
    (problem,) = judged("encoder=twin attn=none", registry).problems
    assert problem.remedies == (("attn.twin_1=twin", "attn=twin_1"),)
    assert judged(["encoder=twin", *problem.remedies[0]], registry).ok


def test_annotators_and_metrics_are_never_suggested(judged: Judged, extended: Extended) -> None:
    give = '[component.provides.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"'
    others = [
        component("annotator", "parser", give, top='finds = ["parsing"]'),
        component("metric", "score", give, top='scores = { of = "pair", better = "higher" }'),
    ]
    registry = extended(*others)
    (problem,) = judged("encoder=qfft attn=hpfa", registry).problems
    assert "Parts that provide `reference`: sourcenet." in problem.cure


def test_a_label_of_the_users_own_stays_in_the_cure(judged: Judged) -> None:
    words = "encoder=none encoder.mine=qfft encoder.mine.queries=local attn=none attn.late=pma"
    (problem,) = judged(words).problems
    assert problem.message.startswith("late (mask=eq5) needs `tokens` with role global; mine gives local only.")
    assert problem.remedies == (("attn.late.mask=eq9",), ("encoder.mine.queries=local+global",))


def test_a_slot_is_written_with_the_labels_that_are_there(judged: Judged) -> None:
    words = "encoder=none encoder.mine=qfft encoder.mine.queries=local attn=hpfa"
    (problem,) = judged(words).problems
    assert problem.remedies == (("encoder=mine+sourcenet",),)
    assert judged([*words.split(), "encoder=mine+sourcenet"]).ok
