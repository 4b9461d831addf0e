"""Figures that are put into the page as they are: what matplotlib writes, and nothing else."""

import re
from pathlib import Path

import pytest

from mnist_core.errors import UserError
from mnist_core.report.sections import figure

ROOT = Path(__file__).parents[2]
START = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
HARMLESS = [
    '<use xlink:href="#a" x="1" y="2" style="fill: #0072b2; stroke: #0072b2"/>',
    '<image xlink:href="data:image/png;base64,\niVBORw0KGgo=" transform="matrix(1 0 0 1 0 0)" width="1" height="1"/>',
    '<g clip-path="url(#p)" style="fill: none; stroke-dasharray: 3.7,1.6; fill-opacity: 0.2; opacity: 0.5"/>',
    "<metadata><script>dropped()</script></metadata>",
]


@pytest.mark.parametrize("content", HARMLESS)
def test_what_matplotlib_writes_is_taken(tmp_path, content):
    path = tmp_path / "a.svg"
    path.write_text(f"{START}{content}</svg>")
    svg = figure(path, "A figure")
    assert svg.startswith("<svg ")
    assert "script" not in svg


def test_the_committed_figures_are_taken():
    for path in (ROOT / "plots/figures").glob("*.svg"):
        assert figure(path, "A figure").startswith("<svg ")


@pytest.mark.parametrize(
    ("content", "culprit"),
    [
        ("<script>alert(1)</script>", "element {http://www.w3.org/2000/svg}script"),
        ('<g><script xmlns="http://www.w3.org/1999/xhtml"/></g>', "element {http://www.w3.org/1999/xhtml}script"),
        ('<script xmlns=""/>', "element script"),
        ("<foreignObject/>", "element {http://www.w3.org/2000/svg}foreignObject"),
        ('<a xlink:href="#b"/>', "element {http://www.w3.org/2000/svg}a"),
        ('<set attributeName="href"/>', "element {http://www.w3.org/2000/svg}set"),
        ('<g onload="alert(1)"/>', "attribute onload='alert(1)'"),
        ('<g ONCLICK="alert(1)"/>', "attribute ONCLICK='alert(1)'"),
        ('<g class="hidden"/>', "attribute class='hidden'"),
        ('<use href="javascript:alert(1)"/>', "attribute href='javascript:alert(1)'"),
        ('<use xlink:href="http://a/b.svg#c"/>', "xlink}href='http://a/b.svg#c'"),
        ('<image href="data:image/svg+xml;base64,PHN2Zz4="/>', "attribute href='data:image/svg+xml;base64,PHN2Zz4='"),
        ('<g clip-path="url(http://a/b.svg#c)"/>', "attribute clip-path='url(http://a/b.svg#c)'"),
        ('<g fill="url(http://a)"/>', "attribute fill='url(http://a)'"),
        ('<g style="fill: url(//a/b)"/>', "attribute style='fill: url(//a/b)'"),
        (r'<g style="fill: \75rl(//a/b)"/>', r"attribute style='fill: \\75rl(//a/b)'"),
        ('<g style="fill: red; position: fixed"/>', "attribute style='fill: red; position: fixed'"),
    ],
)
def test_what_could_run_load_or_lead_away_is_refused(tmp_path, content, culprit):
    path = tmp_path / "a.svg"
    path.write_text(f"{START}{content}</svg>")
    with pytest.raises(UserError) as refused:
        figure(path, "A figure")
    assert re.fullmatch(
        rf"{re.escape(str(path))}: not an SVG figure of matplotlib \(it has an .*{re.escape(culprit)}\); "
        "run `dvc repro` to write it again",
        str(refused.value),
    )


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("<html><body/></html>", "its root is html"),
        ("<svg/>", "its root is svg"),  # of no namespace
        ("<svg", "unclosed token: line 1, column 0"),
        (START + "<g>" * 100_000 + "</g>" * 100_000 + "</svg>", "maximum recursion depth exceeded"),
    ],
)
def test_a_file_of_another_kind_or_too_deep_is_one_line(tmp_path, source, fault):
    path = tmp_path / "a.svg"
    path.write_text(source)
    with pytest.raises(UserError) as refused:
        figure(path, "A figure")
    assert str(refused.value).startswith(f"{path}: not an SVG figure of matplotlib ({fault}")
    assert str(refused.value).endswith("); run `dvc repro` to write it again")


def test_a_style_is_refused_as_fast_as_it_is_taken(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text(f'{START}<g style="{"fill:fillfill" * 10_000}("/></svg>')
    with pytest.raises(UserError, match="attribute style"):
        figure(path, "A figure")
