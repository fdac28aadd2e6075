"""What a manifest may not say: everything that is used before the part is, because another part's cure is looked for."""

from __future__ import annotations

import pytest

from pgsynth_core.errors import PartError
from pgsynth_core.manifest import Component, parse_manifest

from ..fixtures.fake_packages import OPTIONS, FakePackages


def parsed(kind: str, more: str = "", *, option: str = "", **replaced: str) -> Component:
    """One part of a manifest; `replaced` words of its text are other words."""
    text = FakePackages.part(kind, "x", more=more)
    text = text.replace(OPTIONS, f"[component.options]\n{option}\n") if option else text
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return parse_manifest(FakePackages.manifest("pgsynth-plugin-x", text), where="x.toml").component[0]


def refusal(kind: str, more: str = "", *, option: str = "", **replaced: str) -> str:
    """Why such a part is refused."""
    with pytest.raises(PartError) as error:
        parsed(kind, more, option=option, **replaced)
    (problem,) = error.value.problems
    assert problem.where == "x.toml" and "[x]" in problem.message
    return problem.message


# ------------------------------------------------------------------------------------------- sites
@pytest.mark.parametrize("sites", ['"denoiser"', '"denoiser:both"', '["*:cross", "pose"]', "[]", '""', "3"])
@pytest.mark.parametrize("key", ["allowed", "default"])
def test_sites_have_their_form(key: str, sites: str) -> None:
    written = {"allowed": 'allowed = "*:*"', "default": 'default = "*:cross"'}[key]
    assert key in refusal("attention", **{written: f"{key} = {sites}"})


def test_sites_of_that_form_are_read() -> None:
    several = 'allowed = ["denoiser:self:up_blocks.*", "pose.main:cross"]'
    component = parsed("attention", **{'allowed = "*:*"': several})
    assert component.sites is not None and component.sites.default == ("*:cross",)
    assert component.sites.allowed == ("denoiser:self:up_blocks.*", "pose.main:cross")


# ------------------------------------------------------------------------------------------- axes
def tokens(axes: str, when: str = "") -> str:
    clause = f"[[component.provides.tokens.when]]\noptions = {{ width = [8] }}\naxes = {when}\n" if when else ""
    return f"[component.provides.tokens]\naxes = {axes}\n{clause}"


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ('["B", "n_tokens", "D"]', "port tokens: there is no axis 'n_tokens'. Axes: B, N, D, "),
        ('["B", "widht", "D"]', "there is no axis 'widht'. Did you mean 'width'?"),
        ('["B", "width + dept", "D"]', "there is no axis 'dept'"),
    ],
)
def test_an_axis_that_is_a_word_is_a_symbol_or_an_option(axes: str, words: str) -> None:
    assert words in refusal("encoder", tokens(axes))
    assert words in refusal("encoder", tokens('["B", "N", "D"]', axes))


@pytest.mark.parametrize(
    "axes", ['["B", 3, "D"]', '["B", "width + 1", "D"]', '["B", "width+width", "D"]', '["B", "Q", "D"]']
)
def test_numbers_options_sums_and_letters_are_axes(axes: str) -> None:
    assert parsed("encoder", tokens(axes)).provides["tokens"].axes[0] == "B"


OWN = '[component.{end}."pgsynth-plugin-x:depth"]\naxes = ["B", "planes", "rows_of_depth + 1", {last}]\n'


@pytest.mark.parametrize("end", ["needs", "provides"])
def test_the_axes_of_a_port_of_its_own_may_be_any_word(end: str) -> None:
    ports = getattr(parsed("encoder", OWN.format(end=end, last='"columns"')), end)
    assert ports["pgsynth-plugin-x:depth"].axes == ("B", "planes", "rows_of_depth + 1", "columns")
    assert "there is no axis 'two words'" in refusal("encoder", OWN.format(end=end, last='"two words"'))


@pytest.mark.parametrize("axis", ["0", "-5", "true", "1000000000", "1.5"])
def test_an_axis_that_is_a_number_is_a_length(axis: str) -> None:
    for more in (tokens(f'["B", "N", {axis}]'), tokens('["B", "N", "D"]', f'["B", "N", {axis}]')):
        message = refusal("encoder", more)
        assert "a whole number from 1 to 999999999" in message and f"given: {axis.capitalize()}" in message


@pytest.mark.parametrize("axis", ["²", "²²", "٣", "0", "00", "9999999999", "width + 0", "width +", "", "?", "1 2"])
def test_a_number_in_words_is_written_in_plain_digits(axis: str) -> None:
    message = refusal("encoder", tokens(f'["B", "N", "{axis}"]'))
    assert "there is no axis" in message and "a whole number from 1 to 999999999" in message


# ------------------------------------------------------------------------------------------- ports of a kind
@pytest.mark.parametrize("end", ["needs", "provides"])
def test_the_chain_is_of_attention_processors(end: str) -> None:
    chain = f'[component.{end}.tokens]\naxes = ["B", "N", "D"]\nscope = "chain"\n'
    at_times = chain.replace("scope", f"[[component.{end}.tokens.when]]\noptions = {{ width = [8] }}\nscope")
    for more in (chain, at_times):
        assert "port tokens: scope = 'chain' is for kind attention" in refusal("encoder", more)
        assert getattr(parsed("attention", more), end)


def test_a_dataset_provides_data_ports_or_its_own() -> None:
    given = '[component.provides.{port}]\naxes = ["B", "N", "D"]\n'
    message = refusal("dataset", given.format(port="tokens"))
    assert "`tokens` is no port that datasets provide. Data ports: source_image, " in message
    assert message.endswith("source_parsing.") and "Did you mean 'source_parsing'?" in refusal(
        "dataset", given.format(port="source_parsin")
    )
    for port in ("source_parsing", '"pgsynth-plugin-x:depth"'):
        assert parsed("dataset", given.format(port=port)).provides


