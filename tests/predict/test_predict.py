"""Pictures of every kind become what MNIST holds, and the command answers or says in one line why not."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mnist_core.__main__ import main
from mnist_core.data.dataset import load_manifest, save_dataset
from mnist_core.errors import UserError
from mnist_core.networks.architectures import Dense
from mnist_core.networks.model_file import Provenance, load_model, save_model
from mnist_core.predict.pictures import decode
from mnist_core.predict.preprocessing import to_mnist
from mnist_core.published import PUBLISHED
from mnist_core.registry import build_classifier
from tests.digits import ROOT, as_jpeg, as_rgba, photograph, scaled, test_images
from tests.projects import squares


def accuracy(network, images, labels):
    architecture, weights = network
    classifier = build_classifier("numpy", architecture, weights)
    return (classifier.predict_logits(scaled(images)).argmax(axis=1) == labels).mean()


def seven(height=60, width=40):
    """Draw 255 ink on 0: a bar on top, 4 thick, and a stem on the right."""
    picture = np.zeros((height, width), np.uint8)
    picture[20:24, 10:30] = 255
    picture[20:48, 26:30] = 255
    return picture


# --- preprocessing ---


def test_an_image_of_mnist_stays_what_it_is(mnist_directory):
    """Already cut, scaled and centred: only full ink is set a little darker, and a faint rim may be cut off."""
    images, _ = test_images(mnist_directory, 200)
    seen = np.array([to_mnist(as_rgba(image)) for image in images]).astype(int)
    differences = np.abs(seen - images).mean(axis=(1, 2))
    assert np.median(differences) < 1  # of 255; one pixel beside its place would give about 15
    assert (differences < 4).mean() > 0.9


def test_a_worked_example():
    seen = to_mnist(as_rgba(seven()))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert len(rows) == 20  # 28 rows of ink
    assert len(columns) == 14  # 20 * 20 / 28 = 14.3
    assert seen.max() == 255
    column = np.arange(28)
    assert abs((seen * column).sum() / seen.sum() - 14) <= 0.5
    assert seen[rows[0], columns[0] : columns[-1] + 1].min() == 255  # the bar: 4 rows of 28 give 2.9 of 20
    assert seen[rows[-1], columns[0]] == 0


CHANGES = {
    "dark on light": lambda ink: as_rgba(255 - ink),
    "grey on grey": lambda ink: as_rgba(90 + ink // 4),
    "black on nothing": lambda ink: as_rgba(np.zeros_like(ink), ink),
    "white on nothing": lambda ink: as_rgba(np.full_like(ink, 255), ink),
    "red on blue": lambda ink: np.dstack([ink, ink * 0, 255 - ink, ink * 0 + 255]),
    "paper with a transparent margin": lambda ink: as_rgba(np.pad(255 - ink, 9), np.pad(np.full_like(ink, 255), 9)),
    "large": lambda ink: as_rgba(np.kron(255 - ink, np.ones((11, 11), np.uint8))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_colour_alpha_and_size_do_not_matter(change):
    ink = seven()
    difference = np.abs(to_mnist(CHANGES[change](ink)).astype(int) - to_mnist(as_rgba(ink)))
    # Reducing 660 pixels to 256 blurs the edges and so moves them by less than a pixel of 28; nothing else moves them.
    assert difference.mean() <= (12 if change == "large" else 0.5)


def test_dirt_and_the_edge_of_the_table_are_left_out():
    ink = seven(120, 100)
    dirty = ink.copy()
    dirty[100, 5] = 255
    dirty[:, 95:] = 255
    np.testing.assert_allclose(to_mnist(as_rgba(255 - dirty)).astype(int), to_mnist(as_rgba(255 - ink)), atol=2)


def test_a_fine_pen_does_not_vanish():
    picture = np.full((200, 200), 255, np.uint8)
    picture[40:160, 100] = 0  # one pixel of 120 would be a sixth of a pixel of 20
    seen = to_mnist(as_rgba(picture))
    assert (seen >= 128).sum() >= 18


@pytest.mark.parametrize("picture", [np.full((50, 50), 200), np.zeros((1, 1))], ids=["one colour", "one pixel"])
def test_nothing_on_it(picture):
    with pytest.raises(UserError, match="nothing on it"):
        to_mnist(as_rgba(picture.astype(np.uint8)))
    with pytest.raises(UserError, match="transparent"):
        to_mnist(as_rgba(picture.astype(np.uint8), 0))


@pytest.fixture(scope="module")
def jpegs(mnist_directory):
    """What is seen in JPEGs of the first 1,000 test images, and the images and labels themselves."""
    images, labels = test_images(mnist_directory, 1000)
    rng = np.random.default_rng(0)
    return [to_mnist(decode(as_jpeg(image, rng=rng))) for image in images], images, labels


def test_digits_survive_jpegs_and_photographs(jpegs, dense_network):
    """A dense network, which minds every shift, loses few of the digits on the way."""
    seen, images, labels = jpegs
    raw = accuracy(dense_network, images, labels)
    assert raw > 0.93
    assert accuracy(dense_network, seen, labels) >= raw - 0.015
    rng = np.random.default_rng(1)
    images, labels = images[:300], labels[:300]
    raw = accuracy(dense_network, images, labels)
    for light_ink in (False, True):
        photographs = [to_mnist(photograph(image, rng=rng, light_ink=light_ink)) for image in images]
        assert accuracy(dense_network, photographs, labels) >= raw - 0.03


def test_2d_reads_97_of_100_jpegs(jpegs):
    if not (ROOT / PUBLISHED).is_dir():
        pytest.skip("no published models: run the pipeline")
    seen, _, labels = jpegs
    assert accuracy(load_model(ROOT / PUBLISHED / "2d.npz"), seen, labels) >= 0.97


# --- decoding ---


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_kind_of_png(mode):
    grey = Image.fromarray(255 - seven())
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert("RGBA").convert(mode) if mode == "LA" else grey.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue())[..., 0], 255 - seven())


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF", "WEBP"])
def test_every_format(kind):
    buffer = io.BytesIO()
    Image.fromarray(255 - seven()).convert("RGB").save(buffer, kind)
    difference = np.abs(to_mnist(decode(buffer.getvalue())).astype(int) - to_mnist(as_rgba(255 - seven())))
    assert difference.mean() <= 8  # JPEG and WebP are lossy


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb():
    """Return a PNG of a few hundred bytes whose header promises 40,000 x 40,000 pixels."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 99)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a picture in PNG, JPEG, BMP, GIF or WEBP"),
        (b"%PDF-1.4", "not a picture"),
        (bomb(), "refused: more than"),
    ],
    ids=["empty", "pdf", "bomb"],
)
def test_refused(content, message):
    with pytest.raises(UserError, match=message):
        decode(content)


