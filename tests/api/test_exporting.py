"""A run is taken elsewhere: the folder loads by itself to the same pictures, and diffusers reads what trained."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file

from pgsynth_core import Model, Run, compose, load
from pgsynth_core.api import with_diffusers
from pgsynth_core.api.exporting import _held, export, export_diffusers
from pgsynth_core.composition.hub import bundled_name
from pgsynth_core.errors import PgsynthError, UserError

from ..fixtures.small_sd import save_small_sd


def pictures(model: Model) -> list[np.ndarray]:
    return [one.output for one in model.sample_pairs(split="test", limit=2)]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_the_folder_loads_like_a_run(small_run: Run, tmp_path: Path) -> None:
    model = load(small_run)
    made = export(model, tmp_path / "person")
    assert set(made.files) == {
        "SHA256SUMS",
        "ema.safetensors",
        "lock.json",
        "spec.yaml",
        "state.json",
        "weights.safetensors",
    }
    again = load(made.folder)
    assert (again.checkpoint.step, again.ema) == (2, True)
    assert same(pictures(model), pictures(again))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=made.folder, check=True)
    plain = export(load(small_run, ema=False), tmp_path / "plain")
    assert "ema.safetensors" not in plain.files


def test_nothing_is_written_over(small_run: Run, tmp_path: Path) -> None:
    model = load(small_run)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="there already"):
        export(model, tmp_path / "there")
    with pytest.raises(UserError, match="not there"):
        export_diffusers(model, tmp_path / "no" / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


@pytest.fixture(scope="module")
def on_sd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A step of a method with a frozen base that comes from a checkpoint, and that checkpoint."""
    place = save_small_sd(tmp_path_factory.mktemp("sd"))
    words = (
        "base=sd",
        f"base.sd.weights={place}",
        "encoder=clip",
        "encoder.clip.backbone=small",
        "encoder.clip.pretrained=false",
        "encoder.clip.train_backbone=true",
        "pose=controlnet",
        "attn=none",
        "size=32x24",
        "data=figures",
        "data.figures.identities=3",
        "train.batch_size=1",
        "train.workers=0",
        "train.warmup_steps=0",
        "train.sample_every=0",
        "sample.steps=2",
    )
    return compose(None, *words).train(runs=tmp_path_factory.mktemp("runs"), steps=1), place


def test_a_bundle_needs_nothing_else(on_sd: tuple[Run, Path], tmp_path: Path) -> None:
    run, place = on_sd
    model = load(run)
    before = pictures(model)
    alone, bare = export(model, tmp_path / "alone", bundle=True), export(model, tmp_path / "bare")
    name = bundled_name(str(place))
    assert f"bundle/{name}/unet/diffusion_pytorch_model.safetensors" in alone.files
    kept = tmp_path / "elsewhere"
    shutil.move(place, kept)
    try:
        assert same(before, pictures(load(alone.folder)))
        with pytest.raises(PgsynthError, match="local folder"):
            load(bare.folder)
        again = export(load(alone.folder), tmp_path / "again")
        assert alone.files.keys() == again.files.keys(), "what came with its weights keeps them"
        weights = alone.folder / "bundle" / name / "vae" / "diffusion_pytorch_model.safetensors"
        damaged = bytearray(weights.read_bytes())
        damaged[-1] ^= 1
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            load(alone.folder)
    finally:
        shutil.move(kept, place)


def test_weights_whose_names_no_checkpoint_may_hold_are_told(on_sd: tuple[Run, Path], tmp_path: Path) -> None:
    run, place = on_sd
    odd = place / "unet" / "diffusion_pytorch_model (1).safetensors"
    model = load(run)
    (name, used) = next((name, one) for name, one in model.weights.used.items() if one.path == place)
    model.weights.used[name] = replace(used, files=("unet/*",))
    shutil.copy(place / "unet" / "config.json", odd)
    try:
        with pytest.raises(UserError, match="cannot be bundled") as refused:
            export(model, tmp_path / "out", bundle=True)
    finally:
        odd.unlink()
    assert refused.value.problems[0].where == str(odd) and not (tmp_path / "out").exists()


