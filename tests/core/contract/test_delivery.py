"""What no part of a kind can be handed or hand on is refused, and the tables say what the interfaces say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from pgsynth_core import interfaces
from pgsynth_core.contract import Verdict
from pgsynth_core.contract.delivery import CARRIED, HANDED
from pgsynth_core.registry import Registry

from ...fixtures.standins import component

Judged = Callable[..., Verdict]
Extended = Callable[..., Registry]

TOKENS = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'
SELF = '[component.sites]\nallowed = "denoiser:self"\ndefault = "denoiser:self"\n'


def test_the_tables_are_the_interfaces() -> None:
    conditioning = {each.name for each in fields(interfaces.Conditioning)} - {"latent_grid", "extra"}
    result = {each.name for each in fields(interfaces.AttentionResult)} - {"hidden"}
    source = {each.name for each in fields(interfaces.SourceInputs)} - {"features"}  # an encoder's own, not a port
    assert set(HANDED["pose"]) == conditioning
    assert set(HANDED["attention"]) == conditioning | result
    assert {name.removeprefix("source_") for name in HANDED["encoder"]} == source
    assert set(CARRIED["attention"]) == result
    assert set(CARRIED["encoder"]) <= conditioning


@pytest.mark.parametrize("port", ["skeleton", "pose_mask", "reference", "parsing", "far:away"])
def test_an_encoder_sees_the_source_only(judged: Judged, extended: Extended, port: str) -> None:
    registry = extended(component("encoder", "curious", f'{TOKENS}[component.needs."{port}"]\naxes = ["B"]'))
    first = judged("encoder=curious", registry).problems[0]
    assert str(first) == (
        f"curious needs `{port}`, and an encoder is not handed it (it is handed source_image, source_latent, "
        "source_parsing, source_crops, tokens). This is for the authors of pgsynth-more to mend. "
        "Until then do without: encoder=none."
    )


@pytest.mark.parametrize("kind", ["pose", "attention"])
@pytest.mark.parametrize("port", ["source_image", "source_latent", "target_image"])
def test_the_others_see_what_came_of_it(judged: Judged, extended: Extended, kind: str, port: str) -> None:
    sites = SELF if kind == "attention" else ""
    body = f'{sites}[component.needs.{port}]\naxes = ["B"]'
    slot = {"pose": "pose", "attention": "attn"}[kind]
    problems = judged(f"encoder=none {slot}=curious", extended(component(kind, "curious", body))).problems
    assert problems[0].message.startswith(f"curious needs `{port}`, and ")
    assert problems[0].remedies == ((f"{slot}=none",),)


@pytest.mark.parametrize(
    ("kind", "port", "said"),
    [
        (
            "encoder",
            "parsing",
            "an encoder cannot hand it on (it can hand on tokens, reference, regions, ports of packages).",
        ),
        ("pose", "tokens", "a pose branch cannot hand it on (it hands on none)."),
        ("attention", "reference", "an attention processor cannot hand it on (it can hand on region_attention)."),
    ],
)
def test_what_there_is_no_place_for(judged: Judged, extended: Extended, kind: str, port: str, said: str) -> None:
    sites = SELF if kind == "attention" else ""
    body = f'{sites}[component.provides.{port}]\naxes = ["B", "N", "D"]\nreader = "optional"'
    slot = {"encoder": "encoder", "pose": "pose", "attention": "attn"}[kind]
    (problem,) = judged(f"encoder=none {slot}=generous", extended(component(kind, "generous", body))).problems
    assert problem.message == f"generous gives `{port}`, and {said}"


def test_ports_of_packages_have_a_place(judged: Judged) -> None:
    assert judged("encoder=ip_image attn=ip_attention").ok
