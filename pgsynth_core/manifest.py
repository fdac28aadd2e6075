"""The manifest: `registry.toml` of pgsynth and `pgsynth.toml` of every other package are files of this schema.

Floor 0, no torch. Reading a manifest imports nobody's code. `Component` answers what a part needs, provides and takes
as options, with its `when` clauses applied to given option values.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pgsynth_core.axes import AXES, DATA_PORTS
from pgsynth_core.errors import PartError, Problem, suggestion
from pgsynth_core.options import of_type
from pgsynth_core.shipped import Name, Paper, Preset, ProtocolTable, ResultsFile, Strict, SweepTable

MANIFEST_VERSION: Final = 1
CONTRACT_FLOOR: Final = 1
CONTRACT_CURRENT: Final = 1

Kind = Literal["base", "encoder", "pose", "attention", "dataset", "annotator", "metric"]
SLOTS: Final[Mapping[Kind, str]] = {
    "base": "base",
    "encoder": "encoder",
    "pose": "pose",
    "attention": "attn",
    "dataset": "data",
}
"""Kind of part to the slot of a spec that holds it. Annotators and metrics are not composed."""

Added = Annotated[str, Field(pattern=rf"^({'|'.join(get_args(Kind))}|preset|protocol|sweep|results):[a-z][a-z0-9_-]*$")]
Counted = Annotated[str, Field(pattern=r"^(ran|passed|failed|skipped)$")]
Target = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Range = Literal["any", "[0,1]", "[-1,1]", "imagenet", "clip"]
DType = Literal["float", "bool", "label"]
Role = Literal["local", "global"]
Options = Mapping[str, Any]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _sites(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not of_type("sites", patterns):
        raise ValueError("each is NETWORK:KIND[:GLOB], where KIND is self, cross or *, and there is at least one")
    return patterns


def _axis(value: object) -> object:
    if isinstance(value, str) or (type(value) is int and _NUMBER.fullmatch(str(value))):
        return value
    raise ValueError(f"an axis is {_AN_AXIS}")


_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")
_AN_AXIS: Final = "a whole number from 1 to 999999999, a symbol, an option's name, or a sum of those"
AxisEntry = Annotated[int | str, BeforeValidator(_axis)]
Count = Annotated[int, Field(ge=1)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_sites)]
Size = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,3}x[1-9][0-9]{0,3})?$")]


class Condition(Strict):
    """A clause over a part's own options: true where every named option has one of the listed values."""

    options: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    def holds(self, options: Options) -> bool:
        """Whether the option values satisfy the clause."""
        return all(options.get(name) in allowed for name, allowed in self.options.items())


class When(Condition):
    """Replaces the keys it names while its options hold. `needed` / `provided` = false withdraws the port."""

    axes: tuple[AxisEntry, ...] | None = None
    dtype: DType | None = None
    range: Range | None = None
    roles: tuple[Role, ...] | None = None
    per: Literal["sites"] | None = None
    scope: Literal["composition", "chain"] | None = None
    dropped: Literal["zeros", "learned", "open"] | None = None
    reader: Literal["required", "optional"] | None = None
    needed: bool | None = None
    provided: bool | None = None


class Port(Strict):
    """One port a part reads or writes. `axes` entries: int, symbol of `axes.AXES`, option name, or a sum."""

    axes: tuple[AxisEntry, ...]
    dtype: DType = "float"
    range: Range = "any"
    roles: tuple[Role, ...] = ()
    per: Literal["sites"] | None = None
    scope: Literal["composition", "chain"] = "composition"
    when: tuple[When, ...] = ()


class Needs(Port):
    """A port that the part reads. `optional`: it reads the port where there is one, and works without."""

    needed: bool = True
    optional: bool = False


class Provides(Port):
    """A port that the part writes, what stands for "dropped", and whether somebody must read it."""

    dropped: Literal["zeros", "learned", "open"] = "zeros"
    reader: Literal["required", "optional"] = "required"
    provided: bool = True


P = TypeVar("P", bound=Port)


def _applied(port: P, options: Options) -> P:
    for clause in port.when:
        if clause.holds(options):
            given = clause.model_dump(exclude_none=True, exclude={"options"})
            return port.model_copy(update=given)
    return port


