"""What parts read must be given: by parts, by data, in the chain, with the roles asked for."""

from __future__ import annotations

from collections.abc import Callable

from pgsynth_core.contract import Verdict
from pgsynth_core.registry import Registry

from ...fixtures.standins import PARSING_IF_ASKED, PHOTOGRAPHS, component

Judged = Callable[..., Verdict]
Extended = Callable[..., Registry]

SELF = '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n'
REFERENCE = '[component.needs.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"\n'


def messages(verdict: Verdict) -> list[str]:
    """What is wrong, without the cures."""
    return [problem.message for problem in verdict.problems]


# ------------------------------------------------------------------------------------------- parts
def test_several_readers_of_one_missing_port_are_one_problem(judged: Judged, extended: Extended) -> None:
    registry = extended(component("attention", "plain", SELF + REFERENCE))
    verdict = judged("encoder=qfft attn=hpfa+plain", registry)
    assert messages(verdict) == ["hpfa and plain need `reference`. qfft provides `tokens`."]
    assert verdict.problems[0].parts == ("hpfa", "plain")


def test_an_optional_need_works_without(judged: Judged) -> None:
    assert judged("encoder=sourcenet attn=hpfa").ok


def test_an_encoder_does_not_read_its_own_tokens(judged: Judged, extended: Extended) -> None:
    tokens = '[component.needs.tokens]\naxes=["B","N","D"]\n[component.provides.tokens]\naxes=["B","N","D"]'
    registry = extended(component("encoder", "mixer", tokens))
    assert messages(judged("encoder=mixer", registry)) == ["mixer needs `tokens`. mixer provides `tokens`."]
    assert judged("encoder=qfft+mixer", registry).ok


def test_tokens_sent_to_a_port_are_no_tokens_any_more(judged: Judged) -> None:
    words = "encoder=qfft encoder.qfft.tokens_to=pgsynth-ip:image_tokens attn=ip_attention"
    verdict = judged(words)
    assert verdict.ok
    (link,) = [link for link in verdict.links if link.giver == "qfft"]
    assert (link.port, link.readers) == ("pgsynth-ip:image_tokens", ("ip_attention",))
    with_pma = judged([*words.split(), "attn=ip_attention+pma"])
    assert messages(with_pma) == ["pma (mask=eq5) needs `tokens`. qfft provides `pgsynth-ip:image_tokens`."]


def test_roles_of_several_encoders_count_together(judged: Judged) -> None:
    assert judged("encoder=qfft+clip encoder.qfft.queries=local attn=pma").ok


def test_no_role_at_all(judged: Judged, extended: Extended) -> None:
    registry = extended(component("encoder", "plain", '[component.provides.tokens]\naxes = ["B", "N", "D"]'))
    (problem,) = judged("encoder=plain attn=pma", registry).problems
    assert problem.message == "pma (mask=eq5) needs `tokens` with role global; plain gives no role."
    assert problem.cure == "Use attn.pma.mask=eq9."


def test_where_no_option_helps_an_encoder_with_the_role_is_named(judged: Judged, extended: Extended) -> None:
    plain = component("encoder", "plain", '[component.provides.tokens]\naxes = ["B", "N", "D"]')
    needs = '[component.needs.tokens]\naxes = ["B", "N", "D"]\nroles = ["global"]'
    strict = component("attention", "strict", SELF + needs)
    (problem,) = judged("encoder=plain attn=strict", extended(plain, strict)).problems
    assert problem.cure == "Parts that give it: qfft, clip, dinov2. Write encoder=plain+qfft."


# ------------------------------------------------------------------------------------------- chains
def test_a_giver_before_the_reader_but_elsewhere(judged: Judged) -> None:
    words = "encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa attn.hpfa.sites=denoiser:self:up_blocks.*"
    (problem,) = judged(words).problems
    assert problem.message == (
        "caa acts at denoiser:self and needs `region_attention` at every site there; "
        "it is given by hpfa at denoiser:self:up_blocks.*."
    )
    assert problem.remedies == (("attn.hpfa.sites=denoiser:self",), ("attn.caa.sites=denoiser:self:up_blocks.*",))
    assert problem.cure == f"Write {problem.remedies[0][0]}, or {problem.remedies[1][0]}."


def test_two_givers_may_cover_a_chain_together(judged: Judged) -> None:
    words = (
        "encoder=sourcenet+clip encoder.clip.output=both attn=none attn.up=hpfa attn.down=hpfa attn.caa=caa "
        "attn.up.sites=denoiser:self:up_blocks.* attn.down.sites=denoiser:self:down_blocks.* "
        "attn.caa.sites=[denoiser:self:up_blocks.*,denoiser:self:down_blocks.*]"
    )
    assert judged(words).ok


def test_a_reader_of_several_givers_is_sent_to_all_of_them(judged: Judged) -> None:
    """Never to one of them alone: that would take it off the others' sites."""
    given = [f"denoiser:self:{side}" for side in ("up_blocks*", "mid_block*", "down_blocks*")]
    words = [
        *("encoder=sourcenet+clip", "encoder.clip.output=both", "attn=none"),
        *(f"attn.giver{place}=hpfa" for place in range(3)),
        "attn.caa=caa",
        *(f"attn.giver{place}.sites={pattern}" for place, pattern in enumerate(given)),
    ]
    (problem,) = judged(words).problems
    assert all(f"giver{place} at {pattern}" in problem.message for place, pattern in enumerate(given))
    assert problem.remedies == ((f"attn.caa.sites=[{','.join(given)}]",),)
    assert judged([*words, *problem.remedies[0]]).ok


def test_a_part_used_twice_is_moved_under_its_label(judged: Judged) -> None:
    words = "encoder=sourcenet+clip encoder.clip.output=both attn=caa attn.late=hpfa"
    (problem,) = judged(words).problems
    assert problem.cure == "It is given by: hpfa; write attn=late+caa."