# ------------------------------------------------------------------------------------------- bases
@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ('{ option = "nope" }', "'nope', which it does not have"),
        ('{ option = "width", values = { 4 = 3 } }', "width = 8 binds no axis: it must be one of 4"),
        ("0", "greater than or equal to 1"),
        ('{ option = "width", values = { 8 = 0 } }', "greater than or equal to 1"),
    ],
)
@pytest.mark.parametrize("key", ["D", "stride"])
def test_a_base_binds_its_axes_with_its_defaults(key: str, bind: str, words: str) -> None:
    if key == "D":
        assert words in refusal_of_all(f"[component.binds]\nD = {bind}\n")
    else:
        assert words in refusal_of_all("", **{"stride = 2": f"stride = {bind}"})


def refusal_of_all(more: str, **replaced: str) -> str:
    """Why such a base is refused; a number or a table gives a problem for each."""
    with pytest.raises(PartError) as error:
        parsed("base", more, **replaced)
    return str(error.value)


def test_an_option_that_is_no_number_needs_a_table() -> None:
    option = 'width = { type = "str", default = "wide", help = "Width." }'
    message = refusal("base", '[component.binds]\nD = { option = "width" }\n', option=option)
    assert "width = 'wide' binds no axis: it must be a whole number of at least 1" in message


@pytest.mark.parametrize("size", ["32", "32x", "0x24", "32x24x3", "-32x24", "wide", "32 x 24"])
def test_a_size_is_height_and_width(size: str) -> None:
    assert "size" in refusal("base", **{'size = "32x24"': f'size = "{size}"'})


# ------------------------------------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('type = "int", default = "x"', "default 'x' does not fit type = int"),
        ('type = "int", default = true', "default True"),
        ('type = "int", default = 1.5', "default 1.5"),
        ('type = "bool", default = 1', "default 1"),
        ('type = "str", default = 07:32:00', "does not fit type = str"),
        ('type = "float", default = nan', "default nan"),
        ('type = "float", default = inf', "default inf"),
        ('type = "path", default = []', "default []"),
        ('type = "list[int]", default = 3', "default 3"),
        ('type = "list[int]", default = [1, "2"]', "default [1, '2']"),
        ('type = "sites", default = "denoiser"', "default 'denoiser'"),
        ('type = "sites", default = []', "default []"),
        ('type = "choice", choices = ["a", "b"], default = "c"', "default 'c'"),
        ('type = "choice", default = "c"', "has `choices`"),
        ('type = "int", choices = [1, 2], default = 1', "has `choices`"),
        ('type = "choice", choices = ["a", 07:32:00], default = "a"', "the choice 07:32:00"),
        ('type = "int", default = 5, ge = 6', "default 5 does not fit type = int, ge = 6.0"),
        ('type = "list[float]", default = [0.5, 2], le = 1', "le = 1.0"),
        ('type = "int", default = 5, ge = "1"', "ge"),
        ('type = "int", default = 5, le = nan', "le"),
        ('type = "str", default = "a", ge = 1', "are for numbers"),
    ],
)
def test_what_an_option_says_holds_of_its_default(row: str, words: str) -> None:
    message = refusal("encoder", option=f'width = {{ {row}, help = "Width." }}')
    assert "options.width" in message and words in message


@pytest.mark.parametrize(
    "row",
    [
        'type = "float", default = 1, ge = 0',
        'type = "list[float]", default = [1, 0.5], ge = 0, le = 1',
        'type = "list[str]", default = []',
        'type = "path", default = ""',
        'type = "sites", default = ["pose:cross", "denoiser:self:up_blocks.*"]',
        'type = "choice", choices = [1, 2], default = 2',
        'type = "bool", default = false',
    ],
)
def test_defaults_that_fit_are_read(row: str) -> None:
    component = parsed("encoder", option=f'width = {{ {row}, help = "Width." }}')
    assert set(component.defaults()) == {"width"}


@pytest.mark.parametrize("clause", ["options = { width = [07:32:00] }", "options = { width = [0] }"])
def test_a_clause_speaks_of_values_that_the_option_can_have(clause: str) -> None:
    refuses = f'[[component.refuses]]\n{clause}\nreason = "It is odd."\ncure = "Take another."\n'
    assert "asks for width" in refusal("encoder", refuses)
    unless = f'[[component.refuses]]\n{clause.replace("options", "unless")}\nreason = "Odd."\ncure = "Take another."\n'
    assert "asks for width" in refusal("encoder", unless)


@pytest.mark.parametrize(
    ("when", "words"), [("nope = [1]", "options it does not have: ['nope']"), ("width = [0]", "asks for width")]
)
def test_an_option_with_an_effect_at_times_speaks_of_options_and_values_that_there_are(when: str, words: str) -> None:
    others = 'width = { type = "int", default = 8, ge = 1, help = "Width." }\n'
    assert words in refusal(
        "encoder", option=f'{others}x = {{ type = "int", default = 1, when = {{ {when} }}, help = "X." }}'
    )


def test_a_clause_names_options_that_are_there() -> None:
    refuses = '[[component.refuses]]\nunless = { nope = [1] }\nreason = "It is odd."\ncure = "Take another."\n'
    assert "options it does not have: ['nope']" in refusal("encoder", refuses)


# ------------------------------------------------------------------------------------------- TOML
def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(PartError, match="not valid TOML"):
        parse_manifest(f"x = {'[' * 20_000}", where="x.toml")
