"""The Vega-Lite templates in .dvc/plots, and the page that draws them without internet."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import vl_convert
from click.testing import CliRunner
from dvc_render import VegaRenderer

from mnist_core.models import MODELS
from tests.browser import chromium
from tools import plots_page

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / ".dvc" / "plots"

# template -> x, y, and a small file such as the stages write; DVC passes every value on as text.
EXAMPLES = {
    "errors": (
        "epoch",
        "test_error",
        "epoch,train_error,train_error_std,test_error,test_error_std\n1,9.0,0.5,8.0,0.5\n2,1.0,0.1,2.5,0.2\n10,0.0,0.0,2.0,0.1\n",
    ),
    "confusion_errors": (
        "predicted",
        "actual",
        "actual,predicted,count\n"
        + "".join(f"{i},{j},{971 if i == j else 7 * (j == i + 1)}\n" for i in range(10) for j in range(10)),
    ),
    "search": (
        "epoch",
        "validation_error",
        "learning_rate,epoch,validation_error,best\n1.0,1,90.0,0\n0.1,1,9.0,0\n0.1,2,3.0,1\n0.1,3,3.0,0\n0.01,1,70.0,0\n0.01,2,2.0,0\n",
    ),
    "models": ("epoch", "test_error", "model,epoch,test_error\n1d,1,9.0\n1d,2,3.0\n2d,1,9.5\n2d,2,2.0\n2a,1,8.0\n"),
}


def renderer_of(template, revisions=("workspace",), content=None):
    """Return DVC's renderer of a template, by default with its example."""
    x, y, example = EXAMPLES[template]
    content = content or example
    rows = [row | {"rev": rev} for rev in revisions for row in csv.DictReader(content.splitlines())]
    return VegaRenderer(
        rows,
        "name",
        template=template,
        template_dir=str(TEMPLATES),
        x=x,
        y=y,
        title="A title",
        x_label="An x",
        y_label="A y",
    )


def filled(template, revisions=("workspace",), content=None):
    """Fill a template as `dvc plots show` does."""
    return renderer_of(template, revisions, content).get_filled_template()


def filled_by_the_extension(template, revisions, colours, *, focused):
    """Fill a template as the extension of VS Code does: DVC leaves the anchors in, and says what belongs there.

    The extension takes sizes from its panel, colours from its table of experiments, and lets only the plot that has the
    focus zoom and have a legend (webview/src/plots/components/vegaLite/util.ts in treeverse/vscode-dvc).
    """
    content, split = renderer_of(template, revisions).get_partial_filled_template()
    text = json.dumps(content)
    for anchor, value in split["anchor_definitions"].items():
        if anchor == "<DVC_METRIC_COLOR>":
            value |= {"scale": {"domain": list(revisions), "range": colours}} | ({} if focused else {"legend": None})
        if anchor in ("<DVC_METRIC_PLOT_WIDTH>", "<DVC_METRIC_PLOT_HEIGHT>"):
            value = "container"
        new = "" if anchor == "<DVC_METRIC_ZOOM_AND_PAN>" and not focused else json.dumps(value)
        text = text.replace(f'"{anchor}"', new)
    return json.loads(text)


def drawn(spec, version="6.4"):
    return vl_convert.vegalite_to_svg(spec, vl_version=version)


def marks(svg, kind):
    """Return the drawn elements of a kind, such as "line mark"; each carries a description of its data."""
    return re.findall(rf'<path [^>]*aria-roledescription="{kind}"[^>]*>', svg)


def test_every_template_has_an_example():
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(EXAMPLES)


@pytest.mark.parametrize("revisions", [("workspace",), ("workspace", "HEAD")])
@pytest.mark.parametrize("version", ["5.8", "6.4"])  # the templates' schema is 5, the page's Vega-Lite 6
@pytest.mark.parametrize("template", EXAMPLES)
def test_template_draws_with_the_labels_given(template, version, revisions):
    spec = filled(template, revisions)
    assert "<DVC_METRIC" not in json.dumps(spec)
    svg = drawn(spec, version)
    for text in ("A title", "An x", "A y", *revisions):
        assert f">{text}<" in svg
    assert "NaN" not in svg


@pytest.mark.parametrize("focused", [False, True])
@pytest.mark.parametrize("template", EXAMPLES)
def test_template_works_in_the_extension_of_vs_code(template, focused):
    revisions, colours = ("workspace", "HEAD"), ["#123456", "#abcdef"]
    spec = filled_by_the_extension(template, revisions, colours, focused=focused)
    assert "<DVC_METRIC" not in json.dumps(spec)
    svg = drawn(spec)
    assert ">A title<" in svg
    assert "NaN" not in svg
    zooms = json.dumps(spec).count('"bind": "scales"')
    assert zooms == (focused and template != "confusion_errors")
    if template in ("errors", "search"):  # the others stand side by side, one a revision: no room fits them all
        assert spec["width"] == spec["height"] == "container"
    if template == "errors":  # in the others, a colour is a learning rate, an architecture or a count
        assert {colour for line in marks(svg, "line mark") for colour in colours if colour in line} == set(colours)
        assert (">HEAD<" in svg) == focused


