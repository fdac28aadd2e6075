"""Eight pairs are learned by heart: the methods read both the photo and the pose.

Slow lane: ten minutes at most for each on two cores. ``$PGSYNTH_ARTEFACTS``, if it is set, gets pictures and losses.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pgsynth_core import compose

from .by_heart import learned_by_heart, real

PAIRS, STEPS = 8, 1500


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """The first eight training pairs of DeepFashion, as a folder of their own."""
    shared, root = real("deepfashion_mini"), tmp_path / "fashion"
    (root / "img").mkdir(parents=True)
    rows = (shared / "fasion-resize-pairs-train.csv").read_text(encoding="utf-8").splitlines()[: PAIRS + 1]
    for split in ("train", "test"):
        (root / f"fasion-resize-pairs-{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        annotation = shared / "fasion-resize-annotation-train.csv"
        shutil.copy(annotation, root / f"fasion-resize-annotation-{split}.csv")
    for name in {name for row in rows[1:] for name in row.split(",")}:
        shutil.copy(shared / "img" / name, root / "img" / name)
    return root


@pytest.fixture
def parsed(tmp_path: Path) -> Path:
    """Eight photos of VITON with LIP-20 label maps and OpenPose joints, each its own target."""
    shared, root = real("parsing", "viton_lip20"), tmp_path / "viton"
    root.mkdir()
    rows = ["source,target,source_pose,target_pose,source_parsing"]
    for photo in sorted((shared / "image").glob("*.jpg"))[:PAIRS]:
        pose, parsing = f"{photo.stem}_keypoints.json", f"{photo.stem}.png"
        for file in (photo, shared / "pose" / pose, shared / "image-parse" / parsing):
            shutil.copy(file, root / file.name)
        rows.append(f"{photo.name},{photo.name},{pose},{pose},{parsing}")
    (root / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.mark.slow
def test_qen_learns_eight_photographs_by_heart(eight: Path, tmp_path: Path) -> None:
    words = ("data=deepfashion", f"data.deepfashion.root={eight}", f"train.steps={STEPS}", "train.workers=0")
    figures = learned_by_heart(compose("tiny", *words), tmp_path, pairs=PAIRS)
    assert figures["loss"] < 0.3
    assert figures["sampled"] >= figures["copying the source"] + 6
    assert figures["sampled"] >= figures["sources permuted"] + 3
    assert figures["sampled"] >= figures["poses permuted"] + 3


@pytest.mark.slow
def test_truepose_learns_eight_photographs_by_heart(parsed: Path, tmp_path: Path) -> None:
    words = ("data=folder", f"data.folder.root={parsed}", "data.folder.parsing=true", "data.folder.label_set=lip20")
    method = compose("truepose-tiny", *words, f"train.steps={STEPS}", "train.workers=0")
    figures = learned_by_heart(method, tmp_path, pairs=PAIRS)
    assert figures["loss"] < 0.3
    assert figures["sampled"] >= 20  # from source to source copying has no error to compare with
    assert figures["sampled"] >= figures["sources permuted"] + 3
    assert figures["sampled"] >= figures["poses permuted"] + 3


@pytest.mark.slow
def test_truepose_learns_eight_painted_pairs_by_heart(tmp_path: Path) -> None:
    eight = ("data=figures", "data.figures.identities=8", "data.figures.pairs=1", "data.figures.poses=2")
    method = compose("truepose-tiny", *eight, f"train.steps={STEPS}", "train.workers=0")
    figures = learned_by_heart(method, tmp_path, pairs=PAIRS)
    assert figures["loss"] < 0.3
    assert figures["sampled"] >= figures["copying the source"] + 6
    assert figures["sampled"] >= figures["sources permuted"] + 3
    assert figures["sampled"] >= figures["poses permuted"] + 3