class Refusal(Condition):
    """Option values that make no sense together: refused with reason and cure before anything is built."""

    unless: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    reason: str
    cure: str

    def applies(self, options: Options) -> bool:
        """Whether these option values are refused."""
        excepted = bool(self.unless) and Condition(options=self.unless).holds(options)
        return self.holds(options) and not excepted


class Bind(Strict):
    """The value of a shared axis symbol: an option of the base, through a table where the option is no number."""

    option: str
    values: dict[str, Count] = Field(default_factory=dict)

    def value(self, options: Options) -> int:
        """The number that these option values bind.

        Raises:
            ValueError: If there is no such option, or its value leads to no whole number of at least 1.
        """
        if self.option not in options:
            raise ValueError(f"it binds an axis by the option {self.option!r}, which it does not have")
        value = options[self.option]
        found = self.values.get(str(value)) if self.values else value  # keys of a TOML table are text
        if type(found) is not int or found < 1:
            allowed = f"one of {', '.join(self.values)}" if self.values else "a whole number of at least 1"
            raise ValueError(f"{self.option} = {value!r} binds no axis: it must be {allowed}")
        return found


Bound = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Option(Strict):
    """One option as the manifest writes it; generated from the part's Config, see `options.option_table`."""

    type: str = Field(pattern=r"^(bool|int|float|str|path|choice|sites|list\[(bool|int|float|str)\])$")
    default: Any
    ge: Bound | None = None
    le: Bound | None = None
    choices: tuple[Any, ...] = ()
    when: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    help: str

    def idle(self, options: Options) -> bool:
        """Whether it changes nothing while the part's options have these values: `when` says with which it does."""
        return not Condition(options=self.when).holds(options)

    def allows(self, value: Any) -> bool:
        """Whether the value is of the type, among the choices and in the range."""
        if not of_type(self.type, value):
            return False
        if self.choices:
            return any(type(choice) is type(value) and choice == value for choice in self.choices)
        items = value if isinstance(value, list | tuple) else [value]
        low, high = self.ge, self.le
        return all((low is None or item >= low) and (high is None or item <= high) for item in items)


def _declared(option: Option) -> Option:
    """Of a part: whatever the option says of itself must hold of its default."""
    if (option.type == "choice") != bool(option.choices):
        raise ValueError("type choice, and no other, has `choices`")
    if wrong := [choice for choice in option.choices if not of_type("choice", choice)]:
        raise ValueError(f"the choice {wrong[0]!s} is neither text nor a number")
    if (option.ge, option.le) != (None, None) and "int" not in option.type and "float" not in option.type:
        raise ValueError(f"`ge` and `le` are for numbers, and the type is {option.type}")
    if not option.allows(option.default):
        said = ", ".join(f"{name} = {value}" for name, value in option if name in _LIMITS and value not in (None, ()))
        raise ValueError(f"the default {option.default!r:.80} does not fit {said}")
    return option


_LIMITS: Final = ("type", "ge", "le", "choices")
Declared = Annotated[Option, AfterValidator(_declared)]


class Weights(Strict):
    """Pretrained weights a part may use, and the option that turns them on."""

    id: str
    licence: str
    megabytes: int
    option: str = ""


class Sites(Strict):
    """Where an attention processor may act, and where it acts unless told otherwise."""

    allowed: Patterns
    default: Patterns


class Scores(Strict):
    """What a metric gives.

    `of`: a value for each pair, or one for all pictures. `device`: it uses torch, and works on batches on one device;
    without, it is numpy, and works on single pairs in several threads. `digits`: so many after the point are printed.
    """

    of: Literal["pair", "set"]
    better: Literal["higher", "lower"]
    unit: str = ""
    digits: Annotated[int, Field(ge=0, le=9)] = 4
    device: bool = False

    @model_validator(mode="after")
    def _sets_use_torch(self) -> Scores:
        if self.of == "set" and not self.device:
            raise ValueError("what compares sets of pictures reads them in batches: device = true")
        return self


Finding = Literal["pose", "parsing"]
"""What an annotator may find: joints of people (`annotators.PoseAnnotator`), or a label of each pixel
(`annotators.ParsingAnnotator`)."""