def test_train_and_test_error_share_a_chart():
    svg = drawn(filled("errors"))
    assert len(marks(svg, "line mark")) == 2
    assert {">test<", ">train<"} <= set(re.findall(">[a-z]+<", svg))
    assert "error on: train" in svg


def test_two_revisions_draw_four_lines():
    assert len(marks(drawn(filled("errors", ("workspace", "HEAD"))), "line mark")) == 4


def test_numbers_are_not_sorted_as_text():
    # As text, epoch 10 would come before 2 and the line would turn back.
    line = re.search(r'aria-roledescription="line mark"[^>]* d="([^"]+)"', drawn(filled("errors")))
    xs = [float(x) for x in re.findall(r"[ML](-?[\d.]+),", line[1])]
    assert len(xs) == 3
    assert xs == sorted(xs)


def test_confusion_writes_counts_and_leaves_the_diagonal_out_of_the_colours():
    svg = drawn(filled("confusion_errors"))
    assert svg.count(">971<") == 10
    assert svg.count(">7<") == 9 + 2  # and one on each axis
    assert "titled 'errors' for fill color with values from 0 to 7\"" in svg  # not to 971


def test_search_marks_the_best_row_whichever_error_the_others_have():
    svg = drawn(filled("search"))
    points = marks(svg, "point")
    assert len(points) == 1
    assert "An x: 2" in points[0]
    assert "learning rate: 0.1" in points[0]


def test_a_mark_on_the_last_epoch_and_the_lowest_error_is_whole():
    spec = filled("search", content="learning_rate,epoch,validation_error,best\n0.1,1,9.0,0\n0.1,50,3.0,1\n")
    (point,) = marks(drawn(spec), "point")
    x, y = map(float, re.search(r"translate\(([\d.]+),([\d.]+)\)", point).groups())
    radius = 110**0.5 / 2 + 1  # of a Vega diamond of this size, and half its outline
    # Inside the chart, 300 points wide and high: what DVC fills in.
    assert radius <= x <= 300 - radius
    assert radius <= y <= 300 - radius


@pytest.mark.parametrize("template", ["errors", "search", "models"])
@pytest.mark.parametrize("last", [2, 4, 500])
def test_epochs_are_whole_numbers(template, last):
    _, _, example = EXAMPLES[template]
    header, row = example.splitlines()[:2]
    place = header.split(",").index("epoch")
    rows = [row.split(",") for _ in range(last)]
    for epoch, cells in enumerate(rows, start=1):
        cells[place] = str(epoch)
    svg = drawn(filled(template, content="\n".join([header, *map(",".join, rows)])))
    labels = re.search(r"aria-label=\"X-axis titled 'An x'.*?role-axis-label(.*?)</g>", svg, re.DOTALL)[1]
    ticks = [int(label) for label in re.findall(">([^<]+)</text>", labels)]  # int() knows no fractions
    assert ticks[0] == 1
    assert ticks[-1] == last


@pytest.mark.parametrize("model", MODELS)
def test_search_marks_the_best_of_the_committed_search(model, committed):
    content = committed(f"plots/search/{model}.csv")
    rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(content.splitlines())]
    (best,) = (row for row in rows if row["best"])
    (point,) = marks(drawn(filled("search", content=content)), "point")
    assert f"An x: {best['epoch']:g};" in point
    assert f"learning rate: {best['learning_rate']:g};" in point
    # What was trained is that or, should a final training have failed, another rate or fewer epochs.
    metrics = json.loads(committed("metrics/summary.json"))[model]
    (trained,) = (
        row for row in rows if (row["learning_rate"], row["epoch"]) == (metrics["learning_rate"], metrics["epochs"])
    )
    assert trained["validation_error"] == metrics["validation_error"]
    if trained["learning_rate"] == best["learning_rate"]:
        assert trained["epoch"] <= best["epoch"]
    assert best["validation_error"] <= trained["validation_error"]


def test_models_tell_twins_by_dashes():
    svg = drawn(filled("models"))
    lines = marks(svg, "line mark")
    assert len(lines) == 3
    looks = [
        re.search('architecture: (.); framework: (.+?)".*stroke="(.+?)".*dasharray="(.+?)"', line) for line in lines
    ]
    assert [look.groups() for look in looks] == [
        ("d", "TensorFlow", "#CC79A7", "1,0"),
        ("d", "NumPy", "#CC79A7", "5,3"),
        ("a", "NumPy", "#0072B2", "5,3"),
    ]


