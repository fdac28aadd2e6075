"""Runs that never trained, for screens to show: made whole in a second, the same on every machine.

Their pictures are painted figures under noise that fades with the steps; their losses follow a formula. None of it is
a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image as Pillow

from pgsynth_core.data.draw import skeleton
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.evaluation import Shown
from pgsynth_core.registry import discover
from pgsynth_core.runs import Ended, EventLog, RunFolder, Session, create_run, start_session
from pgsynth_core.runs.queue import enqueue
from pgsynth_core.spec import resolve
from pgsynth_core.sweeps import SweepFolder, create_sweep, read_sweep, sweep_of
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.dataset import figure_of
from pgsynth_plugins.datasets.figures.painter import Shot, paint
from pgsynth_plugins.datasets.figures.poses import VIEWS, draw_pose
from pgsynth_plugins.datasets.figures.render.backdrop import draw_backdrop

from ..fixtures.scored import scored

__all__ = ["invent_runs", "invent_sweep"]

STEPS = 20_000
EVERY = 200
SIZE = (96, 72)
DRAWN = (5_000, 10_000, 20_000)
"""Steps after which a run drew samples."""


def invent_runs(root: Path) -> tuple[RunFolder, ...]:
    """One in each state that a study goes through: three variants, one of them with two seeds, one that failed.

    Args:
        root: Where they are made.
    """
    words = ["size=96x72", f"train.steps={STEPS}"]
    eq5, eq9, none = ([*words, f"attn.pma.mask={mask}"] for mask in ("eq5", "eq9", "none"))
    made = [
        _run(root, "20260301-091500-qfft-pma-none", none, STEPS, 0.31, state="finished"),
        _run(root, "20260302-091500-qfft-pma-eq9", eq9, STEPS, 0.24, state="finished"),
        _run(root, "20260303-091500-qfft-pma-eq5", eq5, STEPS, 0.20, state="finished"),
        _run(root, "20260304-091500-qfft-pma-eq5", [*eq5, "train.seed=1"], STEPS, 0.21, state="finished"),
        _run(root, "20260305-091500-clip-pma", [*eq5, "encoder=clip"], 3_400, 0.35, state="failed"),
        _run(root, "20260306-091500-dinov2-pma", [*eq5, "encoder=dinov2"], 12_600, 0.26),
        _run(root, "20260306-091501-qfft-pma-eq5", [*eq5, "train.seed=2"], 0, 0.2, state="queued"),
    ]
    for folder, quality in zip(made[:4], (0.55, 0.75, 0.92, 0.9), strict=True):
        for step in DRAWN:
            _draw(folder, step, quality * math.sqrt(step / STEPS))
        _score(folder, quality)
    _draw(made[5], DRAWN[0], 0.4)
    _draw(made[5], DRAWN[1], 0.6)
    return tuple(made)


def invent_sweep(root: Path) -> SweepFolder:
    """Table 3 of the QEN paper under way: three runs have finished, one failed, one is not begun, one is pruned.

    Args:
        root: Where it is made.
    """
    words = ["size=96x72", f"train.steps={STEPS}"]
    sweep = sweep_of(words, discover(), source="qen-table3", on="tiny")
    specs = [row.spec.to_yaml({}) for row in sweep.combinations if row.ok and row.spec]
    new = create_sweep(root, sweep, specs, words=["qen-table3", "--on", "tiny", *words])
    id, file = "20260307-091500-qen-table3", new.path / "sweep.json"
    file.write_text(file.read_text("utf-8").replace(new.id, id), encoding="utf-8")
    made = read_sweep(new.path.rename(new.path.with_name(id)))
    ends: tuple[Ended, ...] = ("finished", "finished", "failed", "finished")
    for row, state in zip(made.good, ends, strict=False):
        held = start_session(folder := made.made(row))
        steps = STEPS if state == "finished" else 3_400
        with EventLog(folder.events_file) as log:
            _events(log, held, steps, 0.2 + row.number / 50, seed=row.number)
        held.end(state, code=int(state == "failed"), step=steps, reason="" if state == "finished" else "it was killed.")
    return made


def _run(root: Path, name: str, overrides: list[str], steps: int, floor: float, *, state: str = "") -> RunFolder:
    """A run that took some steps; without a state, this process trains it."""
    spec = resolve("tiny", overrides, discover()).spec
    new = create_run(root, slug=name[16:], spec_yaml=spec.to_yaml(), lock={"pgsynth": "0.1.0"})
    folder = RunFolder(new.path.rename(root / name))
    if state == "queued":
        enqueue(folder, kind="cpu")
        return folder
    held = start_session(folder)
    with EventLog(folder.events_file) as log:
        _events(log, held, steps, floor, seed=len(name) + steps + round(floor * 100))
    lines = [f"step {step:>6}  loss {_loss(step, floor):.4f}" for step in range(EVERY, steps + 1, EVERY)]
    folder.log_file.write_text("\n".join([f"{name}: {STEPS} steps on cuda:0", *lines, ""]), encoding="utf-8")
    reason = (
        "CUDA out of memory: 1.2 GiB more were wanted; train.batch_size=4 needs about half" if state == "failed" else ""
    )
    if state:
        held.end(state, code=int(state == "failed"), step=steps, reason=reason)  # type: ignore[arg-type]
    return folder


def _events(log: EventLog, held: Session, steps: int, floor: float, seed: int) -> None:
    log.write("run", step=0, steps=STEPS, device="cuda:0", session=held.id)
    noise = np.random.default_rng(seed).normal(0.0, 0.06, steps // EVERY + 1)
    for step in range(EVERY, steps + 1, EVERY):
        loss = round(_loss(step, floor) * (1 + float(noise[step // EVERY])), 5)
        facts: Mapping[str, Any] = {"grad_norm": 0.5, "learning_rate": 1e-4, "seconds_per_step": 0.21}
        log.write("step", step=step, loss=loss, steps=STEPS, eta_seconds=round((STEPS - step) * 0.21, 1), **facts)


def _loss(step: int, floor: float) -> float:
    return floor + 0.8 * math.exp(-step / 2_500)


# ------------------------------------------------------------------------------------------- pictures
@lru_cache(maxsize=8)
def _pair(person: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, pose and target of somebody painted."""
    chance = Chance("figures", 0, "test", person)
    shots = [
        Shot(
            pose=draw_pose(chance.of("picture", number), VIEWS), backdrop=draw_backdrop(chance.of("backdrop"), "plain")
        )
        for number in (0, 1)
    ]
    source, target = (paint(figure_of(0, "test", person), shot, *SIZE) for shot in shots)
    return source.image, skeleton(target.keypoints, SIZE), target.image


