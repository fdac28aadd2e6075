"""The state behind composing: a draft is a command line, and all that a screen shows of it follows from manifests."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgsynth_core.api import compose
from pgsynth_core.cli.compose import split_words
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_tui.stores.draft import Draft, DraftStore
from pgsynth_tui.stores.draft_form import Field
from pgsynth_tui.stores.draft_parts import Candidate

from ..fixtures.fake_packages import FakePackages


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@pytest.fixture
def store(registry: Registry) -> DraftStore:
    store = DraftStore(registry)
    assert store.load("qen") == ()
    return store


def labels(store: DraftStore, slot: str) -> list[str]:
    return [choice.label for choice in store.reading.parts(slot)]


def field(store: DraftStore, path: str) -> Field:
    found = store.field(path)
    assert found, path
    return found


def candidate(store: DraftStore, slot: str, name: str) -> Candidate:
    return next(one for one in store.candidates(slot) if one.name == name)


def composed(command: str) -> str:
    """The YAML that a command line comes to."""
    words = shlex.split(command)
    assert words[0] == "pgsynth"
    source, overrides = split_words([word for word in words[2:] if word != "--adapt"])
    return compose(source, *overrides, adapt="--adapt" in words).to_yaml()


# ------------------------------------------------------------------------------------------- slots
def test_slots_come_in_the_order_of_a_spec(store: DraftStore) -> None:
    assert [*store.reading.slots] == ["base", "encoder", "pose", "attn", "data"]
    assert {slot: labels(store, slot) for slot in store.reading.slots} == {
        "base": ["sd"],
        "encoder": ["qfft"],
        "pose": ["controlnet"],
        "attn": ["pma"],
        "data": ["figures"],
    }


def test_without_a_source_there_are_the_defaults(registry: Registry) -> None:
    store = DraftStore(registry)
    assert (labels(store, "base"), labels(store, "encoder"), labels(store, "pose")) == (["sd"], [], ["controlnet"])
    assert store.reading.command() == "pgsynth compose"
    store.add("pose", "t2i_adapter")
    assert labels(store, "pose") == ["controlnet", "t2i_adapter"]
    store.remove("pose", "controlnet")
    assert store.reading.command() == "pgsynth compose pose=t2i_adapter"


def test_parts_are_added_moved_swapped_and_removed(store: DraftStore) -> None:
    store.set("attn.pma.mask", "eq9")
    store.add("attn", "hpfa")
    store.move("attn", "hpfa", -1)
    assert labels(store, "attn") == ["hpfa", "pma"]
    store.move("attn", "hpfa", -5)
    store.swap("attn", "hpfa", "reference")
    assert labels(store, "attn") == ["reference", "pma"]
    assert store.reading.command() == "pgsynth compose qen attn=reference+pma attn.pma.mask=eq9"
    store.remove("attn", "reference")
    assert store.reading.command() == "pgsynth compose qen attn.pma.mask=eq9"
    store.remove("attn", "pma")
    assert store.draft.overrides == ("attn=none",)


def test_the_base_and_the_data_are_replaced(store: DraftStore) -> None:
    store.add("data", "folder")
    store.choose("base", "tiny")
    assert (labels(store, "data"), labels(store, "base")) == (["folder"], ["tiny"])
    store.choose("base", "sd")
    store.choose("data", "figures")
    assert store.reading.command() == "pgsynth compose qen"


def test_a_second_part_of_a_kind_has_a_label_of_its_own(store: DraftStore) -> None:
    store.add("attn", "pma")
    store.set("attn.pma_2.sites", "denoiser:cross:up_blocks.*")
    store.move("attn", "pma_2", -1)
    assert labels(store, "attn") == ["pma_2", "pma"]
    assert field(store, "attn.pma_2.sites").value == "denoiser:cross:up_blocks.*"
    assert composed(store.reading.command()) == store.reading.saved()


def test_a_part_takes_the_place_of_another_under_a_free_label(store: DraftStore) -> None:
    store.add("attn", "hpfa")
    store.swap("attn", "hpfa", "pma")
    assert labels(store, "attn") == ["pma", "pma_2"]
    before = store.draft
    for label, name in (("pma", "pma"), ("pma", "nothing"), ("nothing", "hpfa")):
        store.swap("attn", label, name)
    assert store.draft == before


def test_a_source_of_another_part_under_a_name_is_told_apart(registry: Registry, tmp_path: Path) -> None:
    spec = tmp_path / "odd.yaml"
    spec.write_text("extends: qen\nattn: {pma: {}, reference: {part: pma}}\n")
    store = DraftStore(registry)
    assert store.load(str(spec)) == ()
    store.move("attn", "reference", -1)
    assert [(one.label, one.part) for one in store.reading.parts("attn")] == [
        ("reference", "pgsynth:pma"),
        ("pma", "pgsynth:pma"),
    ]
    store.remove("attn", "reference")
    store.add("attn", "reference")
    assert [(one.label, one.part) for one in store.reading.parts("attn")][-1] == ("reference", "pgsynth:reference")


def test_steps_are_undone_and_done_again(store: DraftStore) -> None:
    assert store.can_undo
    store.set("train.steps", "5")
    store.add("attn", "hpfa")
    after = store.draft
    assert store.undo() and store.undo()
    assert store.draft == Draft("qen") and store.can_redo
    assert store.redo() and store.redo() and not store.redo()
    assert store.draft == after
    store.undo()
    store.set("train.seed", "1")
    assert not store.can_redo


def test_keystrokes_in_one_field_are_one_step(store: DraftStore) -> None:
    for text in ("2", "20", "200"):
        store.set("train.steps", text, typing=True)
    store.set("train.seed", "1", typing=True)
    store.undo()
    assert store.draft.overrides == ("train.steps=200",)
    store.undo()
    assert store.draft == Draft("qen")


def test_what_changes_nothing_is_no_step(registry: Registry) -> None:
    store = DraftStore(registry)
    store.reset("attn")
    store.adapt(False)
    assert not store.can_undo


# ------------------------------------------------------------------------------------------- sources
@pytest.mark.parametrize("source", ["qem", "/nowhere/method.yaml", "", "a\0b.yaml"])
def test_a_source_that_cannot_be_read_leaves_the_draft(store: DraftStore, source: str) -> None:
    before = store.draft
    problems = store.load(source)
    assert problems and all(one.path == "source" and one.level == "problem" for one in problems)
    assert store.draft == before


def test_a_bad_spec_file_tells_its_lines(store: DraftStore, tmp_path: Path) -> None:
    spec = tmp_path / "method.yaml"
    spec.write_text("encoder: {qfft: {depth: deep}}\ntrain: {step: 3}\nfoo: 1\n")
    problems = store.load(str(spec))
    assert [one.where for one in problems] == [f"{spec}:{line}" for line in (1, 2, 3)]
    assert [one.path for one in problems] == ["encoder", "train", "source"]


def test_a_spec_file_is_read_again_when_loaded_again(store: DraftStore, tmp_path: Path) -> None:
    spec = tmp_path / "a b.yaml"
    spec.write_text("extends: tiny\ntrain: {steps: 3}\n")
    assert store.load(str(spec)) == ()
    assert shlex.split(store.reading.command("train")) == ["pgsynth", "train", str(spec)]
    spec.write_text("extends: tiny\ntrain: {steps: 4}\n")
    store.refresh()
    assert field(store, "train.steps").value == 4


@pytest.mark.parametrize("name", ["-x.yaml", "a=b.yaml", "a=b/it's.yaml", "sub/a=b.yaml"])
def test_any_name_of_a_file_can_be_typed(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("extends: tiny\n")
    store = DraftStore(registry)
    assert store.load(name) == ()
    store.set("train.steps", "5")
    assert composed(store.reading.command()) == store.reading.saved()
    assert not shlex.split(store.reading.command())[2].startswith("-")


def test_a_path_may_begin_at_home(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("extends: tiny\n")
    store = DraftStore(registry)
    assert store.load("~/mine.yaml") == () and store.draft.source == str(tmp_path / "mine.yaml")


# ------------------------------------------------------------------------------------------- candidates
def test_every_part_is_a_candidate_and_says_whether_it_fits(store: DraftStore) -> None:
    for slot, kind in KIND_OF_SLOT.items():
        assert [one.entry for one in store.candidates(slot)] == [*store.registry.of_kind(kind)]
    assert {one.name: one.fit.answer for one in store.candidates("attn")} == {
        "pma": "fits",
        "hpfa": "needs more",
        "caa": "needs more",
        "reference": "needs more",
    }
    hpfa = candidate(store, "attn", "hpfa")
    assert hpfa.fit.problems[0].message.startswith("hpfa needs `reference`.")
    assert hpfa.fit.problems[0].cure and hpfa.fit.problems[0].path == "attn"
    assert hpfa.fit.remedy == ("encoder=qfft+sourcenet",)
    assert candidate(store, "attn", "pma").chosen == ("pma",)


@pytest.mark.parametrize("source", [None, "qen", "truepose", "tiny"])
def test_what_is_taken_with_its_remedy_fits(registry: Registry, source: str | None) -> None:
    store = DraftStore(registry)
    store.load(source)
    for slot in KIND_OF_SLOT:
        for one in store.candidates(slot):
            store.take(one)
            there = [choice.part for choice in store.reading.parts(slot)]
            assert one.entry.qualified in there, one.name
            assert store.reading.ok == (one.fit.answer != "does not fit" or bool(one.chosen)), (
                one,
                store.reading.findings,
            )
            if not one.chosen:
                store.undo()


def test_a_part_that_mends_the_draft_says_so(store: DraftStore) -> None:
    store.add("attn", "hpfa")
    answers = {one.name: (one.fit.answer, one.fit.mends) for one in store.candidates("encoder")}
    assert answers["sourcenet"] == ("fits", True)
    assert answers["clip"] == ("fits", False)


def test_only_widths_differ_where_an_adapter_is_proposed(fake_packages: FakePackages) -> None:
    block = """
