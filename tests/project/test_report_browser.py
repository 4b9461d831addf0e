"""The page in a real browser that reaches no network."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mnist_core.params import load_params
from mnist_core.report.page import build_report
from tests.browser import asked_for, chromium
from tests.report.report_inputs import ROOT, report_sources, write_report_inputs

pytestmark = pytest.mark.browser

# Opens the page in a frame of the given width and writes down what it measures; the page itself holds no script.
PROBE = """<!DOCTYPE html><title>probe</title><body style="margin:0">
<iframe src="report.html" width="WIDTH" height="800" style="border:0"></iframe><script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  page.querySelectorAll("details").forEach((details) => { details.open = true; });
  const visible = (element) => element.getBoundingClientRect().height > 0;
  document.body.textContent = JSON.stringify({
    client: root.clientWidth,
    scroll: root.scrollWidth,
    images: [...page.images].every((image) => image.complete && image.naturalWidth > 0),
    charts: [...page.querySelectorAll(".chart svg")].filter(visible).length,
    formulas: [...page.querySelectorAll("math")].filter(visible).length,
    cut: [...page.querySelectorAll(".scroll, table, pre")]
      .filter((element) => visible(element))
      .filter((element) => element.scrollWidth > element.clientWidth)
      .map((element) => `${element.textContent.slice(0, 40)}: ${element.scrollWidth} in ${element.clientWidth}`),
    font: parseFloat(getComputedStyle(page.body).fontSize),
  });
};
</script>"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    write_report_inputs(root)
    shutil.copy(ROOT / "docs/derivations.md", root / "docs/derivations.md")  # the real formulas are the widest
    page = build_report(load_params(root / "params.yaml"), report_sources(root), page_directory=root / "plots")
    (root / "plots/report.html").write_text(page, encoding="utf-8")
    return root / "plots"


def load(html: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Open a page in the browser; leaves shot.png and net.json, its network log, in the directory."""
    directory.mkdir(exist_ok=True)
    (directory / "page.html").write_text(html, encoding="utf-8")
    return chromium(
        (directory / "page.html").as_uri(),
        directory / "profile",
        f"--log-net-log={directory / 'net.json'}",
        f"--screenshot={directory / 'shot.png'}",
    )


def test_it_draws_without_network_and_logs_nothing(directory, tmp_path):
    result = load((directory / "report.html").read_text(encoding="utf-8"), tmp_path)
    assert "CONSOLE" not in result.stderr
    assert (tmp_path / "shot.png").stat().st_size > 20_000
    assert asked_for(tmp_path / "net.json") == []


def test_a_page_that_loads_something_is_noticed(directory, tmp_path):
    """The same browser and options do see a foreign font, so the test above can fail."""
    page = (directory / "report.html").read_text(encoding="utf-8")
    bad = page.replace("<h1>", '<link rel="stylesheet" href="https://fonts.googleapis.com/css?family=Lato"><h1>')
    blocked = load(bad, tmp_path / "blocked")  # by the page's own policy
    assert "CONSOLE" in blocked.stderr
    assert "fonts.googleapis.com" in blocked.stderr
    load(bad.replace('http-equiv="Content-Security-Policy"', 'name="none"'), tmp_path / "loading")
    assert asked_for(tmp_path / "loading/net.json") == ["https://fonts.googleapis.com/css?family=Lato"]


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_screen_and_shows_everything(directory, tmp_path, width):
    probe = directory / f"probe{width}.html"
    probe.write_text(PROBE.replace("WIDTH", str(width)))
    result = chromium(
        probe.as_uri(),
        tmp_path / "profile",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        "--dump-dom",
    )
    measured = json.loads(re.search(r"\{.*\}", result.stdout).group())
    assert measured["scroll"] <= measured["client"] <= width
    assert measured["client"] > width - 20  # a scroll bar at most
    assert measured["images"]
    assert measured["charts"] == 8 * 3 + 5
    assert measured["cut"] == []  # no table or figure hides a number
    assert measured["formulas"] > 100
    assert measured["font"] >= 16


@pytest.mark.needs("pdftotext")
def test_it_prints_with_every_epoch(directory, tmp_path):
    pdf = tmp_path / "report.pdf"
    chromium(
        (directory / "report.html").as_uri(), tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={pdf}"
    )
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    assert text.count("Train error:") == 2 * (60 + 40 + 12 + 25) - 5  # as in the inputs, where one model took fewer
    assert "Skip to the report" not in text
