"""`export`: a trained run as one folder to take elsewhere: in pgsynth's own form, or what trained in diffusers' layout.

In diffusers' layout every network of diffusers that trained is a folder that its class' `from_pretrained` reads; the
base's denoiser is ``unet``, others bear the part's label. What LoRA learned beside a frozen denoiser is
``pytorch_lora_weights.safetensors``, which a pipeline's `load_lora_weights` reads. Whatever else trained, processors
for the most part, is ``LABEL/pgsynth.safetensors`` under its keys in a checkpoint. Nothing of it says how the parts
play together: pgsynth does. `with_diffusers` goes with it as ``run.py``, and a README says what is in it and what not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import diffusers
import torch
from diffusers.configuration_utils import ConfigMixin
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.api.model import Model
from pgsynth_core.composition.hub import bundle_files
from pgsynth_core.composition.weights import kept_tensors, owners, trained_parameters
from pgsynth_core.errors import UserError
from pgsynth_core.runs import BUNDLE, Writer, copy_of, require_new, write_folder
from pgsynth_core.runs.checkpoints import STATE
from pgsynth_core.runs.durable import OUTPUT
from pgsynth_core.runs.saving import is_file_name, text_of
from pgsynth_core.training.checkpoint import AVERAGE, WEIGHTS, tensor_writer

__all__ = ["Exported", "export", "export_diffusers"]

_TOLD: Final = ("spec.yaml", "lock.json")
_CONFIG, _NETWORK, _OWN = "config.json", "diffusion_pytorch_model.safetensors", "pgsynth.safetensors"
_LORA: Final = "pytorch_lora_weights.safetensors"
_README: Final = """\
# {name}, step {step}

What trained, in diffusers' layout, written by `pgsynth export --diffusers`. `python run.py --help` needs {needed},
nothing of pgsynth: it loads every network whose class is of diffusers, and denoises with what is here of a
denoiser, ControlNets, which are shown no pose, and what LoRA learned.

## What is here

{held}

## What is not

{lacking}

So `run.py` shows that the networks load and run; its latents are not the run's pictures. For those, export without
`--diffusers`, and `pgsynth sample`.
"""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        files: Path in it -> bytes.
    """

    folder: Path
    files: Mapping[str, int]


def export(model: Model, out: Path, *, bundle: bool = False) -> Exported:
    """A checkpoint without what only training needs, in a folder of its own; it loads like a run.

    Args:
        model: The run.
        out: The folder, which is made; it may not be there yet.
        bundle: With the pretrained weights that the run stands on, of which a checkpoint only names id and hash: the
            folder then loads on a machine that has nothing else of them.

    Raises:
        UserError: If `out` is there, a file of the weights cannot be named there, or the system refuses to write.
    """
    checkpoint = model.checkpoint.path
    average = (AVERAGE,) if model.ema else ()
    sources = {name: checkpoint / name for name in (*_TOLD, STATE, WEIGHTS, *average)}
    already = checkpoint / BUNDLE
    if bundle:
        found = bundle_files(model.weights.used)
        if odd := next((file for name, file in found.items() if not is_file_name(name)), None):
            message = "weights with a file of this name cannot be bundled: letters, digits, dots, dashes are allowed."
            raise UserError(message, where=str(odd), cure="Rename it, or take it out if nothing needs it.")
        sources |= {f"{BUNDLE}/{name}": file for name, file in found.items()}
    elif already.exists():
        kept = (file for file in already.rglob("*") if file.is_file())
        sources |= {file.relative_to(checkpoint).as_posix(): file for file in kept}
    sizes = {name: file.stat().st_size for name, file in sources.items()}
    return _written(out, {name: copy_of(file) for name, file in sources.items()}, sum(sizes.values()))


def export_diffusers(model: Model, out: Path) -> Exported:
    """What trained, in diffusers' layout.

    Args:
        model: The run; its weights as they are loaded, by default their moving average.
        out: The folder, which is made; it may not be there yet.

    Raises:
        UserError: If `out` is there, or the system refuses to write.
    """
    method, base = model.assembly.method, model.assembly.spec.base.label
    kept, trained = kept_tensors(method, base), trained_parameters(method, base)
    classes: dict[str, type] = {}
    files: dict[str, Writer] = {name: copy_of(model.checkpoint.path / name) for name in _TOLD}
    files["run.py"] = copy_of(Path(__file__).with_name("with_diffusers.py"))
    files["scheduler/scheduler_config.json"] = text_of(_schedule(method.base.schedule))
    own: dict[str, dict[str, Tensor]] = {}
    updates = _updates(method.base.denoiser)
    size = sum(value.nbytes for value in updates.values())
    if updates:
        files[_LORA] = _updates_of(method.base.denoiser, updates)
    for label, prefix, part in owners(method, base):
        keys = {key for key in kept if key.startswith(f"{label}.{prefix}")}
        for path, network in _networks(part):
            inside = f"{label}.{prefix}{path}"
            if not any(key.startswith(inside) for key in trained.keys() & keys):
                continue
            state = _plain_state(network)
            folder = "unet" if label == base else f"{label}/{path}".replace(".", "/").rstrip("/")
            files[f"{folder}/{_CONFIG}"] = text_of(network.to_json_string())
            files[f"{folder}/{_NETWORK}"] = tensor_writer(state)
            classes[folder] = type(network)
            size += sum(value.nbytes for value in state.values())
            keys = {key for key in keys if not key.startswith(inside)}
        if part is method.base.denoiser:
            keys -= {f"{label}.{prefix}{name}" for name in updates}
        own.setdefault(label, {}).update({key: kept[key] for key in keys})
    for label, tensors in own.items():
        if tensors:
            files[f"{label}/{_OWN}"] = tensor_writer(tensors)
            size += sum(value.nbytes for value in tensors.values())
    files["README.md"] = text_of(_readme(model, files, classes))
    return _written(out, files, size)


