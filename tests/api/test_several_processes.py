"""Two processes over gloo, whether each holds the whole model or half of it: the losses of one with twice the batch."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from pgsynth_core import Run, compose, load
from pgsynth_core.api import session
from pgsynth_core.data.formats import write_pose
from pgsynth_core.errors import UserError
from pgsynth_core.runs import list_checkpoints

from ..fixtures.people import standing, write_pairs, write_photo
from ..fixtures.small_sd import save_small_sd
from .test_training_guard import FIGURES, events

CLOSE = 1e-6
"""Relative difference of two losses, and of a number to the largest of its tensor: sums are made in another order."""

DROPS = ("train.drop.all=0.2", "train.drop.appearance=0.5", "train.drop.pose=0.2")
SMALL = tuple(word for word in FIGURES if "batch_size" not in word)
WORDS = (*SMALL, *DROPS, "train.accumulate=2", "train.ema=0.9", "train.checkpoint_every=2", "train.max_grad_norm=0.1")
FILES = ("weights", "ema", "optimizer")


# ------------------------------------------------------------------------------------------- a pair
@dataclass
class Pair:
    """Two processes' work: what to do, and what came of it."""

    folder: Path
    plan: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    told: list[list[dict[str, Any]]] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def train(self, name: str, *words: str, steps: int, code: int = 0, **more: Any) -> None:
        """Let a run train to a step, as half of the pair; one that is there already goes on. It ends with that code."""
        start = ["--resume", "latest"] if name in self.names else [*words, "train.batch_size=1", "--no-proof"]
        words_now = ["train", *start, f"train.steps={steps}", "--runs", str(self.folder / name)]
        self.plan.append({"words": words_now, "code": code, **more})
        self.names.append(name)

    def do(self, repository: Path) -> Pair:
        """Do all of it, to the end that is expected."""
        codes, self.errors = self.start(repository)
        assert codes == [0, 0], self.errors
        self.told = [json.loads(told.splitlines()[-1]) for told in self.errors]
        expected = [one["code"] for one in self.plan]
        assert all([one["code"] for one in told] == expected for told in self.told), self.errors
        return self

    def start(self, repository: Path) -> tuple[list[int], list[str]]:
        """Start both and wait for them: their codes, and what they said on stderr. A port is free a moment before."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        file = self.folder / "plan.json"
        file.write_text(json.dumps(self.plan), encoding="utf-8")
        processes = [
            subprocess.Popen(
                [sys.executable, str(repository / "tests/fixtures/one_of_several.py"), str(file)],
                env={**os.environ, **self._shared(repository, port), "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        said = [process.communicate(timeout=400) for process in processes]
        self.out = [out for out, _ in said]
        return [process.returncode for process in processes], [errors for _, errors in said]

    def _shared(self, repository: Path, port: int) -> Mapping[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join([str(repository), str(repository / "plugins")]),
            "OMP_NUM_THREADS": "1",
            "PGSYNTH_CACHE": str(self.folder / "cache"),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "ACCELERATE_USE_CPU": "true",
        }

    def run(self, name: str) -> Run:
        """The run of that name."""
        (found,) = (self.folder / name).iterdir()
        return Run.find(found)

    def shares(self, name: str) -> set[float]:
        """What share of the gradients each process held in each step."""
        mine = [place for place, one in enumerate(self.names) if one == name]
        return {share for told in self.told for place in mine for share in told[place]["shares"]}


def alone(folder: Path, *words: str) -> Run:
    """One process with twice the batch."""
    return compose(*words, "train.batch_size=2").train(runs=folder, steps=4)


def tensors(run: Run, step: int, *files: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint."""
    (path,) = (one.path for one in list_checkpoints(run.folder) if one.step == step)
    return {f"{name}.{key}": value for name in files for key, value in load_file(path / f"{name}.safetensors").items()}