def _rows(quality: float) -> list[tuple[np.ndarray, ...]]:
    rows: list[tuple[np.ndarray, ...]] = []
    for person in range(3):
        given = _pair(person)
        noise = np.random.default_rng(person).normal(128.0, 48.0, given[2].shape)
        made = np.clip(quality * given[2] + (1 - quality) * noise, 0, 255).astype(np.uint8)
        rows.append((*given, made))
    return rows


def _draw(folder: RunFolder, step: int, quality: float) -> None:
    """Samples as training leaves them."""
    rows = _rows(quality)
    where = folder.sample_file(step, 0).parent
    where.mkdir(parents=True)
    for number, row in enumerate(rows):
        Pillow.fromarray(row[3]).save(folder.sample_file(step, number))
    Sheet(("source", "pose", "target", "output"), rows).picture().save(where / "sheet.png")


def _score(folder: RunFolder, quality: float) -> None:
    """An evaluation as `pgsynth evaluate` leaves it."""
    where = folder.path / "evaluation" / f"test-{STEPS:08}"
    where.mkdir(parents=True)
    rows = _rows(quality)
    pairs = [(f"test-{number:05d}-00_to_01", Shown(row[3], row[2], row[0])) for number, row in enumerate(rows)]
    for name, shown in pairs:
        Pillow.fromarray(shown.predicted).save(where / f"{name}.png")
    Sheet(("source", "pose", "target", "output"), rows).picture().save(where / "sheet.png")
    spec = yaml.safe_load(folder.spec_file.read_text(encoding="utf-8"))
    about = {"run": folder.id, "step": STEPS, "ema": True, "split": "test", "limit": None, "seed": 0}
    scored(pairs, about={**about, "sample": spec["sample"], "data": spec["data"]}).to_json(where / "scores.json")