def test_a_truncated_picture_is_one_line():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)).save(buffer, "PNG")
    with pytest.raises(UserError, match="a damaged picture") as caught:
        decode(buffer.getvalue()[:3000])
    assert "\n" not in str(caught.value)


def png(*, last=b""):
    """Return a small PNG; `last` is put behind its pixels."""
    buffer = io.BytesIO()
    Image.fromarray(255 - seven()).save(buffer, "PNG")
    content = buffer.getvalue()
    return content[:-12] + last + content[-12:]


@pytest.mark.parametrize(
    "last",
    [chunk(b"iCCP", b""), chunk(b"eXIf", b"II*\0"), chunk(b"eXIf", b"II+\0"), chunk(b"eXIf", b"MM\0*\0")],
    ids=["empty iCCP", "short EXIF", "short EXIF of BigTIFF", "EXIF without an offset"],
)
def test_broken_metadata_of_a_png_give_one_line(last):
    with pytest.raises(UserError, match="a damaged picture"):
        decode(png(last=last))


@pytest.mark.parametrize("exif", [b"II*\0", b"II+\0"])
def test_broken_metadata_of_a_webp_give_one_line(exif):
    buffer = io.BytesIO()
    Image.fromarray(255 - seven()).convert("RGB").save(buffer, "WEBP", exif=exif)
    with pytest.raises(UserError, match="a damaged picture"):
        decode(buffer.getvalue())