def apart(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of any two numbers."""
    assert one.keys() == other.keys() and all(one[key].shape == other[key].shape for key in one)
    return max(float((one[key].double() - other[key].double()).abs().max()) for key in one)


def assert_same_losses(run: Run, other: Run) -> None:
    assert [*run.losses()] == [*other.losses()]
    assert run.losses() == pytest.approx(other.losses(), rel=CLOSE)
    norms, others = ([event["grad_norm"] for event in events(one, "step")] for one in (run, other))
    assert norms == pytest.approx(others, rel=10 * CLOSE)  # a sum over all that trains
    looks, seen = ([event["validation"] for event in events(one, "checkpoint")] for one in (run, other))
    assert len(looks) == 2 and looks == pytest.approx(seen, rel=CLOSE)


# ------------------------------------------------------------------------------------------- what it does
ONLY = ("train.only=[qfft.*]", "train.accumulate=1")
TRUEPOSE = ("truepose-tiny", *(word for word in WORDS if word != "tiny" and "qfft" not in word))
LORA = (
    *("base=sd", "base.sd.train=lora", "size=64x48", "encoder=qfft+sourcenet", "encoder.qfft.backbone=conv4"),
    *("attn=hpfa+pma", "pose=controlnet", *(word for word in WORDS if word != "tiny"), "train.learning_rate=0.001"),
)
"""On a checkpoint of Stable Diffusion with few channels."""
BF16 = ("train.precision=bf16", "train.checkpointing=true")


def photos(folder: Path) -> list[str]:
    """Words for pairs of photos of which one cannot be read; the second process meets it in its first step."""
    root = folder / "photos"
    for number, name in enumerate("abcd"):
        write_photo(root / f"{name}.png", seed=number)
        write_pose(root / f"{name}.pose.json", standing())
    (root / "c.png").write_bytes(b"no photo")
    rows = [("a.png", f"{name}.png", "train") for name in "cbd"]
    write_pairs(root / "pairs.csv", rows, "source,target,split")
    words = [word for word in SMALL if "figures" not in word]
    return [*words, "data=folder", f"data.folder.root={root}", "data.folder.bad=skip"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Pair:
    """Made once, however many processes test: it takes both cores for most of a minute."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    file = shared / "pair.json"
    with (shared / "pair.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            made = _made(Path(tempfile.mkdtemp(prefix="pair-", dir=shared)), repository)
            file.write_text(json.dumps(asdict(made) | {"folder": str(made.folder)}), encoding="utf-8")
    facts = json.loads(file.read_text(encoding="utf-8"))
    return Pair(**{**facts, "folder": Path(facts["folder"])})


def _made(folder: Path, repository: Path) -> Pair:
    made = Pair(folder)
    made.train("whole", *WORDS, steps=4)
    made.train("sharded", *WORDS, steps=4, sharded=True)
    made.train("ended", *photos(made.folder), "train.checkpoint_every=2", steps=9, inf=[2, 3, 4], code=1)
    return made.do(repository)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"base.sd.weights={save_small_sd(tmp_path_factory.mktemp('sd'))}"


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory, repository: Path, checkpoint: str) -> Pair:
    """What takes longer."""
    pytest.importorskip("peft", reason="the extra lora is not installed")
    made = Pair(tmp_path_factory.mktemp("more"))
    made.train("lora", *LORA, checkpoint, steps=4)
    made.train("lora_sharded", *LORA, checkpoint, steps=4, sharded=True)
    made.train("cached", *WORDS, *ONLY, "train.cache=all", steps=4)
    made.train("few", *WORDS, *ONLY, steps=4, sharded=True)
    made.train("unseen", *WORDS, "train.drop.qfft=1", steps=4)
    made.train("unseen_sharded", *WORDS, "train.drop.qfft=1", steps=4, sharded=True)
    made.train("changed", *WORDS, steps=2, sharded=True)
    made.train("changed", steps=4)
    made.train("resumed", *WORDS, steps=2, sharded=True)
    made.train("resumed", steps=4, sharded=True)
    made.train("spoiled", *SMALL, "train.ema=0", "train.checkpoint_every=1", steps=2, sharded=True, inf=[2])
    made.train("truepose", *TRUEPOSE, steps=4)
    made.train("truepose_sharded", *TRUEPOSE, steps=4, sharded=True)
    made.train("bf16", *WORDS, *BF16, steps=4)
    made.train("bf16_sharded", *WORDS, *BF16, steps=4, sharded=True)
    return made.do(repository)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return alone(tmp_path_factory.mktemp("one"), *WORDS)


# ------------------------------------------------------------------------------------------- each holds it all
def test_two_processes_train_as_one_with_twice_the_batch(pair: Pair, one: Run) -> None:
    assert_same_losses(pair.run("whole"), one)
    assert pair.shares("whole") == {1.0}
    assert pair.out[1] == "" and "finished after 4 steps" in pair.out[0], "one process speaks"
    (begun,) = events(pair.run("whole"), "run")
    assert begun["processes"] == 2


# ------------------------------------------------------------------------------------------- each holds half of it
def test_two_halves_train_as_one_with_twice_the_batch(pair: Pair, one: Run) -> None:
    run = pair.run("sharded")
    assert_same_losses(run, one)
    assert max(pair.shares("sharded")) < 0.6, "else nothing was sharded"
    assert [*events(run, "sample")] and not [*events(run, "warning")]


def test_a_checkpoint_made_of_halves_is_that_of_one_process(pair: Pair, one: Run) -> None:
    sharded, whole = (tensors(run, 2, "weights", "ema") for run in (pair.run("sharded"), one))
    # AdamW's steps are 1e-3 long, also where a gradient is rounding only: how far that leads depends on the processor.
    assert apart(sharded, whole) < 1e-4
    assert apart(tensors(pair.run("sharded"), 4, *FILES), tensors(pair.run("whole"), 4, *FILES)) < CLOSE
    (drawn,) = load(pair.run("sharded")).sample_pairs(split="test", limit=1)
    assert drawn.output.std() > 0


@pytest.mark.slow
def test_halves_resume_bitwise(pair: Pair, more: Pair) -> None:
    run, whole = more.run("resumed"), pair.run("sharded")
    assert run.losses() == whole.losses()
    assert apart(tensors(run, 4, *FILES), tensors(whole, 4, *FILES)) == 0


@pytest.mark.slow
def test_a_gradient_of_one_half_that_is_no_number_leaves_both_as_they_were(more: Pair) -> None:
    run = more.run("spoiled")
    assert [event.get("skipped", False) for event in events(run, "step")] == [False, True]
    assert apart(*(tensors(run, step, "weights", "optimizer") for step in (1, 2))) == 0


# ------------------------------------------------------------------------------------------- what goes wrong in one
def test_what_one_process_met_is_told_with_its_number(pair: Pair) -> None:
    (said,) = (one for one in events(pair.run("ended"), "warning") if "c.png" in one["message"])
    assert said["message"].startswith("process 1: passed over: ") and said["step"] == 1


def test_gradients_that_stay_no_numbers_end_both_alike_with_the_pairs_of_both(pair: Pair) -> None:
    (problem,) = events(pair.run("ended"), "problem")
    message = problem["message"].removeprefix("PgsynthError: ")
    assert "3 steps in a row, 2 to 4," in message and all(message in said for said in pair.errors)
    named = re.findall(r"of step \d (\w+), (\w+)[;.]", message)
    assert len(named) == 3 and any(first != other for first, other in named), message


# ------------------------------------------------------------------------------------------- all kinds of training
@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("cached", "few"), (*WORDS, *ONLY)),
        (("unseen", "unseen_sharded"), (*WORDS, "train.drop.qfft=1")),
        (("changed",), WORDS),
        (("truepose", "truepose_sharded"), TRUEPOSE),
        (("lora", "lora_sharded"), LORA),
    ],
    ids=["most of it frozen, kept on disk", "an encoder never seen", "sharded, then not", "what runs once", "lora"],
)
def test_two_train_as_one_whatever_they_train(
    names: Sequence[str], words: Sequence[str], more: Pair, checkpoint: str, tmp_path: Path
) -> None:
    expected = alone(tmp_path, *words, *([checkpoint] if words is LORA else []))
    for name in names:
        assert_same_losses(more.run(name), expected)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_the_end_of_one_ends_the_other_in_words(sharded: bool, tmp_path: Path, repository: Path) -> None:
    pair = Pair(tmp_path)
    pair.train("left", *SMALL, "train.checkpoint_every=1", steps=9, sharded=sharded, gone=3)
    codes, (said, _) = pair.start(repository)
    assert codes[1] == 9 and '"code": 1' in said
    assert "another process that trains this run is gone" in said
    (problem,) = events(pair.run("left"), "problem")
    assert problem["step"] == 2 and "another process" in problem["message"]
    assert list_checkpoints(pair.run("left").folder)[-1].step == 2


@pytest.mark.slow
def test_halves_compute_in_bf16_what_wholes_do(more: Pair) -> None:
    """Until the last bit of a weight makes one of bf16."""
    halves, wholes = (more.run(name).losses() for name in ("bf16_sharded", "bf16"))
    assert halves[1] == pytest.approx(wholes[1], rel=CLOSE) and halves == pytest.approx(wholes, rel=1e-3)


@pytest.mark.slow
def test_all_of_that_was_sharded_where_it_was_to_be(more: Pair) -> None:
    sharded = {name for name in more.names if name in ("few", "resumed", "spoiled") or name.endswith("sharded")}
    assert all(max(more.shares(name)) < 0.6 for name in sharded)
    assert all(min(more.shares(name)) == 1.0 for name in {*more.names} - sharded - {"changed"})
    assert min(more.shares("changed")) < 0.6 and max(more.shares("changed")) == 1.0


# ------------------------------------------------------------------------------------------- several machines
def test_a_folder_that_another_machine_does_not_see_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "gather_object", lambda seen: [*seen, False] if seen == [True] else seen)
    with pytest.raises(UserError, match="not every machine sees the folder of the run"):
        compose(*SMALL).train(runs=tmp_path, steps=1)
    assert not [*tmp_path.iterdir()]