def _schedule(schedule: Mapping[str, object]) -> str:
    """The noise that the run was trained with, as any of diffusers' schedulers reads it."""
    return json.dumps({"_class_name": "DDPMScheduler", **schedule}, indent=2, default=list) + "\n"


def _readme(model: Model, files: Iterable[str], classes: Mapping[str, type]) -> str:
    """What the folder holds, and what it does not."""
    spec, names = model.assembly.spec, sorted(files)
    own = [name for name in names if name.endswith(f"/{_OWN}")]
    held = [_held(name, kind) for name, kind in sorted(classes.items())]
    if _LORA in names:
        held.append(
            f"- `{_LORA}`: what LoRA learned beside the denoiser, for `pipe.load_lora_weights`; that needs peft, too."
        )
    held.append("- `scheduler`: the noise it was trained with, for any scheduler's `from_pretrained`.")
    held += [
        f"- `{name}`: what else trained, under its keys in a checkpoint; only pgsynth knows how to use it."
        for name in own
    ]
    lacking = []
    if "unet" not in classes:
        lacking.append(f"- The denoiser: it did not train. The run stands on `{spec.base.part}`; see `spec.yaml`.")
    parts = ", ".join(f"`{choice.label}`" for slot, choice in spec.choices() if slot in ("encoder", "attn"))
    if parts:
        lacking.append(
            f"- How {parts} work: they are pgsynth's parts, not diffusers'. A plain script runs without them."
        )
    codec = next((type(one).__name__ for one in model.assembly.method.base.codec.modules() if _of_diffusers(one)), "")
    decoded = f"an `{codec}`, which the base has. It decodes a latent that is divided by its `scaling_factor`."
    lacking.append(
        f"- The codec: {decoded if codec else 'it is no network of diffusers; of latents only pgsynth knows.'}"
    )
    lacking.append("- Frozen pretrained weights: `lock.json` names them by id, revision and hash.")
    needed = "torch, diffusers and peft" if _LORA in names else "torch and diffusers"
    about = {"name": model.name, "step": model.checkpoint.step, "needed": needed}
    return _README.format(**about, held="\n".join(held), lacking="\n".join(lacking))


def _of_diffusers(network: object) -> bool:
    """Whether it is a network whose class a script that has diffusers alone can name."""
    return isinstance(network, ModelMixin) and getattr(diffusers, type(network).__name__, None) is type(network)


def _held(folder: str, kind: type) -> str:
    """What the README says of a network."""
    name = f"- `{folder}`: a `{kind.__name__}`"
    if getattr(diffusers, kind.__name__, None) is not kind:
        return f"{name} of `{kind.__module__.partition('.')[0]}`, for its `from_pretrained`; `run.py` leaves it out."
    used = "" if kind in (UNet2DConditionModel, ControlNetModel) else "; `run.py` loads it, and does not use it"
    return f"{name}, a network of diffusers, for its class' `from_pretrained`{used}."


def _networks(part: nn.Module) -> Iterator[tuple[str, ModelMixin]]:
    """Path in a part, with a dot at its end unless empty, and network of diffusers that its class can make again."""
    for path, module in part.named_modules():
        if isinstance(module, ModelMixin) and isinstance(module, ConfigMixin) and _is_plain(module):
            yield f"{path}." if path else "", module


def _is_plain(network: ModelMixin) -> bool:
    """Whether it has the tensors that its config says; one that was cut has fewer."""
    with torch.device("meta"):
        plain = type(network).from_config(network.config)  # type: ignore[attr-defined]
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    return shapes == {name: value.shape for name, value in _plain_state(network).items()}


def _plain_state(network: ModelMixin) -> dict[str, Tensor]:
    """Its state dict without the processors that are attached to it."""
    return {name: value for name, value in network.state_dict().items() if ".processor." not in name}


def _updates(denoiser: nn.Module) -> dict[str, Tensor]:
    """Name -> tensor of what PEFT put beside its layers; empty if nothing, or several adapters, which no file holds."""
    adapters = [*getattr(denoiser, "peft_config", {})]
    if len(adapters) != 1:
        return {}
    return {name: value for name, value in denoiser.state_dict().items() if f".{adapters[0]}." in name}


def _updates_of(denoiser: nn.Module, updates: Mapping[str, Tensor]) -> Writer:
    """Written by diffusers, in the form that its pipelines read, with rank and scale."""
    from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin
    from peft.utils.save_and_load import get_peft_model_state_dict

    ((adapter, config),) = denoiser.peft_config.items()  # type: ignore[operator, union-attr]
    given = {name: value.detach().cpu().contiguous() for name, value in updates.items()}

    def write(path: Path) -> None:
        StableDiffusionLoraLoaderMixin.save_lora_weights(
            path.parent,
            unet_lora_layers=get_peft_model_state_dict(denoiser, given, adapter),
            weight_name=path.name,
            unet_lora_adapter_metadata=config.to_dict(),
        )

    return write


def _written(out: Path, files: Mapping[str, Writer], size: int) -> Exported:
    require_new(out)
    write_folder(out, files, bytes_needed=size, what="copy", elsewhere=OUTPUT)
    sizes = {file.relative_to(out).as_posix(): file.stat().st_size for file in sorted(out.rglob("*")) if file.is_file()}
    return Exported(out, sizes)