class Component(Strict):
    """One part: everything there is to know about it without importing it."""

    kind: Kind
    name: Name
    summary: str
    target: Target
    config: Target
    licence: str
    paper: Paper | None = None
    weights: tuple[Weights, ...] = ()
    extra: str = ""
    status: Literal["stable", "beta", "deprecated"] = "stable"
    label_set: str = ""
    needs: dict[str, Needs] = Field(default_factory=dict)
    provides: dict[str, Provides] = Field(default_factory=dict)
    binds: dict[str, Count | Bind] = Field(default_factory=dict)
    networks: dict[str, tuple[Literal["self", "cross"], ...]] = Field(default_factory=dict)
    sites: Sites | None = None
    scores: Scores | None = None
    finds: tuple[Finding, ...] = ()
    refuses: tuple[Refusal, ...] = ()
    size: Size = ""
    stride: Count | Bind | None = None
    options: dict[str, Declared] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _coherent(self) -> Component:
        if (self.kind == "attention") != (self.sites is not None):
            raise ValueError(f"{self.kind} {self.name}: [component.sites] is for kind attention, which must have it")
        if (self.kind == "metric") != (self.scores is not None):
            raise ValueError(f"{self.kind} {self.name}: [component.scores] is for kind metric, which must have it")
        if (self.kind == "annotator") != bool(self.finds):
            raise ValueError(f"{self.kind} {self.name}: `finds` is for kind annotator, which must have it")
        if (self.kind == "base") != bool(self.size and self.stride) or (self.kind != "base" and self.binds):
            raise ValueError(
                f"{self.kind} {self.name}: a base, and only a base, has `size`, `stride` and [component.binds]"
            )
        for port, allowed in ((Needs, {"needed"}), (Provides, {"provided", "dropped", "reader"})):
            for name, given in (self.needs if port is Needs else self.provides).items():
                for clause in given.when:
                    wrong = {"needed", "provided", "dropped", "reader"} - allowed
                    if used := sorted(wrong & clause.model_fields_set):
                        raise ValueError(
                            f"{self.kind} {self.name}: port {name}: `when` cannot set {', '.join(used)} here"
                        )
        if reserved := sorted({"part", "tokens_to"} & set(self.options)):
            raise ValueError(f"{self.kind} {self.name}: {', '.join(reserved)} is a word of every spec, and no option")
        return self

    @model_validator(mode="after")
    def _clauses_can_hold(self) -> Component:
        ports: tuple[Port, ...] = (*self.needs.values(), *self.provides.values())
        clauses = [when.options for port in ports for when in port.when]
        clauses += [options for refusal in self.refuses for options in (refusal.options, refusal.unless)]
        clauses += [option.when for option in self.options.values()]
        pairs = [pair for clause in clauses for pair in clause.items()]
        if unknown := sorted({name for name, _ in pairs} - set(self.options)):
            raise ValueError(f"{self.kind} {self.name}: `when` or `refuses` names options it does not have: {unknown}")
        for name, values in pairs:
            if never := [value for value in values if not self.options[name].allows(value)]:
                given = f"{name} = {never[0]!r}"
                raise ValueError(f"{self.kind} {self.name}: `when` or `refuses` asks for {given}, which it never is")
        return self

    @model_validator(mode="after")
    def _ports_suit_its_kind(self) -> Component:
        for name, port in (*self.needs.items(), *self.provides.items()):
            if self.kind != "attention" and "chain" in (port.scope, *(when.scope for when in port.when)):
                message = f"{self.kind} {self.name}: port {name}: scope = 'chain' is for kind attention"
                raise ValueError(f"{message}; elsewhere it is 'composition', which may be left out")
        if self.kind == "dataset":
            for name in (name for name in self.provides if name not in DATA_PORTS and ":" not in name):
                cure = suggestion(name, tuple(DATA_PORTS), what="data ports")
                raise ValueError(f"dataset {self.name}: `{name}` is no port that datasets provide. {cure}")
        return self

    @model_validator(mode="after")
    def _axes_are_known(self) -> Component:
        """A letter may be free: one number, the same at every reader. So may a word, of a package's own port.

        Of a port that core knows, a word is a symbol or an option: a misspelt one must not pass as free.
        """
        known = (*AXES, *(name for name, option in self.options.items() if option.type in ("int", "choice")))
        for name, port in (*self.needs.items(), *self.provides.items()):
            every = [axis for axes in (port.axes, *(when.axes or () for when in port.when)) for axis in axes]
            terms = [term.strip() for axis in every if isinstance(axis, str) for term in axis.split("+")]
            free = [term for term in terms if term.isidentifier() and (len(term) == 1 or ":" in name)]
            if wrong := [term for term in terms if term not in (*free, *known) and not _NUMBER.fullmatch(term)]:
                cure = suggestion(wrong[0], known, what="axes")
                message = f"{self.kind} {self.name}: port {name}: there is no axis {wrong[0]!r}. {cure}"
                raise ValueError(message if wrong[0].isidentifier() else f"{message} An axis is {_AN_AXIS}")
        return self

    @model_validator(mode="after")
    def _binds_its_axes(self) -> Component:
        if self.kind == "base":
            try:
                self.bound(self.defaults())
                self.pixels_per_cell(self.defaults())
            except ValueError as error:
                raise ValueError(f"base {self.name}: {error}") from error
        return self

    def needed(self, options: Options) -> dict[str, Needs]:
        """The ports it reads with these option values, `when` applied."""
        resolved = {name: _applied(port, options) for name, port in self.needs.items()}
        return {name: port for name, port in resolved.items() if port.needed}

    def provided(self, options: Options) -> dict[str, Provides]:
        """The ports it writes with these option values, `when` applied."""
        resolved = {name: _applied(port, options) for name, port in self.provides.items()}
        return {name: port for name, port in resolved.items() if port.provided}

    def bound(self, options: Options) -> dict[str, int]:
        """The axis symbols a base binds with these option values; ValueError if one has no value with them."""
        return {symbol: _bound(bind, options) for symbol, bind in self.binds.items()}

    def pixels_per_cell(self, options: Options) -> int:
        """Of a base: image pixels along one side of a latent cell; the image size must be a multiple of it."""
        assert self.stride is not None, "validated: a base has a stride"
        return _bound(self.stride, options)

    def defaults(self) -> dict[str, Any]:
        """Every option at its default."""
        return {name: option.default for name, option in self.options.items()}


