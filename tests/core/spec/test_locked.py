"""The lock of a spec: written with it, read beside it, compared; damaged and hostile ones; it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.manifest import Replacement
from pgsynth_core.registry import (
    CONFIG_VARIABLE,
    Broken,
    Contributed,
    DisabledPackage,
    Entry,
    KeptPackage,
    Registry,
    UserList,
    user_list_file,
    write_user_list,
)
from pgsynth_core.spec import Resolved, lock_of, other_axes, resolve
from pgsynth_core.spec.locked import install_command, reinstall_command
from pgsynth_core.spec.write import to_yaml

from ...fixtures.fake_packages import FakePackages

WORDS = ("base=tiny", "encoder=qfft+clip", "attn=other:hpfa")
AXES = {"D": 64, "Z": 12}


@pytest.fixture
def made(registry: Registry) -> Resolved:
    """Parts of two packages."""
    return resolve(None, WORDS, registry)


@pytest.fixture
def file(made: Resolved, registry: Registry, tmp_path: Path) -> Path:
    """That spec in a file, with its lock."""
    path = tmp_path / "method.yaml"
    path.write_text(made.spec.to_yaml(lock_of(made.spec, registry, AXES)), encoding="utf-8")
    return path


def changed(
    registry: Registry, package: str = "other", *, options: dict[str, Any] | None = None, **facts: Any
) -> Registry:
    """The registry with a package that says otherwise of itself; `options` are those of its parts."""

    def other(entry: Entry) -> Entry:
        if entry.origin.package != package:
            return entry
        component = entry.component if options is None else entry.component.model_copy(update={"options": options})
        return replace(entry, origin=replace(entry.origin, **facts), component=component)

    return replace(registry, entries=tuple(map(other, registry.entries)))


def without(registry: Registry, package: str, name: str = "") -> Registry:
    """Without a package, or without one part of it."""
    left = (entry for entry in registry.entries if entry.origin.package != package or name not in ("", entry.name))
    return replace(registry, entries=tuple(left))


def refused(source: Any, registry: Registry, *words: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        resolve(source, words, registry)
    return caught.value.problems


def line_of(file: Path, start: str) -> int:
    lines = file.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(start))


# ------------------------------------------------------------------------------------------- written, and read
def test_it_names_every_package_with_its_version_and_hash(made: Resolved, registry: Registry) -> None:
    lock = lock_of(made.spec, registry, AXES)
    package = {"version": "1.0", "manifest_sha256": "0" * 64}
    assert lock == {"contract": 1, "packages": {"pgsynth": package, "other": package}, "axes": AXES}
    alone = resolve(None, ["base=tiny"], registry)
    assert list(lock_of(alone.spec, registry, AXES)["packages"]) == ["pgsynth"]


def test_a_spec_with_its_lock_reads_as_the_same_spec(made: Resolved, registry: Registry, file: Path) -> None:
    again = resolve(file, (), registry)
    assert again.spec == made.spec and again.differences == () and again.warnings == ()
    assert again.spec.to_yaml(lock_of(again.spec, registry, AXES)) == file.read_text("utf-8")
    assert again.spec.to_yaml() == made.spec.to_yaml(), "the lock is of the file, not of the spec"
    mapping = made.spec.to_mapping() | {"lock": lock_of(made.spec, registry, AXES)}
    assert resolve(mapping, (), registry).spec == made.spec


# ------------------------------------------------------------------------------------------- what differs
def test_another_version_is_told_with_what_was_and_what_is(registry: Registry, file: Path) -> None:
    (other,) = resolve(file, (), changed(registry, version="1.1")).differences
    assert other.package == "other" and other.options == ""
    assert str(other) == (
        f"{file}:{line_of(file, 'other:')}: written with other 1.0, which brings clip, hpfa; 1.1 is installed. "
        "For the same: pgsynth plugins install other==1.0. To keep it as it is, write the spec anew."
    )


def test_another_manifest_of_the_same_version_is_told(registry: Registry, file: Path) -> None:
    (other,) = resolve(file, (), changed(registry, manifest_sha256="1" * 64)).differences
    assert "other 1.0, which brings clip, hpfa, has another manifest than when this was written." in str(other)
    assert "For the same: pip install --force-reinstall --no-deps other==1.0. To keep it" in str(other)


def test_pgsynth_itself_is_installed_by_pip(registry: Registry, file: Path) -> None:
    (other,) = resolve(file, (), changed(registry, "pgsynth", version="2.0")).differences
    assert "written with pgsynth 1.0" in other.message and "pip install pgsynth==1.0." in other.cure


def test_of_a_package_that_brings_nothing_any_more_nothing_is_said(registry: Registry, file: Path) -> None:
    words = ("encoder=qfft", "attn=none")
    for house in (changed(registry, version="1.1"), without(registry, "other")):
        assert resolve(file, words, house).differences == ()


def test_options_that_came_since_are_named_with_their_defaults(registry: Registry, file: Path) -> None:
    newer = registry.find("encoder", "qfft").component.options
    kept = {name: newer[name] for name in ("dropout", "queries")}
    (other,) = resolve(file, (), changed(registry, version="1.1", options=kept)).differences
    assert other.options == (
        "Not known then, and at their defaults now: encoder.clip.dropout=0.0, encoder.clip.queries=local+global, "
        "attn.hpfa.dropout=0.0, attn.hpfa.queries=local+global."
    )


def test_an_option_that_went_names_both_versions_and_the_command(registry: Registry, file: Path) -> None:
    text = file.read_text("utf-8").replace("part: pgsynth:qfft", "part: pgsynth:qfft\n    gain: 2")
    file.write_text(text, encoding="utf-8")
    newer = changed(registry, "pgsynth", version="2.0")
    (problem,) = refused(file, newer)
    assert problem.where == f"{file}:{line_of(file, 'gain')}"
    assert problem.message == "qfft has no option 'gain'. It is of pgsynth 2.0; this was written with 1.0."
    assert problem.cure.startswith(
        "To have it as it was: pip install pgsynth==1.0; or change the spec. Options of qfft:"
    )
    (plain,) = refused(file, registry)
    assert plain.message == "qfft has no option 'gain'." and "install" not in plain.cure


def test_a_value_that_is_not_allowed_any_more_names_them_too(registry: Registry, file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("dropout: 0.0", "dropout: 7.0"), encoding="utf-8")
    (problem,) = refused(file, changed(registry, "pgsynth", manifest_sha256="1" * 64))
    assert "is not in its range" in problem.message
    assert problem.message.endswith("It is of pgsynth 1.0; this was written with another manifest of that version.")
    assert "--force-reinstall --no-deps " in problem.cure


def test_what_was_renamed_is_found_and_told_with_the_rest(registry: Registry, file: Path) -> None:
    newer = changed(registry, version="2.0")
    clip = newer.find("encoder", "clip")
    named = replace(clip, component=clip.component.model_copy(update={"name": "clap"}))
    table = Replacement(kind="encoder", old="clip", new="clap", since="2.0")
    house = replace(
        newer,
        entries=tuple(named if entry is clip else entry for entry in newer.entries),
        replacements=(Contributed(table, clip.origin),),
    )
    read = resolve(file, (), house)
    assert [choice.part for choice in read.spec.encoder] == ["pgsynth:qfft", "other:clap"]
    (sentence,) = read.renamed
    assert "clip is called clap since other 2.0" in sentence and sentence in read.warnings
    assert read.changed_options == (sentence,) and len(read.differences) == 1


def test_sizes_that_the_base_binds_otherwise_are_told(registry: Registry, file: Path) -> None:
    lock = resolve(file, (), registry).lock
    (other,) = other_axes(lock, {"D": 32, "Z": 12}, ["default", f"{file}:3"])
    assert str(other) == "the base binds other sizes than when the spec was written: D was 64 and is 32."
    assert other_axes(lock, AXES, ["default"]) == ()
    assert other_axes(lock, {"D": 32}, ["default", "argument 1"]) == (), "who gave another base meant it"


def test_another_contract_is_told(registry: Registry, file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("contract: 1", "contract: 3"), encoding="utf-8")
    (other,) = resolve(file, (), registry).differences
    assert "written under contract 3; this pgsynth has contract 1." in str(other)


# ------------------------------------------------------------------------------------------- what is missing
def test_a_part_of_a_missing_package_names_the_command_with_its_version(registry: Registry, file: Path) -> None:
    clip, hpfa = refused(file, without(registry, "other"))
    assert clip.message == "the encoder 'clip' comes from other 1.0, which is not installed."
    assert clip.cure == "Install it: pgsynth plugins install other==1.0."
    assert hpfa.message.startswith("the attention processor 'hpfa' comes from other 1.0")
    assert clip.where == f"{file}:{line_of(file, 'part: other:clip')}"


def test_why_it_is_missing_is_said_as_it_is(registry: Registry, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = without(registry, "other")
    off = replace(gone, disabled=(DisabledPackage("other", "1.0", ()),))
    assert refused(file, off)[0].cure == "Switch it on: pgsynth plugins enable other."
    broken = replace(gone, broken=(Broken("other", "1.0", (Problem("no TOML."),)),))
    assert "which is broken: no TOML." in refused(file, broken)[0].message
    (part,) = refused(file, changed(without(registry, "other", "clip"), version="1.1"))
    assert part.message == "the encoder 'clip' comes from other 1.0, which is installed as 1.1 and has no such part."
    assert part.cure == "Install the version that has it: pgsynth plugins install other==1.0."
    monkeypatch.setenv("PGSYNTH_PLUGINS", "")
    assert "which PGSYNTH_PLUGINS does not allow." in refused(file, gone)[0].message


def test_of_a_package_that_the_lock_does_not_know_the_registry_speaks(registry: Registry, file: Path) -> None:
    (problem,) = refused(file, registry, "pose=nobody:x")
    assert "there is no pose branch 'nobody:x'" in problem.message


# ------------------------------------------------------------------------------------------- extends
def test_the_lock_of_what_is_extended_counts_where_the_file_has_none(registry: Registry, file: Path) -> None:
    mine = file.with_name("mine.yaml")
    mine.write_text("extends: method.yaml\nencoder: {clip: {}}\n", encoding="utf-8")
    (other,) = resolve(mine, (), changed(registry, version="1.1")).differences
    assert other.package == "other" and str(file) in other.message
    assert refused(mine, without(registry, "other"))[0].cure == "Install it: pgsynth plugins install other==1.0."


def test_the_nearest_lock_counts(registry: Registry, file: Path) -> None:
    mine = file.with_name("mine.yaml")
    package = {"version": "1.1", "manifest_sha256": "0" * 64}
    text = to_yaml({"extends": "method.yaml", "lock": {"contract": 1, "packages": {"other": package}}})
    mine.write_text(text, encoding="utf-8")
    assert resolve(mine, (), changed(registry, version="1.1")).differences == ()
    assert [other.package for other in resolve(mine, (), registry).differences] == ["other"]


def test_the_lock_of_a_preset_says_only_what_to_install(registry: Registry, file: Path) -> None:
    preset = registry.find_preset("theirs")
    preset.path.write_text(file.read_text("utf-8"), encoding="utf-8")
    assert resolve("theirs", (), changed(registry, version="1.1")).differences == ()
    assert "pgsynth plugins install other==1.0" in refused("theirs", without(registry, "other"))[0].cure


# ------------------------------------------------------------------------------------------- damaged, or hostile
@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("contract: 1", "contract: one", "contract is 'one', and is a number."),
        ("contract: 1", "contarct: 1", "lock has no key 'contarct'."),
        ("version: '1.0'", "version: 1.0", "version of pgsynth is 1.0, and is a version, in quotes."),
        ("version: '1.0'", "verison: '1.0'", "lock.packages.pgsynth has no key 'verison'."),
        (
            f"manifest_sha256: '{'0' * 64}'",
            "manifest_sha256: '12'",
            "manifest_sha256 of pgsynth is '12', and is the hash",
        ),
        ("D: 64", "D: wide", "axes.D is 'wide', and is a number."),
        ("D: 64", "D: true", "axes.D is true, and is a number."),
    ],
)
def test_damage_is_told_with_its_line(registry: Registry, file: Path, line: str, instead: str, told: str) -> None:
    text = file.read_text("utf-8").replace('"', "'")
    assert line in text
    file.write_text(text.replace(line, instead, 1), encoding="utf-8")
    (problem,) = refused(file, registry)
    assert told in problem.message and problem.where == f"{file}:{line_of(file, instead.partition(':')[0])}"
    assert problem.cure


@pytest.mark.parametrize("lock", [3, [], "x", {"packages": 3}, {"packages": {"other": 3}}, {"axes": []}])
def test_a_lock_of_another_form_is_damaged(registry: Registry, lock: Any) -> None:
    (problem,) = refused({"base": "tiny", "lock": lock}, registry)
    assert "the lock is damaged" in problem.message and "take the lock out" in problem.cure


def test_a_package_without_its_hash_is_damaged(registry: Registry) -> None:
    (problem,) = refused({"base": "tiny", "lock": {"packages": {"other": {"version": "1.0"}}}}, registry)
    assert problem.message == "the lock is damaged: other has no manifest_sha256."


@pytest.mark.parametrize("bad", ["$(reboot)", "x; reboot", '"', "`x`", "-r evil", "a b", "a\nb", "1\n"])
def test_nothing_a_shell_would_read_gets_into_a_command(registry: Registry, bad: str) -> None:
    whole = {"version": "1.0", "manifest_sha256": "0" * 64}
    for packages in ({bad: whole}, {"other": whole | {"version": bad}}):
        for problem in refused({"base": "tiny", "lock": {"packages": packages}}, registry):
            assert "the lock is damaged" in problem.message and bad not in problem.cure


def test_no_argument_writes_a_lock(registry: Registry) -> None:
    (problem,) = refused(None, registry, "lock.contract=2")
    assert "lock is for spec files." in problem.message and "compose -o FILE" in problem.cure


def test_a_package_of_the_users_own_file_is_restored_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))
    assert install_command("pgsynth-plugin-x", "1.0") == "pgsynth plugins install pgsynth-plugin-x==1.0"
    write_user_list(UserList(plugin=(KeptPackage(name="pgsynth-plugin-x", version="1.0", source="/w/x.whl"),)))
    assert install_command("pgsynth-plugin-x", "1.0") == "pgsynth plugins restore"
    assert install_command("pgsynth-plugin-x", "1.1") == "pgsynth plugins install pgsynth-plugin-x==1.1"


def test_a_package_is_brought_back_alone_and_from_where_it_came(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))
    name, by_index = "pgsynth-plugin-x", "pip install --force-reinstall --no-deps pgsynth-plugin-x==1.0"
    assert reinstall_command(name, "1.0") == by_index
    info = fake_packages.metadata(name)
    assert reinstall_command(name, "1.0") == by_index
    (info / "direct_url.json").write_text('{"url": "file:///my%20x", "dir_info": {}}')  # of pip alone
    assert reinstall_command(name, "1.0") == "pgsynth plugins install '/my x'"
    (info / "direct_url.json").write_text('{"url": "https://nowhere/x.whl"}')
    assert reinstall_command(name, "1.0") == by_index
    write_user_list(UserList(plugin=(KeptPackage(name=name, version="1.0", source="/w/x", editable=True),)))
    assert reinstall_command(name, "1.0").endswith("then run pgsynth plugins install -e /w/x")
    write_user_list(UserList(plugin=(KeptPackage(name=name, version="1.0", source="/w/x.whl"),)))
    assert reinstall_command(name, "1.0") == "pgsynth plugins install /w/x.whl"
    user_list_file().write_text("broken = [")
    (info / "direct_url.json").write_text("[")
    assert reinstall_command(name, "") == "pip install --force-reinstall --no-deps pgsynth-plugin-x"
