"""Write a study: one HTML file for raters, with every picture in it, and the key that stays with the maker.

The page is to betray nothing: pictures are encoded anew from their pixels, all alike; what stands behind the end of a
picture's file, where no decoder looks, makes the candidates of a question equally long; they stand in the file in the
order of their ids. These follow from the seed, the number of the question and the pixels alone, so that the same seed
makes the same study: whoever guesses the seed learns what a picture shows, and that he sees. No method, and no order of
methods, is in them. It may load nothing: a browser is told so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pgsynth_core.errors import UserError
from pgsynth_core.reports.document import source_hash
from pgsynth_core.reports.study.key import PAGE, Key, Question, write_key
from pgsynth_core.runs import refusing, require_new
from pgsynth_core.runs.durable import OUTPUT, remove, replace_text, temporary

__all__ = ["TITLE", "Picture", "Posed", "refuse_telling", "write_study"]

TITLE: Final = "Which picture is most like the photograph?"

Picture = UInt8[np.ndarray, "_ _ 3"]
"""RGB."""


@dataclass(frozen=True)
class Posed:
    """What a question shows.

    Attributes:
        pair: Its name; it stays in the key.
        truth: The ground truth.
        candidates: Method -> its picture; all of one size.
        source: The photo that the person is taken from; None if it is not to be had.
        pose: A picture of the wanted pose; None if there is none.
    """

    pair: str
    truth: Picture
    candidates: Mapping[str, Picture]
    source: Picture | None = None
    pose: Picture | None = None


def write_study(  # noqa: PLR0913 - how a page is to be, each by its name
    folder: Path,
    questions: Sequence[Posed],
    *,
    seed: int = 0,
    title: str = TITLE,
    cannot_tell: bool = False,
    quality: int | None = None,
    about: Mapping[str, Any],
) -> Key:
    """Write the page and its key into a new folder, whole or not at all.

    Args:
        folder: To be made.
        questions: At least one; of the same methods.
        seed: The same makes the same study of the same questions.
        title: Above the page.
        cannot_tell: Whether a rater may choose none.
        quality: JPEG of this quality, 1 to 100; None for PNG, which changes no pixel.
        about: How it was made, for the key.

    Raises:
        UserError: If the folder is there, the title names a method, or the system refuses.
    """
    methods = tuple(questions[0].candidates)
    refuse_telling(title, methods)
    require_new(folder)
    asked, data = [], []
    for number, question in enumerate(questions):
        one, facts = _question(question, quality, f"{seed}/{number}".encode())
        asked.append(one)
        data.append(facts)
    payload: dict[str, Any] = {"cannot_tell": cannot_tell, "questions": sorted(data, key=lambda one: str(one["id"]))}
    study = hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:32]
    page = _page(title, {"study": study, **payload})
    key = Key(
        study=study,
        title=title,
        methods=methods,
        cannot_tell=cannot_tell,
        questions=tuple(asked),
        about={**about, "pictures": "PNG" if quality is None else f"JPEG of quality {quality}"},
    )
    beside = temporary(folder)
    try:
        with refusing("the study cannot be written", folder, elsewhere=OUTPUT):
            beside.mkdir()
            write_key(beside, key)
            replace_text(beside / PAGE, page)
            beside.rename(folder)
    finally:
        remove(beside)
    return key


def refuse_telling(title: str, methods: Sequence[str]) -> None:
    """Refuse a title that names a method.

    Raises:
        UserError: If it does.
    """
    words = title.casefold()
    told = [name for name in methods if re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", words)]
    if told:
        message = f"the title names {', '.join(map(repr, told))}, and raters are not to know which methods there are."
        raise UserError(message, where="--title", cure="Give another, or leave it out.")


def _question(question: Posed, quality: int | None, seed: bytes) -> tuple[Question, dict[str, Any]]:
    """A question in the key, and in the page."""
    ids, encoded = dict[str, str](), dict[str, bytes]()
    for method, candidate in question.candidates.items():
        content = _encoded(candidate, quality)
        again = [*encoded.values()].count(content)  # of equal pictures each has an id of its own
        ids[method] = _id(seed, content + b"\0" * again)
        encoded[ids[method]] = content
    longest = max(map(len, encoded.values()))
    longest += -longest % 3  # base64 of all of them ends alike, too
    candidates = {
        one: _uri(content + hashlib.shake_256(seed + one.encode()).digest(longest - len(content)))
        for one, content in sorted(encoded.items())
    }
    truth = _encoded(question.truth, quality)
    facts: dict[str, Any] = {"id": _id(seed, b"question" + truth), "truth": _uri(truth)}
    for what, picture in (("source", question.source), ("pose", question.pose)):
        if picture is not None:
            facts[what] = _uri(_encoded(picture, quality))
    key = Question(id=facts["id"], pair=question.pair, candidates={one: name for name, one in sorted(ids.items())})
    return key, {**facts, "candidates": candidates}


def _id(seed: bytes, content: bytes) -> str:
    return hmac.digest(seed, content, "sha256").hex()[:16]


def _encoded(picture: Picture, quality: int | None) -> bytes:
    """The pixels as a file that holds nothing else."""
    held = BytesIO()
    if quality is None:
        Image.fromarray(picture).save(held, "PNG", optimize=True)
    else:
        Image.fromarray(picture).save(held, "JPEG", quality=quality, subsampling=0)
    return held.getvalue()


def _uri(content: bytes) -> str:
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _page(title: str, payload: Mapping[str, Any]) -> str:
    """The whole page; what it may do is said by the hashes of what is in it."""
    root = resources.files(__package__)
    template, style, script = (
        root.joinpath(f"questionnaire.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src {source_hash(style)}; script-src {source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(payload).replace("<", "\\u003c")
    shown = html.escape(title)
    return Template(template).substitute(policy=policy, title=shown, style=style, script=script, data=data)
