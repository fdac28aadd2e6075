"""Type, range and axes of a port agree at both ends; where only a width differs, an adapter is proposed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsynth_core.contract import Adapter, Verdict, check, with_adapters
from pgsynth_core.errors import ContractError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec

from ...fixtures.standins import component

Judged = Callable[..., Verdict]
Composed = Callable[..., Spec]
Extended = Callable[..., Registry]

GIVES = '[component.provides."pgsynth-more:thing"]\n'
READS = (
    '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n[component.needs."pgsynth-more:thing"]\n'
)
FORM = 'axes = ["B", "N", 64]\n'


def pair(extended: Extended, given: str, read: str) -> Registry:
    """An encoder `giver` and a processor `reader` of one port."""
    return extended(component("encoder", "giver", GIVES + given), component("attention", "reader", READS + read))


def message(judged: Judged, registry: Registry) -> str:
    """What is wrong between them, in words."""
    (problem,) = judged("encoder=giver attn=reader", registry).problems
    return problem.message.replace("`pgsynth-more:thing`", "it")


@pytest.mark.parametrize(
    ("given", "read", "said"),
    [
        (FORM + 'dtype = "label"', FORM, "giver gives it as label, reader reads it as float."),
        (
            FORM + 'range = "[0,1]"',
            FORM + 'range = "clip"',
            "giver gives it in the range [0,1], reader reads it in clip.",
        ),
        (FORM + 'per = "sites"', FORM, "giver gives it for each site, reader reads it once for all sites."),
        (FORM, FORM + 'per = "sites"', "giver gives it once for all sites, reader reads it for each site."),
        (FORM, 'axes = ["B", 64]', "giver gives it as [B, N, 64], reader reads it as [B, 64]."),
        (
            'axes = ["B", "N", "D"]',
            'axes = ["N", "B", "D"]',
            "giver gives it as [B, N, D], reader reads it as [N, B, D].",
        ),
        (
            'axes = ["B", 5, 64]',
            'axes = ["B", 7, 64]',
            "giver gives it as [B, 5, 64] with 5 at place 2, reader reads [B, 7, 64] with 7 there.",
        ),
    ],
)
def test_what_cannot_be_read_as_it_is_given(
    judged: Judged, extended: Extended, given: str, read: str, said: str
) -> None:
    assert message(judged, pair(extended, given, read)) == said


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (FORM + 'range = "any"', FORM + 'range = "[-1,1]"'),
        (FORM + 'range = "clip"', FORM + 'range = "any"'),
        (FORM, 'axes = ["B", "R", "C"]'),
        ('axes = ["B", "K", "D"]', 'axes = ["B", 5, 768]'),
        ('axes = ["B", "M", "M"]', 'axes = ["B", 7, 7]'),
    ],
)
def test_what_agrees(judged: Judged, extended: Extended, given: str, read: str) -> None:
    assert judged("encoder=giver attn=reader", pair(extended, given, read)).ok


def test_a_free_symbol_is_one_number_for_all_readers(judged: Judged, extended: Extended) -> None:
    readers = [component("attention", f"reader{n}", READS + f'axes = ["B", {n}, 64]') for n in (5, 7)]
    registry = extended(component("encoder", "giver", GIVES + FORM), *readers)
    (problem,) = judged("encoder=giver attn=reader5+reader7", registry).problems
    assert "with 5 at place 2, reader7 reads [B, 7, 64] with 7 there." in problem.message
    assert problem.cure == "They cannot be used together; write attn=reader5."


def test_a_width_that_is_no_number_is_told_before_a_layer_is_built(judged: Judged, extended: Extended) -> None:
    registry = extended(component("encoder", "giver", '[component.provides.tokens]\naxes = ["B", "N", "Q"]\n'))
    (problem,) = (one for one in judged("encoder=giver", registry).problems if "Q" in one.message)
    assert "giver gives `tokens` as [B, N, Q], and Q stands for no number; " in problem.message
    assert problem.message.endswith("reads [B, N, D].") and "a number, D or an option for Q" in problem.cure


def test_an_axis_may_be_a_sum_of_options(judged: Judged, extended: Extended) -> None:
    options = "".join(f'{name} = {{ type = "int", default = 4, help = "So many." }}\n' for name in ("one", "two"))
    given = f'axes = ["B", "one + two", "D"]\n[component.options]\n{options}'
    assert judged("encoder=giver attn=reader", pair(extended, given, 'axes = ["B", 8, "D"]')).ok
    wrong = judged("encoder=giver encoder.giver.one=5 attn=reader", pair(extended, given, 'axes = ["B", 8, "D"]'))
    assert "with 9 at place 2" in wrong.problems[0].message


def test_an_option_that_mends_a_form_is_the_cure(judged: Judged, extended: Extended) -> None:
    clause = '[[component.provides."pgsynth-more:thing".when]]\noptions = { raw = [true] }\ndtype = "label"\n'
    option = '[component.options]\nraw = { type = "bool", default = true, help = "Before the table." }'
    (problem,) = judged("encoder=giver attn=reader", pair(extended, FORM + clause + option, FORM)).problems
    assert problem.cure == "Use encoder.giver.raw=false."


# ------------------------------------------------------------------------------------------- what core makes
@pytest.mark.parametrize(
    ("need", "said"),
    [
        ('skeleton]\naxes = ["B", 3, "H", "W"]\nrange = "[-1,1]"', "in the range [0,1], branch reads it in [-1,1]."),
        ('skeleton]\naxes = ["B", 1, "H", "W"]', "with 3 at place 2, branch reads [B, 1, H, W] with 1 there."),
        ('pose_mask]\naxes = ["B", 1, "h", "w"]', "as bool, branch reads it as float."),
    ],
)
def test_what_core_makes_has_one_form(judged: Judged, extended: Extended, need: str, said: str) -> None:
    registry = extended(component("pose", "branch", f"[component.needs.{need}"))
    (problem,) = judged("encoder=none pose=branch", registry).problems
    assert problem.message.endswith(said)
    assert problem.cure == "They cannot be used together; write pose=none."


def test_images_come_in_the_range_each_reader_asks_for(judged: Judged) -> None:
    assert judged("encoder=qfft+clip").ok


# ------------------------------------------------------------------------------------------- per site
def test_a_per_site_port_reaches_only_the_kinds_of_site_its_network_has(judged: Judged, extended: Extended) -> None:
    give = (
        '[component.provides.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"\n[component.networks]\nlean = ["self"]'
    )
    need = '[component.needs.reference]\naxes = ["B", "N_s", "C"]\nper = "sites"\n'
    sites = '[component.sites]\nallowed = "denoiser:*"\ndefault = "denoiser:*"\n'
    option = '[component.options]\nsites = { type = "sites", default = "denoiser:*", help = "Where." }'
    registry = extended(component("encoder", "leannet", give), component("attention", "wide", sites + need + option))
    (problem,) = judged("encoder=leannet attn=wide", registry).problems
    assert problem.message == "wide acts at denoiser:cross, and leannet gives `reference` for self sites only."
    assert problem.remedies == (("attn.wide.sites=denoiser:self",),)
    assert judged("encoder=leannet attn=wide attn.wide.sites=denoiser:self", registry).ok


# ------------------------------------------------------------------------------------------- adapters
def test_an_adapter_is_taken_and_recorded(house: Registry, composed: Composed) -> None:
    spec = composed("encoder=dinov2 attn=pma")
    verdict = check(spec, house)
    with pytest.raises(ContractError, match=r"adapter: dinov2 gives `tokens`: D is 1024.*take it with --adapt\."):
        verdict.raise_if_refused()
    taken = with_adapters(spec, verdict.adapters)
    assert taken.adapters == {"dinov2": {"tokens": (1024, 768)}}
    assert spec.adapters == {}
    again = check(taken, house)
    assert again.ok
    again.raise_if_refused()


def test_the_recorded_adapter_can_be_written_as_an_override(judged: Judged) -> None:
    assert judged("encoder=dinov2 adapters.dinov2.tokens=[1024,768]").ok


def test_another_base_wants_another_adapter(judged: Judged) -> None:
    verdict = judged("encoder=dinov2 adapters.dinov2.tokens=[1024,768] base=tiny")
    assert [(adapter.given, adapter.wanted) for adapter in verdict.adapters] == [(1024, 64)]


def test_an_adapter_that_is_not_needed_any_more_is_refused(judged: Judged) -> None:
    words = "encoder=dinov2 adapters.dinov2.tokens=[1024,768] base.sd.architecture=sd2"
    (problem,) = judged(words).problems
    assert str(problem) == (
        "the spec has an adapter Linear(1024, 768) for `tokens` of dinov2, which needs none. "
        "Take adapters.dinov2.tokens out of the spec."
    )


def test_each_encoder_gets_its_own_adapter(judged: Judged, extended: Extended) -> None:
    registry = extended(component("encoder", "wide", '[component.provides.tokens]\naxes = ["B", "N", 2048]'))
    verdict = judged("encoder=dinov2+wide+qfft", registry)
    assert [(adapter.label, adapter.given) for adapter in verdict.adapters] == [("dinov2", 1024), ("wide", 2048)]


def test_the_adapter_of_tokens_sent_elsewhere_stands_under_tokens(judged: Judged) -> None:
    words = "encoder=dinov2 encoder.dinov2.tokens_to=pgsynth-ip:image_tokens attn=ip_attention"
    verdict = judged(words)
    assert [(adapter.label, adapter.port) for adapter in verdict.adapters] == [("dinov2", "tokens")]
    assert judged(f"{words} adapters.dinov2.tokens=[1024,768]").ok


def test_a_readers_own_width_is_met_by_an_adapter_too(judged: Judged, extended: Extended) -> None:
    verdict = judged("encoder=giver attn=reader", pair(extended, FORM, 'axes = ["B", "N", 48]'))
    expected = Adapter("giver", "pgsynth-more:thing", "", 64, 48, "reader")
    assert verdict.adapters == (expected,)
    assert "width is 64, reader has width=48: adapter Linear(64, 48)" in str(expected)


def test_no_adapter_serves_two_widths(judged: Judged, extended: Extended) -> None:
    sites = '[component.sites]\nallowed = "denoiser:cross"\ndefault = "denoiser:cross"\n'
    body = sites + '[component.needs.tokens]\naxes = ["B", "N", 1024]'
    verdict = judged("encoder=dinov2 attn=fixed", extended(component("attention", "fixed", body)))
    (problem,) = verdict.problems
    assert problem.message == "fixed reads `tokens` of dinov2 with width 1024, the base sd with 768."
    assert verdict.adapters == ()


@pytest.mark.parametrize("form", ['dtype = "label"', 'dtype = "bool"', 'per = "sites"'])
def test_only_float_ports_of_the_whole_composition_are_adapted(judged: Judged, extended: Extended, form: str) -> None:
    registry = pair(extended, FORM + form, f'axes = ["B", "N", 48]\n{form}')
    assert "with 64 at place 3" in message(judged, registry)
