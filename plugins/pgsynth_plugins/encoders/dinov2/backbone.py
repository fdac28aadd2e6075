"""DINOv2 of transformers: built from a published configuration or a folder's, loaded from safetensors.

transformers is imported only where a backbone is built, and of it only the model's own module.

Reading: the backbone always runs in evaluation mode, trained or not, so that a sample's features depend neither on its
    batch nor on a random stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.errors import PartError, SpecError, suggestion
from pgsynth_core.interfaces import BuildContext
from pgsynth_plugins.encoders.dinov2 import Config

__all__ = ["KNOWN", "Backbone"]

_SIZES: Final[Mapping[str, Mapping[str, Any]]] = {
    "small": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "giant": {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True},
}
_TRAINED_ON: Final = {"image_size": 518, "patch_size": 14}
_PLAIN: Final = "dinov2"
_REGISTERS: Final = "dinov2_with_registers"

KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    f"facebook/{prefix}-{size}": {"model_type": kind, **_TRAINED_ON, **shape}
    for prefix, kind in (("dinov2", _PLAIN), ("dinov2-with-registers", _REGISTERS))
    for size, shape in _SIZES.items()
}
"""Hub id -> configuration, so that a method is composed and proved without a network."""


class Backbone(nn.Module):
    """DINOv2 up to the chosen block, with its last norm.

    Args:
        config: `backbone`, `layer`, `pretrained`, `train_backbone`.
        build: `weights` finds the folder.

    Attributes:
        width: Channels of its tokens.
        patch: Side of a patch in pixels.
        side: Side of the square it was trained on, in pixels.

    Raises:
        SpecError: Unknown model, no such block, or a folder of another kind of model.
        PartError: If transformers is not installed, or the weights are not there or not its own.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__()
        where = f"encoder.{build.label}"
        shape = _configuration(config.backbone, f"{where}.backbone")
        folder = build.weights(config.backbone) if config.pretrained else None
        self.network: Any = _built(shape) if folder is None else _loaded(shape, Path(folder))
        blocks = len(self.network.encoder.layer)
        depth = blocks + 1 + config.layer
        if depth < 1:
            text = f"{config.backbone!r} has {blocks} blocks; layer is {config.layer}."
            raise SpecError(text, where=f"{where}.layer", cure=f"Allowed: -{blocks} to -1.")
        self.network.encoder.layer = self.network.encoder.layer[:depth]
        self.network.embeddings.mask_token = None  # for pretraining; nothing would ever train it
        self.width = int(self.network.config.hidden_size)
        self.patch, self.side = (_one(self.network.config, name) for name in ("patch_size", "image_size"))
        self.registers = int(getattr(self.network.config, "num_register_tokens", 0))
        self.network.requires_grad_(config.train_backbone)
        self.train(False)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N width"]:
        """The class token, then the patches in row order; registers are left out, as in the library's own features.

        Args:
            image: In ImageNet range; H and W are multiples of the patch. Positions are interpolated by the library.
        """
        tokens: Tensor = self.network(image).last_hidden_state
        return torch.cat([tokens[:, :1], tokens[:, 1 + self.registers :]], dim=1) if self.registers else tokens

    def train(self, mode: bool = True) -> Backbone:
        """Stays in evaluation mode; what is trained is decided by `requires_grad`."""
        super().train(False)
        return self


def _one(config: Any, name: str) -> int:
    value = getattr(config, name)
    return int(value if isinstance(value, int) else value[0])


# ------------------------------------------------------------------------------------------- what the option names
def _configuration(backbone: str, where: str) -> Mapping[str, Any]:
    """The configuration of a folder or of a known id."""
    if not Path(backbone).is_dir():
        if backbone in KNOWN:
            return KNOWN[backbone]
        text = f"backbone {backbone!r} is neither a folder nor a DINOv2 whose shape is known."
        cure = f"{suggestion(backbone, tuple(KNOWN))} For another one: hf download ID --local-dir FOLDER."
        raise SpecError(text, where=where, cure=cure)
    file = Path(backbone) / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        kind = content["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        text = f"{file} cannot be read as a model of transformers: {type(error).__name__}: {error}"
        raise SpecError(text, where=where, cure="Give a folder that save_pretrained wrote.") from error
    if kind not in (_PLAIN, _REGISTERS):
        text = f"{file} is of a {kind!r}; dinov2 reads {_PLAIN} and {_REGISTERS}."
        raise SpecError(text, where=where, cure="Give the folder of a DINOv2.")
    found: Mapping[str, Any] = content
    return found


def _classes(kind: str) -> tuple[Any, Any]:
    """Configuration and model of transformers, from the leaf that holds them."""
    try:
        if kind == _PLAIN:
            from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
            from transformers.models.dinov2.modeling_dinov2 import Dinov2Model

            return Dinov2Config, Dinov2Model
        from transformers.models.dinov2_with_registers.configuration_dinov2_with_registers import (
            Dinov2WithRegistersConfig,
        )
        from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import Dinov2WithRegistersModel

        return Dinov2WithRegistersConfig, Dinov2WithRegistersModel
    except ImportError as error:
        text = f"dinov2's backbones come from transformers, which cannot be imported: {error}"
        raise PartError(text, cure='pip install "pgsynth[dinov2]"') from error


def _built(shape: Mapping[str, Any]) -> Any:
    """The architecture, untrained."""
    configuration, model = _classes(shape["model_type"])
    return model(configuration.from_dict(dict(shape)))


def _loaded(shape: Mapping[str, Any], folder: Path) -> Any:
    """The folder's model, in single precision, which a run's own precision setting starts from."""
    from safetensors import SafetensorError

    _, model = _classes(shape["model_type"])
    try:
        network, found = model.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        text = f"{folder}: the weights cannot be read: {error}"
        raise PartError(text, cure="It needs config.json and model.safetensors; get them again.") from error
    missing = sorted(name for name in found["missing_keys"] if not name.endswith("mask_token"))
    if missing:
        text = f"{folder} lacks {len(missing)} weights of the model, e.g. {missing[0]}."
        raise PartError(text, cure="Get the checkpoint again.")
    return network
