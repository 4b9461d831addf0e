"""The page is read back with an HTML parser and checked against the made-up results of report_inputs."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.dataset import load_manifest
from mnist_core.errors import UserError
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.model_file import Provenance, save_model
from mnist_core.params import Params, load_params
from mnist_core.report.derivations import formula_to_mathml, render_derivations
from mnist_core.report.images import first_layer_kernels
from mnist_core.report.page import build_report
from mnist_core.report.svg import inline_svg
from tests.records import write_predictions
from tests.report.report_inputs import PASSED_OVER, ROOT, SHORTENED, report_sources, write_report_inputs

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LOADING = ("src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "xlink:href")


class Page(HTMLParser):
    """The page as a list of (tag, attributes, text inside)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(html)
        assert not self._open, f"never closed: {[tag for tag, *_ in self._open]}"

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_data(self, data):
        for _, _, text in self._open:
            text.append(data)

    def find(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (attributes, " ".join("".join(text).split())) for name, attributes, text in self.elements if name == tag
        ]


def build(root: Path, params: Params | None = None) -> str:
    return build_report(
        params or load_params(root / "params.yaml"), report_sources(root), page_directory=root / "plots"
    )


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("report")
    write_report_inputs(root)
    return build(root)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


@pytest.fixture
def root(tmp_path) -> Path:
    write_report_inputs(tmp_path)
    return tmp_path


def rows(page: Page, caption: str) -> list[str]:
    """The rows of the table with this caption, as text."""
    position = next(
        place for place, (tag, _, text) in enumerate(page.elements) if tag == "caption" and caption in "".join(text)
    )
    found = []
    for tag, _, text in page.elements[position:]:
        if tag in ("caption", "section", "article") and found:
            break
        if tag == "tr":
            found.append(" ".join("".join(text).split()))
    return found


def test_same_inputs_give_the_same_bytes_wherever_they_lie(html, root):
    assert build(root) == html
    assert str(root) not in html


