"""`pgsynth compose`: the description, the facts, the file, the questions."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..fixtures.fake_packages import FakePackages

Run = Callable[..., Any]


def test_the_tree_goes_to_stdout(run: Run) -> None:
    said = run("compose", "encoder=qfft", "attn=pma", "--no-proof")
    assert said.code == 0
    assert said.out.startswith("qfft + controlnet + pma on sd, 512x352 (height x width)\n")
    assert "└─" in said.out and "error" not in said.err


def test_words_and_flags_stand_in_any_order(run: Run) -> None:
    plain = run("compose", "tiny", "attn.pma.mask=eq9", "train.steps=7", "--no-proof", "--json")
    mixed = run("compose", "--json", "attn.pma.mask=eq9", "--no-proof", "tiny", "train.steps=7")
    assert plain.code == mixed.code == 0
    assert plain.facts == mixed.facts
    assert plain.facts["spec"]["train"]["steps"] == 7


def test_the_proof_is_shown(run: Run) -> None:
    said = run("compose", "tiny", "--json")
    assert said.code == 0, said.err
    assert said.facts["proof"]["trainable"] > 0 and said.facts["proof"]["sites"]


def test_json_has_the_documented_keys(run: Run) -> None:
    facts = run("compose", "tiny", "--no-proof", "--json").facts
    documented = {"ok", "size", "fit", "parts", "axes", "links", "adapters", "data_ports", "notes", "spec", "lock"}
    assert documented | {"warnings", "broken"} == set(facts)
    assert facts["ok"] is True and facts["size"] == [32, 24] and facts["broken"] == []


def test_explain_says_where_every_value_comes_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "method.yaml").write_text("extends: tiny\ntrain: {steps: 9}\n", encoding="utf-8")
    said = run("compose", str(tmp_path / "method.yaml"), "train.seed=3", "--explain")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines()}
    assert rows["train.steps"][0] == "9" and rows["train.steps"][-1].endswith("method.yaml:2")
    assert rows["train.seed"] == ["3", "argument", "1"]
    assert rows["base.tiny"][-2] == "preset" and rows["base.tiny"][-1].startswith("tiny:")
    assert rows["train.batch_size"][-1] == "default"
    facts = run("compose", "tiny", "--explain", "--json").facts
    assert "proof" not in facts
    assert set(facts["explain"][0]) == {"path", "value", "origin"}


def test_the_written_spec_composes_to_itself(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    assert run("compose", "tiny", "attn.pma.mask=eq9", "--no-proof", "-o", str(first)).code == 0
    assert run("compose", str(first), "--no-proof", "-o", str(second)).code == 0
    assert first.read_text("utf-8") == second.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.yaml", "second.yaml"]


def test_the_written_spec_says_what_it_was_written_with(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "method.yaml"
    facts = run("compose", "tiny", "--no-proof", "--json", "-o", str(file)).facts
    text = file.read_text("utf-8")
    assert list(facts["lock"]) == ["contract", "packages", "axes"] and list(facts["lock"]["packages"]) == ["pgsynth"]
    assert f"    manifest_sha256: {facts['lock']['packages']['pgsynth']['manifest_sha256']}\n" in text.replace('"', "")
    file.write_text(text.replace("  axes:\n    D: 64", "  axes:\n    D: 32"), encoding="utf-8")
    said = run("compose", str(file), "--no-proof")
    assert said.code == 0 and "D was 32 and is 64." in said.err
    assert "D was" not in run("compose", str(file), "base=tiny", "--no-proof").err
    file.write_text(text.replace("    pgsynth:\n      version: ", "    pgsynth:\n      version: 0."), encoding="utf-8")
    said = run("compose", str(file), "--no-proof", "--json")
    (warning,) = said.facts["warnings"]
    assert "written with pgsynth 0." in warning and warning in said.err
    said = run("compose", str(file), "--explain")
    assert said.code == 0 and "lock" not in said.out


def test_a_dash_writes_the_spec_to_stdout_and_the_tree_to_stderr(run: Run, tmp_path: Path) -> None:
    said = run("compose", "tiny", "--no-proof", "-o", "-")
    (tmp_path / "again.yaml").write_text(said.out, encoding="utf-8")
    assert "on tiny, 32x24" in said.err
    assert run("compose", str(tmp_path / "again.yaml"), "--no-proof", "-o", "-").out == said.out
    assert run("compose", "tiny", "-o", "-", "--json").code == 2


def test_a_file_that_differs_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "method.yaml"
    file.write_text("mine\n", encoding="utf-8")
    said = run("compose", "tiny", "--no-proof", "-o", str(file))
    assert (said.code, file.read_text("utf-8")) == (2, "mine\n")
    assert "--force" in said.err and str(file) in said.err
    assert run("compose", "tiny", "--no-proof", "-o", str(file), "--force").code == 0
    assert run("compose", "tiny", "--no-proof", "-o", str(file)).code == 0, "the same content is no difference"
    assert run("compose", "tiny", "--force").code == 2, "--force without -o has no effect, so it is refused"


def test_a_link_stays_a_link_and_keeps_its_rights(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("old", encoding="utf-8")
    (tmp_path / "real.yaml").chmod(0o640)
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    assert run("compose", "tiny", "--no-proof", "--force", "-o", str(tmp_path / "link.yaml")).code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert (tmp_path / "real.yaml").read_text("utf-8").startswith("pgsynth: 1\n")
    assert stat.S_IMODE((tmp_path / "real.yaml").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("place", "words"),
    [("", "folder"), ("missng/x.yaml", "'missing'"), ("no/where/x.yaml", "mkdir -p"), ("a" * 300 + ".yaml", "name")],
)
def test_a_place_where_no_file_can_be_is_refused(run: Run, tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "missing").mkdir()
    said = run("compose", "tiny", "--no-proof", "-o", str(tmp_path / place))
    assert said.code == 2 and words in said.err and "cure: " in said.err
    assert [path.name for path in tmp_path.rglob("*")] == ["missing"]


def test_nothing_is_written_for_a_method_that_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("compose", "attn=pma", "encoder=none", "-o", str(tmp_path / "x.yaml")).code == 2
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file_whole(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "method.yaml"
    file.write_text("mine\n", encoding="utf-8")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    said = run("compose", "tiny", "--no-proof", "--force", "-o", str(file))
    assert said.code == 2 and "No space left" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["method.yaml"] and file.read_text("utf-8") == "mine\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_told(run: Run) -> None:
    said = run("compose", "tiny", "--no-proof", "-o", "/dev/full", "--force")
    assert said.code == 2 and "/dev/full" in said.err and "space" in said.err


def test_a_question_is_answered_from_the_manifests(run: Run) -> None:
    said = run("compose", "encoder=?", "attn.pma.mask=?", "train.steps=?")
    assert said.code == 0
    assert "qfft Learnable local and global queries" in " ".join(said.out.split())
    assert "eq5 | eq9 | none" in said.out and "int >= 1" in said.out
    assert "sides 1 to 8192" in run("compose", "size=?").out and "squash | pad | crop" in run("compose", "fit=?").out
    asked = run("compose", "sample.guidance=?", "--json").facts["answers"][0]["allowed"]
    keys = [f"guidance.NAME.{key}" for key in ("scale", "from", "until")]
    assert [fact["name"] for fact in asked] == ["guidance", *keys] and all(fact["help"] for fact in asked)
    assert len(run("compose", "sample=?", "--json").facts["answers"][0]["allowed"]) == 5
    facts = run("compose", "attn.pma=?", "--json").facts
    assert facts["answers"][0]["path"] == "attn.pma"
    assert facts["answers"][0]["allowed"][0] | {"help": ""} == {
        "name": "mask",
        "allowed": ["eq5", "eq9", "none"],
        "default": "eq5",
        "help": "",
    }


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("encodr=?", "encoder"),
        ("train.stepps=?", "'steps'"),
        ("attn.pmaa=?", "'pma'"),
        ("attn.pma.maks=?", "attn.pma=?"),
    ],
)
def test_a_question_about_nothing_is_refused(run: Run, word: str, hint: str) -> None:
    said = run("compose", word)
    assert said.code == 2 and hint in said.err


def test_a_file_may_have_an_equals_sign_in_its_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "lr=3.yaml"
    file.write_text("extends: tiny\n", encoding="utf-8")
    assert run("compose", str(file), "train.steps=3", "--no-proof", "--json").facts["size"] == [32, 24]


def test_an_adapter_is_proposed_and_taken_with_adapt(run: Run, fake_packages: FakePackages, tmp_path: Path) -> None:
    more = '[component.provides.tokens]\naxes = ["B", "N", 1024]\nroles = ["local", "global"]\n'
    fake_packages.install(
        manifest=fake_packages.manifest("pgsynth-plugin-x", fake_packages.part("encoder", "x", more=more))
    )
    words = ("compose", "base=tiny", "encoder=x", "attn=pma", "--no-proof")
    said = run(*words)
    assert said.code == 2 and "Linear(1024, 64)" in said.err and "--adapt" in said.err
    file = tmp_path / "adapted.yaml"
    assert run(*words, "--adapt", "-o", str(file)).code == 0
    assert run("compose", str(file), "--no-proof", "--json").facts["adapters"] == {"x": {"tokens": [1024, 64]}}


def test_a_dataset_to_come_is_a_note_not_an_error(run: Run) -> None:
    said = run("compose", "tiny", "data=none", "--no-proof")
    assert said.code == 0 and said.err.startswith("note: ")


def test_what_is_noted_is_told_and_in_the_facts(run: Run) -> None:
    words = ("compose", "truepose-tiny", "base=sd", "data=deepfashion", "data.deepfashion.parsing=true", "--no-proof")
    said = run(*words)
    assert said.code == 0
    told = [line.removeprefix("note: ") for line in said.err.splitlines() if line.startswith("note: ")]
    assert any("size=512x352" in note for note in told) and any("data.deepfashion.root" in note for note in told)
    assert run(*words, "--json").facts["notes"] == told


def test_json_is_plain_ascii(run: Run) -> None:
    out = run("compose", "tiny", "--no-proof", "--json").out
    assert out.isascii() and json.loads(out)
