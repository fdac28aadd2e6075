"""One HTML page of a run or of several: numbers, curves, pictures side by side; whole in itself, read offline.

Floor 2, no torch. `found` says what lies in runs' folders, `grid` which pictures stand side by side; `head`, `numbers`,
`pairs` and `drawn` are the parts of the page, `writing` puts them together. `reports.markup` is the only way to make
HTML here: what comes out of files is escaped by it.
"""

from __future__ import annotations

from pgsynth_core.reports.page.writing import PAIRS, Page, is_page, make_page

__all__ = ["PAIRS", "Page", "is_page", "make_page"]
