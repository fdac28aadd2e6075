"""What concerns the composition as a whole: claims, rings, label sets, size, settings, links, `fits`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsynth_core.contract import Link, Verdict, check, fits
from pgsynth_core.contract.changes import with_part
from pgsynth_core.contract.check import examine
from pgsynth_core.contract.cures import Finding, key_of
from pgsynth_core.contract.plan import plan_of
from pgsynth_core.errors import ContractError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec

from ...fixtures.standins import component

Judged = Callable[..., Verdict]
Composed = Callable[..., Spec]
Extended = Callable[..., Registry]

TOKENS = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'
READS_TOKENS = '[component.needs.tokens]\naxes = ["B", "N", "D"]\n'


# ------------------------------------------------------------------------------------------- outputs
def test_two_parts_cannot_claim_one_port(judged: Judged, extended: Extended) -> None:
    give = '[component.provides.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"'
    registry = extended(component("encoder", "other", give))
    (problem,) = judged("encoder=sourcenet+other attn=hpfa", registry).problems
    assert problem.message == "sourcenet and other both provide `reference`, and a composition has one."
    assert problem.cure == "Keep one: encoder=sourcenet, or encoder=other."


def test_an_option_that_gives_up_the_claim_comes_first(judged: Judged, extended: Extended) -> None:
    registry = extended(component("encoder", "other", '[component.provides.regions]\naxes = ["B", "R", "D"]'))
    words = "encoder=sourcenet+clip+other encoder.clip.output=both attn=hpfa+caa"
    (problem,) = judged(words, registry).problems
    assert problem.message == "clip and other both provide `regions`, and a composition has one."
    assert problem.cure.startswith("Set encoder.clip.output=tokens. Keep one: ")


def test_two_parts_with_the_same_port_of_a_package_clash(judged: Judged) -> None:
    words = "encoder=ip_image+clip encoder.clip.tokens_to=pgsynth-ip:image_tokens attn=ip_attention"
    (problem,) = judged(words).problems
    assert "ip_image and clip both provide `pgsynth-ip:image_tokens`" in problem.message
    assert problem.remedies[0] == ("encoder.clip.tokens_to=cross",)


def test_tokens_are_joined(judged: Judged) -> None:
    verdict = judged("encoder=qfft+clip attn=pma")
    assert verdict.ok
    assert [link.giver for link in verdict.links if link.port == "tokens"] == ["qfft", "clip"]


def test_a_port_that_need_not_be_read(judged: Judged) -> None:
    verdict = judged("encoder=sourcenet attn=hpfa")
    assert Link("region_attention", "hpfa", ()) in verdict.links


def test_without_cross_attention_nothing_reads_tokens(judged: Judged, extended: Extended) -> None:
    body = '[component.binds]\nZ = 4\n[component.networks]\ndenoiser = ["self"]'
    registry = extended(component("base", "plain", body, top='size = "64x64"\nstride = 8'))
    (problem,) = judged("base=plain pose=none encoder=qfft", registry).problems
    assert problem.message == "qfft provides `tokens` and nothing reads it."


def test_a_port_read_by_a_processor_further_in_only_is_unread(judged: Judged, extended: Extended) -> None:
    sites = '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n'
    give = '[component.provides.region_attention]\naxes = ["B", "R"]\nscope = "chain"\nreader = "required"'
    registry = extended(component("attention", "loud", sites + give))
    words = "encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa+loud"
    (problem,) = judged(words, registry).problems
    assert problem.message == "loud provides `region_attention` and nothing reads it."
    assert judged([*words.split(), "attn=loud+caa", "encoder=clip"], registry).ok


# ------------------------------------------------------------------------------------------- rings
def test_two_encoders_that_wait_for_each_other(judged: Judged, extended: Extended) -> None:
    registry = extended(*(component("encoder", name, TOKENS + READS_TOKENS) for name in ("left", "right")))
    (problem,) = judged("encoder=left+right+qfft", registry).problems
    assert problem.message == "left and right each need `tokens` of the other: none can run first."
    assert problem.parts == ("left", "right")
    assert problem.cure == "Leave one out: encoder=right+qfft, or encoder=left+qfft."


def test_optional_tokens_make_a_ring_too(judged: Judged, extended: Extended) -> None:
    body = f"{TOKENS}{READS_TOKENS}optional = true"
    registry = extended(*(component("encoder", name, body) for name in ("left", "right")))
    (problem,) = judged("encoder=left+right", registry).problems
    assert "none can run first" in problem.message


def test_a_line_of_encoders_is_no_ring(judged: Judged, extended: Extended) -> None:
    registry = extended(component("encoder", "left", TOKENS + READS_TOKENS))
    assert judged("encoder=left+qfft+sourcenet attn=hpfa", registry).ok


# ------------------------------------------------------------------------------------------- label sets
def test_the_label_set_is_the_datasets_where_parsing_is_read(judged: Judged) -> None:
    assert judged("encoder=sourcenet attn=hpfa data=market1501").label_set == "lip20"
    assert judged("encoder=qfft data=market1501").label_set == ""


def test_a_part_made_for_one_label_set_refuses_another(judged: Judged, extended: Extended) -> None:
    sites = '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n'
    body = sites + '[component.needs.parsing]\naxes = ["B", "h_s", "w_s"]\ndtype = "label"'
    registry = extended(component("attention", "fussy", body, top='label_set = "atr18"'))
    assert judged("encoder=qfft attn=fussy data=figures", registry).label_set == "atr18"
    (problem,) = judged("encoder=qfft attn=fussy data=market1501", registry).problems
    assert "(market1501: lip20; fussy: atr18)" in problem.message
    assert ("attn=none",) in problem.remedies


def test_a_label_set_that_nobody_knows(judged: Judged, extended: Extended) -> None:
    images = "".join(f'[component.provides.{port}]\naxes = ["B"]\n' for port in ("source_image", "target_keypoints"))
    parsing = '[component.provides.source_parsing]\naxes = ["B", "H", "W"]\ndtype = "label"\n'
    registry = extended(component("dataset", "folder", images + parsing, top='label_set = "art18"'))
    (problem,) = judged("encoder=sourcenet attn=hpfa data=folder", registry).problems
    assert str(problem) == (
        "folder has the label set 'art18', which is none that pgsynth knows. "
        "Did you mean 'atr18'? Label sets: atr18, lip20, cihp20."
    )


def test_a_datasets_option_says_its_label_set(judged: Judged, extended: Extended) -> None:
    images = "".join(f'[component.provides.{port}]\naxes = ["B"]\n' for port in ("source_image", "target_keypoints"))
    parsing = '[component.provides.source_parsing]\naxes = ["B", "H", "W"]\ndtype = "label"\n'
    option = 'label_set = { type = "choice", choices = ["atr18", "lip20"], default = "lip20", help = "Labels." }'
    registry = extended(component("dataset", "folder", f"{images}{parsing}[component.options]\n{option}"))
    assert judged("encoder=sourcenet attn=hpfa data=folder", registry).label_set == "lip20"


# ------------------------------------------------------------------------------------------- size and settings
def test_a_size_that_is_no_whole_number_of_cells(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=qfft").model_copy(update={"size": (500, 350)})
    (problem,) = check(spec, house).problems
    assert problem.message == (
        "size 500x350 (height x width) does not fit the base sd, whose latent cells are 8 pixels wide and high."
    )
    assert problem.cure == "The nearest that fit: size=496x352, or size=504x352."
    for remedy in ((496, 352), (504, 352)):
        assert check(spec.model_copy(update={"size": remedy}), house).ok


def test_a_size_below_one_cell(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=qfft").model_copy(update={"size": (3, 16)})
    assert check(spec, house).problems[0].remedies == (("size=8x16",),)


def test_a_combination_that_its_own_manifest_refuses(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=dinov2 adapters.dinov2.tokens=[1024,768]")
    (choice,) = spec.encoder
    options = choice.options | {"pretrained": False}
    spec = spec.model_copy(update={"encoder": (choice.model_copy(update={"options": options}),)})
    (problem,) = check(spec, house).problems
    assert str(problem) == (
        "dinov2 (pretrained=false, train=false): frozen without weights it gives noise. "
        "Set encoder.dinov2.pretrained=true, or encoder.dinov2.train=true."
    )
    assert problem.remedies == (("encoder.dinov2.pretrained=true",), ("encoder.dinov2.train=true",))


@pytest.mark.parametrize("target", ["elsewhere", "pgsynth-ip:image tokens"])
def test_tokens_go_to_cross_or_to_a_port(house: Registry, composed: Composed, target: str) -> None:
    spec = composed("encoder=qfft attn=pma")
    (choice,) = spec.encoder
    choice = choice.model_copy(update={"options": choice.options | {"tokens_to": target}})
    first = check(spec.model_copy(update={"encoder": (choice,)}), house).problems[0]
    assert first.message == f"qfft: tokens_to is {target!r}; it is cross, or a port as package:name."
    assert ("encoder.qfft.tokens_to=cross",) in first.remedies


def test_tokens_are_not_sent_where_the_encoder_gives_something_else(judged: Judged, extended: Extended) -> None:
    both = TOKENS + '[component.provides."pgsynth-ip:image_tokens"]\naxes = ["B", "N", "D"]'
    registry = extended(component("encoder", "twofold", both))
    words = "encoder=twofold encoder.twofold.tokens_to=pgsynth-ip:image_tokens attn=ip_attention"
    (problem,) = judged(words, registry).problems
    assert (
        problem.message == "twofold gives `pgsynth-ip:image_tokens` already, and tokens_to sends its tokens there too."
    )
    assert problem.remedies == (("encoder.twofold.tokens_to=cross",),)


FAULTY = component(
    "base",
    "faulty",
    '[component.binds]\nD = { option = "kind", values = { a = 8 } }\n[component.networks]\nsource = ["self"]\n'
    '[component.options]\nkind = { type = "choice", choices = ["a", "b"], default = "a", help = "Which." }',
    top='size = "64x64"\nstride = 8',
)


def test_a_base_whose_manifest_is_at_fault_is_a_refusal_not_a_crash(judged: Judged, extended: Extended) -> None:
    (problem,) = judged("base=faulty base.faulty.kind=b", extended(FAULTY)).problems
    assert (
        problem.message == "the manifest of the base faulty gives no axes for these options: "
        "kind = 'b' binds no axis: it must be one of a."
    )
    assert problem.cure == "Choose other options of faulty, or tell the authors of pgsynth-more."


def test_a_base_whose_manifest_is_at_fault_is_never_suggested(composed: Composed, extended: Extended) -> None:
    registry = extended(FAULTY)
    plan, _ = plan_of(composed("base=tiny", registry), registry)
    assert plan is not None and not any(isinstance(symptom, Finding) for symptom in examine(plan))
    faulty = registry.find("base", "faulty")
    changed = with_part(plan, faulty, written="faulty", options={"kind": "b"}).plan
    assert [key_of(symptom) for symptom in examine(changed)] == [("base", "base.faulty")]


# ------------------------------------------------------------------------------------------- the verdict
def test_links_say_who_gives_and_who_reads_in_order(judged: Judged) -> None:
    words = "encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa+pma"
    assert judged(words).links == (
        Link("source_image", "data", ("clip",)),
        Link("pose_mask", "data", ("pma",)),
        Link("parsing", "data", ("hpfa",)),
        Link("skeleton", "data", ("controlnet",)),
        Link("source_latent", "data", ("sourcenet",)),
        Link("source_crops", "data", ("clip",)),
        Link("reference", "sourcenet", ("hpfa",)),
        Link("tokens", "clip", ("denoiser:cross", "pose:cross", "sourcenet", "pma")),
        Link("regions", "clip", ("caa",)),
        Link("region_attention", "hpfa", ("caa",)),
    )


def test_the_base_binds_the_axes(judged: Judged) -> None:
    assert judged("encoder=qfft").axes == {"D": 768, "Z": 4}
    assert judged("base=tiny encoder=qfft").axes == {"D": 64, "Z": 12}
    assert judged("base.sd.architecture=sd2 encoder=qfft").axes["D"] == 1024


def test_the_label_set_binds_the_number_of_regions(judged: Judged) -> None:
    assert judged("encoder=sourcenet attn=hpfa data=figures").axes["R"] == 18
    assert judged("encoder=sourcenet attn=hpfa data=market1501").axes["R"] == 20
    assert "R" not in judged("encoder=sourcenet attn=hpfa data=none").axes


def test_what_refuses_nothing_is_noted(judged: Judged, house: Registry, composed: Composed, extended: Extended) -> None:
    registry = extended(component("encoder", "old", TOKENS, top='status = "deprecated"'))
    assert "old is deprecated: A stand-in." in judged("encoder=old", registry).notes
    spec = composed("encoder=qfft").model_copy(update={"adapters": {"gone": {"tokens": (1, 2)}}})
    assert "the spec has an adapter for gone, which is not here; it has no effect." in check(spec, house).notes


def test_every_problem_is_told_at_once(judged: Judged) -> None:
    verdict = judged("encoder=qfft+sourcenet encoder.qfft.queries=local pose=none attn=pma+caa")
    assert [problem.parts[0] for problem in verdict.problems] == ["pma", "caa", "pma", "caa", "sourcenet"]
    with pytest.raises(ContractError) as raised:
        verdict.raise_if_refused()
    assert raised.value.problems == verdict.problems


def test_a_part_that_is_not_installed_is_a_refusal(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=qfft")
    gone = spec.encoder[0].model_copy(update={"part": "pgsynth:qff"})
    (problem,) = check(spec.model_copy(update={"encoder": (gone,)}), house).problems
    assert str(problem).startswith("encoder.qfft: there is no encoder 'pgsynth:qff'. ")
    assert "qfft" in problem.cure


# ------------------------------------------------------------------------------------------- fits
@pytest.mark.parametrize(
    ("slot", "name", "reason"),
    [
        ("attn", "pma", ""),
        ("encoder", "clip", ""),
        ("base", "tiny", ""),
        ("data", "deepfashion", ""),
        ("pose", "pose_encoder", ""),
        ("attn", "hpfa", "hpfa needs `reference`."),
        ("encoder", "sourcenet", "sourcenet provides `reference` and nothing reads it."),
        ("encoder", "no_such", "there is no encoder 'no_such'."),
    ],
)
def test_a_choice_is_judged_before_it_is_made(
    house: Registry, composed: Composed, slot: str, name: str, reason: str
) -> None:
    verdict = fits(composed("encoder=qfft"), slot, name, house)
    assert verdict.ok is not bool(reason)
    assert " ".join(problem.message for problem in verdict.problems).startswith(reason)


def test_a_choice_that_stands_changes_nothing(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=qfft encoder.qfft.queries=local attn=pma attn.pma.mask=eq9")
    assert fits(spec, "attn", "pma", house) == check(spec, house)


def test_a_choice_may_need_an_adapter(house: Registry, composed: Composed) -> None:
    verdict = fits(composed("encoder=qfft"), "encoder", "dinov2", house)
    assert verdict.needs_adapt
    assert fits(composed("encoder=qfft"), "encoder", "pgsynth:dinov2", house) == verdict
