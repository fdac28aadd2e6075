"""A lock says what a run was made with; what differs is told, with what to install."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.contract import check
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.manifest import Replacement
from pgsynth_core.registry import Broken, Contributed, DisabledPackage, Origin, Registry
from pgsynth_core.runs import EventLog, Lock, LockProblem, build_lock, check_lock, check_weights, create_run, read_lock
from pgsynth_core.runs.differences import again
from pgsynth_core.spec import resolve

from ...fixtures.standins import component, registry_with

MORE = "pgsynth-more"
OTHER = component("encoder", "outer", '[component.provides.tokens]\naxes = ["B", "N", "D"]\n[component.options]')


@pytest.fixture(scope="module")
def house() -> Registry:
    """pgsynth's stand-ins, and a package more."""
    return registry_with(OTHER)


@pytest.fixture
def lock(house: Registry) -> dict[str, Any]:
    """Of a run with a part of each."""
    spec = resolve(None, ["base=tiny", "encoder=qfft+outer", "attn=pma"], house).spec
    spec = spec.model_copy(update={"adapters": {"outer": {"tokens": (32, 64)}}})
    return build_lock(spec, check(spec, house), house)


def changed(house: Registry, package: str, **facts: Any) -> Registry:
    """The same parts, from a package that says otherwise of itself."""

    def other(origin: Origin) -> Origin:
        return replace(origin, **facts) if origin.package == package else origin

    return replace(house, entries=tuple(replace(entry, origin=other(entry.origin)) for entry in house.entries))


def without(house: Registry, package: str, name: str = "") -> Registry:
    """Without a package, or without one part of it."""
    left = [entry for entry in house.entries if entry.origin.package != package or name not in ("", entry.name)]
    assert len(left) < len(house.entries)
    return replace(house, entries=tuple(left))


def test_it_says_what_the_run_is_made_of(lock: dict[str, Any], house: Registry) -> None:
    assert json.loads(json.dumps(lock)) == lock
    assert set(lock) == set(Lock.model_fields)
    assert (lock["lock"], lock["contract"], lock["python"]) == (1, 1, platform.python_version())
    assert {(part["slot"], part["label"], part["part"]) for part in lock["parts"]} >= {
        ("base", "tiny", "pgsynth:tiny"),
        ("encoder", "qfft", "pgsynth:qfft"),
        ("encoder", "outer", f"{MORE}:outer"),
        ("attn", "pma", "pgsynth:pma"),
    }
    origins = {entry.origin.package: entry.origin for entry in house.entries}
    assert set(lock["packages"]) == {"pgsynth", MORE}
    for name, locked in lock["packages"].items():
        assert locked == {"version": origins[name].version, "manifest_sha256": origins[name].manifest_sha256}
    assert lock["axes"]["D"] == 64
    assert lock["adapters"] == {"outer": {"tokens": [32, 64]}}
    assert lock["libraries"]["torch"] == metadata.version("torch")


def test_the_same_house_has_nothing_to_say(lock: dict[str, Any], house: Registry) -> None:
    assert check_lock(lock, house) == []
    assert check_lock(json.loads(json.dumps(lock)) | {"added_later": {}}, house) == []


def test_another_version_is_a_warning(lock: dict[str, Any], house: Registry) -> None:
    made = lock["packages"][MORE]["version"]
    (problem,) = check_lock(lock, changed(house, MORE, version="9.9", manifest_sha256="1" * 64))
    assert isinstance(problem, LockProblem) and isinstance(problem, Problem)
    assert (problem.level, problem.package) == ("warning", MORE)
    assert problem.message == f"the run was made with {MORE} {made}, which brings outer, and 9.9 is installed."
    assert problem.cure == f"For the same: pgsynth plugins install {MORE}=={made}."


