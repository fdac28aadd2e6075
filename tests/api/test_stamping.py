"""What pictures say of how they were made: all of the method, and nothing of the machine that they were made on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgsynth_core import Run, load
from pgsynth_core.api.model import Model
from pgsynth_core.api.stamping import about_picture
from pgsynth_core.registry import discover
from pgsynth_core.spec import resolve

SIGNED = "https://alice:pw@host/me/shards/train-{000..011}.tar?sig=SECRET&X-Amz-Credential=AKIA"


def modelled(*words: str, weights: Mapping[str, Any] | None = None) -> Model:
    """As much of a model as a stamp speaks of."""
    registry = discover()
    spec = resolve("tiny", words, registry).spec
    given = SimpleNamespace(
        assembly=SimpleNamespace(spec=spec, registry=registry),
        name="20260131-120405-tiny",
        checkpoint=SimpleNamespace(step=7),
        ema=True,
        lock={"lock": 1, "weights": weights or {}},
    )
    return cast("Model", given)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("data=shards", f"data.shards.train={SIGNED}", "data.shards.test=s3://alice/me"), {"bad": "fail"}),
        (("data=folder", "data.folder.root=~/photos/alice", "data.folder.pairs=../me/pairs.csv"), {"parsing": False}),
        (("data=folder", "data.folder.root=photos/alice"), {"label_set": "atr18"}),
        (("data=folder", "data.folder.root=alice"), {"label_set": "atr18"}),
    ],
)
def test_nothing_of_where_the_data_is(words: tuple[str, ...], kept: Mapping[str, Any]) -> None:
    about = about_picture(modelled(*words), made_with="sample", seed=3)
    said = json.dumps(about)
    assert not [word for word in ("alice", "SECRET", "AKIA", "pw@", "host", "photos", "/me") if word in said]
    ((label, part),) = about["spec"]["data"].items()
    assert part["part"] == f"pgsynth:{label}" and kept.items() <= part.items()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/disk/alice/me.jpg", "me.jpg"),
        ("photos/me.jpg", "me.jpg"),
        ("~/me.jpg", "me.jpg"),
        (r"C:\Users\alice\me.jpg", "me.jpg"),
        (r"\\host\share\me.jpg", "me.jpg"),
        ("file:///disk/alice/me.jpg", "me.jpg"),
        ("https://alice:pw@host/a/me.jpg?sig=SECRET#x", "me.jpg"),
        ("https://alice:pw@host", "host"),
        ("dance.csv: /disk/alice/me 1.jpg", "dance.csv: me 1.jpg"),
        ("dance.csv: img/me.jpg", "dance.csv: me.jpg"),
        ("me.jpg, you.jpg", "me.jpg, you.jpg"),
        ("kick 2: left.json", "kick 2: left.json"),
        ("", ""),
    ],
)
def test_of_a_path_or_an_address_the_last_part(given: str, said: str) -> None:
    about = about_picture(modelled(), made_with="sample", seed=3, source=given, window={"of": [given]})
    assert about["source"] == said and about["window"] == {"of": [said]}


def test_weights_of_the_hub_keep_their_names_and_folders_lose_theirs() -> None:
    weights: dict[str, Any] = {
        "facebook/dinov2-base": {"revision": "abc", "unet/model.safetensors": "1", "vae/model.safetensors": "2"},
        "alice/mine": {"folder": "/disk/alice/mine", "model.safetensors": "3"},
    }
    hub = about_picture(modelled("encoder=dinov2", weights=weights), made_with="sample", seed=0)
    assert hub["spec"]["encoder"]["dinov2"]["backbone"] == "facebook/dinov2-base"
    assert hub["lock"]["weights"]["facebook/dinov2-base"] == weights["facebook/dinov2-base"]
    own = modelled("encoder=dinov2", "encoder.dinov2.backbone=alice/mine", weights=weights)
    about = about_picture(own, made_with="sample", seed=0)
    assert about["spec"]["encoder"]["dinov2"]["backbone"] == "mine" and "alice" not in json.dumps(about)
    assert about["lock"]["weights"]["mine"] == {"folder": "mine", "model.safetensors": "3"}


def test_the_lock_is_that_of_when_it_was_loaded(small_run: Run, tmp_path: Path) -> None:
    there = tmp_path / "step-00000002"
    shutil.copytree(load(small_run).checkpoint.path, there)
    model = load(there)
    shutil.rmtree(there)  # as a run that goes on does
    about = about_picture(model, made_with="sample", seed=0)
    assert about["lock"]["packages"]["pgsynth"] and about["lock"]["lock"] == 1
    assert replace(model, ema=False).lock == model.lock
