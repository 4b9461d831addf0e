"""The draw page in headless Chromium, which reaches no network: the same images and the same answers as Python's."""

import base64
import json
import re

import numpy as np
import pytest

from mnist_core.draw.page import LARGEST_PAGE, build_page
from mnist_core.models import tuned
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.initializers import initial_weights
from mnist_core.networks.model_file import Provenance, load_model, save_model
from mnist_core.predict.preprocessing import to_mnist
from mnist_core.published import PUBLISHED, RECORD, sha256
from mnist_core.registry import build_classifier
from tests.browser import asked_for, chromium
from tests.digits import ROOT, as_jpeg, as_rgba, photograph, scaled, test_images

pytestmark = pytest.mark.browser

NEAR_TIE = 1e-3  # between the two largest probabilities; float32 sums in another order differ by about 1e-6
D = (
    Conv2D(4, 3, activation="relu"),
    MaxPool2D(2, 2),
    Conv2D(5, 3, stride=2, padding="valid", activation="relu"),
    MaxPool2D(3, 2),
    Dense(10),
)

PROBE = """<script>
onload = () => {
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const found = pictures.map(({height, width, rgba}) => {
    const bytes = Uint8Array.from(atob(rgba), (character) => character.charCodeAt(0));
    const seen = toMnist(bytes, height, width);
    const answers = seen && Object.fromEntries(
      models.map((model) => [model.name, runNetwork(model, seen).probabilities]));
    return {seen: seen && Array.from(seen), answers};
  });
  try {
    runNetwork({architecture: [{type: "avg_pool2d", pool_size: 2, stride: 2, padding: "same"}], weights: {}}, []);
  } catch (error) {
    found.push(error.message);
  }
  document.documentElement.textContent = "RESULT" + JSON.stringify(found) + "END";
};
</script>"""

STROKE = """<script>
onload = async () => {
  const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
  const send = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind,
    {clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1, bubbles: true}));
  const wait = () => new Promise((done) => setTimeout(done, 300));
  const digits = () => [...document.querySelectorAll(".digit")].map((digit) => digit.textContent);
  const root = document.documentElement;
  const verdict = () => document.getElementById("verdict").textContent;
  const before = digits(), verdicts = [verdict()];
  send("pointerdown", 0.5, 0.2);
  for (let y = 0.25; y < 0.8; y += 0.05) send("pointermove", 0.5, y);
  send("pointerup", 0.5, 0.8);
  await wait();
  verdicts.push(verdict());
  const drawn = digits(), maps = document.querySelectorAll(".maps canvas").length;
  document.getElementById("clear").click();
  const cleared = digits();
  const press = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  press(" ");
  for (let step = 0; step < 10; step++) press("ArrowDown");
  press(" ");
  await wait();
  const named = [...document.querySelectorAll("canvas,button")].every((element) =>
    element.getAttribute("aria-label") || element.textContent || element.closest("[aria-label].maps"));
  root.textContent = "RESULT" + JSON.stringify({before, drawn, verdicts, maps, cleared, keyboard: digits(), named,
    client: root.clientWidth, scroll: root.scrollWidth}) + "END";
};
</script>"""


def publish(directory, models, **more):
    record = {}
    for name, (architecture, weights) in models.items():
        chosen = {"seed": 1, "learning_rate": 0.1, "epochs": 2}
        provenance = Provenance(model=name, batch_size=20, data_sha256="0", **chosen)
        save_model(directory / f"{name}.npz", architecture, weights, provenance)
        described = {"test_error": 4.0, **chosen, **more}
        record[name] = {"sha256": sha256(directory / f"{name}.npz"), **described}
    (directory / RECORD).write_text(json.dumps(record))


@pytest.fixture(scope="module")
def published(tmp_path_factory, dense_network):
    """Published models: a trained dense network, and a convolutional one with every kind of window."""
    directory = tmp_path_factory.mktemp("published")
    weights = initial_weights(D, rng=np.random.default_rng(0))
    publish(
        directory,
        {"2b": dense_network, "2d": (D, {name: array.astype("float32") + 0.05 for name, array in weights.items()})},
    )
    return directory


def open_page(page, directory, *, width=1400):
    """Open the page, which writes its RESULT; return that and what the page asked the network for."""
    directory.mkdir(exist_ok=True)
    (directory / "page.html").write_text(page, encoding="utf-8")
    log = directory / "net.json"
    result = chromium(
        (directory / "page.html").as_uri(),
        directory / "profile",
        f"--log-net-log={log}",
        f"--window-size={width},900",
        "--virtual-time-budget=60000",
        "--dump-dom",
    )
    assert "CONSOLE" not in result.stderr, result.stderr
    return json.loads(re.search(r"RESULT(.*)END", result.stdout, re.DOTALL)[1]), asked_for(log)


def pictures_of(images, rng):
    """Return a picture of each digit in turn: as it is, a photograph, light on dark, transparent, a decoded JPEG."""
    from mnist_core.predict.pictures import decode

    kinds = [
        as_rgba,
        lambda image: photograph(image, rng=rng),
        lambda image: photograph(image, rng=rng, light_ink=True),
        lambda image: as_rgba(np.full_like(image, 30), image),
    ]
    return [
        decode(as_jpeg(image, rng=rng)) if index % 20 == 19 else kinds[index % 4](image)
        for index, image in enumerate(images)
    ]


