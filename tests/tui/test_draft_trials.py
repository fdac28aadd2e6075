"""What proofs, rehearsals and launches found, in words; whether they are of the draft as it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.api import compose
from pgsynth_tui.shell import Answer
from pgsynth_tui.stores.draft_sources import beginnings
from pgsynth_tui.stores.draft_trials import Kind, Trial, proof_lines, rehearsal_lines
from pgsynth_tui.stores.draft_words import Draft

from .conftest import make_run

DRAFT = Draft("tiny")
REHEARSED: dict[str, Any] = {
    "device": "cpu",
    "steps": 3,
    "seconds_per_step": 4.85,
    "hours": 1.35,
    "peak_bytes": 229092992,
    "estimated_bytes": 167948896,
    "checkpoint_bytes": 37657759,
    "free_bytes": 30245675008,
    "needed_bytes": 75315518,
    "difference": 0.0,
    "warnings": ["go by the measurement."],
}


def trial(kind: Kind, answer: Answer | None = None, *, ended: bool = True) -> Trial:
    """One of `DRAFT`, begun at 100 s and ended at 112."""
    words = answer.words if answer else ("compose", "tiny")
    return Trial(kind, words, DRAFT, 100.0, answer=answer, ended=112.0 if ended else None)


def answer(code: int = 0, **facts: Any) -> Answer:
    """What a command said."""
    return Answer(("train", "tiny"), code, facts, "")


def of_sweep(code: int = 0, **facts: Any) -> Answer:
    """The same of an ablation."""
    return Answer(("sweep", "tiny", "train.seed=0,1"), code, facts, "")


def test_a_proof_says_parameters_memory_and_shapes() -> None:
    facts = {
        "size": [32, 24],
        "parts": [{"slot": "encoder", "label": "qfft", "trainable": 724640, "frozen": 900000, "flops": 32837632}],
        "proof": {
            "seconds": 2.2,
            "trainable": 2330076,
            "frozen": 500000,
            "training_bytes": 2**30,
            "sampling_bytes": 2**20,
            "ports": {"qfft.tokens": [2, 20, 64]},
            "sites": [{"grid": [16, 12], "processors": []}, {"grid": [8, 6], "processors": ["pma"]}],
        },
    }
    text = "\n".join(proof_lines(facts, compose("tiny").spec))
    for words in (
        "2.3 M train of 2.8 M",
        "about 1.0 GiB to train at batch 8, fp32",
        "about 1.0 MiB to sample at batch 4",
        "32x24 (height x width)",
        "qfft.tokens: 20 x 64",
        "2 layers on grids 16x12, 8x6",
        "pma acts at 1",
        "encoder qfft: 0.7 M train and 0.9 M frozen",
    ):
        assert words in text


def test_a_rehearsal_says_memory_pace_and_hours() -> None:
    text = "\n".join(rehearsal_lines(REHEARSED, compose("tiny").spec))
    for words in ("218.5 MiB at the peak", "4.85 s a step", "1 h 21 min for 1000 steps"):
        assert words in text
    assert "bit for bit" in text and "go by the measurement" in text
    assert "tells" not in text and "does not tell" in "\n".join(rehearsal_lines({**REHEARSED, "peak_bytes": None}))


def test_a_rehearsal_of_an_ablation_says_hours_of_each_run() -> None:
    rows = [{"name": "mask=eq9", "hours": 1.35}, {"name": "mask=none", "hours": 1.35}]
    rows.append({"name": "mask=eq8", "hours": None, "problems": [{"message": "there is none."}]})
    done = trial("rehearsal", of_sweep(hours=2.7, combinations=rows))
    assert done.sentence(DRAFT, 0.0) == "rehearsed: about 2 h 42 min for all of the ablation"
    text = "\n".join(done.lines(DRAFT, 0.0))
    assert "2 h 42 min for all 2 runs" in text and "1 h 21 min  mask=none" in text and "eq8" not in text
    assert done.stale(replace(DRAFT, sweeps=("train.seed=0,1,2",))), "it was of other combinations"


def test_it_says_how_long_it_takes_and_what_came_of_it() -> None:
    under_way = trial("proof", ended=False)
    assert under_way.sentence(DRAFT, 107.4) == "proving: 7 s; esc gives it up"
    assert "$ pgsynth compose tiny" in under_way.lines(DRAFT, 107.0)
    done = trial("proof", answer(proof={"trainable": 2330076}))
    assert done.sentence(DRAFT, 200.0) == "proved: 2.3 M parameters train"
    given_up = replace(under_way, ended=109.0, given_up=True)
    assert not given_up.ok and "p begins it again" in given_up.lines(DRAFT, 110.0)[0]


def test_what_is_found_is_stale_once_the_method_is_another() -> None:
    done = trial("proof", answer(proof={"trainable": 1}))
    other = replace(DRAFT, overrides=("train.steps=5",))
    assert done.stale(other) and not done.stale(replace(DRAFT, sweeps=("train.seed=1,2",)))
    assert "earlier draft; p repeats it" in done.sentence(other, 0.0) and done.lines(other, 0.0)[0].startswith("! ")
    launched = trial("launch", answer(run="a", path="/r/a", state="running"))
    assert not launched.stale(other)
    assert launched.sentence(DRAFT, 0.0) == "launched" and launched.sentence(other, 0.0) == ""


def test_what_failed_says_why_and_its_cure() -> None:
    bad = answer(2, problems=[{"where": "x", "message": "it gives [B, D].", "cure": "Mend it."}])
    text = "\n".join(trial("rehearsal", bad).lines(DRAFT, 0.0))
    assert "! x: it gives [B, D]." in text and "  Mend it." in text and "$ pgsynth train tiny" in text


def test_of_an_ablation_what_was_launched_is_said_and_each_failure_once() -> None:
    rows = [
        {"run": f"id-{n}", "state": state} for n, state in enumerate(("running", "queued", "not begun", "not begun"))
    ]
    rows.append({"run": None, "state": "pruned"})
    failures = [{"run": f"id-{n}", "doing": "queueing", "problem": "the disk is full."} for n in (2, 3)]
    facts = {"sweep": "id", "path": "/r/sweeps/id", "combinations": rows, "runs": 4, "failures": failures}
    some = trial("launch", of_sweep(1, **facts, next=["pgsynth sweep resume id"]))
    assert [(run.id, run.path, run.state) for run in some.launched] == [
        ("id-0", Path("/r/id-0"), "running"),
        ("id-1", Path("/r/id-1"), "queued"),
    ]
    assert not some.ok and "launch failed" in some.sentence(DRAFT, 0.0)
    text = "\n".join(some.lines(DRAFT, 0.0))
    assert "id: 2 of 4 runs are launched." in text and text.count("the disk is full.") == 1
    assert "! 2 runs: the disk is full." in text and "$ pgsynth sweep resume id" in text
    refused = trial("launch", of_sweep(2, problems=[{"where": "data", "message": "no folder.", "cure": "Give one."}]))
    assert refused.launched == () and "! data: no folder." in refused.lines(DRAFT, 0.0)


def test_one_can_begin_with_presets_files_and_runs(tmp_path: Path) -> None:
    from pgsynth_core.registry import discover

    (tmp_path / "a.yaml").write_text("# What it is.\npgsynth: 1\n")
    (tmp_path / "b.yml").write_text("# Something else.\nkeys: {}\n")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    run = make_run(tmp_path / "runs", "tiny", 1, state="finished")
    found = {one.source: one for one in beginnings(discover(), tmp_path, [run])}
    assert found["a.yaml"].about == "What it is." and "b.yml" not in found and "c.yaml" not in found
    assert found["tiny"].kind == "preset" and found["qen-table3"].kind == "ablation" and found[""].kind == "defaults"
    assert found[str(run.spec_file)].name == run.id
    assert beginnings(discover(), tmp_path / "gone")[-1].kind == "defaults"


@pytest.mark.parametrize(
    ("text", "words", "unreadable"),
    [
        ("0", "0 is not in its range: at least 1", True),
        ("x", "'x' is not a whole number", True),
        ("3", "", False),
    ],
)
def test_a_value_is_judged_before_it_is_set(text: str, words: str, unreadable: bool) -> None:
    from pgsynth_core.registry import discover
    from pgsynth_tui.stores.draft import DraftStore

    store = DraftStore(discover(), DRAFT)
    found, cannot = store.faults_of("encoder.qfft.depth", text)
    assert cannot is unreadable and bool(found) is bool(words) and store.draft == DRAFT
    assert words in " ".join(map(str, found))
    clash, cannot = store.faults_of("encoder.qfft.queries", "local")
    assert "role global" in str(clash[0]) and not cannot


@pytest.mark.parametrize("kind", ["proof", "rehearsal", "launch", "file"])
def test_a_command_whose_words_cannot_be_read_is_told(kind: Kind) -> None:
    text = "\n".join(trial(kind, answer()).lines(DRAFT, 113.0))
    assert f"The {kind} ended well, but what it said cannot be read." in text and "$ pgsynth train tiny" in text