[[component]]
kind = "encoder"
name = "wide"
summary = "Tokens of another width."
target = "pgsynth_plugin_x.parts:Part"
config = "pgsynth_plugin_x.parts:Config"
licence = "MIT"
[component.provides.tokens]
axes = ["B", "N", 100]
roles = ["local"]
"""
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", block))
    store = DraftStore(discover())
    wide = candidate(store, "encoder", "wide")
    assert (wide.fit.answer, wide.fit.remedy) == ("adapts", ("--adapt",))
    store.add("encoder", "wide")
    assert store.reading.verdict.needs_adapt and not store.reading.ok
    assert store.reading.sentence == "The parts fit with --adapt, which puts a linear layer behind wide (100 to 768)."
    assert store.reading.refusals[0].remedies == (("--adapt",),)
    store.apply("--adapt")
    assert store.reading.ok
    assert store.reading.command() == "pgsynth compose encoder=wide --adapt"
    assert composed(store.reading.command()) == store.reading.saved()
    store.remove("encoder", "wide")
    assert store.reading.command() == "pgsynth compose"


# ------------------------------------------------------------------------------------------- the form
def test_every_value_has_a_field(store: DraftStore) -> None:
    paths = [one.path for group in store.form() for one in group.fields]
    parts = {f"{slot}.{label}" for slot in KIND_OF_SLOT for label in labels(store, slot)}
    lists = {f"{group.path}" for group in store.form()}
    assert sorted(paths) == sorted({*store.reading.values} - parts)
    assert lists == parts | {"size", "train", "sample"}
    assert all(one.help and one.type for group in store.form() for one in group.fields)


def test_a_field_says_what_may_be_written_and_what_is(store: DraftStore) -> None:
    size = field(store, "size")
    assert (size.default, size.source, size.value, size.changed, size.at_default) == (
        "512x352",
        "512x512",
        "512x512",
        False,
        False,
    )
    depth = field(store, "encoder.qfft.depth")
    assert (depth.name, depth.type, depth.range, depth.changed, depth.at_default) == (
        "depth",
        "int",
        (1, None),
        False,
        True,
    )
    store.set("encoder.qfft.depth", "6")
    depth = field(store, "encoder.qfft.depth")
    assert (depth.source, depth.value, depth.text, depth.changed) == (4, 6, "6", True)
    assert field(store, "encoder.qfft.pretrained").choices == (True, False)
    assert field(store, "train.drop.all").default == 0.1


def test_a_bad_value_stays_and_its_field_tells(store: DraftStore) -> None:
    store.set("attn.pma.mask", "eq8")
    store.set("train.steps", "many")
    store.set("train.seed", "")
    store.set("encoder.qfft.depth", "6")
    mask = field(store, "attn.pma.mask")
    assert (mask.text, mask.value, mask.wrong, mask.changed) == ("eq8", "eq5", True, True)
    assert mask.problem and "Did you mean 'eq9'?" in mask.problem.cure
    assert field(store, "train.steps").problem and field(store, "train.seed").problem
    assert field(store, "encoder.qfft.depth").value == 6
    assert [one.path for one in store.reading.refusals] == ["attn.pma.mask", "train.steps", "train.seed"]
    assert store.reading.sentence.startswith("It cannot be composed: ") and "(and 2 more)" in store.reading.sentence
    with pytest.raises(UserError, match="many"):
        store.reading.saved()
    store.reset("attn.pma.mask")
    assert not field(store, "attn.pma.mask").wrong


def test_values_of_mappings_are_fields(store: DraftStore) -> None:
    store.set("sample.guidance.pose", "2")
    store.set("sample.guidance.appearance", "bad")
    sample = next(group for group in store.form() if group.path == "sample")
    guidance = [one for one in sample.fields if one.path.startswith("sample.guidance.")]
    assert [(one.name, one.text, one.wrong) for one in guidance] == [("pose", "2", False), ("appearance", "bad", True)]
    assert guidance[1].problem
    assert {"sample.guidance.all", "sample.guidance.qfft"} <= {*sample.more}
    store.set("train.drop", "0.5")
    assert field(store, "train.drop").problem


def test_a_field_is_reset_to_the_preset_or_to_the_default(store: DraftStore) -> None:
    store.set("size", "256x256")
    store.reset("size", to="default")
    assert field(store, "size").value == "512x352"
    store.reset("size")
    assert field(store, "size").value == "512x512"


def test_an_option_without_effect_is_inactive_and_warned_of(store: DraftStore) -> None:
    rank = field(store, "base.sd.lora_rank")
    assert rank.inactive == "It acts with train=lora."
    store.set("base.sd.lora_rank", "4")
    warning = next(one for one in store.reading.findings if one.level == "warning")
    assert warning.path == "base.sd.lora_rank" and warning.where == "base.sd.lora_rank=4"
    assert "argument" not in warning.message
    store.set("base.sd.train", "lora")
    assert not field(store, "base.sd.lora_rank").inactive


# ------------------------------------------------------------------------------------------- problems
@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("encoder=qftt", "encoder"),
        ("encoder.qfft.dept=3", "encoder.qfft"),
        ("attn.pmaa.mask=eq5", "attn"),
        ("train.stepz=3", "train"),
        ("trian.steps=3", "source"),
        ("size=513x512", "size"),
        ("base=none", "base"),
        ("sample.guidance.qft=2", "sample.guidance.qft"),
        ("no override", "source"),
        ("attn=pma,hpfa", "attn"),
        ("adapters.qfft.tokens=[1,2,3]", "source"),
    ],
)
def test_a_problem_points_to_its_place(store: DraftStore, word: str, path: str) -> None:
    store.apply(word)
    problems = store.reading.refusals
    assert problems and problems[0].path == path, problems
    assert problems[0].where == word and problems[0].message
    assert labels(store, "encoder") == ["qfft"]
    assert word in shlex.split(store.reading.command())


def test_the_contract_points_to_the_field_that_cures(store: DraftStore) -> None:
    store.set("encoder.qfft.queries", "local")
    problem = store.reading.refusals[0]
    assert problem.path == "attn.pma.mask"
    assert ("attn.pma.mask=eq9",) in problem.remedies
    store.apply(*problem.remedies[0])
    assert store.reading.ok


def test_a_warning_of_a_file_names_its_line(store: DraftStore, tmp_path: Path) -> None:
    spec = tmp_path / "method.yaml"
    spec.write_text("extends: qen\nbase: {sd: {lora_rank: 4}}\n")
    assert store.load(str(spec)) == ()
    warning = next(one for one in store.reading.findings if one.level == "warning")
    assert (warning.path, warning.where) == ("base.sd.lora_rank", f"{spec}:2")


def test_notes_point_to_their_place(store: DraftStore) -> None:
    store.choose("data", "deepfashion")
    note = next(one for one in store.reading.findings if one.level == "note")
    assert note.path == "data.deepfashion.root"
    store.load(None)
    assert [(one.level, one.path) for one in store.reading.findings] == [("note", "encoder")]


def test_of_a_slot_the_known_parts_are_shown(store: DraftStore) -> None:
    store.set("encoder", "clip+nothing")
    store.set("encoder.clip.layer", "-2")
    assert labels(store, "encoder") == ["clip"]
    assert store.reading.refusals[0].path == "encoder"


# ------------------------------------------------------------------------------------------- how it is written
@pytest.mark.parametrize("source", [None, "qen", "tiny", "truepose"])
def test_the_command_comes_to_what_is_saved(registry: Registry, source: str | None) -> None:
    store = DraftStore(registry)
    store.load(source)
    store.set("train.learning_rate", "2e-4")
    store.set("train.only", "[denoiser.*, 'a b']")
    store.set("train.tracker_project", "it's mine")
    store.take(candidate(store, "encoder", "dinov2"))
    text = store.reading.saved()
    assert composed(store.reading.command()) == text
    assert store.reading.command("train").startswith("pgsynth train")
    assert "--adapt" not in store.reading.command()


def test_the_command_leaves_out_what_the_source_says(store: DraftStore) -> None:
    for path, text in {"encoder": "qfft", "attn.pma.mask": "eq5", "size": "512x512", "train.seed": "0"}.items():
        store.set(path, text)
    assert len(store.draft.overrides) == 4
    assert store.reading.command() == "pgsynth compose qen"
    assert store.reading.changes == ()


def test_only_changed_paths_are_told(store: DraftStore) -> None:
    store.take(candidate(store, "attn", "hpfa"))
    store.set("attn.hpfa.sigma", "0.5")
    store.set("train.steps", "7")
    store.set("attn.pma.mask", "eq5")
    assert [tuple(one) for one in store.reading.changes] == [
        ("encoder", "qfft", "qfft+sourcenet"),
        ("attn", "pma", "pma+hpfa"),
        ("attn.hpfa.sigma", "0.3", "0.5"),
        ("train.steps", "1000", "7"),
    ]


def test_a_refused_draft_is_shown_and_not_saved(store: DraftStore) -> None:
    store.add("attn", "hpfa")
    assert "hpfa:" in store.reading.yaml
    assert store.reading.sentence == "The parts do not fit together: hpfa needs `reference`."
    with pytest.raises(UserError, match="hpfa needs"):
        store.reading.saved()


# ------------------------------------------------------------------------------------------- kept
def test_a_draft_is_kept_and_restored(store: DraftStore, registry: Registry) -> None:
    store.take(candidate(store, "attn", "hpfa"))
    store.set("train.steps", "many")
    store.mark("train.seed", "0,1")
    store.adapt(True)
    other = DraftStore(registry)
    problems = other.restore(store.draft.to_json())
    assert other.draft == store.draft
    assert [one.path for one in problems] == ["train.steps"]
    assert other.undo() and other.draft == Draft()


def test_what_is_gone_is_told_and_the_rest_is_there(registry: Registry) -> None:
    store = DraftStore(registry)
    gone = Draft("lost", ("encoder=qfft+lost", "encoder.lost.depth=1", "train.steps=5", "nonsense"))
    problems = store.restore(gone.to_json())
    assert store.draft == gone
    assert {one.path for one in problems} == {"source", "encoder"}
    assert labels(store, "encoder") == ["qfft"] and field(store, "train.steps").value == 5
    assert store.candidates("attn") and store.command[0] == "train" and store.reading.changes == ()
    assert "lost" in store.reading.command()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"draft": 2}', '{"draft": 1, "source": 3}', '{"draft": 1, "overrides": [1]}', "[" * 9999],
)
def test_what_is_no_draft_leaves_the_one_before(store: DraftStore, text: str) -> None:
    before = store.draft
    problems = store.restore(text)
    assert problems and store.draft == before


def test_an_unknown_key_of_a_later_version_is_passed_over(store: DraftStore) -> None:
    kept = json.loads(store.draft.to_json()) | {"colour": "red"}
    assert store.restore(json.dumps(kept)) == ()


def test_without_parts_nothing_is_shown_and_nothing_breaks() -> None:
    store = DraftStore(Registry())
    assert store.reading.spec is None and store.form() == () and store.reading.yaml == ""
    assert store.reading.refusals and store.candidates("base") == ()
    store.set("train.steps", "5")
    store.add("encoder", "qfft")
    assert not store.reading.ok and store.reading.command() == "pgsynth compose encoder=qfft train.steps=5"


def test_a_manifest_that_breaks_the_contract_stops_nobody(store: DraftStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("odd manifest")

    monkeypatch.setattr("pgsynth_tui.stores.draft_parts.fits", broken)
    assert {one.fit.answer for one in store.candidates("encoder") if not one.chosen} == {"does not fit"}
    assert "odd manifest" in candidate(store, "encoder", "clip").fit.problems[0].message


PROBE = """
import sys
from pgsynth_core.registry import discover
from pgsynth_core.spec import KIND_OF_SLOT
from pathlib import Path
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_sweep import read_ablation
store = DraftStore(discover())
store.load("qen")
for slot in KIND_OF_SLOT:
    [one.fit for one in store.candidates(slot)]
store.take(next(one for one in store.candidates("attn") if one.name == "hpfa"))
store.set("train.steps", "x")
store.reading.findings, store.form(), store.reading.changes, store.reading.command(), store.reading.yaml
store.reset("train.steps")
store.reading.saved()
store.mark("train.seed", "0,1")
read_ablation(store.draft, store.reading, Path("/nowhere"))
print(*sys.modules)
"""


def test_no_torch_no_textual_and_no_part_is_imported() -> None:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(map(str, (root, root / "plugins", root / "tui")))
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "pgsynth_tui.stores.draft" in loaded
    assert not {"torch", "textual"} & {*loaded}
    assert not [name for name in loaded if name.startswith("pgsynth_plugins.")]


def test_a_draft_is_a_value() -> None:
    assert replace(Draft(), source="qen") == Draft("qen") and len({Draft("qen"), Draft("qen")}) == 1
