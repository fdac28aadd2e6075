"""Discovery reads metadata and manifests only, and nothing an installed package does can stop it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.registry import Broken, Registry, checkout_manifest, discover, discovery, first_party_manifest
from pgsynth_core.registry.discovery import _LARGEST_MANIFEST

from ...fixtures.fake_packages import FakePackages

OwnManifest = Callable[..., Path]


def only_broken(registry: Registry) -> Broken:
    """The one broken package there is."""
    (broken,) = registry.broken
    return broken


# ------------------------------------------------------------------------------------------- what is found
def test_own_parts_come_first_then_packages_by_name(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    for name in ("pgsynth-b", "pgsynth-a"):
        fake_packages.install(name, version="2.1")
    registry = discover()
    assert [entry.qualified for entry in registry.entries] == ["pgsynth:own", "pgsynth-a:x", "pgsynth-b:x"]
    assert registry.broken == ()
    origin = registry.entries[1].origin
    assert (origin.version, origin.first_party, len(origin.manifest_sha256)) == ("2.1", False, 64)
    assert origin.manifest_path == fake_packages.site / "pgsynth_a" / "pgsynth.toml"
    assert registry.entries[0].origin.first_party


def test_names_are_those_of_the_distribution_normalised(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    fake_packages.install("PGSynth.Odd_Name", manifest=fake_packages.manifest("pgsynth-odd-name"))
    assert [entry.qualified for entry in discover().entries][1:] == ["pgsynth-odd-name:x"]


def test_hooks_commands_panels_presets_defaults_and_known_are_collected(
    own_manifest: OwnManifest, fake_packages: FakePackages
) -> None:
    known = 'name="pgsynth-y"\nversion="1"\nsha256=""\nadds=["encoder:y"]\nsummary=""\nlicence="MIT"'
    own_manifest('[defaults]\nbase = "tiny"', f"[[known]]\n{known}")
    blocks = (
        '[[hook]]\ntarget = "a:B"\nimplements = ["after_step"]',
        '[[command]]\nname = "hello"\ntarget = "a:main"\nsummary = "Greets."',
        '[[panel]]\nname = "chart"\ntarget = "a:Chart"\ntitle = "Chart"',
        '[[preset]]\nname = "quick"\nfile = "pgsynth_plugin_x:specs/quick.yaml"\nsummary = "Quick."',
    )
    folder = fake_packages.install(
        manifest=fake_packages.manifest("pgsynth-plugin-x", *blocks), files={"specs/quick.yaml": "base: tiny"}
    )
    registry = discover()
    assert registry.defaults.base == "tiny"
    assert [known.name for known in registry.known] == ["pgsynth-y"]
    assert [hook.item.implements for hook in registry.hooks] == [("after_step",)]
    assert [command.item.name for command in registry.commands] == ["hello"]
    assert [panel.item.title for panel in registry.panels] == ["Chart"]
    assert [(preset.qualified, preset.path) for preset in registry.presets] == [
        ("pgsynth-plugin-x:quick", folder / "specs" / "quick.yaml")
    ]


def test_a_package_installed_later_is_seen(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    assert len(discover().entries) == 1
    fake_packages.install()
    assert len(discover().entries) == 2


def test_nothing_is_imported(tmp_path: Path, fake_packages: FakePackages, repository: Path) -> None:
    fake_packages.install(
        files={"__init__.py": "raise SystemExit('imported')", "parts.py": "raise SystemExit('imported')"}
    )
    script = (
        "import sys; from pgsynth_core.registry import discover; registry = discover(); "
        "assert any(entry.qualified == 'pgsynth-plugin-x:x' for entry in registry.entries), registry; "
        "print(sorted({'torch', 'diffusers', 'numpy', 'pgsynth_plugin_x', 'pgsynth_plugins'} & set(sys.modules)))"
    )
    paths = os.pathsep.join([str(repository), str(fake_packages.site)])
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------- what is broken
@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("manifest = [", "not valid TOML"),
        ("", "manifest = None"),
        ('manifest = 1\ncontract = 99\n[package]\nname = "pgsynth-plugin-x"', "contract = 99"),
        ('manifest = 1\ncontract = 1\n[package]\nname = "another"', "the distribution is 'pgsynth-plugin-x'"),
        ('manifest = 1\ncontract = 1\n[package]\nname = "PGSynth_Plugin_X"', "they must be equal"),
        (
            'manifest = 1\ncontract = 1\n[package]\nname = "pgsynth-plugin-x"\n[defaults]\nbase = "x"',
            "own manifest only",
        ),
        ('manifest = 1\ncontract = 1\n[package]\nname = "pgsynth-plugin-x"\n[colour]', "colour"),
        ("x = " + "[" * 100_000, "not valid TOML: maximum recursion"),
        ("#" * (_LARGEST_MANIFEST + 1), f"at most {_LARGEST_MANIFEST}"),
    ],
    ids=["toml", "empty", "contract", "name", "unnormalised", "defaults", "unknown-key", "deep", "huge"],
)
def test_a_bad_manifest_is_broken_with_reason_and_cure(
    own_manifest: OwnManifest, fake_packages: FakePackages, manifest: str, words: str
) -> None:
    fake_packages.install(manifest=manifest)
    registry = discover()
    broken = only_broken(registry)
    assert (broken.package, broken.version) == ("pgsynth-plugin-x", "1.0")
    assert words in broken.problems[0].message
    assert broken.problems[0].cure.endswith("pgsynth plugins uninstall pgsynth-plugin-x.")
    assert [entry.qualified for entry in registry.entries] == ["pgsynth:own"]


def test_every_problem_of_a_manifest_is_told(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    part = fake_packages.part("encoder", "x").replace('licence = "Apache-2.0"\n', 'colour = "red"\n')
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part))
    told = " ".join(problem.message for problem in only_broken(discover()).problems)
    assert "licence" in told and "colour" in told


@pytest.mark.parametrize(
    ("entry_points", "words"),
    [
        ("[pgsynth.manifest]\npgsynth-plugin-x = pgsynth_plugin_x:absent.toml", "no file absent.toml"),
        ("[pgsynth.manifest]\npgsynth-plugin-x = absent_package:pgsynth.toml", "no package absent_package"),
        ("[pgsynth.manifest]\npgsynth-plugin-x = pgsynth_plugin_x:../../secret.toml", "leaves the folder"),
        ("[pgsynth.manifest]\npgsynth-plugin-x = pgsynth_plugin_x", "not of the form"),
        ("[pgsynth.manifest]\nother = pgsynth_plugin_x:pgsynth.toml", "called 'other'"),
        ("[pgsynth.manifest]\npgsynth-plugin-x = a:b\npgsynth_plugin_x = c:d", "2 entry points"),
        ("[pgsynth.manifest]\nthis line has no equals sign", "entry_points.txt cannot be read"),
    ],
    ids=["file", "package", "outside", "form", "name", "two", "syntax"],
)
def test_a_bad_entry_point_is_broken(
    own_manifest: OwnManifest, fake_packages: FakePackages, entry_points: str, words: str
) -> None:
    fake_packages.install(entry_points=entry_points)
    broken = only_broken(discover())
    assert broken.package == "pgsynth-plugin-x"
    assert words in broken.problems[0].message
    assert "pgsynth plugins uninstall pgsynth-plugin-x" in broken.problems[0].cure


def test_unreadable_bytes_are_broken(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    (fake_packages.install("pgsynth-a") / "pgsynth.toml").write_bytes(b"\xff\xfe")
    fake_packages.install("pgsynth-b")
    (fake_packages.site / "pgsynth_b-1.0.dist-info" / "entry_points.txt").write_bytes(b"[pgsynth.manifest]\n\xff")
    fake_packages.install("pgsynth-c")
    registry = discover()
    assert [broken.package for broken in registry.broken] == ["pgsynth-a", "pgsynth-b"]
    assert [entry.qualified for entry in registry.entries] == ["pgsynth:own", "pgsynth-c:x"]


def test_a_manifest_that_is_no_file_is_broken(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    folder = fake_packages.install()
    (folder / "pgsynth.toml").unlink()
    os.mkfifo(folder / "pgsynth.toml")  # reading it would wait for ever
    assert "no file pgsynth.toml" in only_broken(discover()).problems[0].message


def test_a_name_twice_in_one_manifest_is_broken(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    part = fake_packages.part("encoder", "x")
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part, part))
    assert "the encoder 'x' stands 2 times" in only_broken(discover()).problems[0].message


def test_a_preset_without_its_file_is_dropped_alone(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    preset = '[[preset]]\nname = "gone"\nfile = "pgsynth_plugin_x:gone.yaml"\nsummary = "Gone."'
    part = fake_packages.part("encoder", "x")
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", part, preset))
    registry = discover()
    assert "the preset 'gone' cannot be used" in only_broken(registry).problems[0].message
    assert registry.presets == () and registry.names("encoder") == ("own", "x")


# ------------------------------------------------------------------------------------------- left-over metadata
def test_remains_of_an_older_version_count_once(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    fake_packages.install()
    for version, text in (("0.9", ""), ("0.8", None)):
        fake_packages.metadata(
            "pgsynth-plugin-x",
            version=version,
            metadata=text,
            entry_points="[pgsynth.manifest]\npgsynth-plugin-x = pgsynth_plugin_x:pgsynth.toml\n",
        )
    registry = discover()
    assert [entry.qualified for entry in registry.entries] == ["pgsynth:own", "pgsynth-plugin-x:x"]
    assert registry.broken == ()


def test_remains_without_metadata_are_broken(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    fake_packages.metadata("pgsynth-plugin-x", metadata="", entry_points="[pgsynth.manifest]\npgsynth-plugin-x = a:b\n")
    assert "interrupted installation" in only_broken(discover()).problems[0].message


def test_what_pip_renamed_to_remove_is_not_installed(own_manifest: OwnManifest, fake_packages: FakePackages) -> None:
    info = fake_packages.metadata("pgsynth-plugin-x", entry_points="[pgsynth.manifest]\npgsynth-plugin-x = a:b\n")
    info.rename(info.with_name("~gsynth_plugin_x-1.0.dist-info"))
    registry = discover()
    assert len(registry.entries) == 1 and registry.broken == ()


# ------------------------------------------------------------------------------------------- PGSYNTH_PLUGINS
@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        ("", ["pgsynth:own"]),
        ("pgsynth-a", ["pgsynth:own", "pgsynth-a:x"]),
        (" PGSynth_A , pgsynth.b", ["pgsynth:own", "pgsynth-a:x", "pgsynth-b:x"]),
    ],
)
def test_only_allowed_packages_are_considered(
    own_manifest: OwnManifest,
    fake_packages: FakePackages,
    monkeypatch: pytest.MonkeyPatch,
    allowed: str,
    found: list[str],
) -> None:
    for name in ("pgsynth-a", "pgsynth-b"):
        fake_packages.install(name)
    fake_packages.install("pgsynth-c", manifest="broken")
    monkeypatch.setenv("PGSYNTH_PLUGINS", allowed)
    registry = discover()
    assert [entry.qualified for entry in registry.entries] == found
    assert registry.broken == ()


def test_an_allowed_name_that_is_not_installed_is_told(
    own_manifest: OwnManifest, fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages.install("pgsynth-a")
    monkeypatch.setenv("PGSYNTH_PLUGINS", "pgsynt-a")
    broken = only_broken(discover())
    assert broken.package == "pgsynt-a"
    assert "'pgsynth-a'" in broken.problems[0].cure


# ------------------------------------------------------------------------------------------- pgsynth's own manifest
@pytest.mark.parametrize("text", ["manifest = [", "manifest = 1\ncontract = 1\n[package]\nname = 'other'"])
def test_a_bad_own_manifest_stops_nothing_else(
    own_manifest: OwnManifest, fake_packages: FakePackages, text: str
) -> None:
    own_manifest(text=text)
    fake_packages.install()
    registry = discover()
    assert only_broken(registry).package == "pgsynth"
    assert "reinstall" in only_broken(registry).problems[0].cure
    assert registry.names("encoder") == ("x",)


def test_the_packaged_manifest_is_preferred_to_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pgsynth_core"
    package.mkdir()
    monkeypatch.setattr(discovery.resources, "files", lambda name: package)
    with pytest.raises(PartError) as refused:
        first_party_manifest()
    assert str(package / "registry.toml") in str(refused.value)
    assert str(tmp_path / "registry.toml") in str(refused.value)
    checkout = tmp_path / "registry.toml"
    checkout.touch()
    assert first_party_manifest() == checkout == checkout_manifest()
    packaged = package / "registry.toml"
    packaged.touch()
    assert first_party_manifest() == packaged


def test_whoever_asks_for_what_is_not_looked_at_is_told(
    fake_packages: FakePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages.install()
    monkeypatch.setenv("PGSYNTH_PLUGINS", "")
    with pytest.raises(SpecError, match="PGSYNTH_PLUGINS is set"):
        discover().find("encoder", "x")
    monkeypatch.delenv("PGSYNTH_PLUGINS")
    with pytest.raises(SpecError) as caught:
        discover().find("encoder", "y")
    assert "PGSYNTH_PLUGINS" not in str(caught.value)
