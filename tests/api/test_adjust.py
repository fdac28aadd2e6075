"""Other settings for a trained run: what may change, what may not, and that everything wrong is told at once."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core import compose
from pgsynth_core.api.adjust import adjusted_spec
from pgsynth_core.errors import SpecError, UserError
from pgsynth_core.registry import discover
from pgsynth_core.spec import Spec

REGISTRY = discover()


@pytest.fixture
def spec() -> Spec:
    return compose("tiny", "data=folder", "data.folder.root=here", "sample.steps=7", registry=REGISTRY).spec


def test_only_what_is_named_changes(spec: Spec) -> None:
    changed, verdict = adjusted_spec(spec, REGISTRY, ["sample.scheduler=unipc", "data.folder.root=there"])
    assert verdict.ok and changed.sample.scheduler == "unipc" and changed.sample.steps == 7
    assert changed.data[0].options["root"] == "there"
    assert changed.model_copy(update={"sample": spec.sample, "data": spec.data}) == spec
    assert adjusted_spec(spec, REGISTRY)[0] == spec


def test_guidance_takes_the_place_of_the_whole_mapping_in_its_order(spec: Spec) -> None:
    changed, _ = adjusted_spec(spec, REGISTRY, guidance={"pose": 2.0, "appearance": 3.0})
    assert list(changed.sample.guidance.items()) == [("pose", 2.0), ("appearance", 3.0)]
    assert adjusted_spec(spec, REGISTRY, guidance=1.5)[0].sample.guidance == {"all": 1.5}


def test_guidance_by_step_is_a_mapping(spec: Spec) -> None:
    wanted = {"pose": {"scale": [5.0, 1.0], "from": 0.2, "until": 1.0}, "appearance": 3.0}
    scales = {"scale": (np.float64(5), 1.0), "from": np.float64(0.2)}
    changed, _ = adjusted_spec(spec, REGISTRY, guidance={"pose": scales, "appearance": 3.0})
    assert changed.to_mapping()["sample"]["guidance"] == wanted
    again, _ = adjusted_spec(changed, REGISTRY, ["sample.guidance.pose.scale=2"])
    assert again.to_mapping()["sample"]["guidance"] == {**wanted, "pose": {"scale": 2.0, "from": 0.2, "until": 1.0}}


def test_only_what_is_given_now_is_told_to_have_no_effect(spec: Spec) -> None:
    told: list[str] = []
    adjusted_spec(spec, REGISTRY, guidance={"all": {"from": 0.99}}, on_warning=told.append)
    assert told == ["sample.guidance.all guides nothing: none of the 7 steps lies from 0.99 until 1."]
    useless, _ = adjusted_spec(spec, REGISTRY, guidance={"all": {"from": 0.99}})
    adjusted_spec(useless, REGISTRY, ["sample.seed=3"], on_warning=told.append)
    assert len(told) == 1


def test_other_data_may_be_read(spec: Spec) -> None:
    changed, verdict = adjusted_spec(spec, REGISTRY, ["data=deepfashion", "data.deepfashion.root=x"])
    assert verdict.ok and changed.data[0].part == "pgsynth:deepfashion"


@pytest.mark.parametrize("word", ["train.steps=3", "encoder=none", "encoder.qfft.depth=1", "size=64x48", "sampled=1"])
def test_what_is_in_the_weights_stays(spec: Spec, word: str) -> None:
    with pytest.raises(UserError, match="keeps what it was trained with") as caught:
        adjusted_spec(spec, REGISTRY, ["sample.steps=3", word])
    assert [problem.where for problem in caught.value.problems] == [word]


def test_everything_wrong_is_told_at_once(spec: Spec) -> None:
    with pytest.raises(SpecError) as caught:
        adjusted_spec(spec, REGISTRY, ["sample.stps=3", "data.folder.rot=x"], guidance={"ps": 2.0})
    said = str(caught.value)
    assert len(caught.value.problems) == 3 and all(word in said for word in ("'steps'", "'root'", "'pose'"))
    assert "guidance" in {problem.where for problem in caught.value.problems}