def ran_plainly(folder: Path, *words: str) -> str:
    """What the folder's script says where nothing of pgsynth can be imported."""
    guard = (
        "import sys, runpy\n"
        "class No:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name.startswith('pgsynth'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "sys.argv[0] = 'run.py'\n"
        "runpy.run_path('run.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", guard, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_says_what_it_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class that diffusers has not, a T2I-Adapter, which only a pose would feed, and LoRA without peft."""
    shutil.copy(with_diffusers.__file__, tmp_path / "run.py")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text('{"_class_name": "PoseNet3000"}', encoding="utf-8")
    T2IAdapter(channels=[32, 64], num_res_blocks=1, downscale_factor=8).save_pretrained(tmp_path / "t2i_adapter")
    script = runpy.run_path(str(tmp_path / "run.py"))
    monkeypatch.setattr(sys, "argv", ["run.py"])
    script["main"]()
    said = capsys.readouterr().out
    assert "mine: a PoseNet3000, which is not of diffusers, is left out" in said
    assert "t2i_adapter: T2IAdapter, " in said and "; not used here" in said and "by --base" in said
    (tmp_path / "pytorch_lora_weights.safetensors").touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="needs peft: pip install peft"):
        script["denoiser_of"]({"unet": object()}, None, tmp_path)
    theirs = type("PoseNet3000", (), {"__module__": "pgsynth_plugin_net.model"})
    assert _held("mine", theirs).endswith("`pgsynth_plugin_net`, for its `from_pretrained`; `run.py` leaves it out.")
    assert _held("a", T2IAdapter).endswith("`run.py` loads it, and does not use it.")


@pytest.mark.slow
def test_diffusers_reads_what_trained(on_sd: tuple[Run, Path], small_run: Run, tmp_path: Path) -> None:
    run, _ = on_sd
    model = load(run)
    made = export_diffusers(model, tmp_path / "sd")
    assert not (made.folder / "unet").exists(), "the base is frozen"
    network = ControlNetModel.from_pretrained(made.folder / "controlnet" / "network")
    own = model.assembly.method.poses["controlnet"].network
    theirs = network.state_dict()
    assert all(
        torch.equal(theirs[name], value) for name, value in own.state_dict().items() if ".processor." not in name
    )
    assert load_file(made.folder / "clip" / "pgsynth.safetensors").keys() == {
        key for key in load_file(model.checkpoint.path / "weights.safetensors") if key.startswith("clip.")
    }

    assert "name what it comes from by --base" in ran_plainly(made.folder)
    said = ran_plainly(
        made.folder, "--base", str(on_sd[1]), "--grid", "8", "8", "--steps", "2", "-o", "latent.safetensors"
    )
    assert "controlnet/network: ControlNetModel" in said and "latent [1, 4, 8, 8]" in said
    assert load_file(made.folder / "latent.safetensors")["latent"].isfinite().all()
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "- The denoiser: it did not train." in readme and "`controlnet/network`: a `ControlNetModel`, a" in readme
    assert "an `AutoencoderKL`, which the base has. It decodes a latent that is divided by its" in readme
    assert "needs torch and diffusers,\n" in readme

    tiny = load(small_run)
    made = export_diffusers(tiny, tmp_path / "tiny")
    assert "latent [1, " in ran_plainly(made.folder, "--grid", "8", "6", "--steps", "2")
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "The denoiser: it" not in readme and "How `qfft`" in readme and str(tmp_path) not in readme
    assert "- The codec: it is no network of diffusers" in readme
    unet = UNet2DConditionModel.from_pretrained(made.folder / "unet")
    trained = tiny.assembly.method.base.denoiser
    latent, times, tokens = torch.randn(1, unet.config.in_channels, 8, 6), torch.tensor([3]), torch.randn(1, 4, 64)
    tokens = tokens[..., : unet.config.cross_attention_dim]
    plain = UNet2DConditionModel.from_config(unet.config)
    state = {name: value for name, value in trained.state_dict().items() if ".processor." not in name}
    plain.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(unet(latent, times, tokens).sample, plain.eval()(latent, times, tokens).sample)
    assert any(name.startswith("pma/") for name in made.files) == any(
        key.startswith("pma.") for key in load_file(tiny.checkpoint.path / "weights.safetensors")
    )