# --- the command ---


def prepare(project, **named):
    rng = np.random.default_rng(0)
    (project / "data/prepared").mkdir(parents=True, exist_ok=True)
    splits = {name: squares(rng, 10) for name in ("train", "validation", "test")}
    save_dataset(project / "data/prepared", splits, **named)


def save_fours(project, **changes):
    """Save a network that says 4 as model 2d of seed 1; its provenance with changes."""
    weights = {"dense_1.kernel": np.zeros((784, 10), "float32"), "dense_1.bias": np.zeros(10, "float32")}
    weights["dense_1.bias"][4] = 1
    known = {"model": "2d", "seed": 1, "data_sha256": load_manifest(project / "data/prepared").sha256}
    provenance = Provenance(learning_rate=0.1, epochs=3, batch_size=20, **(known | changes))
    save_model(project / "data/models/2d/seed_1.npz", (Dense(10),), weights, provenance)


def publish(project, **more):
    """Publish the model and take away what it was made of; published.json has some keys more."""
    (project / "data/published").mkdir()
    path = (project / "data/models/2d/seed_1.npz").rename(project / "data/published/2d.npz")
    shutil.rmtree(project / "data/models")
    shutil.rmtree(project / "data/prepared")
    known = {"test_error": 90.0, "seed": 1, "learning_rate": 0.1, "epochs": 3, **more}
    record = {"2d": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **known}}
    (project / "data/published/published.json").write_text(json.dumps(record))
    return path


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one model, which says 4 with probability e / (e + 9) whatever it sees, and two pictures."""
    prepare(tmp_path)
    save_fours(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("b.png", "a.PNG"):
        Image.fromarray(255 - seven()).save(tmp_path / "in" / name)
    (tmp_path / "in/notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments, **options):
    return CliRunner().invoke(main, ["predict", *arguments], **options)


def test_files_directories_and_standard_input(project):
    result = invoke("in", "in/b.png", "-", "--top", "2", input=(project / "in/b.png").read_bytes())
    names = ["in/a.PNG", "in/b.png", "in/b.png", "-"]
    assert result.stdout.splitlines() == [f"{name}: 4 (23.2 %), 0 (8.5 %)" for name in names]
    assert result.stderr == "Model 2d from data/models/2d/seed_1.npz\nin: 1 file of another kind left out\n"
    assert result.exit_code == 0


def test_a_directorys_other_files_are_counted_and_those_that_are_hidden_are_not(project):
    for name in ("q.heic", "below/seven.tiff", ".DS_Store", ".git/config", "below/.x/y.txt", "below/d.png/c.png"):
        (project / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "in" / name).write_bytes((project / "in/b.png").read_bytes())
    result = invoke("in/")
    names = ["in/a.PNG", "in/b.png", "in/below/d.png/c.png"]  # not the directory d.png itself
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == names
    assert result.stderr.splitlines()[1:] == ["in/: 3 files of other kinds left out"]
    assert result.exit_code == 0


def test_a_directory_without_pictures_is_one_line(project):
    (project / "none").mkdir()
    (project / "none/q.heic").touch()
    result = invoke("none/")
    fault = "none/: no picture in this directory; names must end in .png, .jpg, .jpeg, .bmp, .gif, .webp"
    assert result.stderr.splitlines()[1:] == [fault]
    assert result.exit_code == 1


def test_json_and_what_the_network_saw(project):
    result = invoke("in/a.PNG", "in/b.png", "--json", "--show", "out/seen.png")
    first, _ = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["file"], first["model"], first["digit"]) == ("in/a.PNG", "2d", 4)
    assert first["probability"] == first["probabilities"][4] == pytest.approx(0.231969, abs=1e-6)
    shown = np.asarray(Image.open(project / "out/seen.png"))
    np.testing.assert_array_equal(shown, np.hstack([to_mnist(as_rgba(255 - seven()))] * 2))


def test_a_bad_file_gets_one_line_and_the_others_their_answer(project):
    (project / "in/bad.png").write_bytes(b"nothing")
    (project / "empty").mkdir()
    result = invoke("in/bad.png", "missing.png", "empty", "in/b.png")
    assert result.stdout == "in/b.png: 4 (23.2 %)\n"
    _, *faults = result.stderr.splitlines()
    assert [fault.split(": ")[0] for fault in faults] == ["in/bad.png", "missing.png", "empty"]
    assert result.exit_code == 1


def test_a_name_that_no_system_call_takes_does_not_stop_the_others(project):
    names = ["x" * 300 + ".png", "in/b.png/c.png", "two\nlines\x1b[31m.png", "\udcff.png", "./missing.png"]
    result = invoke(*names, "in/b.png")
    assert result.stdout == "in/b.png: 4 (23.2 %)\n"
    _, *faults = result.stderr.splitlines()
    assert [fault.split(": ")[0] for fault in faults] == [
        *names[:2],
        r"two\nlines\x1b[31m.png",
        r"\udcff.png",
        "./missing.png",
    ]
    assert faults[0].endswith(": cannot be read (File name too long); check the name")
    for fault in faults[2:]:
        assert fault.endswith(".png: no such file; check the name")
        assert fault.count(".png") == 1
    assert result.exit_code == 1


def test_a_directory_that_one_may_not_search_does_not_stop_the_others(project, monkeypatch):
    """Root may search every directory, so the system's answer is made up."""
    stat = os.stat

    def refuse(path, **options):
        if "closed" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    result = invoke("closed/a.png", "in/b.png")
    assert result.stdout == "in/b.png: 4 (23.2 %)\n"
    assert result.stderr.endswith("\nclosed/a.png: cannot be read (Permission denied); check the name\n")
    assert result.exit_code == 1


