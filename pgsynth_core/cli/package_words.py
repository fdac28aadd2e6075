"""What may be typed where packages are named: those known, those here, those on the user's list, wheels and folders."""

from __future__ import annotations

from pgsynth_core.cli.words import Words, file_words
from pgsynth_core.registry import Registry

__all__ = ["install_words", "kept_words", "plugin_words"]


def install_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins install``: packages that the catalogue knows, wheels, folders."""
    known = {row.name: row.summary for row in registry.known}
    return {word: text for word, text in (known | file_words(prefix, (".whl",))).items() if word not in words}


def kept_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins restore``: what the user's list names."""
    from pgsynth_core.packages.removing import list_or_empty

    return {kept.name: kept.version for kept in list_or_empty().plugin if kept.name not in words}


def plugin_words(words: list[str], prefix: str, registry: Registry) -> Words:
    """Words of ``plugins uninstall``: every plugin that is here, broken ones too."""
    from pgsynth_core.packages.removing import list_or_empty, plugin_names

    names = plugin_names(registry, list_or_empty())
    return {name: "package" for name in names if name not in words}
