"""`load`: a trained run as a model that makes pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.adjust import Guidance, adjusted, adjusted_spec, refuse_differences
from pgsynth_core.api.annotating import named_annotators
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.devices import device_named
from pgsynth_core.api.drawing import Drawn, draw_own
from pgsynth_core.api.edit_inputs import Edit, Mask, Reference
from pgsynth_core.api.editing import edited, references_of
from pgsynth_core.api.interpolating import interpolated
from pgsynth_core.api.interpolating_inputs import Between
from pgsynth_core.api.own import Framing, OwnPhoto, Placed, place
from pgsynth_core.api.own_reading import Looking, own_joints, own_photo, own_photos, own_poses
from pgsynth_core.api.photos import OnWarning, Pose, Source, frame_of, photo_of
from pgsynth_core.api.pictures import OnSkip, Sampled, plan_of, sampled, sampled_often, usable
from pgsynth_core.api.run import Run
from pgsynth_core.composition.hub import Weights, made_with
from pgsynth_core.composition.weights import load_kept
from pgsynth_core.contract import check
from pgsynth_core.data.people import require_person_rule
from pgsynth_core.data.records import Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import example
from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import (
    BUNDLE,
    Checkpoint,
    RunFolder,
    check_weights,
    find_checkpoint,
    read_lock,
    run_of,
    runs_root,
)
from pgsynth_core.spec import resolve
from pgsynth_core.training.checkpoint import AVERAGE, WEIGHTS, read_tensors

_LEAVE_OUT: Final = "For all of them, leave it out."


@dataclass(frozen=True)
class Model:
    """A trained method on its device.

    Attributes:
        assembly: Its spec and its parts, weights in place.
        checkpoint: Where they came from.
        warnings: What differs from what it was trained with, and which settings given since have no effect.
        ema: Whether its weights are the moving average.
        weights: Where its pretrained weights were found.
        lock: What it was trained with, as its checkpoint said when it was loaded: that may be gone by now.
        annotators: Who looks at photos for what nobody gives, as ``--annotator`` names them; by default who there is.
    """

    assembly: Assembly
    checkpoint: Checkpoint
    warnings: tuple[str, ...] = ()
    ema: bool = False
    weights: Weights = field(default_factory=Weights, repr=False)
    lock: Mapping[str, Any] = field(default_factory=dict, repr=False)
    annotators: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Model {self.name}: step {self.checkpoint.step}{', moving average' if self.ema else ''}>"

    @property
    def run(self) -> RunFolder | None:
        """The run it comes from; None if its checkpoint was copied elsewhere."""
        return run_of(self.checkpoint)

    @property
    def name(self) -> str:
        """Its run's id, or the name of its checkpoint's folder."""
        return self.run.id if self.run else self.checkpoint.path.name

    @property
    def home(self) -> Path:
        """What it belongs to: its run's folder, or its checkpoint's."""
        return self.run.path if self.run else self.checkpoint.path

    def to(self, device: str | torch.device) -> Model:
        """Move it, as torch's modules are moved: it is itself that moves, and comes back.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:1``; or as `torch.device`.

        Raises:
            UserError: If there is no such device here.
        """
        self.assembly.method.to(device_named(device))
        return self

    def compile(self, **how: Any) -> Model:
        """Have torch compile its denoising step at the first picture: that one takes minutes, those after it less.

        As with torch's modules, it is itself that is compiled, and comes back. Pictures are those of before but for
        rounding. Worth it for many pictures of one shape: another number of pictures at once is compiled anew.

        Args:
            how: As for `torch.compile`, e.g. ``mode="max-autotune"``.

        Raises:
            UserError: If it is on the CPU, and no C++ compiler is here, which torch needs.
        """
        on_cpu = next(self.assembly.method.parameters()).device.type == "cpu"
        compiler = os.environ.get("CXX", "g++")
        if on_cpu and how.get("backend", "inductor") == "inductor" and not shutil.which(compiler):
            cure = "Install one (Debian: apt install g++), name another by CXX, or leave compile() out."
            raise UserError(f"there is no C++ compiler {compiler!r} here.", where="compile", cure=cure)
        self.assembly.method.compile(**how)
        return self

    def looking(self, tell: Callable[[str], None] | None = None, *, person: str | int = "most-certain") -> Looking:
        """Who looks at photos for what neither is given nor lies beside them: the annotators that are installed.

        Args:
            tell: Told what was found that somebody may have meant otherwise.
            person: Which of several people is meant: ``most-certain``, ``largest``, ``leftmost``, ``rightmost``, or a
                number from 1 on.

        Raises:
            UserError: If `person` is none of these.
        """
        require_person_rule(str(person), where="person")
        device = str(next(self.assembly.method.parameters()).device)
        return Looking(self.assembly.registry, self.annotators, str(person), device, tell or (lambda sentence: None))

    def sample(  # noqa: PLR0913 - a person's words for one picture, all but two optional
        self,
        source: Source,
        pose: Pose,
        *,
        parsing: str | Path | None = None,
        source_pose: Pose | None = None,
        framing: Framing | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: Guidance | None = None,
        n: int = 1,
        person: str | int = "most-certain",
        on_warning: OnWarning | None = None,
    ) -> list[Image.Image]:
        """The person of a photo in a pose.

        Args:
            source: The photo.
            pose: The target pose: a file of any form that `data.poses.read_poses` reads, a photo among them, in which
                an annotator finds the person; JSON as a mapping; or an array [18, 3]. Joints of a canvas that is
                named are scaled from there to the photo's size; others are pixels of the photo.
            parsing: Label map of the photo, for methods that read it; None: the one beside it, ``NAME.parsing.png``, or
                what an annotator finds.
            source_pose: Joints of the person in the photo, as `pose`: with them the pose is retargeted to this body,
                and a person who stands small in the photo is shown larger. None: those beside it,
                ``NAME.pose.json``; or, where `framing` needs them, what an annotator finds.
            framing: How, see `own.Framing`.
            seed: First seed; picture i uses seed + i. None: the spec's.
            steps: Denoising steps; None: the spec's.
            guidance: One scale, or scales by condition in nesting order; None: the spec's. A scale by step is a mapping
                as in a spec, e.g. ``{"all": {"scale": [5.0, 1.0], "from": 0.2, "until": 0.8}}``.
            n: How many pictures.
            person: Which of several people is meant, in a photo or a pose: see `looking`.
            on_warning: Told if most joints lie outside the photo, which of several people is taken, or if a setting has
                no effect.

        Returns:
            n pictures of the method's size.

        Raises:
            UserError: If a file cannot be read, an array is of another form, the pose has no joint or none in the
                photo, a label map is needed and not given or given and not read, or n is less than 1.
            SpecError: If a setting is not in its range, or guidance names no condition of the method.
        """
        if n < 1:
            raise UserError(f"n is {n}; it is the number of pictures, at least 1.", where="n", cure="Write n=1.")
        assembly = self.assembly
        spec, _ = adjusted_spec(
            assembly.spec, assembly.registry, guidance=guidance, on_warning=on_warning, seed=seed, steps=steps
        )
        settings, looking = spec.sample, self.looking(on_warning, person=person)
        photo = own_photo(source, assembly.verdict, looking, framing=framing, joints=source_pose, parsing=parsing)
        placed = self._placed(photo, pose, framing, looking, on_warning)
        batch, how = example(placed.pair(0), assembly.plan(source_pose=False)), plan_of(settings)
        seeds = range(settings.seed, settings.seed + n)
        made = sampled_often(assembly, batch, plan=how, seeds=seeds, tell=on_warning)
        return [Image.fromarray(one) for one in made]

    def draw(  # noqa: PLR0913 - as `sample`
        self,
        sources: Sequence[str | Path],
        poses: Sequence[str | Path],
        *,
        n: int = 1,
        moving: bool = False,
        framing: Framing | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: Guidance | None = None,
        person: str | int = "most-certain",
        on_warning: OnWarning | None = None,
        on_skip: OnWarning | None = None,
    ) -> Iterator[Drawn]:
        """Many photos in many poses, each in each: what `sample` draws one by one, as many at once as memory allows.

        Args:
            sources: Files, and folders with all below them; what lies beside a photo counts as for `sample`.
            poses: Files of any form, folders of them, rows of tables as ``file.csv:NAME``, photos.
            n: Pictures of each.
            moving: Whether the poses of a folder are one person's, one after the other; those of one file are.
            framing: As for `sample`.
            seed: As for `sample`.
            steps: As for `sample`.
            guidance: As for `sample`.
            person: As for `sample`.
            on_warning: As for `sample`.
            on_skip: Told of each photo or pose that cannot be used, and why, and the others follow; None: it ends all.

        Returns:
            Pictures as they come, in order: whose, in which pose, from which seed; back in the photo by `Drawn.back`.

        Raises:
            UserError: As `sample`.
            SpecError: As `sample`.
        """
        if n < 1:
            raise UserError(f"n is {n}; it is the number of pictures, at least 1.", where="n", cure="Write n=1.")
        model = adjusted(self, guidance=guidance, seed=seed, steps=steps)
        looking = self.looking(on_warning, person=person)
        framing, verdict = framing or Framing(), self.assembly.verdict
        photos = own_photos([Path(one) for one in sources], verdict, looking, framing=framing, on_skip=on_skip)
        read = own_poses([Path(one) for one in poses], looking, moving=moving)
        return draw_own(model, photos, read, n=n, framing=framing, on_warning=on_warning, on_skip=on_skip)

    def edit(  # noqa: PLR0913 - a person's words for one edit, all but two optional
        self,
        source: Source,
        reference: Source | Reference | Sequence[Source | Reference],
        *,
        mask: Mask | None = None,
        regions: Sequence[str] = (),
        pose: Pose | None = None,
        parsing: str | Path | None = None,
        label_set: str = "",
        soft: float = 0.0,
        keep: str = "photo",
        frame: str = "auto",
        seed: int | None = None,
        steps: int | None = None,
        guidance: Guidance | None = None,
        n: int = 1,
        person: str | int = "most-certain",
        on_warning: OnWarning | None = None,
    ) -> list[Image.Image]:
        """A photo, changed inside a mask after the appearance of others; outside, no pixel changes.

        Args:
            source: The photo that is edited.
            reference: The photo whose appearance is taken. Of several, each has the same weight, or as a `Reference`
                weights by region; what the weights leave to 1, the source has itself.
            mask: What is to change: a picture of the photo's size, white where it is, or bool [H, W].
            regions: Or that, by names of labels of the source's label map. With neither, the references' regions.
            pose: The source's own pose; None: the one beside the photo, or what an annotator finds.
            parsing: The source's label map, where regions are named; None: as for the pose.
            label_set: What its labels are of, e.g. ``lip20``, where the file does not say it and the method reads none.
            soft: Width of a soft edge around the mask, in pixels of the photo.
            keep: What stands outside of the mask: ``photo``, its own pixels, and the picture is of the photo's size;
                ``codec``, the source as the codec gives it back, at the method's size.
            frame: How much of the photo the method is shown, as `own.Framing.frame`; all that changes is in it.
            seed: As for `sample`.
            steps: As for `sample`.
            guidance: As for `sample`.
            n: How many pictures.
            person: As for `sample`.
            on_warning: Told what is odd and done all the same, such as a mask that is empty.

        Returns:
            n pictures.

        Raises:
            UserError: If a file cannot be read, the mask is of another size than the photo, a region is unknown or
                not in it, or a pose or a label map is needed and there is none.
            SpecError: As `sample`.
        """
        wanted = Edit(
            source=source,
            references=references_of(reference),
            mask=mask,
            regions=regions,
            pose=pose,
            parsing=parsing,
            label_set=label_set,
            person=person,
            soft=soft,
            keep=keep,
            frame=frame,
        )
        return edited(self, wanted, seed=seed, steps=steps, guidance=guidance, n=n, on_warning=on_warning).images()

    def interpolate(  # noqa: PLR0913 - as `sample`
        self,
        sources: Sequence[Source],
        poses: Sequence[Pose],
        *,
        frames: int = 9,
        parsings: Sequence[str | Path | None] = (),
        source_poses: Sequence[Pose | None] = (),
        framing: Framing | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: Guidance | None = None,
        person: str | int = "most-certain",
        on_warning: OnWarning | None = None,
    ) -> list[Image.Image]:
        """Pictures between two photos, between two poses, or both at once; of two photos the ends are `sample`'s.

        Appearance goes along a straight line of what the encoders give; limbs turn and change their length evenly,
        see `data.between`; all frames begin with the same noise.

        Args:
            sources: One photo or two.
            poses: One pose or two, each in pixels of the photo of its place, where it names no canvas. A photo that
                stands at both ends is framed once for both poses, and they are fitted as one body's if they are of
                pictures of one size.
            frames: How many pictures, 2 at least.
            parsings: Label maps of the photos, for methods that read them; none: as for `sample`.
            source_poses: Joints of the people in the photos, as for `sample`.
            framing: As for `sample`.
            seed: As for `sample`, of all frames.
            steps: As for `sample`.
            guidance: As for `sample`.
            person: As for `sample`.
            on_warning: As for `sample`.

        Returns:
            The frames, of the method's size.

        Raises:
            UserError: As `sample`; or if there are others than one or two of each, or nothing to go between.
            SpecError: As `sample`.
        """
        wanted = Between(
            sources=sources,
            poses=poses,
            parsings=parsings,
            source_poses=source_poses,
            framing=framing or Framing(),
            person=person,
            frames=frames,
        )
        made = interpolated(self, wanted, seed=seed, steps=steps, guidance=guidance, on_warning=on_warning)
        return made.images()

    def sheet(  # noqa: PLR0913 - as `sample`
        self,
        source: Source,
        pose: Pose,
        pictures: Sequence[Image.Image],
        *,
        source_pose: Pose | None = None,
        framing: Framing | None = None,
        person: str | int = "most-certain",
    ) -> Image.Image:
        """Pictures that `sample` made of a photo in a pose, to compare: each in a row of source, pose, output.

        Args:
            source: The photo.
            pose: The target pose, drawn as a skeleton.
            pictures: One at least.
            source_pose: As for `sample`; a pose that was retargeted is drawn so, too.
            framing: As for `sample`.
            person: As for `sample`.

        Raises:
            UserError: As `sample`, about the photo and the pose; or if there is no picture.
        """
        if not pictures:
            raise UserError("there is no picture to show.", where="pictures", cure="Give what `sample` returned.")
        image, looking, how = photo_of(source), self.looking(person=person), framing or Framing()
        needed = how.frame == "person" or how.retarget == "on"
        photo = OwnPhoto("source", image, own_joints(source, image, looking, source_pose, needed=needed))
        placed = self._placed(photo, pose, framing, looking)
        headings = ("source", "pose", "retargeted", "output") if placed.retargeted else ("source", "pose", "output")
        tiles = placed.tiles(0)
        before = tiles if placed.retargeted else (tiles[0], tiles[2])
        return Sheet(headings, [(*before, np.asarray(one)) for one in pictures]).picture()

    def _placed(
        self,
        photo: OwnPhoto,
        pose: Pose,
        framing: Framing | None,
        looking: Looking,
        on_warning: OnWarning | None = None,
    ) -> Placed:
        """The photo with the pose, as the method is shown them."""
        spec = self.assembly.spec
        frame = frame_of(pose, photo.size, person=looking.person, found_in=looking.people, on_warning=looking.tell)
        return place(photo, [frame], size=spec.size, fit=spec.fit, framing=framing, on_warning=on_warning)

    def sample_pairs(  # noqa: PLR0913 - which pairs, and the settings of `sample`
        self,
        *,
        split: Split,
        limit: int | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: Guidance | None = None,
        only: Callable[[str], bool] | None = None,
        on_skip: OnSkip | None = None,
        on_warning: OnWarning | None = None,
    ) -> Iterator[Sampled]:
        """Sample the pairs of a split, all or the first `limit`; each from a seed of its own.

        Args:
            split: Which pairs.
            limit: Only the first so many.
            seed: In place of the spec's.
            steps: Denoising steps; None: the spec's.
            guidance: As for `sample`; None: the spec's.
            only: Of these, those whose name this says yes to.
            on_skip: Told of everything that is left out because it cannot be used, where the dataset has bad=skip.
            on_warning: Told if a setting has no effect.

        Raises:
            UserError: If limit is less than 1, or there is no such split.
            SpecError: If a setting is not in its range, or guidance names no condition of the method.
            DataError: If a pair cannot be used and the dataset has bad=fail, or none of them can.
        """
        if limit is not None and limit < 1:
            raise UserError(f"limit is {limit}; it is a number of pairs, at least 1.", where="limit", cure=_LEAVE_OUT)
        assembly = self.assembly
        spec, _ = adjusted_spec(
            assembly.spec, assembly.registry, guidance=guidance, on_warning=on_warning, seed=seed, steps=steps
        )
        settings = spec.sample
        dataset = dataset_of(assembly.spec, assembly.registry, split)
        if on_skip:
            for record in dataset.problems:  # of its tables
                on_skip(f"{record.file}:{record.row}" if record.row else record.file, record)
        indices = [index for index in range(len(dataset))[:limit] if only is None or only(dataset.name(index))]
        examples = usable(dataset, assembly.plan(source_pose=False), indices, on_skip)
        yield from sampled(assembly, examples, plan=plan_of(settings), seed=settings.seed, tell=on_warning)


def load(  # noqa: PLR0913 - which run, and a choice each of how
    run: Run | str | Path,
    *,
    device: str | torch.device | None = None,
    ema: bool = True,
    annotators: Sequence[str] = (),
    runs: str | Path | None = None,
    registry: Registry | None = None,
) -> Model:
    """Load a trained run.

    Args:
        run: A run, its id, a unique prefix, ``latest``, a run's folder or a checkpoint's.
        device: Where to, e.g. ``cpu`` or ``cuda:1``, or as `torch.device`; a GPU if there is one.
        ema: The moving average of the weights, where the run has one.
        annotators: Who looks at photos for what nobody gives, as ``--annotator`` says it: ``vitpose.network=FOLDER``.
        runs: Where runs are; by default as the shell finds them.
        registry: What exists; found anew if None.

    Raises:
        UserError: If it cannot be found, is damaged, or a part of it is missing; with the command that mends it. Or
            there is no such device or annotator.
    """
    device = device_named(device)
    registry = registry or discover()
    named_annotators(registry, annotators)
    if not isinstance(run, Run | str | Path):
        cure = "Give what train() returned, a run's id, latest, or the path of a run or of a checkpoint."
        raise UserError(f"{run!r:.80} is a {type(run).__name__}, and no run.", where="load", cure=cure)
    place = run.path if isinstance(run, Run) else run
    checkpoint = find_checkpoint(place, runs_root(None if runs is None else str(runs)))
    checkpoint.verify()
    lock = read_lock(checkpoint.path / "lock.json")
    warnings = refuse_differences(lock, registry)
    resolved = resolve(checkpoint.path / "spec.yaml", (), registry)
    spec = resolved.spec
    verdict = check(spec, registry)
    verdict.raise_if_refused()
    weights = Weights(made_with(lock), checkpoint.path / BUNDLE)
    assembly = Assembly.of(spec, registry, verdict, device=device, weights=weights)
    ema = ema and (checkpoint.path / AVERAGE).exists()
    for name in (WEIGHTS, AVERAGE) if ema else (WEIGHTS,):
        tensors = read_tensors(checkpoint.path / name)
        partial = name == AVERAGE
        load_kept(assembly.method, spec.base.label, tensors, where=str(checkpoint.path / name), partial=partial)
    assembly.method.eval()
    others = map(str, check_weights(lock, weights.identities(known=True)))
    told = (*warnings, *resolved.changed_options, *others)
    return Model(assembly, checkpoint, told, ema, weights, lock, tuple(annotators))
