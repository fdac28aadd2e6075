"""The user's settings of the terminal UI, and what it remembers by itself.

    tui.toml    in the settings folder: theme, ascii, images, and under [keys] action = "key,key"; the user's, never
                written here
    tui.json    in the state folder: where one was, and what was marked; written when one leaves
    draft.json  beside it: the method that is being composed; written at every step

Whatever is wrong with either is told and passed over: nothing of it keeps the UI from starting.
"""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pgsynth_core.errors import UserError, suggestion
from pgsynth_core.registry import config_folder
from pgsynth_core.runs.durable import json_text, refused, remove, replace_text
from pgsynth_core.runs.locks import state_folder

__all__ = [
    "DraftKeeper",
    "Remembered",
    "Settings",
    "keep_draft",
    "kept_draft",
    "read_remembered",
    "read_settings",
    "settings_file",
    "write_remembered",
]

STATE_VERSION: Final = 1
_DRAFT: Final = "draft.json"


class Settings(BaseModel):
    """What ``tui.toml`` may say; every line of it may be missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: str = Field(default="", description="Name of a theme; empty: the one chosen last.")
    ascii: bool = Field(default=False, description="Plain ASCII only.")
    images: Literal["auto", "cells", "kitty", "ascii"] = Field(default="auto", description="How pictures are drawn.")
    keys: dict[str, str] = Field(default_factory=dict, description="Id of an action to its keys.")

    @field_validator("keys", mode="before")
    @classmethod
    def _dotted(cls, keys: Any) -> Any:
        """``runs.stop = "x"`` without quotes is a table in a table to TOML: the same is meant."""
        if not isinstance(keys, dict):
            return keys
        return {
            f"{name}.{inner}" if inner else name: value
            for name, some in keys.items()
            for inner, value in (some.items() if isinstance(some, dict) else [("", some)])
        }


class Remembered(BaseModel):
    """``tui.json``. What a later version added is passed over."""

    model_config = ConfigDict(extra="ignore")

    version: int = STATE_VERSION
    theme: str = ""
    view: str = ""
    marked: tuple[str, ...] = ()


def settings_file() -> Path:
    """Where the settings are, whether or not there are any."""
    return config_folder() / "tui.toml"


def read_settings() -> tuple[Settings, list[str]]:
    """The settings, and a sentence for each thing that is wrong with them; what is right holds."""
    try:
        raw = tomllib.loads(settings_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings(), []
    except (OSError, RuntimeError, ValueError) as error:  # not TOML, no UTF-8, no home
        why = getattr(error, "strerror", None) or error
        return Settings(), [f"{settings_file()}: your settings cannot be read: {why}."]
    faults: list[str] = []
    while True:
        try:
            return Settings.model_validate(raw), faults
        except ValidationError as error:
            for fault in error.errors():
                name = str(fault["loc"][0])
                known = tuple(Settings.model_fields)
                why = suggestion(name, known, what="settings") if name not in known else f"{fault['msg']}."
                faults.append(f"{settings_file()}: {'.'.join(map(str, fault['loc']))}: {why}")
                raw.pop(name, None)


def _state_file() -> Path:
    return state_folder().parent / "tui.json"


def read_remembered() -> Remembered:
    """What was remembered; nothing of a file that cannot be read, which is moved aside."""
    try:
        path = _state_file()
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        return Remembered.model_validate(raw)
    except FileNotFoundError:
        return Remembered()
    except UserError:  # there is no state folder
        return Remembered()
    except (OSError, ValueError):
        with suppress(OSError):
            os.replace(path, path.with_suffix(".broken"))
        return Remembered()


def kept_draft() -> str:
    """The draft that was being composed; empty if there is none."""
    with suppress(OSError, ValueError, UserError):
        return (_state_file().parent / _DRAFT).read_text(encoding="utf-8")
    return ""


def keep_draft(text: str) -> str:
    """Keep the draft after every step, for a terminal may be lost; why that cannot be, empty if it can."""
    return _kept("the draft cannot be kept", _DRAFT, text, lasting=False)


class DraftKeeper:
    """Keeps a draft after every step in some thread or other; the newest is what is kept in the end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._newest = self._kept = ""

    def give(self, text: str) -> None:
        """What is to be kept; nothing is written yet."""
        self._newest = text

    def keep(self) -> str:
        """Write it, if it is not written; why that cannot be, empty if it can."""
        with self._lock:
            text, problem = self._newest, ""
            if text != self._kept:
                problem = keep_draft(text)
                self._kept = "" if problem else text
            return problem


def write_remembered(remembered: Remembered) -> str:
    """Remember; why that cannot be, empty if it can."""
    what = "what was marked, and where you were, cannot be remembered"
    return _kept(what, "tui.json", json_text(remembered.model_dump(mode="json")), lasting=True)


def _kept(what: str, name: str, text: str, *, lasting: bool) -> str:
    """Write a file into the state folder, flushed if it is to outlast a loss of power."""
    file, beside = Path(name), None
    try:
        file = _state_file().with_name(name)
        if lasting:
            replace_text(file, text)
            return ""
        beside = file.with_name(f".{name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except (OSError, UserError) as error:
        if beside is not None:
            remove(beside)
        return str(refused(error, what, file)) if isinstance(error, OSError) else f"{what}: {error}"
    return ""