def _bound(bind: int | Bind, options: Options) -> int:
    return bind if isinstance(bind, int) else bind.value(options)


class Hook(Strict):
    """An object with lifecycle hooks; imported when one of the named hooks is first called."""

    target: Target
    implements: tuple[str, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """What it is listed as: the attribute of its target."""
        return self.target.partition(":")[2]


class Contribution(Strict):
    """A command or a panel of the TUI; shown from the manifest, imported when used."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    target: Target
    summary: str = ""
    title: str = ""


class Replacement(Strict):
    """What a part, or options of it, were called before: specs and runs that say so go on working, and are told.

    `new` is a part of this package, or ``package:part``; `old` equal to `new` where only options changed their names.
    `options` maps old names to new ones; an empty one says that the option is gone and was without effect.
    """

    kind: Kind
    old: Name
    new: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*:)?[a-z][a-z0-9_]*$")]
    since: str
    options: dict[str, str] = Field(default_factory=dict)


class KnownPackage(Strict):
    """A package that exists but need not be installed.

    `adds` lists ``kind:name``, with ``preset`` as a kind too; `sha256` is of the wheel of that version; `checked` says
    what its authors' conformance run counted: ran, passed, failed, skipped.
    """

    name: str
    version: str
    sha256: str
    adds: tuple[Added, ...]
    summary: str
    licence: str
    checked: dict[Counted, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class PackageTable(Strict):
    """Whose manifest this is."""

    name: str


class Defaults(Strict):
    """What a command leaves out. First-party only: core names no part."""

    base: str = ""
    pose: str = ""
    data: str = ""
    protocol: str = ""
    annotators: tuple[Name, ...] = ()


class Manifest(Strict):
    """A whole manifest file."""

    manifest: int
    contract: int
    package: PackageTable
    defaults: Defaults = Defaults()
    component: tuple[Component, ...] = ()
    preset: tuple[Preset, ...] = ()
    protocol: tuple[ProtocolTable, ...] = ()
    sweep: tuple[SweepTable, ...] = ()
    results: tuple[ResultsFile, ...] = ()
    hook: tuple[Hook, ...] = ()
    command: tuple[Contribution, ...] = ()
    panel: tuple[Contribution, ...] = ()
    replacement: tuple[Replacement, ...] = ()
    known: tuple[KnownPackage, ...] = ()

    @property
    def adds(self) -> tuple[str, ...]:
        """``kind:name`` of everything it adds: parts, then presets, commands, panels and hooks (by their target)."""
        return (
            *(f"{component.kind}:{component.name}" for component in self.component),
            *(f"preset:{preset.name}" for preset in self.preset),
            *(f"protocol:{protocol.name}" for protocol in self.protocol),
            *(f"sweep:{sweep.name}" for sweep in self.sweep),
            *(f"results:{results.name}" for results in self.results),
            *(f"command:{command.name}" for command in self.command),
            *(f"panel:{panel.name}" for panel in self.panel),
            *(f"hook:{hook.name}" for hook in self.hook),
        )


def parse_manifest(text: str, *, where: str) -> Manifest:
    """Read a manifest's text.

    Args:
        text: TOML.
        where: The file, for messages.

    Raises:
        PartError: With every problem found: bad TOML, an unknown key, a wrong value, an unsupported version.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PartError(f"not valid TOML: {error}", where=where) from error
    if problems := _version_problems(raw, where):
        raise PartError(problems)
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise PartError(_explained(raw, failure, where) for failure in error.errors()) from error


def read_manifest(path: Path) -> tuple[Manifest, str]:
    """Read a manifest file.

    Returns:
        The manifest and the SHA-256 of the file, which locks record.

    Raises:
        PartError: If it cannot be read or is not valid.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PartError(f"cannot read the manifest: {reason}.", where=str(path)) from error
    return parse_manifest(text, where=str(path)), hashlib.sha256(data).hexdigest()


def _version_problems(raw: Mapping[str, Any], where: str) -> list[Problem]:
    problems = []
    if (version := raw.get("manifest")) != MANIFEST_VERSION:
        problems.append(Problem(f"manifest = {version!r}; this pgsynth reads version {MANIFEST_VERSION}.", where=where))
    contract = raw.get("contract")
    if type(contract) is not int or not CONTRACT_FLOOR <= contract <= CONTRACT_CURRENT:
        cure = "Write the contract it was made for, a whole number."
        if type(contract) is int:
            newer = contract > CONTRACT_CURRENT
            cure = f"It needs {'a newer pgsynth' if newer else 'a newer version of itself'}: " + (
                "pip install --upgrade pgsynth." if newer else f"pip install --upgrade {_package(raw)}."
            )
        window = f"{CONTRACT_FLOOR} to {CONTRACT_CURRENT}" if CONTRACT_FLOOR < CONTRACT_CURRENT else f"{CONTRACT_FLOOR}"
        problems.append(Problem(f"contract = {contract!r}; this pgsynth accepts {window}.", where=where, cure=cure))
    return problems


def _package(raw: Mapping[str, Any]) -> str:
    """The distribution, as far as the file says it; it ends up in a command to copy."""
    table = raw.get("package")
    name = table.get("name") if isinstance(table, Mapping) else None
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else "PACKAGE"


def _explained(raw: Mapping[str, Any], failure: Any, where: str) -> Problem:
    """One pydantic failure in words, with the part's name in place of its index."""
    place: list[str] = []
    at: Any = raw
    for key in failure["loc"]:
        at = at[key] if isinstance(at, Mapping | list) and _has(at, key) else None
        named = isinstance(at, Mapping) and "name" in at and isinstance(key, int)
        place.append(f"[{at['name']}]" if named and at else str(key))
    whole = failure["type"] == "missing" or isinstance(failure["input"], Mapping)
    given = "" if whole else f" (given: {failure['input']!r:.80})"
    said = re.sub("^Value error, ", "", failure["msg"]).removesuffix(".")
    return Problem(f"{'.'.join(place) or 'the file'}: {said}{given}.", where=where)


def _has(container: Any, key: Any) -> bool:
    return key in container if isinstance(container, Mapping) else isinstance(key, int) and key < len(container)
