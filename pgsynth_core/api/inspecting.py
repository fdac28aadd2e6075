"""`inspect`: what the attention of a method does for one sample, as pictures, and the table of attention by group."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.composition import Composition
from pgsynth_core.api.devices import device_named
from pgsynth_core.api.looks import encoder_figures, overview, processor_figures, view_facts
from pgsynth_core.api.shares import ShareTable, share_table
from pgsynth_core.api.subjects import Subject
from pgsynth_core.composition.hub import Weights
from pgsynth_core.composition.looking import Looked, look
from pgsynth_core.contract import SitePattern
from pgsynth_core.data.labels import label_set_of
from pgsynth_core.errors import UserError
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import OUTPUT, remove, temporary
from pgsynth_core.training.draws import generator
from pgsynth_core.training.objective import training_schedule

__all__ = ["Inspected", "inspect", "sites_of", "untrained"]

_SITES_NAMED: Final = 3


@dataclass(frozen=True)
class Inspected:
    """What was seen, on disk.

    Attributes:
        folder: Holds everything below.
        overview: Source, label map, pose and target side by side.
        processors: Label of a processor -> its picture.
        encoders: Label of an encoder -> its picture.
        views: Label of a processor -> facts of each of its views.
        table: Share of attention on each group of labels; None without a label map.
        time: Diffusion time of the step, of `times`.
        times: How many times the schedule has.
        notes: What is not shown, and why.
    """

    folder: Path
    overview: Path
    processors: Mapping[str, Path]
    encoders: Mapping[str, Path]
    views: Mapping[str, Any]
    table: ShareTable | None
    time: int
    times: int
    notes: tuple[str, ...] = field(default=())

    @property
    def shares(self) -> Path | None:
        """The table as JSON."""
        return self.folder / "shares.json" if self.table else None


def untrained(composition: Composition, *, device: str | None = None) -> Assembly:
    """A composition with the weights it would begin training with.

    Args:
        composition: What to build.
        device: Where to; a GPU if there is one.

    Raises:
        UserError: If there is no such device.
        PartError: If a part cannot be built, or its pretrained weights cannot be found.
    """
    device, spec = device_named(device), composition.spec
    made = Assembly.of(spec, composition.registry, composition.verdict, device=device, weights=Weights())
    made.method.eval()
    return made


def inspect(
    assembly: Assembly,
    subject: Subject,
    out: Path,
    *,
    at: float = 0.5,
    sites: Collection[str] | None = None,
) -> Inspected:
    """Look on at one denoising step of the noised target, and draw what was seen.

    Args:
        assembly: The method.
        subject: What it is shown.
        out: Folder that is made; one that exists is left alone, the new one gets a number.
        at: Diffusion time, from 0 (nearly clean) to 1 (the noisiest the method was trained on).
        sites: Names of the sites that are drawn, see `sites_of`; None: all. The table is of all in any case.

    Raises:
        UserError: If `at` is out of range, or pictures cannot be written.
        PartError: If a part gives what cannot be shown.
    """
    if not 0 <= at <= 1:
        raise UserError(f"the time is {at:g}; it goes from 0 to 1.", where="at", cure="Write e.g. 0.5.")
    looked, time, times = _looked(assembly, subject, at)
    table, notes = _table(looked, subject, assembly)
    shown = Looked(
        views={
            label: kept
            for label, found in looked.views.items()
            if (kept := {name: views for name, views in found.items() if sites is None or name in sites})
        },
        reads=[read for read in looked.reads if sites is None or read.site in sites],
        places=looked.places,
    )
    if not shown.views:
        where = "" if sites is None else " at the sites that are drawn"
        notes = (*notes, f"the method has no attention processor that can be looked at{where}.")
    title = f"{subject.name}, time {time} of {times}"
    figures = {f"attn-{label}": figure for label, figure in processor_figures(shown, subject, title).items()}
    of_encoders = {f"encoder-{label}": figure for label, figure in encoder_figures(shown, subject, title).items()}
    pictures = {name: figure.picture() for name, figure in (figures | of_encoders).items()}
    folder = _written(out, {"overview": overview(subject, table), **pictures}, table)
    return Inspected(
        folder=folder,
        overview=folder / "overview.png",
        processors={name.removeprefix("attn-"): folder / f"{name}.png" for name in figures},
        encoders={name.removeprefix("encoder-"): folder / f"{name}.png" for name in of_encoders},
        views=view_facts(shown),
        table=table,
        time=time,
        times=times,
        notes=notes,
    )


def sites_of(assembly: Assembly, pattern: SitePattern) -> frozenset[str]:
    """Names of the sites of a method that a pattern means.

    Raises:
        UserError: If there is none.
    """
    sites = assembly.method.sites
    found = frozenset(site.name for site in sites if pattern.selects(site.network, site.kind, site.path))
    if not found:
        there = ", ".join(site.name for site in sites[:_SITES_NAMED])
        message = f"no attention layer matches '{pattern}'."
        raise UserError(message, where="site", cure=f"The {len(sites)} sites are named like {there}.")
    return found


def _looked(assembly: Assembly, subject: Subject, at: float) -> tuple[Looked, int, int]:
    """What is seen of the step, and its time."""
    method = assembly.method
    batch = subject.batch.to(next(method.parameters()).device)
    schedule = training_schedule(method.base.schedule)
    times = int(schedule.config["num_train_timesteps"])
    time = round(at * (times - 1))
    training = method.training
    method.eval()
    try:
        with torch.no_grad():
            clean = method.base.codec.encode(batch.target_image)
            noise = torch.randn(
                clean.shape[1:], generator=generator(assembly.spec.sample.seed, "inspect", subject.name)
            )
            now = torch.tensor([time], device=clean.device)
            noisy = schedule.add_noise(clean, noise[None].to(clean), now)  # type: ignore[arg-type]
            looked = look(method, noisy, now, batch.source_inputs(), batch.conditioning())
    finally:
        method.train(training)
    return looked, time, times


def _table(looked: Looked, subject: Subject, assembly: Assembly) -> tuple[ShareTable | None, tuple[str, ...]]:
    """The table, if it can be made, and what is not in it."""
    read = {one.encoder for one in looked.reads}
    notes = [
        f"where on the source the attention to {label} lies cannot be told; it is not in the table."
        for label in assembly.method.encoders
        if label not in read
    ]
    if subject.parsing is None:
        return None, ("there is no label map of the source, so there is no table of attention by group.", *notes)
    if not looked.reads:
        return None, tuple(notes)
    parsing = torch.from_numpy(subject.parsing.astype("int64"))
    return share_table(looked.reads, parsing, label_set_of(subject.label_set)), tuple(notes)


def _written(out: Path, pictures: Mapping[str, Image.Image], table: ShareTable | None) -> Path:
    """Write everything beside the place it goes to, then move it there: whole or not at all."""
    made = temporary(out)
    try:
        with refusing("the pictures cannot be written", out, elsewhere=OUTPUT):
            made.mkdir(parents=True)
            for name, picture in pictures.items():
                picture.save(made / f"{name}.png")
            if table:
                text = json.dumps(table.facts(), indent=2) + "\n"
                (made / "shares.json").write_text(text, encoding="utf-8")
            names = (out if number == 1 else out.with_name(f"{out.name}.{number}") for number in count(1))
            place = next(path for path in names if not path.exists())
            os.rename(made, place)
    finally:
        remove(made)  # where it still is
    return place