def test_a_printed_name_is_one_line(project):
    (project / "in/b.png").rename(project / "in/b\n.png")
    assert invoke("in/b\n.png").stdout == "in/b\\n.png: 4 (23.2 %)\n"


def test_published_models_serve_where_nothing_was_trained(project):
    path = publish(project)
    result = invoke("in/b.png")
    assert (result.stdout, result.stderr) == ("in/b.png: 4 (23.2 %)\n", "Model 2d from data/published/2d.npz\n")
    path.write_bytes(path.read_bytes() + b"\0")
    changed = invoke("in/b.png")
    assert changed.exit_code == 1
    assert changed.output.startswith("Error: data/published/2d.npz: not the file that published.json describes")
    for name in ("dvc.yaml", "params.yaml", "mnist_core"):
        (project / name).touch()
    assert invoke("in/b.png", "--model", "2a").output.startswith(
        "Error: 2a: no model in data/models nor data/published"
    )


@pytest.mark.parametrize("others", [["data/models/theirs"], ["data/published/x", "dvc.yaml/x", "params.yaml/x"]])
def test_the_installed_project_serves_where_the_models_are_somebody_elses(tmp_path, monkeypatch, others):
    if not (ROOT / PUBLISHED).is_dir():
        pytest.skip("no published models: run the pipeline")
    for name in others:
        (tmp_path / name).mkdir(parents=True)
    Image.fromarray(255 - seven()).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    result = invoke("a.png", "--model", "2d_tuned")
    assert result.stderr.startswith(f"Model 2d_tuned from {ROOT}/data/")
    assert result.stdout.startswith("a.png: 7 (")
    assert result.exit_code == 0


def test_what_a_models_file_says_is_one_line(project):
    save_fours(project, model="2a\n\x1b[31m")
    _, fault = invoke("in/b.png").output.split(": it is a network of another ")
    assert fault == "model (2a \\x1b[31m, not 2d); train it again (dvc repro)\n"