def test_nothing_is_loaded_from_outside(page, html):
    for tag, attributes, _ in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "base")
        for name in LOADING:
            value = attributes.get(name)
            assert value is None or value.startswith("data:"), (tag, name, value)
        if tag in ("link", "use", "image"):
            assert (attributes.get("href") or "").startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in html
    policies = [attributes["content"] for attributes, _ in page.find("meta") if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not re.search(r"url\((?!#)", html)


def test_identifiers_are_unique_and_every_internal_reference_has_its_target(page, html):
    identifiers = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {
        attributes["href"][1:] for _, attributes, _ in page.elements if (attributes.get("href") or "").startswith("#")
    }
    targets |= set(re.findall(r"url\(#([^)]+)\)", html))
    targets |= {value for _, attributes, _ in page.elements if (value := attributes.get("aria-labelledby"))}
    assert len(targets) > 40
    assert targets <= set(identifiers)


def test_headings_descend_one_level_at_a_time_from_a_single_title(page):
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_images_figures_and_tables_speak_to_those_who_do_not_see_them(page):
    assert page.find("html")[0][0]["lang"] == "en"
    images = page.find("img")
    assert len(images) == 60 + 1 + 10 + 10 + 16 + 16
    assert all(attributes.get("alt") for attributes, _ in images)
    for attributes, _ in page.find("svg"):
        assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
    labels = [attributes["aria-label"] for attributes, _ in page.find("svg") if "aria-label" in attributes]
    assert len(labels) == 8 * 3 + 5
    assert len(set(labels)) == len(labels)
    assert len(page.find("table")) == len(page.find("caption")) + 1  # the one table of the derivations has none
    assert all("scope" in attributes for attributes, _ in page.find("th"))


def test_every_model_has_the_five_parts_of_the_report(page):
    headings = [text for attributes, text in page.find("h4") if attributes["id"].startswith("model-")]
    assert len(headings) == 8 * 5
    assert headings[:5] == [
        "(i) Hyperparameters",
        "(ii) Training and test error through training",
        "(iii) Errors epoch by epoch",
        "(iv) Final errors",
        "(v) Confusion matrix",
    ]


def test_the_error_table_sets_ours_beside_the_published_values(page):
    table = rows(page, "Error table")
    assert table[:4] == [
        "Test error Training error",
        "Model Test, here Test, 2017 Training, here Training, 2017",
        "TensorFlow",
        "1a P1:a 7.51 ± 0.05 7.62 3.755 ± 0.012 6.973",
    ]
    assert table[7] == "NumPy"
    assert table[10:] == [
        "2c P2:d 1.71 ± 0.05 5.55 0.855 ± 0.012 3.933",
        "2d P2:e 1.04 ± 0.05 none 0.520 ± 0.012 none",
    ]


def test_the_search_shows_what_failed_and_what_was_probed(page, html):
    assert rows(page, "Search for model 2d")[1:] == [
        "1 3 non-finite",
        "0.1 100 1.14 25",
        "0.01 100 2.14 25",
        "0.001 100 3.14 25",
    ]
    assert "The report of 2017 chose learning rate 0.001 on a loss summed over the batch and\n107 epochs." in html
    assert "The report of 2017 chose learning rate 0.1 and\n85 epochs." in html
    assert "get the same answer.\n10 does not learn, 1 learns.\n" in html
    assert html.count("Non-finite: a loss or weight is NaN or infinite.") == 4  # the models of which a trial was


def test_a_best_rate_that_failed_in_final_training_is_named_and_not_shown_as_chosen(html):
    article = re.search(rf'<h3 id="model-{PASSED_OVER}">.*?</article>', html, re.DOTALL)[0]
    facts = re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd>", article)
    assert facts[:2] == [("Learning rate", "0.01"), ("Epochs", "12")]
    assert re.findall(r'<tr class="best">\s*<th scope="row">(.+?)</th>', article) == ["0.01"]
    assert (
        "The lowest validation error, 1.81 % after 12 epochs at learning rate 0.1,\nwas not taken: in final training "
        "seed 4 failed in epoch 2 (dead: a ReLU layer is silent for every image).\n"
    ) in article
    assert "2 pairs with which a final training failed" in article
    assert "<li>7 epochs at 0.1: dead in epoch 2 with seed 4</li>" in article


def test_fewer_epochs_than_the_search_found_are_explained(html):
    article = re.search(rf'<h3 id="model-{SHORTENED}">.*?</article>', html, re.DOTALL)[0]
    assert re.findall(r"<dt>Epochs</dt><dd>(.+?)</dd>", article) == ["20"]
    assert (
        "The lowest validation error, 1.14 % after 25 epochs at learning rate 0.1,\nwas not taken: in final training "
        "seed 3 failed in epoch 24 (spiked: the loss jumped tenfold above its lowest so far).\n"
    ) in article
    assert html.count("was not taken: in final training") == 2  # here and for the model passed over
    assert "pairs with which a final training failed" not in article  # there is but one


def test_epochs_are_listed_in_the_words_of_the_report(page):
    log = next(text for attributes, text in page.find("pre") if "2c" in attributes["aria-label"])
    assert log.startswith("Epoch: 1, Train error: 0.06355, Test error: 0.12710 Epoch: 2, Train error: ")
    assert log.endswith("Epoch: 12, Train error: 0.00855, Test error: 0.01710")
    assert rows(page, "Errors of model 2c after some epochs")[1] == "1 6.355 ± 0.012 12.71 ± 0.05"


def test_final_errors_have_spread_and_published_value(page):
    assert rows(page, "Final errors of model 1b") == [
        "Training Test",
        "Here, mean 1.010 2.02",
        "Standard deviation over 5 seeds 0.012 0.05",
        "Report of 2017 0.169 2.14",
    ]


def test_the_confusion_table_has_true_labels_in_rows(page):
    assert rows(page, "Confusion matrix of model 1a: actual")[4] == "3 0 0 0 32 0 0 8 0 0 0"


def test_gradient_checks_and_parity(page, html):
    assert rows(page, "Largest relative error: layers")[1:] == [
        "Layer dense",
        "kernel 3.2 × 10−9 4.1 × 10−15 2.2 × 10−16",
        "bias 3.2 × 10−9 4.1 × 10−15 2.2 × 10−16",
        "input 3.2 × 10−9 4.1 × 10−15 2.2 × 10−16",
        "Layer max_pool2d",
        "input – 0 0",
    ]
    assert "is <strong>3.2 × 10<sup>−9</sup></strong>; the pipeline stops above 1.0 × 10<sup>−6</sup>" in html
    assert rows(page, "Largest difference of any logit")[:5] == [
        "Compared after 1 step after 10 steps after 275 steps",
        "Network a",
        "twins, 32 bits 4.8 × 10−7 1.1 × 10−6 3.3 × 10−4",
        "NumPy and itself, 32 bits 5.8 × 10−7 1.0 × 10−6 4.0 × 10−4",
        "twins, 64 bits 8.9 × 10−16 2.7 × 10−15 6.1 × 10−13",
    ]
    assert rows(page, "Test errors of the twins") == [
        "Network a b c d",
        "Largest gap of test error, points 0.03 0.03 0.03 0.03",
        "Predictions 20,000 20,000 20,000 20,000",
        "Disagreements 1 1 1 1",
        "Near-ties 2 2 2 2",
        "Unexplained 0 0 0 0",
    ]


def test_the_gallery_shows_the_surest_mistakes_of_the_model_with_the_lowest_error(page, html):
    assert "Model 2d has the lowest mean test error. Its network of seed 1 gets 80 of\n400 test images wrong." in html
    alts = [attributes["alt"] for attributes, _ in page.find("img") if attributes["alt"].startswith("Test image")]
    assert alts[:2] == ["Test image 0, labelled 0, taken for 3", "Test image 1, labelled 1, taken for 4"]
    assert len(alts) == 60
    items = [text for _, text in page.find("li") if "taken for" in text]
    assert items[2] == "2 →taken for 5 5: 90.8 % 2: 1.2 %"


def test_a_slice_and_another_data_set_are_called_so(root):
    quick = build(root, load_params(root / "params.yaml").model_copy(update={"profile": "quick"}))
    assert "These numbers come from a slice of the data." in quick
    assert "seeds 1, 2" in quick
    text = (root / "params.yaml").read_text().replace("dataset: mnist #", "dataset: fashion_mnist #")
    (root / "params.yaml").write_text(text)
    fashion = build(root)
    assert "Eight classifiers on Fashion-MNIST" in fashion
    page = Page(fashion)
    assert rows(page, "Error table")[10] == "2d P2:e 1.04 ± 0.05 0.520 ± 0.012"
    alts = [attributes["alt"] for attributes, _ in page.find("img")]
    assert alts[0] == "Test image 0, labelled T-shirt/top, taken for Dress"
    assert "Weights of Ankle boot of model 1a" in alts
    confusion = rows(page, "Confusion matrix of model 1a: actual")
    assert confusion[0].endswith("Sneaker Bag Ankle boot")
    assert confusion[4] == "Dress 0 0 0 32 0 0 8 0 0 0"
    assert "digit" not in re.sub(r"<section class=\"derivations\".*", "", fashion, flags=re.DOTALL)
    assert "These numbers come from a slice" not in fashion


def save_pooling(root, **changes):
    """Save a network whose first layer has no weights as model 2d of seed 1; its provenance with changes."""
    weights = {"dense_1.kernel": np.zeros((196, 10), np.float32), "dense_1.bias": np.zeros(10, np.float32)}
    known = {"model": "2d", "seed": 1, "data_sha256": load_manifest(root / "data/prepared").sha256}
    provenance = Provenance(learning_rate=0.1, epochs=25, batch_size=20, **(known | changes))
    save_model(root / "data/models/2d/seed_1.npz", (MaxPool2D(2, 2), Dense(10)), weights, provenance)


@pytest.mark.parametrize("change", [{"model": "2a"}, {"seed": 7}, {"data_sha256": "0" * 64}])
def test_the_weights_of_another_network_are_refused(root, change):
    save_pooling(root, **change)
    with pytest.raises(UserError, match=rf"2d/seed_1\.npz: it is a network of another {next(iter(change))}"):
        build(root)


def test_a_first_layer_without_weights_is_said_and_not_shown(root):
    save_pooling(root)
    assert "Its first layer is 2×2 max pooling, stride 2, same padding, which has no weights to show." in build(root)


def test_first_layer_kernels_are_maps_of_the_image():
    dense = np.arange(784 * 2).reshape(784, 2)
    maps = first_layer_kernels((Dense(2), Dense(10)), {"dense_1.kernel": dense})
    assert maps.shape == (2, 28, 28)
    assert maps[1, 0, 3] == 7  # pixel 3 of the first row, unit 1
    filters = np.arange(9 * 4).reshape(3, 3, 1, 4)
    maps = first_layer_kernels((Conv2D(4, 3), Dense(10)), {"conv2d_1.kernel": filters})
    assert maps.shape == (4, 3, 3)
    assert maps[2].tolist() == [[2, 6, 10], [14, 18, 22], [26, 30, 34]]


def test_text_from_files_is_escaped(root):
    path = root / "metrics/gradients.json"
    record = json.loads(path.read_text())
    record["layers"]["<script>alert(1)</script>"] = {"kernel": {"naive": 0.0}}
    path.write_text(json.dumps(record))
    assert "&lt;script&gt;" in build(root)
    assert "<script" not in build(root)


def test_a_missing_key_is_named_in_one_line(root):
    path = root / "metrics/summary.json"
    summary = json.loads(path.read_text())
    del summary["2c"]["test_error_std"]
    path.write_text(json.dumps(summary))
    with pytest.raises(UserError, match=re.escape(f"{path}: 2c.test_error_std: missing; run `dvc repro`")):
        build(root)


@pytest.mark.parametrize(
    "name",
    [
        "metrics/summary.json",
        "metrics/gradients.json",
        "metrics/parity.json",
        "docs/derivations.md",
        "data/search/1b.json",
        "plots/curves/2a.csv",
        "plots/confusion/1d.csv",
        "plots/figures/search_2c.svg",
        "plots/figures/test_errors.svg",
        "plots/figures/parity.svg",
        "data/predictions/2d.npz",
        "data/prepared/test_images.npy",
        "data/prepared/test_labels.npy",
        "data/models/1d/seed_1.npz",
        "data/models/2b/hyperparameters.json",
    ],
)
def test_a_missing_or_broken_file_is_named_in_one_line(root, name):
    path = root / name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match=re.escape(str(path)) + ".*dvc repro") as missing:
        build(root)
    assert "\n" not in str(missing.value)
    if path.suffix not in (".md", ".npz") or "predictions" in name:
        path.write_bytes(content[:20])
        with pytest.raises(UserError, match=re.escape(str(path))) as broken:
            build(root)
        assert "\n" not in str(broken.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": np.zeros((1, 399, 10), np.float32)}, r"have the shape \(1, 399, 10\), not \(1, 400, 10\)"),
        ({"data_sha256": "ab" * 32}, f"it is of data_sha256 {'ab' * 32}, not [0-9a-f]{{64}}"),
        ({"model": "1a"}, "it is of model 1a, not 2d"),
    ],
)
def test_predictions_for_another_test_set_or_of_another_model_are_refused(root, changes, message):
    right = {
        "model": "2d",
        "data_sha256": load_manifest(root / "data/prepared").sha256,
        "probabilities": np.zeros((1, 400, 10), np.float32),
    }
    write_predictions(root / "data/predictions/2d.npz", **right | changes)
    with pytest.raises(UserError, match=rf"2d\.npz: .*{message}; run `dvc repro`"):
        build(root)


