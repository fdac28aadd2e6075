"""What is installed and how a name becomes a class.

`discover` reads manifests and imports nobody's code; `Registry` answers by name; `load_part` and `load_config` import,
inside a guard. The only door from a string to a class.
"""

from __future__ import annotations

from pgsynth_core.registry.discovery import (
    ALLOWED_VARIABLE,
    GROUP,
    allowed_packages,
    announcement,
    checkout_manifest,
    discover,
    first_party_manifest,
    own_version,
)
from pgsynth_core.registry.entries import (
    NOUNS,
    OWN_NAME,
    Broken,
    Contributed,
    DisabledPackage,
    Entry,
    Origin,
    PresetEntry,
    ResultsEntry,
    TableEntry,
    removal,
)
from pgsynth_core.registry.loading import PATIENCE_VARIABLE, configure, load_config, load_part, load_target, patience
from pgsynth_core.registry.locate import (
    FOREIGN_FAULTS,
    file_in_package,
    folders_of,
    normalised,
    raise_interrupts,
    reason_of,
)
from pgsynth_core.registry.registry import Registry, registry_of
from pgsynth_core.registry.user_list import (
    CONFIG_VARIABLE,
    KeptPackage,
    UserList,
    changed_user_list,
    config_folder,
    read_user_list,
    user_list_file,
    write_user_list,
)

__all__ = [
    "ALLOWED_VARIABLE",
    "CONFIG_VARIABLE",
    "FOREIGN_FAULTS",
    "GROUP",
    "NOUNS",
    "OWN_NAME",
    "PATIENCE_VARIABLE",
    "Broken",
    "Contributed",
    "DisabledPackage",
    "Entry",
    "KeptPackage",
    "Origin",
    "PresetEntry",
    "Registry",
    "ResultsEntry",
    "TableEntry",
    "UserList",
    "allowed_packages",
    "announcement",
    "changed_user_list",
    "checkout_manifest",
    "config_folder",
    "configure",
    "discover",
    "file_in_package",
    "first_party_manifest",
    "folders_of",
    "load_config",
    "load_part",
    "load_target",
    "normalised",
    "own_version",
    "patience",
    "raise_interrupts",
    "read_user_list",
    "reason_of",
    "registry_of",
    "removal",
    "user_list_file",
    "write_user_list",
]