# ------------------------------------------------------------------------------------------- data
def test_a_method_that_never_looks_at_the_person_says_so(judged: Judged) -> None:
    said = "nothing here looks at the source photo, so pictures cannot show its person; choose an encoder."
    assert said in judged("base=tiny").notes
    assert all(said not in judged(words).notes for words in ("encoder=qfft", "encoder=sourcenet attn=hpfa"))


def test_the_datasets_are_asked_for_what_the_parts_read(judged: Judged) -> None:
    verdict = judged("encoder=qfft attn=pma data=none")
    assert verdict.ok
    assert verdict.data_ports == ("source_image", "target_keypoints")
    assert "no dataset is chosen; one must bring source_image, target_keypoints." in verdict.notes
    assert judged("encoder=sourcenet attn=hpfa data=none").data_ports == (
        "source_image",
        "target_keypoints",
        "source_parsing",
    )


def test_an_option_can_withdraw_a_need(judged: Judged) -> None:
    verdict = judged("encoder=qfft attn=pma attn.pma.mask=none pose=none attn.pma.sites=denoiser:cross data=none")
    assert verdict.data_ports == ("source_image",)


def test_parts_that_need_an_extra_are_offered_last(judged: Judged, extended: Extended) -> None:
    form = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'
    eager, late = component("encoder", "aa", form), component("encoder", "ab", form, top='extra = "more"')
    (problem,) = judged("attn=pma attn.pma.mask=eq9", extended(late, eager)).problems
    assert problem.cure == "Parts that provide `tokens`: qfft, clip, dinov2, aa, ab. Write encoder=qfft."


def test_the_dataset_must_give_it(judged: Judged, extended: Extended) -> None:
    registry = extended(component("dataset", "bare", '[component.provides.source_image]\naxes = ["B", 3, "H", "W"]'))
    (problem,) = judged("encoder=qfft data=bare", registry).problems
    assert problem.message == "controlnet needs `skeleton`, made from `target_keypoints`, which bare does not give."
    assert problem.cure.startswith("Write data=figures")


LABELS = 'label_set = { type = "choice", choices = ["lip20", "atr18"], default = "lip20", help = "Labels." }\n'
LABELLED_FOLDER = component("dataset", "photos", PHOTOGRAPHS + PARSING_IF_ASKED + LABELS)


def test_what_a_dataset_lacks_is_one_problem_for_all_its_readers(judged: Judged, extended: Extended) -> None:
    words = "encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa data=photos"
    registry = extended(LABELLED_FOLDER)
    (problem,) = judged(words, registry).problems
    assert problem.parts == ("hpfa", "clip", "photos")
    assert "hpfa needs `parsing`; clip needs `source_crops`" in problem.message
    assert problem.remedies[0] == ("data.photos.parsing=true",), "the files may be there: the option comes first"
    assert problem.cure.startswith("Set data.photos.parsing=true")
    assert "data.photos.label_set=lip20" in problem.cure and "lip20 or atr18" in problem.cure
    assert judged([*words.split(), *problem.remedies[0]], registry).ok


def test_each_thing_a_dataset_lacks_is_a_problem_of_its_own(judged: Judged, extended: Extended) -> None:
    blind = component("dataset", "blind", "")
    verdict = judged("encoder=qfft data=blind", extended(blind))
    assert messages(verdict) == [
        "qfft needs `source_image`, which blind does not give.",
        "controlnet needs `skeleton`, made from `target_keypoints`, which blind does not give.",
    ]
    assert verdict.remedy == ("data=figures",)


def test_a_need_for_a_data_port_as_it_is(judged: Judged, extended: Extended) -> None:
    blind = component("dataset", "blind", "")
    verdict = judged("encoder=qfft pose=none data=blind", extended(blind))
    assert messages(verdict) == ["qfft needs `source_image`, which blind does not give."]
    assert verdict.problems[0].cure == "Write data=figures."


def test_an_optional_need_for_data_is_linked_only_if_it_is_there(judged: Judged, extended: Extended) -> None:
    body = SELF + '[component.needs.parsing]\naxes=["B","h_s","w_s"]\ndtype="label"\noptional=true'
    registry = extended(component("attention", "curious", body))

    def ports(data: str) -> set[str]:
        verdict = judged(f"encoder=qfft attn=curious data={data}", registry)
        assert verdict.ok
        return {link.port for link in verdict.links if "curious" in link.readers}

    assert ports("figures") == {"parsing"}
    assert ports("deepfashion") == set()
    assert ports("none") == set()


def test_a_dataset_may_bring_a_port_of_its_own(judged: Judged, extended: Extended) -> None:
    port = '"pgsynth-more:dense"'
    dense = component("dataset", "dense", f'[component.provides.{port}]\naxes = ["B", 2, "H", "W"]')
    branch = component("pose", "denser", f'[component.needs.{port}]\naxes = ["B", 2, "H", "W"]')
    registry = extended(dense, branch)
    assert judged("encoder=none pose=denser data=dense", registry).ok
    assert judged("encoder=none pose=denser data=none", registry).data_ports == ("pgsynth-more:dense",)
    (problem,) = judged("encoder=none pose=denser data=figures", registry).problems
    assert str(problem) == "denser needs `pgsynth-more:dense`, which figures does not give. Write data=dense."
    wrong = component("pose", "wrong", f'[component.needs.{port}]\naxes = ["B", 3, "H", "W"]')
    (problem,) = judged("encoder=none pose=wrong data=dense", extended(dense, wrong)).problems
    assert "with 2 at place 2, wrong reads [B, 3, H, W] with 3 there." in problem.message
