"""Nothing that is shipped runs what it reads, and the plugin host is asked what it swallowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .safety_guards import SAFETY_GUARDS, nothing_unsafe, pending_hooks_checked
from .tree import Guard, Source, demand_none, findings

Plant = Callable[[str], list[Source]]


@pytest.mark.parametrize("guard", SAFETY_GUARDS, ids=lambda guard: guard.__name__)
def test_shipped_code_keeps(guard: Guard, sources: list[Source]) -> None:
    demand_none(findings(guard, sources))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import pickle", "imports pickle"),
        ("from pickle import loads", "imports pickle"),
        ("import cloudpickle as quick", "imports cloudpickle"),
        ("def f():\n    import shelve", "imports shelve"),
        ("eval('1')", "calls eval"),
        ("exec('1')", "calls exec"),
        ("compile('1', '', 'eval')", "calls compile"),
        ("__import__('os')", "calls __import__"),
        ("import torch\ntorch.load('x')", "calls torch.load"),
        ("import torch as t\nt.load('x')", "calls torch.load"),
        ("from torch import load\nload('x')", "calls torch.load"),
        ("from torch import load as read\nread('x')", "calls torch.load"),
        ("import torch\ntorch.save(1, 'x')", "calls torch.save"),
        ("import yaml\nyaml.load(t, Loader=yaml.SafeLoader)", "calls yaml.load"),
        ("import yaml\nyaml.unsafe_load(t)", "calls yaml.unsafe_load"),
        ("import os\nos.system('ls')", "calls os.system"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "passes shell="),
        ("import subprocess\nsubprocess.run('ls', shell=quick)", "passes shell="),
        ("from subprocess import run\nrun('ls', shell=quick)", "passes shell="),
        ("go('ls', shell=True)", "passes shell="),
        ("read('x', weights_only=False)", "passes weights_only=False"),
        ("manager.load_setuptools_entrypoints('x')", "calls load_setuptools_entrypoints"),
        ("@spec(firstresult=True)\ndef f(): ...", "passes firstresult="),
    ],
)
def test_the_unsafe_is_found(plant: Plant, text: str, words: str) -> None:
    found = findings(nothing_unsafe, plant(text))
    assert len(found) == 1 and words in found[0], found


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.compile(model)",
        "import json\njson.load(file)",
        "import yaml\nyaml.compose(text, Loader=yaml.SafeLoader)",
        "import re\nre.compile('a')",
        "from re import compile as pattern\npattern('a')",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "completion(shell='bash')",
        "completion(shell=shell)",
        "model.eval()",
    ],
)
def test_the_safe_is_left_alone(plant: Plant, text: str) -> None:
    assert findings(nothing_unsafe, plant(text)) == []


def test_an_unasked_plugin_host_is_found(plant: Plant) -> None:
    silent = "import pluggy\nmanager = pluggy.PluginManager('pgsynth')\n"
    assert "check_pending" in findings(pending_hooks_checked, plant(silent))[0]
    assert findings(pending_hooks_checked, plant(silent + "manager.check_pending()\n")) == []
