"""Whether parts can be composed: the answer, and that what it says is true of the contract."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pgsynth_core.contract import check, with_adapters
from pgsynth_core.errors import SpecError
from pgsynth_core.manifest import SLOTS, Provides
from pgsynth_core.packages.fitting import MOST_FITS, fit_of, fits_of, parts_named
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import resolve

from ...fixtures.fake_packages import FakePackages


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def composes(registry: Registry, overrides: Sequence[str], *, adapt: bool) -> bool:
    """Whether `pgsynth compose` takes these words."""
    spec = resolve(None, overrides, registry).spec
    verdict = check(spec, registry)
    return verdict.ok or (adapt and check(with_adapters(spec, verdict.adapters), registry).ok)


@pytest.mark.parametrize(
    ("names", "answer", "more"),
    [
        (("clip", "dinov2"), "fits", ()),
        (("qfft", "pma"), "needs more", ("pose=controlnet",)),
        (("qfft", "hpfa"), "needs more", ("encoder=qfft+sourcenet",)),
        (("caa", "hpfa"), "needs more", ("encoder=sourcenet+clip", "encoder.clip.output=regions", "attn=hpfa+caa")),
        (("market1501", "hpfa"), "needs more", ("encoder=sourcenet", "data.market1501.parsing=true")),
        (("tiny", "sd"), "does not fit", ()),
        (("figures", "folder"), "does not fit", ()),
    ],
)
def test_the_answer(registry: Registry, names: tuple[str, ...], answer: str, more: tuple[str, ...]) -> None:
    fit = fit_of(registry, parts_named(registry, names, where="here"))
    assert (fit.answer, fit.more) == (answer, more)
    assert bool(fit.reasons) == (answer != "fits") and bool(fit.command) == (answer != "does not fit")


def test_what_is_promised_composes(registry: Registry) -> None:
    for one in registry.entries[::2]:
        for other in registry.entries[1::2]:
            fit = fit_of(registry, (one, other))
            if not fit.overrides:
                assert fit.reasons, (one.name, other.name)
                continue
            assert composes(registry, fit.overrides, adapt=fit.adapt), fit
            assert shlex.split(fit.command)[:2] == ["pgsynth", "compose"]
            chosen = {choice.part for _, choice in resolve(None, fit.overrides, registry).spec.choices()}
            assert {one.qualified, other.qualified} <= chosen


def test_each_part_is_told_what_fits_beside_what_it_needs_itself(registry: Registry) -> None:
    alone, *others = fits_of(registry, registry.find("attention", "hpfa"))
    assert alone.parts == ("pgsynth:hpfa",) and alone.overrides == ("attn=hpfa", "encoder=sourcenet")
    answers = {fit.parts[-1]: fit for fit in others}
    assert answers["pgsynth:qfft"].answer == "fits" == answers["pgsynth:figures"].answer
    assert answers["pgsynth:folder"].more == ("data.folder.parsing=true",)
    assert "pgsynth:hpfa" not in answers and len(others) == sum(entry.kind in SLOTS for entry in registry.entries) - 1


def test_alternatives_of_a_single_slot_are_not_tried(registry: Registry) -> None:
    told = {fit.parts[-1] for fit in fits_of(registry, registry.find("base", "tiny"))[1:]}
    assert "pgsynth:sd" not in told and "pgsynth:qfft" in told


def test_only_widths_that_differ_are_adapted(fake_packages: FakePackages) -> None:
    wide = '[component.provides.tokens]\naxes = ["B", "N", 40]\n'
    name = "pgsynth-plugin-x"
    fake_packages.install(name, manifest=fake_packages.manifest(name, fake_packages.part("encoder", "x", more=wide)))
    found = discover()
    fit = fit_of(found, parts_named(found, ("x",), where="here"))
    assert fit.answer == "adapts" and fit.adapt and fit.command.endswith(" --adapt")
    assert "Linear(40, 768)" in fit.reasons[0].message
    assert composes(found, fit.overrides, adapt=True)


def test_what_no_composition_has_is_said_so(fake_packages: FakePackages) -> None:
    name = "pgsynth-plugin-x"
    fake_packages.install(name, manifest=fake_packages.manifest(name, fake_packages.part("metric", "x")))
    found = discover()
    fit = fit_of(found, parts_named(found, ("x", "qfft"), where="here"))
    assert fit.answer == "does not fit" and "is a metric" in fit.reasons[0].message
    assert fits_of(found, found.find("metric", "x")) == ()


@pytest.fixture
def odd(fake_packages: FakePackages) -> Registry:
    """With an encoder beside an honest one, of whose manifest the contract makes nothing: it passed the reading."""
    wide = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'
    for name in ("odd", "honest"):
        package = f"pgsynth-plugin-{name}"
        part = fake_packages.part("encoder", name, package=package, more=wide)
        fake_packages.install(package, manifest=fake_packages.manifest(package, part))
    found = discover()
    port = Provides(axes=("B", "N", "D"), scope="chain")
    entries = [
        replace(entry, component=entry.component.model_copy(update={"provides": {"tokens": port}}))
        if entry.name == "odd"
        else entry
        for entry in found.entries
    ]
    return replace(found, entries=tuple(entries))


@pytest.mark.parametrize("name", ["pma", "controlnet", "tiny", "honest", "figures", "hpfa"])
def test_a_package_that_the_contract_cannot_judge_stops_no_other(odd: Registry, name: str) -> None:
    (part,) = parts_named(odd, (name,), where="here")
    alone, *others = fits_of(odd, part)
    answers = {fit.parts[-1]: fit for fit in others}
    reason = answers.pop("pgsynth-plugin-odd:odd")
    assert reason.answer == "does not fit" and "pgsynth-plugin-odd" in reason.reasons[0].message
    assert "plugins uninstall pgsynth-plugin-odd" in reason.reasons[0].cure
    without = tuple(entry for entry in odd.entries if entry.name != "odd")
    wanted = fits_of(replace(odd, entries=without), part)
    assert [fit.answer for fit in (alone, *answers.values())] == [fit.answer for fit in wanted]


def test_a_part_that_the_contract_cannot_judge_is_told_so(odd: Registry) -> None:
    (fit,) = fits_of(odd, odd.find("encoder", "odd"))
    assert fit.answer == "does not fit" and not fit.command
    assert "the manifest of pgsynth-plugin-odd" in fit.reasons[0].message and "ValueError" in fit.reasons[0].message
    assert fit_of(odd, parts_named(odd, ("odd", "pma"), where="here")).reasons == fit.reasons
    (reason,) = fit_of(odd, parts_named(odd, ("odd", "honest"), where="here")).reasons
    assert "of pgsynth-plugin-honest or pgsynth-plugin-odd" in reason.message and "plugins show" in reason.cure


def test_a_full_registry_is_not_tried_whole(fake_packages: FakePackages) -> None:
    name = "pgsynth-plugin-x"
    parts = [fake_packages.part("metric", f"m{number}") for number in range(3)]
    parts += [
        fake_packages.part(
            "dataset", f"d{number}", package=name, more='[component.provides.source_image]\naxes = ["B", 3, "H", "W"]\n'
        )
        for number in range(MOST_FITS)
    ]
    fake_packages.install(name, manifest=fake_packages.manifest(name, *parts))
    found = discover()
    assert len(fits_of(found, found.find("encoder", "qfft"))) == 1 + MOST_FITS


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("pmaa", "'pma'"),
        ("qen", "is a preset"),
        ("nowhere=pma", "no slot or kind 'nowhere'"),
        ("encoder=pma", "'pma' is a part of kind attention"),
    ],
)
def test_names_that_cannot_be_are_refused(registry: Registry, written: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parts_named(registry, (written,), where="here")


def test_a_part_is_named_once(registry: Registry) -> None:
    with pytest.raises(SpecError, match="pgsynth:qfft is named twice"):
        parts_named(registry, ("qfft", "pma", "encoder=qfft"), where="here")


def test_a_name_of_several_parts_is_told_apart(fake_packages: FakePackages) -> None:
    name = "pgsynth-plugin-x"
    fake_packages.install(name, manifest=fake_packages.manifest(name, fake_packages.part("metric", "pma")))
    found = discover()
    with pytest.raises(SpecError, match="attn=pgsynth:pma or metric=pgsynth-plugin-x:pma"):
        parts_named(found, ("pma",), where="here")
    assert [part.kind for part in parts_named(found, ("attn=pma", "metric=pma"), where="here")] == [
        "attention",
        "metric",
    ]