def test_another_manifest_of_the_same_version_is_a_warning(lock: dict[str, Any], house: Registry) -> None:
    (problem,) = check_lock(lock, changed(house, "pgsynth", manifest_sha256="1" * 64))
    assert problem.level == "warning"
    assert "has another manifest than when the run was made" in problem.message
    assert "tiny" in problem.message and "qfft" in problem.message and "outer" not in problem.message


def test_a_package_that_is_missing_is_an_error_with_the_command(lock: dict[str, Any], house: Registry) -> None:
    made = lock["packages"][MORE]["version"]
    (problem,) = check_lock(lock, without(house, MORE))
    assert problem == LockProblem(
        f"the part 'outer' comes from {MORE} {made}, which is not installed.",
        "encoder.outer",
        f"Install it: pgsynth plugins install {MORE}=={made}.",
        "error",
        MORE,
    )


def test_a_part_that_its_package_no_longer_has(lock: dict[str, Any], house: Registry) -> None:
    newer = changed(without(house, "pgsynth", "pma"), "pgsynth", version="7.0")
    error, warning = check_lock(lock, newer)
    assert (error.level, warning.level) == ("error", "warning")
    assert error.message == "the part 'pma' comes from pgsynth 1.0, which is installed as 7.0 and has no such part."
    assert error.cure == "Install the version that has it: pip install pgsynth==1.0."


def test_a_part_that_is_called_otherwise_now_is_not_missing(lock: dict[str, Any], house: Registry) -> None:
    newer = without(house, MORE, "outer")
    origin = next(entry.origin for entry in house.entries if entry.origin.package == MORE)
    table = Replacement(kind="encoder", old="outer", new="other", since="2.0")
    assert check_lock(lock, replace(newer, replacements=(Contributed(table, origin),))) == []
    assert check_lock(lock, newer)


def test_a_package_that_is_broken(lock: dict[str, Any], house: Registry) -> None:
    torn = replace(
        without(house, MORE), broken=(Broken(MORE, "1.0", (Problem("not valid TOML.", cure="Remove it."),)),)
    )
    (problem,) = check_lock(lock, torn)
    assert "which is broken: not valid TOML." in problem.message
    made = lock["packages"][MORE]["version"]
    assert problem.cure == f"To mend it: pip install --force-reinstall --no-deps {MORE}=={made}."


def test_a_package_that_is_switched_off(lock: dict[str, Any], house: Registry) -> None:
    off = replace(without(house, MORE), disabled=(DisabledPackage(MORE, "1.0", ("encoder:outer",)),))
    (problem,) = check_lock(lock, off)
    assert problem.message.endswith("which is switched off.")
    assert problem.cure == f"Switch it on: pgsynth plugins enable {MORE}."


