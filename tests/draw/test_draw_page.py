"""The draw page where networks are too large for it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.draw.page import build_page
from mnist_core.errors import UserError
from mnist_core.models import MODELS
from mnist_core.networks.architectures import Dense
from mnist_core.published import PUBLISHED
from stages.draw import main
from tests.draw.test_draw_browser import publish
from tests.weights import drawn

UNITS = {"a": 5, "b": 10, "c": 40, "d": 20}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """All eight models; the largest are those of network c, then those of d."""
    monkeypatch.chdir(tmp_path)
    networks = {letter: (Dense(units, "relu"), Dense(10)) for letter, units in UNITS.items()}
    weights = {
        letter: {name: array.astype("float32") for name, array in drawn(network).items()}
        for letter, network in networks.items()
    }
    PUBLISHED.mkdir(parents=True)
    publish(PUBLISHED, {name: (networks[letter], weights[letter]) for name, (_, letter) in MODELS.items()})
    return PUBLISHED


def limit(monkeypatch, size):
    monkeypatch.setattr("mnist_core.draw.page.LARGEST_PAGE", size)


def names_on(page):
    return re.findall(r'<li id="model-(\w+)">', page)


def networks_in(page):
    return re.findall(r'{"name": "(\w+)", "architecture"', page)


def test_a_page_that_just_fits_has_every_network_and_no_word_of_it(published, monkeypatch):
    whole = build_page(published)
    limit(monkeypatch, len(whole.encode()))
    assert build_page(published, report=pytest.fail) == whole
    assert names_on(whole) == networks_in(whole) == list(MODELS)
    assert "eft out" not in whole


def test_the_largest_networks_are_left_out_until_the_page_fits_and_page_and_stage_say_so(published, monkeypatch):
    size = len(build_page(published).encode())
    limit(monkeypatch, size - 200_000)  # one network c has 170,000
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"1c: left out, since the page would have {size:,} bytes, more than {size - 200_000:,}"
    assert [line[:16] for line in lines] == ["1c: left out, si", "2c: left out, si"]
    page = Path("plots/draw.html").read_text(encoding="utf-8")
    assert len(page.encode()) <= size - 200_000
    assert names_on(page) == networks_in(page) == ["1a", "1b", "1d", "2a", "2b", "2d"]
    assert "<p>6 networks answer while you draw." in page
    assert '<p id="left-out">Left out, since the page would be too large: 1c, 2c.</p>' in page


def test_a_page_on_which_no_network_fits_is_one_line_and_leaves_none(published, monkeypatch, tmp_path):
    limit(monkeypatch, 20_000)
    result = CliRunner().invoke(main)
    assert result.exit_code == 1
    assert re.fullmatch(
        r"Error: data/published: with 2a alone the page would have [\d,]+ bytes, more than 20,000; make "
        r"`architectures` in params.yaml smaller",
        result.output.splitlines()[-1],
    )
    assert not (tmp_path / "plots/draw.html").exists()
    with pytest.raises(UserError):
        build_page(published)
