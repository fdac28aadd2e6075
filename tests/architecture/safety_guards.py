"""What no file of ours may do: run what it reads, go around the registry's guards, or read a name too loosely."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from .tree import Finding, Source, dotted, imported

BANNED_MODULES: Final[Mapping[str, str]] = {
    "cloudpickle": "it runs what it reads; use safetensors or JSON",
    "dill": "it runs what it reads; use safetensors or JSON",
    "marshal": "it runs what it reads; use safetensors or JSON",
    "pickle": "it runs what it reads; use safetensors or JSON",
    "pkg_resources": "use importlib.metadata",
    "shelve": "it is pickle; use safetensors or JSON",
}

BANNED_CALLS: Final[Mapping[str, str]] = {
    "__import__": "only the registry turns a string into a class; elsewhere importlib.import_module of a fixed name",
    "eval": "parse the value; for literals ast.literal_eval",
    "exec": "write the code down, or ask the registry for the part",
    "compile": "write the code down",
    "os.popen": "subprocess.run with a list of arguments",
    "os.system": "subprocess.run with a list of arguments",
    "torch.load": "it is pickle; safetensors, or the library that ships the weights with weights_only=True",
    "torch.save": "it is pickle; safetensors",
    "yaml.full_load": "read nodes of a safe loader",
    "yaml.full_load_all": "read nodes of a safe loader",
    "yaml.load": "read nodes of a safe loader",
    "yaml.load_all": "read nodes of a safe loader",
    "yaml.unsafe_load": "read nodes of a safe loader",
    "yaml.unsafe_load_all": "read nodes of a safe loader",
}

BANNED_METHODS: Final[Mapping[str, str]] = {
    "load_setuptools_entrypoints": "it loads eagerly and unguarded; register plugins one by one in a guard",
}

BANNED_ARGUMENTS: Final[Mapping[str, str]] = {
    "shell": "pass subprocess a list of arguments",
    "firstresult": "the later registered wins in silence; collect all and refuse duplicates",
    "trust_remote_code": "it runs what a hub hands over",
}


def nothing_unsafe(source: Source) -> Iterator[Finding]:
    """No pickle, no code from text, no shell, no unsafe loader, under whatever name it was imported."""
    names = _bound_names(source.tree)
    for node in ast.walk(source.tree):
        for name in imported(node):
            if (banned := name.split(".")[0]) in BANNED_MODULES:
                yield source.finding(node, f"imports {banned}: {BANNED_MODULES[banned]}")
        if isinstance(node, ast.Call):
            yield from _unsafe_call(source, node, names)


def _unsafe_call(source: Source, node: ast.Call, names: Mapping[str, str]) -> Iterator[Finding]:
    head, _, rest = dotted(node.func).partition(".")
    full = f"{names.get(head, head)}.{rest}" if rest else names.get(head, head)
    if full in BANNED_CALLS:
        yield source.finding(node, f"calls {full}: {BANNED_CALLS[full]}")
    if isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_METHODS:
        yield source.finding(node, f"calls {node.func.attr}: {BANNED_METHODS[node.func.attr]}")
    for keyword in node.keywords:
        harmless = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        named = keyword.arg == "shell" and not full.startswith("subprocess.") and not _is_true(keyword.value)
        if keyword.arg in BANNED_ARGUMENTS and not harmless and not named:
            yield source.finding(node, f"passes {keyword.arg}=: {BANNED_ARGUMENTS[keyword.arg]}")
        if keyword.arg == "weights_only" and harmless:
            yield source.finding(node, "passes weights_only=False: such a file can run code; leave it True")


def _is_true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _bound_names(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> full name: `import torch as t` binds t to torch, `from yaml import load` binds load."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bound |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return bound


def pending_hooks_checked(source: Source) -> Iterator[Finding]:
    """pluggy takes a misspelled hook in silence until it is asked."""
    called = {dotted(node.func).split(".")[-1]: node for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    if "PluginManager" in called and not any(
        isinstance(node, ast.Attribute) and node.attr == "check_pending" for node in ast.walk(source.tree)
    ):
        yield source.finding(called["PluginManager"], "makes a PluginManager and never calls its check_pending()")


SAFETY_GUARDS = (nothing_unsafe, pending_hooks_checked)
