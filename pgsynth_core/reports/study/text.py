"""What came of a study as text: a table like the papers' in Markdown and LaTeX, questions as CSV, plain data."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pgsynth_core.reports.marking import latex_row, latex_text, markdown_row, markdown_text
from pgsynth_core.reports.study.tally import Share, Tally
from pgsynth_core.runs.written import inert

__all__ = ["FORMS", "interval", "lines", "percent", "tally_facts", "tally_text"]

_VERSUS: Final = (
    "Of the choices that fell to one of two methods, the share of the one in the row; * where 95 % leave out a half."
)


def percent(share: Share) -> str:
    """``46.0%``, as the papers write it; a dash of no choice at all."""
    return f"{100 * share.value:.1f}%" if share.of else "-"


def interval(share: Share) -> str:
    """``41.2 to 50.9``; empty of no choice at all."""
    return f"{100 * share.low:.1f} to {100 * share.high:.1f}" if share.of else ""


def lines(tally: Tally) -> Iterator[str]:
    """What is to be known of the numbers, a sentence each."""
    yield tally.intervals
    if tally.ties:
        yield f"{tally.ties} of {tally.answers} answers tell no difference; they are in no share."
    kappa = "not defined" if tally.kappa is None else f"{tally.kappa:.3f}"
    alpha = "not defined" if tally.alpha is None else f"{tally.alpha:.3f}"
    yield (
        f"Agreement between raters: Krippendorff's alpha {alpha} (nominal), Fleiss' kappa {kappa}; 1 is all of one "
        "mind, 0 is chance."
    )
    letters = ", ".join(f"{letter} {count}" for letter, count in zip("ABCDEFGH", tally.places, strict=False))
    yield f"Choices by where the candidate stood: {letters}."
    yield from tally.notes


def counted(tally: Tally) -> str:
    """``50 raters, 25 questions, 1,250 answers``."""
    raters, questions = len(tally.rated), len(tally.questions)
    said = [f"{raters} rater{'' if raters == 1 else 's'}", f"{questions} question{'' if questions == 1 else 's'}"]
    return ", ".join([*said, f"{tally.answers:,} answer{'' if tally.answers == 1 else 's'}"])


def versus_rows(tally: Tally) -> Iterator[tuple[str, ...]]:
    """A row for each method: its share against each other one; * where the interval leaves out a half."""
    methods = tally.key.methods
    of = {(one.first, one.second): one for one in tally.versus}
    for row in methods:
        cells = []
        for column in methods:
            if one := of.get((row, column)):
                cells.append(percent(one.share) + (" *" if one.clear else ""))
            elif one := of.get((column, row)):
                share = one.share
                turned = Share(share.of - share.count, share.of, 1 - share.high, 1 - share.low)
                cells.append(percent(turned) + (" *" if one.clear else ""))
            else:
                cells.append("")
        yield (row, *cells)


def tally_text(tally: Tally, form: str) -> str:
    """What came of it in one of `FORMS`, without a line break at its end.

    Args:
        tally: What is written.
        form: One of `FORMS`.
    """
    return FORMS[form](tally).rstrip("\n")


def _markdown(tally: Tally) -> str:
    methods = tally.key.methods
    rule = markdown_row([":--", *["--:"] * len(methods)])
    shares = [percent(share) for share in tally.shares]
    shares = [f"**{cell}**" if place in tally.best else cell for place, cell in enumerate(shares)]
    found = [
        markdown_row(["Method", *map(markdown_text, methods)]),
        rule,
        markdown_row(["Preferences", *shares]),
        markdown_row(["95 %", *map(interval, tally.shares)]),
        markdown_row(["Choices", *(str(share.count) for share in tally.shares)]),
        "",
    ]
    if len(methods) > 2:
        found += [_VERSUS, "", markdown_row(["Preferred over", *map(markdown_text, methods)]), rule]
        found += [markdown_row(map(markdown_text, row)) for row in versus_rows(tally)] + [""]
    told = [f"{counted(tally)}.", *lines(tally)]
    return "\n".join([*found, *(f"- {markdown_text(line)}" for line in told)])


def _latex(tally: Tally) -> str:
    """A tabular like the papers'; what is to be known of it stands in comments."""
    methods = tally.key.methods
    shares = [latex_text(percent(share)) for share in tally.shares]
    shares = [f"\\textbf{{{cell}}}" if place in tally.best else cell for place, cell in enumerate(shares)]
    found = ["% \\usepackage{booktabs}", f"% {counted(tally)}."]
    found += [f"% {' '.join(line.split())}" for line in lines(tally)]
    found += [f"\\begin{{tabular}}{{l{'c' * len(methods)}}}", "\\toprule"]
    found += [latex_row(["Method", *map(latex_text, methods)]), "\\midrule", latex_row(["Preferences", *shares])]
    found += [latex_row(["95\\,\\%", *(latex_text(interval(share)) for share in tally.shares)])]
    return "\n".join([*found, "\\bottomrule", "\\end{tabular}"])


def _csv(tally: Tally) -> str:
    """One line for each question: how often each method was chosen."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(inert, ["question", "pair", "answers", *tally.key.methods, "cannot tell"]))
    for asked in tally.questions:
        counts = [str(sum(asked.counts) + asked.ties), *map(str, asked.counts), str(asked.ties)]
        writer.writerow(map(inert, [asked.question.id, asked.question.pair, *counts]))
    return text.getvalue()


FORMS: Final[Mapping[str, Callable[[Tally], str]]] = {"markdown": _markdown, "latex": _latex, "csv": _csv}


# ------------------------------------------------------------------------------------------- plain data
def tally_facts(tally: Tally) -> dict[str, Any]:
    """What came of it as plain data, all of it fit for JSON: what is not defined is None."""
    methods = tally.key.methods
    return {
        "study": tally.key.study,
        "title": tally.key.title,
        "raters": [
            {
                "rater": one.rater,
                "file": str(one.file),
                "answered": len(one.choices),
                "median_seconds": statistics.median(choice.seconds for choice in one.choices.values()),
            }
            for one in tally.rated
        ],
        "answers": tally.answers,
        "ties": tally.ties,
        "preferences": {name: _share_facts(share) for name, share in zip(methods, tally.shares, strict=True)},
        "best": [methods[place] for place in sorted(tally.best)],
        "versus": [
            {"first": one.first, "second": one.second, **_share_facts(one.share), "clear": one.clear}
            for one in tally.versus
        ],
        "agreement": {"krippendorff_alpha": tally.alpha, "fleiss_kappa": tally.kappa},
        "intervals": tally.intervals,
        "by_place": list(tally.places),
        "questions": [
            {
                "question": asked.question.id,
                "pair": asked.question.pair,
                "chosen": dict(zip(methods, asked.counts, strict=True)),
                "ties": asked.ties,
            }
            for asked in tally.questions
        ],
        "notes": list(tally.notes),
    }


def _share_facts(share: Share) -> dict[str, Any]:
    value = share.value
    facts = {"share": value if math.isfinite(value) else None, "count": share.count, "of": share.of}
    return {**facts, "interval95": [share.low, share.high] if share.of else None}