@pytest.mark.parametrize(("name", "keys"), [("details", ("models", "2d")), ("parity", ("d",))])
def test_a_record_that_lacks_a_model_or_a_letter_is_refused(root, name, keys):
    path = root / f"metrics/{name}.json"
    *outer, missing = keys
    record = json.loads(path.read_text())
    del (record[outer[0]] if outer else record)[missing]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=re.escape(f"{path}: holds ") + ".*; run `dvc repro`"):
        build(root)


def test_svg_figures_do_not_share_identifiers_or_styles():
    source = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="9pt" viewBox="0 0 9 9"><metadata><a/></metadata><style>*{fill:red}</style><g id="unused">'
        '<path id="m" clip-path="url(#c)" d="M0 0"/><use xlink:href="#m"/></g><clipPath id="c"/></svg>'
    )
    assert inline_svg(source, prefix="one-", label="A & B") == (
        '<svg viewBox="0 0 9 9" style="stroke-linejoin:round;stroke-linecap:butt" role="img" aria-label="A &amp; B"><g>'
        '<path clip-path="url(#one-c)" d="M0 0" id="one-m" /><use href="#one-m" /></g><clipPath id="one-c" /></svg>'
    )


def test_places_in_svg_figures_have_two_decimals_and_factors_all_of_theirs():
    source = (
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M 1.234567 -0.125 \nL 2.5 300 "/>'
        '<g transform="translate(1.234567 0) scale(0.015625)"><text x="10.987654" y="0.5"/></g></svg>'
    )
    svg = inline_svg(source, prefix="", label="")
    assert '<path d="M 1.23 -0.12 L 2.5 300" />' in svg
    assert '<g transform="translate(1.234567 0) scale(0.015625)"><text x="10.99" y="0.5" /></g>' in svg


