"""Old names of parts and options go on working where their package says what took their place, and are told."""

from __future__ import annotations

import pytest

from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.manifest import parse_manifest
from pgsynth_core.registry import discover
from pgsynth_core.spec import resolve

from ...fixtures.fake_packages import FakePackages

NAME = "pgsynth-plugin-x"
TABLE = """
[[replacement]]
kind = "encoder"
old = "w"
new = "x"
since = "2.0"
options = { size = "width", colour = "" }

[[replacement]]
kind = "encoder"
old = "x"
new = "x"
since = "2.1"
options = { channels = "width" }
"""
TOKENS = '[component.provides.tokens]\naxes = ["B", "N", "D"]\n'


@pytest.fixture
def renamed(fake_packages: FakePackages) -> FakePackages:
    """A package whose encoder was called otherwise before, and one of whose options too."""
    part = fake_packages.part("encoder", "x", package=NAME, more=TOKENS)
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, part, TABLE))
    return fake_packages


@pytest.mark.parametrize("name", ["w", f"{NAME}:w"])
def test_an_old_name_stands_for_the_new_part(renamed: FakePackages, name: str) -> None:
    resolved = resolve(None, ["base=tiny", f"encoder={name}", "encoder.w.size=12", "encoder.w.colour=red"], discover())
    (choice,) = resolved.spec.encoder
    assert (choice.label, choice.part, choice.options["width"]) == ("w", f"{NAME}:x", 12), "keys of a checkpoint stay"
    told = " ".join(resolved.warnings)
    assert "w is called x since pgsynth-plugin-x 2.0; write encoder=x" in told
    assert "size is called width" in told and "colour is gone" in told


def test_an_old_option_stands_for_the_new_one(renamed: FakePackages) -> None:
    resolved = resolve(None, ["base=tiny", "encoder=x", "encoder.x.channels=12"], discover())
    assert resolved.spec.encoder[0].options["width"] == 12
    assert any("channels is called width since pgsynth-plugin-x 2.1" in warning for warning in resolved.warnings)
    assert not resolve(None, ["base=tiny", "encoder=x", "encoder.x.width=12"], discover()).warnings


def test_a_value_that_the_new_option_refuses_is_refused(renamed: FakePackages) -> None:
    with pytest.raises(SpecError, match=r"encoder\.x\.width"):
        resolve(None, ["base=tiny", "encoder=x", "encoder.x.channels=0"], discover())


def test_a_canonical_spec_of_the_old_name_resolves(renamed: FakePackages) -> None:
    old = {"pgsynth": 1, "base": "tiny", "encoder": {"w": {"part": f"{NAME}:w", "size": 5}}}
    assert resolve(old, [], discover()).spec.encoder[0].part == f"{NAME}:x"


def test_two_packages_that_claim_one_old_name_decide_nothing(renamed: FakePackages) -> None:
    other = "pgsynth-plugin-y"
    part = renamed.part("encoder", "z", package=other)
    table = TABLE.partition('[[replacement]]\nkind = "encoder"\nold = "x"')[0].replace('new = "x"', 'new = "z"')
    renamed.install(other, manifest=renamed.manifest(other, part, table))
    with pytest.raises(SpecError, match="there is no encoder 'w'"):
        resolve(None, ["base=tiny", "encoder=w"], discover())
    assert resolve(None, ["base=tiny", f"encoder={other}:w"], discover()).spec.encoder[0].part == f"{other}:z"


def test_another_package_may_take_its_place(fake_packages: FakePackages) -> None:
    other = "pgsynth-plugin-b"
    part = fake_packages.part("encoder", "z", package=other)
    fake_packages.install(other, manifest=fake_packages.manifest(other, part))
    table = f'[[replacement]]\nkind = "encoder"\nold = "w"\nnew = "{other}:z"\nsince = "2.0"\noptions = {{ size = "width" }}\n'
    kept = fake_packages.part("encoder", "x", package=NAME)
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, kept, table))
    resolved = resolve(None, ["base=tiny", "encoder=w", "encoder.w.size=3"], discover())
    assert (resolved.spec.encoder[0].part, resolved.spec.encoder[0].options["width"]) == (f"{other}:z", 3)
    assert any("w is called z since pgsynth-plugin-x 2.0" in warning for warning in resolved.warnings)


