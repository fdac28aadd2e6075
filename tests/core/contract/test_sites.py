"""Site patterns mean the same everywhere, and processors act where they may and where there is something."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsynth_core.contract import Network, SitePattern, Verdict, pattern_list

Judged = Callable[..., Verdict]


# ------------------------------------------------------------------------------------------- patterns
@pytest.mark.parametrize(
    ("pattern", "site", "selected"),
    [
        ("denoiser:self", "denoiser:self:mid.attn1", True),
        ("denoiser:self", "denoiser:cross:mid.attn2", False),
        ("denoiser:*", "denoiser:cross:mid.attn2", True),
        ("*:cross", "pose.second:cross:mid.attn2", True),
        ("pose:cross", "pose.second:cross:mid.attn2", True),
        ("pose.second:cross", "pose:cross:mid.attn2", False),
        ("pose:cross", "poses:cross:mid.attn2", False),
        ("denoiser:self:up_blocks.*", "denoiser:self:up_blocks.1.attn1", True),
        ("denoiser:self:up_blocks.*", "denoiser:self:down_blocks.1.attn1", False),
        ("denoiser:self:*.attn1", "denoiser:self:Up.attn1", True),
    ],
)
def test_which_sites_a_pattern_means(pattern: str, site: str, selected: bool) -> None:
    assert SitePattern.parse(pattern).selects(*site.split(":", 2)) is selected


@pytest.mark.parametrize("text", ["denoiser", "denoiser:up", "a b:self", ":self", "denoiser:self:", ""])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"NETWORK:KIND\[:GLOB\]"):
        SitePattern.parse(text)


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("denoiser:self", "denoiser:self", True),
        ("denoiser:self", "*:self", True),
        ("*:self", "denoiser:self", False),
        ("denoiser:*", "denoiser:self", False),
        ("denoiser:self", "denoiser:*", True),
        ("pose.late:cross", "pose:cross", True),
        ("pose:cross", "pose.late:cross", False),
        ("denoiser:self:up_blocks.1.*", "denoiser:self:up_blocks.*", True),
        ("denoiser:self:up_blocks.*", "denoiser:self:up_blocks.1.*", False),
        ("denoiser:self:up_*", "denoiser:self:up_?", False),
        ("denoiser:self:*.attn1", "denoiser:self", True),
        ("denoiser:self", "denoiser:self:*.attn1", False),
        ("denoiser:self:a*c", "denoiser:self:a*b*c", False),
        ("denoiser:self:a*b*c", "denoiser:self:a*c", True),
    ],
)
def test_whether_one_pattern_lies_inside_another(inner: str, outer: str, inside: bool) -> None:
    assert SitePattern.parse(inner).inside(SitePattern.parse(outer)) is inside


def test_a_pattern_reads_back() -> None:
    for text in ("denoiser:self", "*:cross", "pose.late:*:up_blocks.*"):
        assert str(SitePattern.parse(text)) == text


def test_the_option_is_one_pattern_or_several() -> None:
    assert pattern_list("a:self") == ("a:self",)
    assert pattern_list(["a:self", "b:self"]) == pattern_list(("a:self", "b:self")) == ("a:self", "b:self")


# ------------------------------------------------------------------------------------------- networks
def test_networks_and_who_brings_them(judged: Judged) -> None:
    verdict = judged("encoder=sourcenet attn=hpfa")
    assert verdict.networks == (
        Network("denoiser", ("self", "cross"), "base", "sd"),
        Network("pose", ("self", "cross"), "pose", "controlnet"),
        Network("source", ("self", "cross"), "encoder", "sourcenet"),
    )


def test_a_second_pose_network_is_called_by_its_label(judged: Judged) -> None:
    words = "encoder=qfft attn=pma pose=pose_encoder pose.first=controlnet pose.second=controlnet"
    verdict = judged(words)
    assert [network.name for network in verdict.networks] == ["denoiser", "pose", "pose.second"]
    tokens = next(link for link in verdict.links if link.port == "tokens")
    assert tokens.readers == ("denoiser:cross", "pose:cross", "pose.second:cross", "pma")
    assert judged([*words.split(), "attn.pma.sites=pose.second:cross"]).ok
    assert judged([*words.split(), "attn.pma.sites=pose:cross"]).ok


# ------------------------------------------------------------------------------------------- where processors act
def test_sites_outside_what_a_part_allows_are_refused(judged: Judged) -> None:
    (problem,) = judged("encoder=sourcenet attn=hpfa attn.hpfa.sites=[denoiser:self,pose:self]").problems
    assert problem.message == "hpfa may act at denoiser:self only, and its sites say pose:self."
    assert problem.cure == "Set attn.hpfa.sites=denoiser:self."


def test_a_place_that_no_installed_part_brings(judged: Judged) -> None:
    (problem,) = judged("encoder=qfft attn=pma attn.pma.sites=judge:cross").problems
    assert "pma acts at judge:cross, and nothing here has such a site" in problem.message
    assert problem.cure == "Set attn.pma.sites=pose:cross."


def test_a_pattern_without_effect_beside_one_with_is_noted(judged: Judged) -> None:
    verdict = judged("encoder=qfft attn=pma attn.pma.sites=[denoiser:cross,source:cross]")
    assert verdict.ok
    assert "attn.pma.sites: source:cross matches no site here and has no effect." in verdict.notes


def test_an_encoders_own_network_takes_no_processors(judged: Judged) -> None:
    """An encoder runs its network inside itself; its sites only name the features it gives."""
    verdict = judged("encoder=qfft+sourcenet attn=hpfa+pma attn.pma.sites=source:cross")
    assert [network.name for network in verdict.networks] == ["denoiser", "pose", "source"]
    assert "nothing here has such a site" in verdict.problems[0].message
    assert judged(f"encoder=qfft+sourcenet attn=hpfa+pma {verdict.remedy[0]}").ok


@pytest.mark.parametrize("sites", ["denoiser:cross", "pose:self", "[denoiser:self,denoiser:cross]", "nowhere:self"])
def test_sites_at_fault_are_one_problem(judged: Judged, sites: str) -> None:
    """What others make of them is not told as well: it is gone with the cure."""
    words = f"encoder=sourcenet+clip encoder.clip.output=both attn=hpfa+caa attn.hpfa.sites={sites}"
    (problem,) = judged(words).problems
    assert problem.parts == ("hpfa",)
    assert problem.remedies == (("attn.hpfa.sites=denoiser:self",),)
    assert judged([*words.split(), *problem.remedies[0]]).ok
