"""``pgsynth export``: a trained run as one folder to take elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from pgsynth_core import api
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import find_checkpoint, require_new, runs_root

__all__ = ["COMMAND"]

_DESCRIPTION = """\
Write a trained run into one folder to take elsewhere: its last checkpoint without what only
training needs, or what trained in diffusers' layout."""

_EPILOG = """\
RUN is a run's id or the beginning of it, latest, or a path; RUN@best is its checkpoint with
the lowest loss on unseen pairs, RUN@200 the one of step 200.

examples:
  pgsynth export latest -o person
  pgsynth export latest@best --bundle -o person     loads on a machine that has nothing else
  pgsynth sample ./person --source me.jpg --pose kick.json
  pgsynth export latest --diffusers -o person-diffusers

A checkpoint names its frozen pretrained weights by id, revision and hash; --bundle copies
them in. With --diffusers, each network of diffusers that trained is a folder that its class'
from_pretrained reads, unet the denoiser; what LoRA learned is the file
pytorch_lora_weights.safetensors, for pipe.load_lora_weights(DIR); whatever else trained is
LABEL/pgsynth.safetensors. run.py loads and runs what diffusers alone can; README.md says what.
Weights are the moving average where the run has one; --no-ema takes the weights themselves.

SHA256SUMS lists every file. A folder that is there is never written over.

With --json: ok, run, step, folder, files (path to bytes), bytes, warnings, broken."""


def _parser() -> Parser:
    parser = Parser("export", _DESCRIPTION, epilog=_EPILOG)
    parser.usage = "pgsynth export RUN -o DIR [flags]"
    parser.add_argument("words", nargs=1, metavar="RUN", help="which run")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder, which is made")
    parser.add_argument("--bundle", action="store_true", help="with the pretrained weights that it stands on")
    parser.add_argument("--diffusers", action="store_true", help="what trained, in diffusers' layout")
    parser.add_argument("--no-ema", action="store_true", help="the weights themselves, not their moving average")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.bundle and arguments.diffusers:
        message = "--bundle is for pgsynth's own form; in diffusers' layout only what trained is written."
        raise ArgumentsError(message, where="pgsynth export", cure="Give one of them.")
    checkpoint = find_checkpoint(arguments.words[0], runs_root(arguments.runs))
    out = Path(arguments.output)
    require_new(out)  # before minutes are spent
    with progress("Loading the run; importing torch takes most of the time"):
        model = api.load(checkpoint.path, device="cpu", ema=not arguments.no_ema, registry=session.registry)
    for sentence in model.warnings:
        tell_warning(sentence)
    from pgsynth_core.api.exporting import export, export_diffusers

    with progress("Writing"):
        made = export_diffusers(model, out) if arguments.diffusers else export(model, out, bundle=arguments.bundle)
    size = sum(made.files.values())
    if arguments.json:
        facts = {"ok": True, "run": model.name, "step": model.checkpoint.step, "folder": str(made.folder)}
        facts |= {"files": dict(made.files), "bytes": size, "warnings": list(model.warnings)}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    for name, count in made.files.items():
        say(one_line(f"{count:>14,}  {name}"))
    say(one_line(f"{size:>14,}  bytes in {made.folder}, step {model.checkpoint.step} of {model.name}"))
    return 0


COMMAND = Command(_parser, _run, "words:one_run_words")