def test_derivations_move_below_the_section_heading(html):
    assert "Title of the document" not in html
    assert '<h3 id="derivations-one--two">One &amp; two</h3>' in html
    assert '<h4 id="derivations-last-part">Last part</h4>' in html
    assert '<a href="../mnist_core/numpy_nn/layers.py">method</a>' in html
    assert '<a href="#derivations-last-part">below</a>' in html
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>" in html
    assert '<th scope="col">a</th>' in html


def test_formulas_keep_the_spaces_and_letters_of_tex():
    assert '<mspace width="0.167em" />' in formula_to_mathml(r"\log p", display=False)
    assert "mspace" not in formula_to_mathml(r"\log(p)", display=False)
    assert "𝟏" in formula_to_mathml(r"\mathbf{1}", display=False)
    assert '<mo lspace="0" rspace="0">/</mo>' in formula_to_mathml("a / b", display=False)


@pytest.mark.parametrize(
    ("formula", "culprit"),
    [
        (r"\foo x", r"\\foo"),
        (r"\begin{tikzcd} a \end{tikzcd}", r"begin\{tikzcd\} in"),
        (r"\begin{aligned} a &= b \end{aligned}", "aligned"),
        (r"\left( a", "left"),
        ("a & b", "a & b"),
        (r"\big\{ a \big\}", r"^\\\{a"),
    ],
)
def test_a_formula_that_is_not_understood_is_an_error(formula, culprit):
    with pytest.raises(ValueError, match=culprit):
        formula_to_mathml(formula, display=True)


def test_a_formula_that_is_not_understood_names_its_file(tmp_path):
    path = tmp_path / "derivations.md"
    path.write_text("# A\n\n$\\foo$\n")
    with pytest.raises(UserError, match=r"derivations\.md: .*foo"):
        render_derivations(path, page_directory=tmp_path)


@pytest.mark.parametrize(
    "text", ["", "\n \n", "[" * 100_000, "Text.\n", "## A section\n\nText.\n", "# A title alone\n"]
)
def test_a_document_without_its_title_or_text_is_refused(tmp_path, text):
    path = tmp_path / "derivations.md"
    path.write_text(text)
    with pytest.raises(UserError, match=r"derivations\.md has to begin with a title"):
        render_derivations(path, page_directory=tmp_path)


def test_every_formula_of_the_real_derivations_converts():
    path = ROOT / "docs/derivations.md"
    html = render_derivations(path, page_directory=ROOT / "plots")
    assert html.count("<math") > 100
    assert "$" not in re.sub(r"<math.*?</math>", "", html)
    links = re.findall(r'href="([^"#][^"]*)"', html)
    assert links
    assert all((ROOT / "plots" / link.split("#")[0]).exists() for link in links if "://" not in link)
