"""The sections: models and tables say one thing, defaults are allowed, schedulers exist."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from pgsynth_core.spec import SCHEDULERS, TABLES, SampleSettings, TrainSettings
from pgsynth_core.spec.model import Fit
from pgsynth_core.spec.nodes import DEFAULT, Problems, node_of
from pgsynth_core.spec.reserved import MODULE_NAMES
from pgsynth_core.spec.settings import SchedulerName
from pgsynth_core.spec.values import BadValue, checked


def test_tables_hold_every_field() -> None:
    assert list(TABLES["train"]) == list(TrainSettings.model_fields)
    assert list(TABLES["sample"]) == list(SampleSettings.model_fields)
    assert all(setting.option.help for table in TABLES.values() for setting in table.values())


def test_defaults_pass_the_check() -> None:
    for section, model in (("train", TrainSettings()), ("sample", SampleSettings())):
        for key, value in model.model_dump().items():
            values = list(value.values()) if isinstance(value, dict) else [value]
            for item in values:
                assert checked(key, TABLES[section][key].option, node_of(item, DEFAULT, Problems())) == item


def test_models_keep_the_same_ranges() -> None:
    for model, wrong in (
        (TrainSettings, {"steps": 0}),
        (TrainSettings, {"drop": {"all": 2.0}}),
        (TrainSettings, {"stepz": 1}),
        (SampleSettings, {"guidance": {"all": -1.0}}),
        (SampleSettings, {"scheduler": "dimm"}),
    ):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_schedulers_are_those_of_diffusers() -> None:
    assert get_args(SchedulerName) == tuple(SCHEDULERS)
    found = importlib.util.find_spec("diffusers")
    if found is None or found.origin is None:
        pytest.skip("diffusers is not installed")
    exported = (Path(found.origin).parent / "schedulers" / "__init__.py").read_text(encoding="utf-8")
    assert [name for name in SCHEDULERS.values() if f'"{name}"' not in exported] == []


def test_ways_to_fit() -> None:
    assert get_args(Fit) == ("squash", "pad", "crop")


def test_labels_that_torch_refuses_are_refused_here() -> None:
    nn = pytest.importorskip("torch.nn")
    names = {name for name in dir(nn.ModuleDict()) if not name.startswith("_")}
    assert names - MODULE_NAMES == set()


def test_trackers_are_named_one_or_several() -> None:
    option = TABLES["train"]["trackers"].option
    for given, names in (("wandb", ("wandb",)), (["mlflow", "wandb"], ("mlflow", "wandb")), ([], ())):
        assert checked("trackers", option, node_of(given, DEFAULT, Problems())) == names
        assert TrainSettings.model_validate({"trackers": names}).trackers == names
    with pytest.raises(BadValue) as refused:
        checked("trackers", option, node_of(["tensorbord"], DEFAULT, Problems()))
    assert "'tensorboard'" in refused.value.cure