def test_parity_of_twins_draws_with_the_models_template():
    # As stage parity writes it: a column "letter" where plots/test_errors.csv has "model".
    content = (
        "letter,framework,epoch,test_error\na,tensorflow,1,10.93\na,numpy,1,10.93\na,tensorflow,2,9.78\n"
        "a,numpy,2,9.78\nd,tensorflow,1,3.4\nd,numpy,1,3.5\nd,tensorflow,2,2.0\nd,numpy,2,2.1\n"
    )
    spec = filled("models", content=content)
    looks = [re.search('architecture: (.+?); framework: (.+?)"', line) for line in marks(drawn(spec), "line mark")]
    assert [look.groups() for look in looks] == [
        ("a", "TensorFlow"),
        ("a", "NumPy"),
        ("d", "TensorFlow"),
        ("d", "NumPy"),
    ]


def test_page_loads_nothing_from_outside():
    page = plots_page.plots_page()
    assert "{plot_divs}" in page
    assert "{refresh_tag}" in page
    assert "{scripts}" not in page  # DVC would put its links to a CDN there
    assert re.findall(r"<(?:script|link)[^>]*(?:src|href)=", page) == []
    assert page.lower().count("</script") == 1


def test_a_closing_tag_inside_the_bundle_is_escaped(monkeypatch):
    monkeypatch.setattr(plots_page.vl_convert, "javascript_bundle", lambda _: 'const tag = "</SCRIPT>";')
    assert r'const tag = "\x3c/SCRIPT>";' in plots_page.plots_page()


def test_setup_needs_a_dvc_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(plots_page.main, [])
    assert result.exit_code == 1
    assert result.output == "Error: .dvc: no such directory; run from the project's root\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A DVC repository with our templates and one plot of each kind, set up to draw without internet."""
    root = tmp_path_factory.mktemp("repository")

    def run(*command):
        subprocess.run([sys.executable, "-m", *command], cwd=root, check=True, capture_output=True)

    run("dvc", "init", "--no-scm", "--quiet")
    run("dvc", "config", "core.analytics", "false")
    shutil.copytree(TEMPLATES, root / ".dvc" / "plots")
    entries = []
    for template, (x, y, content) in EXAMPLES.items():
        (root / f"{template}.csv").write_text(content)
        entries.append({f"{template}.csv": {"template": template, "x": x, "y": y, "title": f"Plot of {template}"}})
    (root / "dvc.yaml").write_text(json.dumps({"plots": entries}))
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tools.plots_page import main; main()"
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, capture_output=True)
    run("dvc", "plots", "show", "--out", "page")
    return root


def test_setup_names_the_page_in_the_local_configuration_only(repository):
    assert "html_template = tmp/plots_page.html" in (repository / ".dvc" / "config.local").read_text()
    assert "html_template" not in (repository / ".dvc" / "config").read_text()


@pytest.mark.browser
def test_the_page_draws_every_plot_with_the_network_cut_off(repository, tmp_path):
    page = repository / "page" / "index.html"
    assert "cdn.jsdelivr.net/npm/vega@" not in page.read_text("utf-8")
    browser = chromium(page.as_uri(), tmp_path / "profile", "--virtual-time-budget=10000", "--dump-dom")
    drawings = re.findall(r'<svg [^>]*class="marks".*?</svg>', browser.stdout, flags=re.DOTALL)
    assert len(drawings) == len(EXAMPLES)
    assert sum(len(marks(drawing, "line mark")) for drawing in drawings) == 2 + 3 + 3  # errors, search, models
    # Vega reports that it is newer than the templates' schema; anything else is an error.
    messages = [line for line in browser.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in messages if "The input spec uses Vega-Lite v5" not in line] == []


@pytest.mark.browser
def test_the_page_does_not_scroll_sideways_on_a_phone(repository, tmp_path):
    probe = repository / "page" / "probe.html"
    probe.write_text(
        '<!DOCTYPE html><iframe src="index.html" width="390" height="800" style="border:0"></iframe><script>'
        "onload = () => setTimeout(() => {"
        ' const page = document.querySelector("iframe").contentDocument, root = page.documentElement;'
        ' const charts = page.querySelectorAll("svg.marks").length;'
        " document.body.textContent = JSON.stringify([root.scrollWidth, root.clientWidth, charts]); }, 5000)</script>"
    )
    options = ("--allow-file-access-from-files", "--virtual-time-budget=15000", "--dump-dom")
    browser = chromium(probe.as_uri(), tmp_path / "profile", *options)
    scroll, client, charts = json.loads(re.search(r"\[\d.*?\]", browser.stdout).group())
    assert charts == len(EXAMPLES)
    assert scroll <= client <= 390
