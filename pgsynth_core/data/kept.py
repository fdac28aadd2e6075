"""Results of frozen networks on disk: written whole, checked whenever they are read, looked up by what entered.

The key of an entry is a digest of the image as it enters the network, after every step of its preparation, and of
the network itself. The file says its key again and a checksum of its content. What does not agree is damaged: it is
never used, but removed and made anew.

Axes: B batch.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pgsynth_core.data.cache import UNFINISHED, place_of

__all__ = ["FORM", "DamagedEntry", "Kept", "Lookup", "Store", "Wanted", "digest"]

FORM: Final = 1
"""Version of how entries are made, keyed and written. Raised with each change of that, it leaves older ones unread."""

_DIGEST_BYTES: Final = 16


class DamagedEntry(Exception):
    """A file that is not the entry it stands for; its text names it and says why."""


def digest(*said: str, tensors: Mapping[str, Tensor]) -> str:
    """Digest of texts and of tensors with their names, types and shapes: 32 hexadecimal digits."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for text in said:
        found.update(f"{len(text)} {text}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{len(name)} {name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


# ------------------------------------------------------------------------------------------- on disk
@dataclass(frozen=True)
class Store:
    """Entries in a folder, which other processes may read, write and clear at the same time.

    Attributes:
        root: The folder; made with the first entry.
    """

    root: Path

    def read(self, kind: str, key: str) -> dict[str, Tensor] | None:
        """The tensors of an entry, memory-mapped; None if there is none that may be read.

        Raises:
            DamagedEntry: If the file is not what was written.
        """
        path = place_of(self.root, kind, key)
        try:
            with safe_open(path, framework="pt") as opened:
                said = opened.metadata() or {}
                names: list[str] = opened.keys()
                tensors = {name: opened.get_tensor(name) for name in names}
        except (OSError, RuntimeError):  # safetensors opens the file, and torch once more: it may have gone between
            return None
        except (SafetensorError, ValueError) as error:
            raise DamagedEntry(f"{path}: {error}") from error
        named, _, checksum = said.get("entry", "").partition(" ")
        if named != key:
            raise DamagedEntry(f"{path}: it is another entry, {named or 'without a name'}")
        if checksum != digest(tensors=tensors):
            raise DamagedEntry(f"{path}: its content has changed since it was written")
        return tensors

    def write(self, kind: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Write an entry so that a reader sees it whole or not at all.

        It is not flushed to the disk: what a loss of power takes of it, the next reader finds damaged.

        Raises:
            OSError: If the system refuses; nothing half-written is left.
        """
        path = place_of(self.root, kind, key)
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(whole, {"entry": f"{key} {digest(tensors=whole)}"})  # one word: several are in no order
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise

    def remove(self, kind: str, key: str) -> None:
        """Remove an entry; what will not go, stays."""
        with suppress(OSError):
            place_of(self.root, kind, key).unlink()


# ------------------------------------------------------------------------------------------- looked up
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A result of a frozen network that is kept of every sample.

    Attributes:
        name: In `Batch.kept`.
        kind: Folder of its entries.
        network: Digest of all that computes it.
        reads: Field of `SourceInputs` that enters the network -> field of the batch that it is.
        encoder: Label of the encoder whose features these are; empty for a latent.
    """

    name: str
    kind: str
    network: str
    reads: Mapping[str, str]
    encoder: str = ""

    def inputs(self, batch: Mapping[str, Any], rows: slice = slice(None)) -> dict[str, Tensor]:
        """What enters the network of these rows of a batch's fields."""
        return {name: batch[given][rows] for name, given in self.reads.items()}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the cache holds of one result for a batch.

    Attributes:
        keys: Of each sample's entry.
        found: Whether each was there.
        tensors: Name -> the rows of those samples that were found, in order.
        damaged: What was wrong with entries that are now removed.
    """

    keys: tuple[str, ...]
    found: tuple[bool, ...]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all samples are there."""
        return all(self.found)

    @staticmethod
    def cat(items: Sequence[Kept]) -> Kept:
        """Join along B."""
        filled = [item.tensors for item in items if item.tensors]
        return Kept(
            keys=tuple(key for item in items for key in item.keys),
            found=tuple(found for item in items for found in item.found),
            tensors={name: torch.cat([each[name] for each in filled]) for name in (filled[0] if filled else ())},
            damaged=tuple(text for item in items for text in item.damaged),
        )

    def over(self, change: Callable[[Tensor], Tensor]) -> Kept:
        """Every tensor changed, e.g. moved."""
        return replace(self, tensors={name: change(tensor) for name, tensor in self.tensors.items()})

    def completed(self, made: Mapping[str, Mapping[str, Tensor]]) -> Kept:
        """With the samples that were not found, made since.

        Args:
            made: Key -> name -> a batch of one.
        """
        rows: list[Mapping[str, Tensor]] = []
        place = 0
        for key, found in zip(self.keys, self.found, strict=True):
            here = slice(place, place + 1)
            rows.append({name: tensor[here] for name, tensor in self.tensors.items()} if found else made[key])
            place += found
        tensors = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        return Kept(keys=self.keys, found=(True,) * len(self.keys), tensors=tensors)


@dataclass(frozen=True)
class Lookup:
    """Looks up what is kept of a sample; in the process that loads it.

    Attributes:
        store: Where.
        wanted: What.
    """

    store: Store
    wanted: tuple[Wanted, ...]

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Kept]:
        """By name, what there is of a batch of one, given by its fields."""
        return {wanted.name: self._one(wanted, batch) for wanted in self.wanted}

    def _one(self, wanted: Wanted, batch: Mapping[str, Any]) -> Kept:
        key = digest(str(FORM), wanted.kind, wanted.network, tensors=wanted.inputs(batch))
        try:
            tensors = self.store.read(wanted.kind, key)
        except DamagedEntry as damage:
            self.store.remove(wanted.kind, key)
            return Kept(keys=(key,), found=(False,), damaged=(str(damage),))
        return Kept(keys=(key,), found=(tensors is not None,), tensors=tensors or {})
