"""Every theme is whole: whatever colour a panel asks for, it has."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from textual.color import Color

from tuitrain.tui import themes
from tuitrain.tui.widgets.role_colours import variable_of
from tuitrain.view.picture import SERIES, ThemeRole

PROJECT = Path(__file__).parents[2]
files = sorted((PROJECT / "themes").glob("*.toml"))
sources = [
    path for kind in ("*.py", "*.tcss") for path in (PROJECT / "tuitrain" / "tui").rglob(kind)
]
every_theme = pytest.mark.parametrize("path", files, ids=lambda path: path.stem)


def variables_in(text):
    return set(re.findall(r"\$(cell-[a-z0-9-]+)", text))


@every_theme
def test_a_theme_is_named_as_its_file_and_says_whether_it_is_dark(path):
    theme = tomllib.loads(path.read_text())
    assert theme["name"] == path.stem
    assert isinstance(theme["dark"], bool)


@every_theme
def test_a_theme_has_every_colour_of_a_panel(path):
    theme = tomllib.loads(path.read_text())
    there = {*theme, *theme["variables"]}
    assert {variable_of(role) for role in get_args(ThemeRole)} <= there


@every_theme
def test_a_theme_has_every_colour_that_any_screen_asks_for_and_no_other(path):
    asked = set().union(*(variables_in(source.read_text()) for source in sources))
    asked |= {name for name in map(variable_of, get_args(ThemeRole)) if name.startswith("cell-")}
    assert asked == tomllib.loads(path.read_text())["variables"].keys()


@every_theme
def test_every_colour_of_a_theme_is_a_colour(path):
    theme = tomllib.loads(path.read_text())
    colours = {**theme, **theme["variables"]}
    for name in colours.keys() - {"name", "dark", "variables"}:
        Color.parse(colours[name])


def contrast(one, other):
    """Return the contrast of two colours, by WCAG's formula."""

    def light(colour):
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in Color.parse(colour).normalized
        ]
        return sum(
            weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
        )

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@every_theme
def test_text_can_be_read_and_a_dark_theme_is_dark(path):
    theme = tomllib.loads(path.read_text())
    background = theme["background"]
    series = [f"cell-{role}" for role in SERIES]
    assert len({theme["variables"][one] for one in series}) == len(series)
    for name in ("foreground", "accent", "success", "warning", "error"):
        assert contrast(theme[name], background) >= 4.5, name
    assert contrast(theme["variables"]["cell-muted"], background) >= 4.5
    for line in ("cell-smooth", "cell-validation", "cell-swap", *series):
        assert contrast(theme["variables"][line], background) >= 3, line
    assert (Color.parse(background).brightness < 0.5) == theme["dark"]


def test_there_are_dark_and_light_ones_one_of_high_contrast_and_one_for_any_colour_vision():
    dark = {theme.name: theme.dark for theme in themes.load()}
    assert sum(dark.values()) >= 2
    assert sum(not item for item in dark.values()) >= 2
    assert {"high-contrast", "okabe-ito"} <= dark.keys()


def test_the_theme_of_high_contrast_has_it():
    theme = tomllib.loads((PROJECT / "themes" / "high-contrast.toml").read_text())
    lines = [f"cell-{role}" for role in ("muted", "smooth", "validation", "swap", *SERIES)]
    colours = {name: theme["variables"][name] for name in lines} | {
        name: theme[name] for name in ("foreground", "accent", "success", "warning", "error")
    }
    assert {n: c for n, c in colours.items() if contrast(c, theme["background"]) < 7} == {}


def test_a_theme_of_the_users_own_has_the_colours_of_ours_where_it_gives_none(tmp_path):
    (tmp_path / "night.toml").write_text('primary = "#ff0000"\n[variables]\ncell-swap = "#00ff00"')
    (tmp_path / "day.toml").write_text("dark = false")
    ours = {theme.name: theme for theme in themes.load()}
    (day, night), complaints = themes.own(tmp_path, list(ours.values()))
    assert complaints == []
    assert (night.name, night.dark, night.primary) == ("night", True, "#ff0000")
    assert night.variables["cell-swap"] == "#00ff00"
    assert night.variables["cell-smooth"] == ours["tuitrain-dark"].variables["cell-smooth"]
    assert (day.dark, day.background) == (False, ours["tuitrain-light"].background)
    assert day.variables == ours["tuitrain-light"].variables


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("primary = ", "cannot be read: "),
        ('primry = "#ff0000"', "there is no colour 'primry'; there are primary, secondary"),
        ('[variables]\ncell-best = "#ff0000"', "there is no colour 'cell-best'; there are cell-"),
        ('primary = "#ff00"', ""),
        ('primary = "reddish"', "primary = 'reddish' is no colour; '#6ec6ff' is one"),
        ("primary = 3", "primary = 3 is no colour"),
        ('dark = "no"', "dark must be true or false"),
        ('x = "' + "a" * 70_000 + '"', "cannot be read: its a.toml is larger than 65,536 bytes"),
    ],
)
def test_a_theme_that_is_none_is_named_with_what_is_wrong(tmp_path, text, complaint):
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_text('primary = "#ff0000"')
    found, complaints = themes.own(tmp_path, themes.load())
    if complaint:
        assert len(complaints) == 1
        assert complaints[0].startswith(f"themes/a.toml: {complaint}")
        assert [theme.name for theme in found] == ["b"]
    else:
        assert complaints == [], "#rgba is a colour too"


def test_a_theme_whose_name_no_style_sheet_takes_is_refused(tmp_path):
    (tmp_path / "my\x1b[2J.toml").write_text("")
    assert themes.own(tmp_path, themes.load()) == ([], [
        "themes/my␛[2J.toml: "
        "a theme's name has letters, digits, - and _ only"
    ])  # fmt: skip


def test_all_of_them_are_loaded_and_one_is_the_default():
    names = [theme.name for theme in themes.load()]
    assert names == [path.stem for path in files]
    assert themes.DEFAULT in names
