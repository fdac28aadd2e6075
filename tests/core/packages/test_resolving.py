"""What would change is told before it does: by whom it is asked for, and what must stay as it is."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.packages import older_forms, resolving
from pgsynth_core.packages.calling_pip import Said
from pgsynth_core.packages.environment import this_environment
from pgsynth_core.packages.obtaining import Offer, obtain
from pgsynth_core.packages.pip_alone import NOTHING_STARTED
from pgsynth_core.packages.present import present, versions
from pgsynth_core.packages.resolving import Plan, clashes, everything_considered, resolve
from pgsynth_core.packages.wanted import read_wanted
from pgsynth_core.registry import discover

from ...fixtures.fake_packages import FakePackages, fake_packages
from ...fixtures.houses import PLUGIN, make_plugin

__all__ = ["fake_packages"]

Item = tuple[str, str, list[str]]
Resolve = Callable[..., Plan]


def report(items: list[Item]) -> dict[str, Any]:
    def one(name: str, version: str, requires: list[str]) -> dict[str, Any]:
        told = {"url": f"file:///{name}.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}}
        said = {"name": name, "version": version, "requires_dist": requires}
        return {"metadata": said, "download_info": told, "is_direct": name in (PLUGIN, "elsewhere")}

    return {"version": "1", "install": [one(*item) for item in items]}


@pytest.fixture
def offers(tmp_path: Path) -> tuple[Offer, ...]:
    return obtain(read_wanted([str(make_plugin(tmp_path))], []), tmp_path / "fetched", known=(), source=False)


@pytest.fixture
def resolved(
    offers: tuple[Offer, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_packages: FakePackages
) -> Resolve:
    """Resolve with a pip that answers as told: with what stands on pgsynth held, and without."""

    def resolved(held: list[Item] | None, free: list[Item] | None = None) -> Plan:
        def answer(*words: str, alone: bool) -> Said:
            assert alone
            asked = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
            items = held if "--constraint" in asked else free
            if items is None:
                return Said(1, "", "WARNING: x\nERROR: no way: conflict\n")
            Path(asked["--report"]).write_text(json.dumps(report(items)), encoding="utf-8")
            return Said(0, "", "")

        monkeypatch.setattr(resolving, "call_pip", answer)
        return resolve(offers, tmp_path, source=False)

    return resolved


def distribution(packages: FakePackages, name: str, version: str, *requires: str) -> None:
    lines = "".join(f"Requires-Dist: {text}\n" for text in requires)
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}\nIts text.\nName: nobody\n"
    info = packages.metadata(name, version=version, metadata=head)
    (info / "RECORD").write_text(f"{info.name}/METADATA,,\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------- what would change
def test_each_change_comes_with_who_asks_for_it(resolved: Resolve, fake_packages: FakePackages) -> None:
    distribution(fake_packages, "middle", "1.0", "leaf>=2")
    distribution(fake_packages, "small", "1.0")
    plan = resolved(
        [
            (PLUGIN, "1.0", ["small>=1.5", "middle", "other; extra == 'fast'"]),
            ("small", "1.5.0", []),
            ("leaf", "2.0", []),
        ]
    )
    told = [(one.package, one.before, one.after, one.required_by) for one in plan.changes]
    assert told == [
        (PLUGIN, "", "1.0", ("you",)),
        ("leaf", "", "2.0", ("middle (leaf>=2)",)),
        ("small", "1.0", "1.5.0", (f"{PLUGIN} (small>=1.5)",)),
    ]
    assert plan.changes[2].sha256 == "0" * 64
    held = plan.constraints.read_text(encoding="utf-8").splitlines()
    assert f"torch=={versions()['torch']}" in held and len(held) > 10


def test_the_same_version_again_is_a_change_too(resolved: Resolve, fake_packages: FakePackages) -> None:
    distribution(fake_packages, PLUGIN, "1.0")
    (change,) = resolved([]).changes
    assert (change.before, change.after) == ("1.0", "1.0")


# ------------------------------------------------------------------------------------------- what may not
def test_what_pgsynth_stands_on_does_not_move(resolved: Resolve) -> None:
    here = versions()["torch"]
    with pytest.raises(UserError) as refused:
        resolved(None, [(PLUGIN, "1.0", ["torch==99.0", "pillow>=99"]), ("torch", "99.0", []), ("pillow", "99.1", [])])
    pillow, torch = refused.value.problems
    assert f"torch would move ({here} -> 99.0), asked for by {PLUGIN} (torch==99.0)" in torch.message
    assert f"works with torch {here}" in torch.cure and pillow.where == "pillow"


def test_who_was_asked_for_is_named_first(resolved: Resolve) -> None:
    items = [("kornia", "99.1", ["torch==99.0"]), ("torch", "99.0", []), (PLUGIN, "1.0", ["torch==99.0"])]
    with pytest.raises(UserError) as refused:
        resolved(None, items)
    (torch,) = refused.value.problems
    assert torch.where == "torch" and f"asked for by {PLUGIN} (torch==99.0) and kornia" in torch.message
    assert f"another version of {PLUGIN}," in torch.cure


def test_nor_does_pgsynth_come_from_an_index(resolved: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="pgsynth would move"):
        resolved([(PLUGIN, "1.0", ["pgsynth"]), ("pgsynth", "99.0", [])])
    here = {name: version for name, version in versions().items() if name != "pgsynth"}
    monkeypatch.setattr(resolving, "versions", lambda: here)
    with pytest.raises(UserError, match=r"pip does not know that pgsynth is here.*pip install -e \."):
        resolved([(PLUGIN, "1.0", ["pgsynth"]), ("pgsynth", "99.0", [])])


def test_what_an_extra_needs_may_come_in_the_tested_range(resolved: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {name: version for name, version in versions().items() if name != "peft"}
    monkeypatch.setattr(resolving, "versions", lambda: here)
    plan = resolved([(PLUGIN, "1.0", ["peft"]), ("peft", "0.18.1", [])])
    assert plan.changes[1].package == "peft"
    assert "peft<0.22,>=0.18" in plan.constraints.read_text(encoding="utf-8").splitlines()
    with pytest.raises(UserError, match=r"peft would move \(not installed -> 0.99\)"):
        resolved([(PLUGIN, "1.0", ["peft"]), ("peft", "0.99", [])])


def test_nor_is_anything_taken_from_others_here(resolved: Resolve, fake_packages: FakePackages) -> None:
    distribution(fake_packages, "small", "1.0")
    distribution(fake_packages, "user-of-small", "3.0", "small<2", "not a requirement !!")
    resolved([(PLUGIN, "1.0", ["small"]), ("small", "1.9", [])])
    with pytest.raises(UserError) as refused:
        resolved([(PLUGIN, "1.0", ["small>=2"]), ("small", "2.0", [])])
    for words in ("small would move (1.0 -> 2.0)", f"{PLUGIN} (small>=2)", "user-of-small 3.0", "needs small<2"):
        assert words in str(refused.value)


def test_what_conda_brought_is_left_to_conda(resolved: Resolve, fake_packages: FakePackages) -> None:
    distribution(fake_packages, "small", "1.0")
    (fake_packages.site / "small-1.0.dist-info" / "INSTALLER").write_text("conda\n")
    with pytest.raises(UserError, match="conda install small=1.9"):
        resolved([(PLUGIN, "1.0", ["small"]), ("small", "1.9", [])])


def test_what_is_half_there_is_taken_out_first(resolved: Resolve, fake_packages: FakePackages) -> None:
    fake_packages.install(PLUGIN)  # it lists no files
    with pytest.raises(UserError, match=f"pgsynth plugins uninstall {PLUGIN}"):
        resolved([(PLUGIN, "2.0", [])])


def test_where_pip_finds_no_way_its_own_words_are_told(resolved: Resolve) -> None:
    with pytest.raises(UserError) as refused:
        resolved(None, None)
    assert "ERROR: no way: conflict" in str(refused.value) and "WARNING" not in str(refused.value)
    assert "--source" in str(refused.value)


def test_what_would_come_from_an_address_is_refused(resolved: Resolve) -> None:
    with pytest.raises(UserError, match=r"elsewhere would come from file:///elsewhere\.whl: nothing is installed"):
        resolved([(PLUGIN, "1.0", ["middle"]), ("middle", "1.0", []), ("elsewhere", "1.0", [])])


def test_what_pip_would_have_to_build_to_look_at_is_told(
    offers: tuple[Offer, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = "Collecting middle\nCollecting evil@ git+https://x (from middle)\n  Cloning x\n"
    monkeypatch.setattr(resolving, "call_pip", lambda *words, alone: Said(1, out, f"ERROR: x: {NOTHING_STARTED}: git"))
    with pytest.raises(UserError, match=r"from an address only.*: Collecting evil@ git\+https://x \(from middle\)"):
        resolve(offers, tmp_path, source=False)


def test_a_pip_too_old_to_look_first_is_told(
    offers: tuple[Offer, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "call_pip", lambda *words, alone: Said(2, "", "no such option: --report"))
    with pytest.raises(UserError, match=r"pip 23\.0 or newer"):
        resolve(offers, tmp_path, source=False)


# ------------------------------------------------------------------------------------------- names in use
def test_names_in_use_are_told_with_both_packages(
    offers: tuple[Offer, ...], fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages.install("pgsynth-plugin-y", manifest=FakePackages.manifest("pgsynth-plugin-y"))
    expected = f"the encoder 'x' is in pgsynth-plugin-y too, and its plain name will do for neither any more: write {PLUGIN}:x or pgsynth-plugin-y:x."
    assert clashes(offers, discover()) == (expected,)
    monkeypatch.setenv("PGSYNTH_PLUGINS", "")
    assert clashes(offers, discover()) == ()
    with everything_considered() as registry:  # safe mode hides nothing from whoever installs
        assert clashes(offers, registry) == (expected,)
    fake_packages.install(PLUGIN)
    assert clashes(offers, discover()) == (), "its own names are no clash"


def test_remains_are_read_as_far_as_they_go(fake_packages: FakePackages) -> None:
    fake_packages.install(PLUGIN)
    fake_packages.metadata("nameless", version="2.0", metadata="")
    found = {one.name: one for one in present([fake_packages.site])}
    assert found["nameless"].version == "" and not found["nameless"].announces()
    assert found[PLUGIN].version == "1.0" and found[PLUGIN].announces() and not found[PLUGIN].listed


# ------------------------------------------------------------------------------------------- older forms of metadata
def older(packages: FakePackages, name: str, version: str) -> Path:
    info = packages.site / f"{name}-{version}-py3.11.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "requires.txt").write_text("small<2\n", encoding="utf-8")
    (info / "installed-files.txt").write_text(f"../{name}/__init__.py\n", encoding="utf-8")
    return info


def test_a_library_in_an_older_form_is_held_too(resolved: Resolve, fake_packages: FakePackages) -> None:
    older(fake_packages, "torch", "2.0")
    assert versions()["torch"] == "2.0"
    plan = resolved([(PLUGIN, "1.0", [])])
    assert "torch==2.0" in plan.constraints.read_text(encoding="utf-8").splitlines()
    with pytest.raises(UserError, match=r"torch would move \(2\.0 -> 2\.1\)"):
        resolved(None, [(PLUGIN, "1.0", ["torch==2.1"]), ("torch", "2.1", [])])


def test_what_is_here_in_an_older_form_is_not_changed_and_counts(
    resolved: Resolve, fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = older(fake_packages, "leaf", "1.0")
    distribution(fake_packages, "small", "1.0")
    here = replace(this_environment(), paths={"purelib": fake_packages.site, "platlib": fake_packages.site})
    with pytest.raises(UserError, match=r"leaf 1\.0, which is here, needs small<2"):
        resolved([(PLUGIN, "1.0", ["small"]), ("small", "2.0", [])])
    assert resolved([(PLUGIN, "1.0", ["leaf"]), ("leaf", "2.0", [])]), "elsewhere, pip leaves it as it is"
    monkeypatch.setattr(older_forms, "this_environment", lambda: here)
    with pytest.raises(UserError) as refused:
        resolved([(PLUGIN, "1.0", ["leaf"]), ("leaf", "2.0", [])])
    (problem,) = refused.value.problems
    assert f"leaf 1.0 is here in an older form, which does not say for certain what its files are: {info}" in str(
        problem
    )
    assert problem.cure.endswith("-m pip uninstall leaf, then this again.")
    (one,) = (one for one in present() if one.name == "leaf")
    assert one.lists(fake_packages.site / "leaf" / "__init__.py") and one.lists(fake_packages.site / "leaf")


def test_every_form_that_python_finds_is_here(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"
    (tmp_path / "Folded-1.0-py3.11.egg" / "EGG-INFO").mkdir(parents=True)
    (tmp_path / "Folded-1.0-py3.11.egg" / "EGG-INFO" / "PKG-INFO").write_text(head.format("Folded"))
    with zipfile.ZipFile(tmp_path / "zipped-1.0-py3.11.egg", "w") as archive:
        archive.writestr("EGG-INFO/PKG-INFO", head.format("zipped"))
    for name in ("Folded", "zipped"):
        monkeypatch.syspath_prepend(str(tmp_path / f"{name}-1.0-py3.11.egg"))
    (fake_packages.site / "single.egg-info").write_text(head.format("single"))
    found = versions()
    for name in ("folded", "zipped", "single"):
        assert found[name] == metadata.version(name) == "1.0"
