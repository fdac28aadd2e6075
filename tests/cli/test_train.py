"""`pgsynth train`: a run is made, stopped, gone on with; what is refused is refused before torch is imported."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pgsynth_core.data import no_keypoints, write_pose
from pgsynth_core.errors import UserError
from pgsynth_core.runs import list_runs, read_losses

from ..fixtures.people import standing, write_pairs, write_photo
from .conftest import SMALL, Made

Run = Callable[..., Any]


# ------------------------------------------------------------------------------------------- it trains
def test_a_run_is_made_and_said(trained: Made) -> None:
    said = trained.said
    assert said.code == 0, said.err
    facts = said.facts
    documented = {"ok", "run", "path", "state", "step", "steps", "loss", "checkpoint", "sheet", "seconds", "broken"}
    assert set(facts) == documented
    assert (facts["ok"], facts["state"], facts["step"], facts["steps"]) == (True, "finished", 3, 3)
    path = Path(facts["path"])
    assert path.parent == trained.runs and path.name == facts["run"]
    assert (path / facts["checkpoint"] / "weights.safetensors").is_file() and (path / facts["sheet"]).is_file()
    assert f"run {path}" in said.err and "training 1/3: loss " in said.err
    assert f"step 3: saved {path / facts['checkpoint']}" in said.err


def test_its_events_keep_to_the_schema(run: Run, trained: Made) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed; make install takes it")
    validator = jsonschema.Draft202012Validator(run("runs", "schema", "--json").facts)
    lines = (trained.runs / trained.id / "events.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        validator.validate(event)
    assert {event["kind"] for event in events} == {"run", "step", "checkpoint", "sample", "exit"}
    assert all(event["seconds"] > 0 for event in events if event["kind"] in ("sample", "checkpoint"))


def test_as_text_it_says_where_everything_is_and_what_comes_next(run: Run, trained: Made, tmp_path: Path) -> None:
    words = [*SMALL, trained.data, "train.steps=1", "train.sample_every=0", "train.checkpoint_every=0"]
    said = run("train", *words, "--runs", str(tmp_path), "--no-proof")
    assert said.code == 0, said.err
    (folder,) = tmp_path.iterdir()
    assert said.out.startswith(f"{folder.name}: finished after 1 steps, loss ")
    assert f"folder      {folder}" in said.out and f"checkpoint  {folder}/checkpoints/step-00000001" in said.out
    assert f"sheet       {folder}/samples/00000001/sheet.png" in said.out, "to be pasted from anywhere"
    assert said.out.endswith(f"next: pgsynth evaluate {folder.name} --runs {tmp_path}\n")


def test_a_run_is_called_by_its_name(run: Run, trained: Made, tmp_path: Path) -> None:
    words = [*SMALL, trained.data, "train.steps=1", "--runs", str(tmp_path), "--no-proof"]
    facts = run("train", *words, "--name", "eq9, seed 1", "--json").facts
    assert re.fullmatch(r"\d{8}-\d{6}-eq9-seed-1", facts["run"])
    spec = (tmp_path / facts["run"] / "spec.yaml").read_text("utf-8")
    assert "eq9-seed" not in spec and "eq9, seed" not in spec, "it is no setting"


@pytest.mark.parametrize("given", ["", "../.."])
def test_a_name_that_names_nothing_is_refused_before_the_proof(
    run: Run, trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setattr("pgsynth_core.api.composition.Composition.proof", lambda _: pytest.fail("it was proved"))
    said = run("train", *SMALL, trained.data, "--runs", str(tmp_path / "runs"), "--name", given)
    assert said.code == 2 and "argument --name" in said.err and "ASCII letters and digits" in said.err
    assert [*tmp_path.iterdir()] == []


def test_a_name_is_for_a_new_run(run: Run, trained: Made) -> None:
    runs = ["--runs", str(trained.runs), "--name", "other"]
    for more in ([], ["--detach"]):
        said = run("train", "--resume", "latest", "train.steps=9", *more, *runs)
        assert said.code == 2 and "keeps the name it has" in said.err
        spec = trained.runs / trained.id / "spec.yaml"
        another = f"pgsynth train {spec} train.steps=9 --runs {trained.runs} --name other"
        assert another in " ".join(said.err.split()), said.err
    said = run("train", *SMALL, trained.data, "--rehearse", *runs)
    assert said.code == 2 and "--rehearse makes none" in said.err and "Leave --name out" in said.err


# ------------------------------------------------------------------------------------------- a rehearsal
@pytest.mark.slow
def test_a_rehearsal_says_what_a_run_will_take_and_makes_none(run: Run, trained: Made, tmp_path: Path) -> None:
    words = [*SMALL, trained.data, "train.steps=100", "--runs", str(tmp_path / "runs"), "--no-proof", "--rehearse"]
    said, facts = run("train", *words), run("train", *words, "--json").facts
    assert said.code == 0, said.err
    assert said.out.startswith("rehearsed 3 steps on cpu; no run was made\n")
    for row in ("memory ", "pace ", "disk ", "loaded again  the same losses, bit for bit"):
        assert f"\n  {row}" in said.out
    documented = {"ok", "device", "steps", "seconds_per_step", "hours", "peak_bytes", "estimated_bytes"}
    documented |= {"checkpoint_bytes", "free_bytes", "needed_bytes", "difference", "warnings", "broken"}
    assert set(facts) == documented and facts["ok"] is True and facts["difference"] == 0
    assert [*tmp_path.iterdir()] == []


def test_a_run_that_is_resumed_needs_no_rehearsal(run: Run, trained: Made) -> None:
    said = run("train", "--resume", "latest", "--rehearse", "--runs", str(trained.runs))
    assert said.code == 2 and "Leave --resume out" in said.err


@pytest.mark.slow
def test_training_outlives_whoever_listens(roots: str, trained: Made, tmp_path: Path) -> None:
    words = [*SMALL, trained.data, "train.steps=2", "train.checkpoint_every=1", "--no-proof", "--runs", str(tmp_path)]
    code = "import sys; from pgsynth_core.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", *words],
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    with process.stdout as listening:
        assert listening.readline(), "as head does: a line, and no more"
    assert process.wait(120) == 0
    (folder,) = tmp_path.iterdir()
    ended = json.loads((folder / "exit.json").read_text(encoding="utf-8"))
    assert ended["state"] == "finished" and (folder / "checkpoints" / "step-00000002").is_dir()


def test_the_method_is_proved_first_unless_told_not_to(
    run: Run, trained: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr("pgsynth_core.api.composition.Composition.proof", lambda _: called.append("proof"))

    def stop(*_: object, **__: object) -> None:
        called.append("train")
        raise UserError("here it would train.")

    monkeypatch.setattr("pgsynth_core.api.composition.Composition.train", stop)
    assert run("train", *SMALL, trained.data).code == 2 and called == ["proof", "train"]
    assert run("train", *SMALL, trained.data, "--no-proof").code == 2 and called[2:] == ["train"]


def test_a_run_is_gone_on_with(run: Run, trained: Made, tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path)]
    words = [*SMALL, trained.data, "train.steps=2", "train.checkpoint_every=1", "--no-proof"]
    assert run("train", *words, *runs).code == 0
    said = run("train", "--resume", "latest", "train.steps=3", *runs, "--json")
    assert said.code == 0 and said.facts["step"] == 3 and "training 3/3" in said.err
    again = run("train", "--resume", "latest", *runs)
    assert again.code == 2 and "it has taken 3 steps already, and the spec's train.steps is 2" in again.err
    fewer = run("train", "--resume", "latest", "train.steps=1", *runs)
    assert fewer.code == 2 and "3 steps already, and 1 are asked for" in fewer.err and "train.steps=6" in fewer.err


def test_a_damaged_checkpoint_names_another_to_go_on_from(run: Run, trained: Made, tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path)]
    words = [*SMALL, trained.data, "train.steps=3", "train.checkpoint_every=1", "--no-proof"]
    assert run("train", *words, *runs).code == 0
    (folder,) = tmp_path.iterdir()
    weights = folder / "checkpoints" / "step-00000003" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    damaged = run("train", "--resume", "latest", "train.steps=4", *runs)
    assert damaged.code == 2 and "the file is damaged" in damaged.err
    other = damaged.err.partition("by its path: ")[2].strip().removesuffix(".")
    assert other == str(folder / "checkpoints" / "step-00000002")
    again = run("train", "--resume", str(folder), "train.steps=3", *runs)
    assert again.code == 2 and "To go back to an earlier checkpoint: pgsynth train --resume" in again.err
    drawn = run("sample", other, "--split", "train", "--limit", "1", "--steps", "1", "-o", str(tmp_path / "drawn"))
    assert drawn.code == 0, "elsewhere the cure works too"
    said = run("train", "--resume", other, "train.steps=4", "--json")
    assert said.code == 0 and said.facts["step"] == 4 and "training 3/4" in said.err
    kept = {path.name for path in (folder / "checkpoints").iterdir()}
    assert {"step-00000002", "step-00000003", "step-00000004"} <= kept


def test_where_a_run_goes_on_to_is_said_if_it_was_elsewhere_last(run: Run, trained: Made, tmp_path: Path) -> None:
    runs = ["--runs", str(tmp_path)]
    assert (
        run("train", *SMALL, trained.data, "train.steps=3", "train.checkpoint_every=1", "--no-proof", *runs).code == 0
    )
    (folder,) = tmp_path.iterdir()
    first = str(folder / "checkpoints" / "step-00000001")
    short = run("train", "--resume", first, "train.workers=0", "train.steps=2", *runs)
    assert "warning: for this time only: train.workers=0." in short.err
    assert short.code == 0 and "not kept" not in short.err
    assert (folder / "checkpoints" / "step-00000003.superseded").is_dir(), "set aside, not deleted"
    on = run("train", "--resume", "latest", *runs)
    assert on.code == 0 and "warning: the run goes on to step 3, its spec's train.steps" in on.err
    assert on.err.index("train.steps=2, which is not kept") < on.err.index("training 3/3")


@pytest.mark.parametrize("words", [["tiny", "--device", "cuda"], ["--device", "cuda", "tiny"], ["--device=cuda"]])
def test_the_device_is_not_chosen_by_a_flag(run: Run, words: list[str]) -> None:
    said = run("train", *words)
    assert said.code == 2 and said.err.count("there is") == 1 and "there is no flag '--device'" in said.err
    assert "ACCELERATE_USE_CPU=true" in said.err and "CUDA_VISIBLE_DEVICES" in said.err


def test_the_value_of_an_unknown_flag_is_no_second_problem(run: Run) -> None:
    said = run("train", "tiny", "--gpus", "2", "--bogus")
    assert said.code == 2 and "'--gpus'" in said.err and "'--bogus'" in said.err and "too many" not in said.err


def test_a_folder_that_cannot_be_written_is_told_before_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(_: object) -> None:
        raise AssertionError("work was done first")

    monkeypatch.setattr("pgsynth_core.api.composition.Composition.proof", prove)
    said = run("train", "tiny", "--runs", "/proc/runs")
    assert said.code == 2 and "no run can be made here" in said.err and "--runs FOLDER" in said.err


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGINT],
        pytest.param([signal.SIGTERM], marks=pytest.mark.slow),
        pytest.param([signal.SIGHUP, signal.SIGHUP], marks=pytest.mark.slow),
    ],
    ids=lambda sent: sent[0].name,
)
def test_asked_to_stop_it_saves_says_so_and_ends_with_130(
    trained: Made, roots: str, tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    words = [*SMALL, trained.data, "train.steps=100000", "train.workers=1", "train.checkpoint_every=0"]
    command = [sys.executable, "-u", "-m", "pgsynth_core", "train", *words, "--runs", str(tmp_path), "--no-proof"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    seen: list[str] = []
    with process.stdout as stdout, process.stderr as stderr:
        for line in stderr:
            if line.startswith("training") and not any(one.startswith("training") for one in seen):
                for number in numbers:  # as a terminal does, or a job's manager: to the workers too
                    os.killpg(process.pid, number)
                    time.sleep(0.001)
            seen.append(line)
        out, code = stdout.read(), process.wait(60)
    assert code == 130, "".join(seen)
    (folder,) = tmp_path.iterdir()
    checkpoint = max((folder / "checkpoints").iterdir())
    assert ": stopped after " in out and f"is saved: {checkpoint}" in "".join(seen)
    assert seen[-1] == f"go on from there: pgsynth train --resume {folder.name} --runs {tmp_path}\n"
    assert "Traceback" not in "".join(seen) and any("asked to stop: step" in line for line in seen)
    assert json.loads((folder / "exit.json").read_text("utf-8"))["state"] == "stopped"


# ------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tiny", "data=none"], ["no dataset", "data=NAME: "]),
        (["tiny", "data=folder"], ["data.folder.root"]),
        (["tiny", "data=folder", "data.folder.root=nowhere"], ["nowhere", "does not exist"]),
        (["tiny", "data=folder", "data.folder.root={bad}"], ["pairs.csv", "'source'"]),
        (["tiny", "data=flder"], ["'folder'"]),
        (["tiny", "train.steps=0"], ["train.steps=0", "at least 1"]),
        (["tiny", "qen"], ["a composition has one"]),
        (["encoder=qfft", "--train.steps=3"], ["train.steps=3"]),
        (["--resume"], ["expected one argument"]),
        (["--resume", "latest"], ["no runs here", "pgsynth train"]),
        (["--resume", "latest", "tiny"], ["no runs here", "pgsynth train"]),
        (["--resume", "latest", "train.steps=many"], ["train.steps=many", "'many'"]),
    ],
)
def test_what_is_refused(run: Run, tmp_path: Path, words: list[str], expected: list[str]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "pairs.csv").write_text("from,to\na,b\n", encoding="utf-8")
    runs = tmp_path / "runs"
    said = run("train", *(word.format(bad=tmp_path / "bad") for word in words), "--runs", str(runs))
    assert said.code == 2 and said.out == "" and "cure: " in said.err and "Traceback" not in said.err
    for word in expected:
        assert word in said.err, said.err
    assert not runs.exists(), "nothing is left of a run that never began"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["train.batch_size=4", "train.steps=9"], ["train.batch_size=4", "train.steps=9"]),
        (["tiny"], []),
        (["--adapt"], ["--adapt"]),
    ],
)
def test_a_spec_that_cannot_be_changed_is_offered_with_a_command_that_works(
    run: Run, trained: Made, monkeypatch: pytest.MonkeyPatch, words: list[str], kept: list[str]
) -> None:
    said = run("train", "--resume", "latest", *words, "--runs", str(trained.runs))
    assert said.code == 2 and "keeps its spec" in said.err
    command = shlex.split(said.err.partition("Start another from its spec: ")[2])
    spec = trained.runs / trained.id / "spec.yaml"
    assert command == ["pgsynth", "train", str(spec), *kept, "--runs", str(trained.runs)]

    def stop(*_: object, **__: object) -> None:
        raise UserError("here it would train.")

    monkeypatch.setattr("pgsynth_core.api.composition.Composition.train", stop)
    assert "here it would train" in run(*command[1:], "--no-proof").err


def test_a_setting_that_is_misspelt_on_resume_is_found(run: Run, trained: Made) -> None:
    said = run("train", "--resume", "latest", "train.checkpointin=true", "--runs", str(trained.runs))
    assert said.code == 2 and "Did you mean 'train.checkpointing'?" in said.err


def test_cheap_mistakes_are_told_without_torch(roots: str, tmp_path: Path) -> None:
    code = "import sys; from pgsynth_core.cli import main; code = main(sys.argv[1:])\n"
    code += "assert code == 2 and 'torch' not in sys.modules"
    for words in (["train", "tiny", "data=folder", "data.folder.root=nowhere"], ["train", "--resume", "latest"]):
        env = {**os.environ, "PYTHONPATH": roots}
        subprocess.run([sys.executable, "-c", code, *words], env=env, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("failure", ["the folder of runs", "the disk"])
def test_a_disk_that_takes_no_more_is_one_message(
    run: Run, trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    runs = tmp_path / "runs"
    if failure == "the folder of runs":
        runs.write_text("a file", encoding="utf-8")
    else:
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr("pgsynth_core.runs.durable.shutil.disk_usage", lambda _: usage)
    words = [*SMALL, trained.data, "train.steps=1", "--no-proof", "--runs", str(runs)]
    said = run("train", *words)
    assert said.code == 2 and said.err.count("error: ") == 1 and "cure: " in said.err and "--runs" in said.err
    assert not list(tmp_path.rglob("*.tmp"))
    assert failure == "the folder of runs" or not runs.exists(), (
        "seen before there is a run, not at its first checkpoint"
    )


@pytest.mark.parametrize("damage", ["a truncated photo", "no joint", "no pose at all"])
def test_data_that_cannot_be_used_is_one_message_that_names_the_file(run: Run, tmp_path: Path, damage: str) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate("ab"):
        write_photo(photos / f"{name}.png", seed=number)
        write_pose(photos / f"{name}.pose.json", standing() if damage == "a truncated photo" else no_keypoints())
    write_pairs(photos / "pairs.csv", [("a.png", "b.png"), ("b.png", "a.png")], "source,target")
    if damage == "a truncated photo":
        (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:900])
    elif damage == "no pose at all":
        (photos / "b.pose.json").unlink()
    words = [*SMALL, f"data.folder.root={photos}", "train.steps=1", "--no-proof", "--runs", str(tmp_path / "runs")]
    said = run("train", *words)
    assert said.code == 2 and said.out == "" and "Traceback" not in said.err
    assert said.err.count("error: ") == 1 and "cure: " in said.err and "b.png" in said.err
    assert ("mend them" if damage == "no pose at all" else "bad=skip") in said.err, "b is in every pair"
    assert damage == "a truncated photo" or "not one joint is known" in said.err


def test_weights_out_of_reach_are_named_with_the_command_that_gets_them(
    run: Run, trained: Made, tmp_path: Path
) -> None:
    said = run("train", "qen", "data=folder", trained.data, "--no-proof", "--runs", str(tmp_path / "runs"))
    assert said.code == 2 and "hf download stable-diffusion-v1-5/stable-diffusion-v1-5" in said.err
    assert said.err.count("error: ") == 1 and not (tmp_path / "runs").exists()


def test_a_failure_while_training_says_what_is_saved(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(self: object, *, on_event: Callable[[dict[str, Any]], None], **_: object) -> None:
        on_event({"kind": "step", "run": "/r/one", "step": 4, "steps": 9, "loss": 0.5})
        on_event({"kind": "checkpoint", "run": "/r/one", "step": 4, "path": "checkpoints/step-00000004"})
        raise UserError("the disk is full.", where="/r", cure="Make room.")

    monkeypatch.setattr("pgsynth_core.api.composition.Composition.train", fail)
    monkeypatch.setattr("pgsynth_core.api.datasets.dataset_of", lambda *_: None)
    said = run("train", "tiny", "data=folder", "--no-proof")
    assert said.code == 2 and "step 4 is saved: /r/one/checkpoints/step-00000004" in said.err
    assert "the disk is full" in said.err


@pytest.mark.parametrize("more", [["train.steps=9"], []])
def test_a_run_that_goes_further_than_its_spec_says_how_to_go_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    def stop(_: object, *, on_event: Callable[[dict[str, Any]], None], **__: object) -> None:
        on_event({"kind": "step", "run": "/r/one", "step": 4, "steps": 9, "loss": 0.5})
        on_event({"kind": "checkpoint", "run": "/r/one", "step": 4, "path": "checkpoints/step-00000004"})
        raise KeyboardInterrupt

    monkeypatch.setattr("pgsynth_core.api.continue_run", stop)
    said = run("train", "--resume", "one", *more)
    assert said.code == 130 and f"{' '.join(['train --resume /r/one', *more])}\n" in said.err


def test_a_question_is_answered_as_by_compose(run: Run) -> None:
    assert run("train", "train.precision=?").out == run("compose", "train.precision=?").out


@pytest.mark.slow
def test_a_data_worker_that_is_killed_ends_the_run_in_words(roots: str, tmp_path: Path) -> None:
    """In a process of its own: torch raises that wherever Python happens to be."""
    words = ["tiny", "data=figures", "data.figures.identities=3", "train.batch_size=1", "train.steps=100000"]
    words += ["train.workers=1", "train.checkpoint_every=0", "train.sample_every=0", "--no-proof", "--runs", "runs"]
    command = [sys.executable, "-m", "pgsynth_core", "train", *words]
    env = {**os.environ, "PYTHONPATH": roots}
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 120
        while not any(read_losses(run.events_file) for run in list_runs(tmp_path / "runs")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 2 and "Traceback" not in said, said
    assert f"a data worker, process {worker.pid}, " in said and "train.workers=0" in said, said