def test_a_package_that_safe_mode_leaves_out(
    lock: dict[str, Any], house: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_PLUGINS", "")
    (problem,) = check_lock(lock, without(house, MORE))
    assert problem.message.endswith("which PGSYNTH_PLUGINS does not allow.")
    assert problem.cure == "Name it there, or unset PGSYNTH_PLUGINS."


def test_other_libraries_are_one_warning(lock: dict[str, Any], house: Registry) -> None:
    lock["libraries"] |= {"torch": "1.0", "no-such-library": "3"}
    lock["python"] = "3.99.0"
    (problem,) = check_lock(lock, house)
    assert problem.level == "warning"
    assert "Python 3.99.0 then" in problem.message and "torch 1.0 then" in problem.message
    assert "no-such-library 3 then, none now" in problem.message
    assert problem.cure == 'For the same: pip install "torch==1.0" "no-such-library==3".'


def test_a_contract_that_is_not_kept_any_more(lock: dict[str, Any], house: Registry) -> None:
    (problem,) = check_lock(lock | {"contract": 99}, house)
    assert (problem.level, problem.package) == ("error", "pgsynth")
    assert "contract 99; this pgsynth accepts 1 to 1" in problem.message


# ------------------------------------------------------------------------------------------- damaged, or hostile
def test_a_lock_of_a_later_form(lock: dict[str, Any], house: Registry) -> None:
    (problem,) = check_lock({"lock": 2}, house)
    assert "reads up to 1" in problem.message and "--upgrade" in problem.cure


def test_a_damaged_lock_says_where(lock: dict[str, Any], house: Registry) -> None:
    for damaged in ({}, {"lock": 1}, lock | {"parts": [{"slot": "base"}]}, lock | {"packages": 3}):
        (problem,) = check_lock(damaged, house)
        assert problem.level == "error" and "lock.json is damaged" in problem.message
        assert "Copy lock.json" in problem.cure
    (problem,) = check_lock(lock | {"parts": [{"slot": "x", "label": "y", "part": "pgsynth:z"}]}, house)
    assert "no slot 'x'" in problem.message


@pytest.mark.parametrize("bad", ["$(reboot)", "x; reboot", '"', "`x`", "-r evil", "a b", "a\nb"])
def test_nothing_a_shell_would_read_gets_into_a_command(lock: dict[str, Any], house: Registry, bad: str) -> None:
    for hostile in (
        lock | {"packages": {bad: lock["packages"]["pgsynth"]}},
        lock | {"packages": {MORE: {"version": bad, "manifest_sha256": ""}}},
        lock | {"libraries": {bad: "1"}},
        lock | {"libraries": {"torch": bad}},
        lock | {"parts": [{"slot": "base", "label": "x", "part": f"{bad}:x"}]},
    ):
        (problem,) = check_lock(hostile, house)
        assert "lock.json is damaged" in problem.message
        assert bad not in problem.cure


def test_reading_a_lock(tmp_path: Path, lock: dict[str, Any]) -> None:
    file = tmp_path / "lock.json"
    file.write_text(json.dumps(lock), encoding="utf-8")
    assert read_lock(file) == lock
    for text in ("{", "[]", "\0", "[" * 100_000):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="lock"):
            read_lock(file)
    with pytest.raises(UserError, match="No such file"):
        read_lock(tmp_path / "gone.json")


def test_pretrained_weights_that_are_others_are_told(lock: dict[str, Any]) -> None:
    made = lock | {"weights": {"owner/name": {"revision": "abc", "a.safetensors": "1", "b.safetensors": "2"}}}
    same = {"owner/name": {"revision": "def", "a.safetensors": "1", "b.safetensors": "2"}}
    assert check_weights(made, same) == [] and check_weights(lock, {}) == []
    (problem,) = check_weights(made, {"owner/name": {"a.safetensors": "1", "b.safetensors": "3"}})
    assert problem.level == "warning" and "owner/name" in problem.message and "b.safetensors" in problem.message
    assert "a.safetensors" not in problem.message and "abc" in problem.cure


def test_pretrained_weights_in_another_folder_are_the_same(lock: dict[str, Any]) -> None:
    made = lock | {"weights": {"models/sd15": {"folder": "/then/models/sd15", "a.safetensors": "1"}}}
    assert check_weights(made, {"models/sd15": {"folder": "/now/sd15", "a.safetensors": "1"}}) == []
    (problem,) = check_weights(made, {"models/sd15": {"folder": "/now/sd15", "a.safetensors": "2"}})
    assert "a.safetensors" in problem.message and "folder" not in problem.message


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("processes", [1, 16])
def test_no_command_is_given_where_nobody_knows_how_it_was_launched(
    tmp_path: Path, device: str, processes: int
) -> None:
    """On several machines, or sharded, each would begin something else."""
    run = create_run(tmp_path / "my runs", slug="x", spec_yaml="{}", lock=None)
    with EventLog(run.events_file) as log:
        log.write("run", step=0, steps=9, device=device, processes=processes)
    words = f"--resume '{run.path}' train.checkpointing=true"
    told = again(run, "train.checkpointing=true")
    if processes == 1:
        assert told == f"pgsynth train {words}"
    else:
        assert told.endswith(f": {words}") and "16 processes" in told
        assert "torchrun" not in told and "pgsynth train" not in told
