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
    assert told == ["guidance: sample.guidance.all guides nothing: none of the 7 steps lies from 0.99 until 1."]
    useless, _ = adjusted_spec(spec, REGISTRY, guidance={"all": {"from": 0.99}})
    adjusted_spec(useless, REGISTRY, ["sample.seed=3"], on_warning=told.append)
    assert len(told) == 1


def test_other_data_may_be_read(spec: Spec) -> None:
    changed, verdict = adjusted_spec(spec, REGISTRY, ["data=deepfashion", "data.deepfashion.root=x"])
    assert verdict.ok and changed.data[0].part == "pgsynth:deepfashion"


@pytest.fixture
def labelled() -> Spec:
    """Of a method that reads label maps, in LIP's labels."""
    data = ("data=folder", "data.folder.root=here", "data.folder.parsing=true", "data.folder.label_set=lip20")
    return compose("truepose-tiny", *data, registry=REGISTRY).spec


OTHER_LABELS = [
    ["data.folder.label_set=atr18"],
    ["data.folder.root=there", "data.folder.label_set=cihp20"],
    ["data=figures"],
]


@pytest.mark.parametrize("words", OTHER_LABELS)
def test_weights_know_one_label_set(labelled: Spec, words: list[str]) -> None:
    with pytest.raises(UserError, match="trained with label maps of lip20.*read by clip, hpfa, caa") as caught:
        adjusted_spec(labelled, REGISTRY, words)
    (problem,) = caught.value.problems
    assert problem.where == words[-1] and "lip20" in problem.cure and caught.value.exit_code == 2


def test_other_data_of_the_same_labels_and_any_where_none_are_read(labelled: Spec, spec: Spec) -> None:
    assert adjusted_spec(labelled, REGISTRY, ["data.folder.root=there"])[1].label_set == "lip20"
    words = ["data.folder.parsing=true", "data.folder.label_set=cihp20"]
    assert adjusted_spec(spec, REGISTRY, words)[0].data[0].options["label_set"] == "cihp20"


# ------------------------------------------------------------------------------------------- words and arguments
def test_an_argument_counts_more_than_a_word_and_it_is_told(spec: Spec) -> None:
    told: list[str] = []
    words = ["sample.guidance.all.scale=[5,1]", "sample.steps=3", "sample.scheduler=unipc"]
    changed, _ = adjusted_spec(spec, REGISTRY, words, guidance=3.0, steps=4, prefix="--", on_warning=told.append)
    assert changed.sample.guidance == {"all": 3.0} and changed.sample.steps == 4
    assert changed.sample.scheduler == "unipc"
    guidance, steps = sorted(told)
    assert "sample.guidance.all.scale=[5,1] has no effect: --guidance sets it again" in guidance
    assert "sample.steps=3 has no effect: --steps sets it again" in steps


@pytest.mark.parametrize("word", ["sample.steps=0", "sample.guidance.all.scale=[5,a]", "sample.guidance.ps=2"])
def test_a_word_that_an_argument_covers_has_to_be_right_too(spec: Spec, word: str) -> None:
    with pytest.raises(SpecError) as caught:
        adjusted_spec(spec, REGISTRY, [word], guidance=3.0, steps=4)
    (problem,) = caught.value.problems
    assert word in problem.where


def test_an_argument_is_named_as_it_was_given(spec: Spec) -> None:
    for prefix in ("", "--"):
        with pytest.raises(SpecError) as caught:
            adjusted_spec(spec, REGISTRY, guidance={"ps": 2.0}, steps=0, prefix=prefix)
        assert {problem.where for problem in caught.value.problems} == {f"{prefix}guidance", f"{prefix}steps"}


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
