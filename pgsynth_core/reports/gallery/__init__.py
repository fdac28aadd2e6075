"""One HTML page to look through a folder of results: filters, order, zoom, and what each picture says of itself.

Floor 2, no torch. `found` says which pictures there are and what is known of each, `writing` makes the page.
"""

from __future__ import annotations

from pgsynth_core.reports.gallery.found import Found, Shown, look_through
from pgsynth_core.reports.gallery.writing import MADE_BY, MOST_PICTURES, Gallery, make_gallery

__all__ = ["MADE_BY", "MOST_PICTURES", "Found", "Gallery", "Shown", "look_through", "make_gallery"]