@pytest.mark.parametrize("change", [{"model": "2a"}, {"seed": 7}, {"data_sha256": "0" * 64}])
def test_another_models_file_is_refused(project, change):
    save_fours(project, **change)
    result = invoke("in/b.png")
    start = f"Error: data/models/2d/seed_1.npz: it is a network of another {next(iter(change))}"
    assert (result.exit_code, result.output[: len(start)]) == (1, start)


@pytest.mark.parametrize("change", [{"model": "2a"}, {"seed": 7}])
def test_another_models_file_is_refused_where_it_is_published(project, change):
    save_fours(project, **change)
    publish(project)
    result = invoke("in/b.png")
    start = f"Error: data/published/2d.npz: it is a network of another {next(iter(change))}"
    assert (result.exit_code, result.output[: len(start)]) == (1, start)


CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@pytest.mark.parametrize("published", [False, True])
def test_other_classes_are_called_by_their_names(project, published):
    prepare(project, dataset="fashion_mnist", class_names=CLOTHES)
    if published:
        publish(project, classes=CLOTHES)
    assert invoke("in/b.png", "--top", "2").stdout == "in/b.png: Coat (23.2 %), T-shirt/top (8.5 %)\n"
    answer = json.loads(invoke("in/b.png", "--json").stdout)
    assert (answer["label"], answer["class"]) == (4, "Coat")
    assert "digit" not in answer


def test_an_output_without_a_class_is_called_by_its_number_and_a_name_is_one_line(project):
    publish(project, classes=["first\nline", "b"])
    assert invoke("in/b.png", "--top", "2").stdout == "in/b.png: 4 (23.2 %), first\\nline (8.5 %)\n"


def run(*arguments, shell='exec "$@"', variables=(), **options):
    """Run the command in an interpreter of its own, by a shell that may redirect its output."""
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "mnist_core", "predict", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **dict(variables)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
    return subprocess.run(command, env=environment, text=True, check=False, **options)


def test_what_never_ends_or_fills_memory_is_refused_and_the_others_get_their_answer(project):
    os.mkfifo(project / "pipe.png")
    with (project / "large.png").open("wb") as file:
        file.truncate(20 << 30)  # takes no room on the disk
    with Path("/dev/zero").open("rb") as zero:
        arguments = ["/dev/zero", "pipe.png", "large.png", "-", "in/b.png"]
        result = run(*arguments, shell='ulimit -v 8000000; exec "$@"', stdin=zero)
    device = "not a regular file; redirect a device or a pipe to standard input and give -"
    assert result.stderr.splitlines()[1:] == [
        f"/dev/zero: {device}",
        f"pipe.png: {device}",
        "large.png: refused: more than 256 MB",
        "-: refused: more than 256 MB",
    ]
    assert result.stdout == "in/b.png: 4 (23.2 %)\n"
    assert result.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["in/b.png", "in/b.png"], ["in/b.png", "--json"], ["--help"]])
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_a_full_standard_output_is_one_line(project, arguments, variables):
    result = run(*arguments, shell='exec "$@" > /dev/full', variables=variables)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Model 2d from ")]
    assert lines == ["standard output: cannot be written (No space left on device)"]
    assert result.returncode == 1


def test_a_closed_pipe_is_no_word(project):
    reader, writer = os.pipe()
    os.close(reader)
    result = run("in/b.png", "in/b.png", stdout=writer)
    os.close(writer)
    assert result.stderr == "Model 2d from data/models/2d/seed_1.npz\n"
    assert result.returncode == 1


def test_it_runs_without_tensorflow(project):
    program = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # an import of either fails
sys.argv = ["mnist", "predict", "in/b.png"]
from mnist_core.__main__ import main
main()
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(
        command, cwd=project, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "in/b.png: 4 (23.2 %)\n"), result.stderr
    assert Path(project / "in/b.png").exists()


def test_ctrl_c_while_it_imports_its_libraries_is_no_traceback(tmp_path):
    (tmp_path / "numpy.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "mnist_core", "predict", "a.png"]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().split() == ["Aborted!"]
    assert process.returncode == 1