def test_a_table_takes_no_name_from_a_part_that_is_there(fake_packages: FakePackages) -> None:
    """Nor from two, of which neither may be taken by order; nor does it speak of other people's parts."""
    table = '[[replacement]]\nkind = "encoder"\nold = "{old}"\nnew = "x"\nsince = "2.0"\n'
    thief = fake_packages.part("encoder", "x", package=NAME)
    fake_packages.install(
        NAME, manifest=fake_packages.manifest(NAME, thief, table.format(old="foo"), table.format(old="qfft"))
    )
    for other in ("pgsynth-plugin-b", "pgsynth-plugin-c"):
        part = fake_packages.part("encoder", "foo", package=other)
        fake_packages.install(other, manifest=fake_packages.manifest(other, part))
    with pytest.raises(SpecError, match="in several packages: pgsynth-plugin-b 1.0 and pgsynth-plugin-c 1.0"):
        resolve(None, ["base=tiny", "encoder=foo"], discover())
    resolved = resolve(None, ["base=tiny", "encoder=qfft"], discover())
    assert resolved.spec.encoder[0].part == "pgsynth:qfft" and not resolved.warnings


def test_a_part_that_will_go_names_its_successor(fake_packages: FakePackages) -> None:
    parts = [
        fake_packages.part("encoder", "w", package=NAME, more='status = "deprecated"\n'),
        fake_packages.part("encoder", "x", package=NAME),
    ]
    table = '[[replacement]]\nkind = "encoder"\nold = "w"\nnew = "x"\nsince = "2.0"\n'
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, *parts, table))
    resolved = resolve(None, ["base=tiny", "encoder=w"], discover())
    assert resolved.spec.encoder[0].part == f"{NAME}:w"
    assert any("w is deprecated since pgsynth-plugin-x 2.0; x takes its place" in text for text in resolved.warnings)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace('new = "x"', 'new = "q"', 1), "no encoder 'q'"),
        (TABLE.replace('size = "width"', 'size = "girth"'), "x has no option 'girth'"),
        (TABLE.replace("channels =", "width ="), "'width' is still an option"),
        (TABLE.replace('old = "w"', 'old = "v"'), 'status = "deprecated"'),
    ],
)
def test_a_table_that_cannot_be_is_told(fake_packages: FakePackages, table: str, said: str) -> None:
    parts = [fake_packages.part("encoder", "x", package=NAME), fake_packages.part("encoder", "v", package=NAME)]
    fake_packages.install(NAME, manifest=fake_packages.manifest(NAME, *parts, table))
    (broken,) = discover().broken
    assert any(said in problem.message for problem in broken.problems), broken


@pytest.mark.parametrize(
    ("contract", "cure"),
    [
        ("99", "pip install --upgrade pgsynth."),
        ("0", "pip install --upgrade pgsynth-plugin-x."),
        ('"one"', "a whole number"),
        ("true", "a whole number"),
    ],
)
def test_a_contract_outside_the_window_says_who_must_change(contract: str, cure: str) -> None:
    text = f'manifest = 1\ncontract = {contract}\n[package]\nname = "{NAME}"\n'
    with pytest.raises(PartError) as caught:
        parse_manifest(text, where="here")
    (problem,) = caught.value.problems
    assert cure in problem.cure and "this pgsynth accepts 1" in problem.message


def test_the_window_has_two_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    from pgsynth_core import manifest

    monkeypatch.setattr(manifest, "CONTRACT_FLOOR", 2)
    monkeypatch.setattr(manifest, "CONTRACT_CURRENT", 4)
    for contract in (2, 3, 4):
        parse_manifest(f'manifest = 1\ncontract = {contract}\n[package]\nname = "x"\n', where="here")
    for contract in (1, 5):
        with pytest.raises(PartError, match=f"contract = {contract}; this pgsynth accepts 2 to 4"):
            parse_manifest(f'manifest = 1\ncontract = {contract}\n[package]\nname = "x"\n', where="here")