def with_probe(page, pictures):
    given = [
        {"height": len(picture), "width": picture.shape[1], "rgba": base64.b64encode(picture.tobytes()).decode()}
        for picture in pictures
    ]
    element = f'<script type="application/json" id="pictures">{json.dumps(given)}</script>'
    return page.replace("</body>", element + PROBE + "</body>")


def compare(directory, page, mnist_directory, tmp_path):
    """Assert that page and Python see the same in 200 pictures and say the same; return the number of near-ties."""
    images, _ = test_images(mnist_directory, 200)
    pictures = pictures_of(images, np.random.default_rng(0))
    seen = np.array([to_mnist(picture) for picture in pictures])
    found, asked = open_page(with_probe(page, pictures), tmp_path / "probe")
    assert asked == []
    assert found.pop() == "avg_pool2d is no layer of this page"  # rather than taken for a convolution
    np.testing.assert_array_equal(np.array([one["seen"] for one in found], np.uint8).reshape(-1, 28, 28), seen)
    ties = 0
    names = json.loads((directory / RECORD).read_text())
    assert list(found[0]["answers"]) == [name for name in names if tuned(name) not in names]  # the tuned of two
    for name in found[0]["answers"]:
        architecture, weights = load_model(directory / f"{name}.npz")
        logits = build_classifier("numpy", architecture, weights).predict_logits(scaled(seen)).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
        answers = np.array([one["answers"][name] for one in found])
        # float32 logits of magnitude 10 or so, summed in another order: 1e-5 relative to 1
        np.testing.assert_allclose(answers, expected, atol=1e-4)
        two = np.sort(expected, axis=1)[:, -2:]
        tied = two[:, 1] - two[:, 0] < NEAR_TIE
        np.testing.assert_array_equal(answers.argmax(axis=1)[~tied], expected.argmax(axis=1)[~tied])
        ties += int(tied.sum())
    return ties


def test_200_pictures_look_and_read_the_same_as_in_python(published, mnist_directory, tmp_path):
    assert compare(published, build_page(published), mnist_directory, tmp_path) <= 4


def test_the_published_models_read_the_same_as_in_python(mnist_directory, tmp_path):
    directory = ROOT / PUBLISHED
    if not directory.is_dir():
        pytest.skip("no published models: run the pipeline")
    page = build_page(directory)
    assert len(page.encode()) <= LARGEST_PAGE
    assert compare(directory, page, mnist_directory, tmp_path) <= 8


def draw_strokes(page, tmp_path, width):
    """Draw on the page, so wide; return what it showed and what it asked the network for."""
    frame = f"""<!DOCTYPE html><title>frame</title><body style="margin:0">
<iframe src="inner.html" width="{width}" height="900" style="border:0"></iframe><script>
const poll = setInterval(() => {{
  const text = document.querySelector("iframe").contentDocument.documentElement.textContent;
  if (text.startsWith("RESULT")) {{ clearInterval(poll); document.documentElement.textContent = text; }}
}}, 100);</script>"""
    (tmp_path / "inner.html").write_text(page.replace("</body>", STROKE + "</body>"), encoding="utf-8")
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    log = tmp_path / "net.json"
    result = chromium(
        (tmp_path / "frame.html").as_uri(),
        tmp_path / "profile",
        f"--log-net-log={log}",
        "--window-size=1500,1000",
        "--allow-file-access-from-files",
        "--virtual-time-budget=20000",
        "--dump-dom",
    )
    assert "CONSOLE" not in result.stderr, result.stderr
    return json.loads(re.search(r"RESULT(.*)END", result.stdout, re.DOTALL)[1]), asked_for(log)


@pytest.mark.parametrize("width", [1400, 390])
def test_a_stroke_of_pointer_or_keys_gets_an_answer(published, tmp_path, width):
    measured, asked = draw_strokes(build_page(published), tmp_path, width)
    assert measured["before"] == measured["cleared"] == ["–", "–"]
    assert measured["drawn"][0] == measured["keyboard"][0] == "1"  # the trained network reads both strokes
    assert measured["maps"] == 4 + 5
    assert measured["named"]
    assert measured["scroll"] <= measured["client"] <= width
    assert asked == []


def test_other_classes_are_called_by_their_names_which_fit_a_narrow_page(tmp_path):
    weights = {"dense_1.kernel": np.zeros((784, 10), "float32"), "dense_1.bias": np.eye(10, dtype="float32")[1]}
    publish(tmp_path, {"2b": ((Dense(10),), weights)}, classes=["a", "W" * 40, *"cdefghij"])
    measured, _ = draw_strokes(build_page(tmp_path), tmp_path, 390)
    assert measured["drawn"] == ["W" * 40]
    assert measured["verdicts"] == ["Draw something.", f"1 of 1 networks say {'W' * 40}."]
    assert measured["scroll"] <= measured["client"]


def test_the_probe_notices_a_page_that_sees_something_else(published, mnist_directory, tmp_path):
    page = build_page(published).replace("INK_LEVEL = 0.2", "INK_LEVEL = 0.6")
    with pytest.raises(AssertionError):
        compare(published, page, mnist_directory, tmp_path)
