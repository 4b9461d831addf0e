"""Stages publish and draw, in a small project."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from mnist_core.data.dataset import load_manifest
from mnist_core.errors import UserError
from mnist_core.files.writing import write_json
from mnist_core.models import MODELS
from mnist_core.networks.architectures import Dense
from mnist_core.networks.model_file import Provenance, load_model, save_model
from mnist_core.published import find_model, seeds_of
from stages import draw, publish
from tests.records import model_scores


@pytest.fixture
def project(small_project):
    """Eight linear models of the seeds 1 and 2; the bias tells which."""
    params = YAML(typ="safe").load(small_project / "params.yaml")
    params["architectures"] = {letter: [{"type": "dense", "units": 10}] for letter in "abcd"}
    YAML(typ="safe").dump(params, small_project / "params.yaml")
    data_sha256 = load_manifest(small_project / "data/prepared").sha256
    for number, name in enumerate(MODELS):
        directory = small_project / "data/models" / name
        for seed in (1, 2):
            bias = np.full(10, 100 * number + seed, np.float32)
            weights = {"dense_1.kernel": np.zeros((784, 10), np.float32), "dense_1.bias": bias}
            chosen = {"learning_rate": 0.5, "epochs": 2}
            provenance = Provenance(model=name, seed=seed, batch_size=20, data_sha256=data_sha256, **chosen)
            save_model(directory / f"seed_{seed}.npz", (Dense(10),), weights, provenance)
            errors = pd.DataFrame({"epoch": [1, 2], "test_error": [9.0, 7.5 + seed]})
            errors.to_csv(directory / f"seed_{seed}.csv", index=False)
        chosen |= {"model": name, "validation_error": 3.25, "failures": []}
        (directory / "hyperparameters.json").write_text(json.dumps(chosen))
    return small_project


def run(command):
    return CliRunner().invoke(command)


def test_the_first_seed_of_every_model_is_published_and_drawn(project):
    assert run(publish.main).exit_code == 0
    record = json.loads((project / "data/published/published.json").read_text())
    assert list(record) == list(MODELS)
    path = project / "data/published/2a.npz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = {"test_error": 8.5, "seed": 1, "learning_rate": 0.5, "epochs": 2}
    assert record["2a"] == {"sha256": digest, **known}
    assert load_model(path)[1]["dense_1.bias"][0] == 401
    assert sorted(file.suffix for file in path.parent.iterdir()) == [".json", *[".npz"] * 8, *[".onnx"] * 8]
    assert run(draw.main).exit_code == 0
    first = (project / "plots/draw.html").read_bytes()
    assert first.count(b'<li id="model-') == 8
    assert b"<h1>Draw a digit</h1>" in first
    assert b'data-task="Draw a digit from 0 to 9."' in first
    assert b"They know these classes" not in first
    assert run(draw.main).exit_code == 0
    assert (project / "plots/draw.html").read_bytes() == first


def test_page_and_record_say_which_classes_the_models_know(project):
    params = YAML(typ="safe").load(project / "params.yaml")
    params["data"] |= {"dataset": "custom", "class_names": ["</script>", "b&c"]}
    YAML(typ="safe").dump(params, project / "params.yaml")
    assert run(publish.main).exit_code == 0
    path = project / "data/published/published.json"
    record = json.loads(path.read_text())
    assert all(one["classes"] == ["</script>", "b&c"] for one in record.values())
    assert run(draw.main).exit_code == 0
    page = (project / "plots/draw.html").read_text()
    assert "They know these classes: 0 &lt;/script&gt;, 1 b&amp;c. A drawing may look like none of them" in page
    assert page.count("</script>") == 3
    assert "Draw a digit" not in page
    assert 'data-task="Draw something."' in page
    record["2d"]["classes"] = ["a", "b"]
    path.write_text(json.dumps(record))
    result = run(draw.main)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "published.json: not one set of classes for all models" in result.output


def test_a_published_file_of_another_model_is_not_drawn(project):
    run(publish.main)
    path = project / "data/published/published.json"
    record = json.loads(path.read_text())
    (project / "data/published/2a.npz").write_bytes((project / "data/published/2b.npz").read_bytes())
    record["2a"]["sha256"] = record["2b"]["sha256"]
    path.write_text(json.dumps(record))
    result = run(draw.main)
    assert result.exit_code == 1
    assert result.output.startswith("Error: data/published/2a.npz: it is a network of another model (2b, not 2a)")


def test_a_missing_model_leaves_what_was_published(project):
    run(publish.main)
    before = (project / "data/published/published.json").read_bytes()
    (project / "data/models/2d/seed_1.npz").unlink()
    result = run(publish.main)
    assert result.exit_code == 1
    assert result.output.startswith("Error: data/models/2d/seed_1.npz: no such file")
    assert (project / "data/published/published.json").read_bytes() == before


def test_tuned_models_are_published_if_they_are_of_the_same_images_layers_and_seeds(project):
    """Trained are 1b_tuned and 2b_tuned; the scores of the latter are of other seeds."""
    data_sha256 = load_manifest(project / "data/prepared").sha256
    models, scores = project / "data/models", project / "data/scores"
    scores.mkdir()
    for name in ("1b", "2b"):
        shutil.copytree(models / name, models / f"{name}_tuned")
        for scored, changes in ((name, {}), (f"{name}_tuned", {"seeds": [1, 3]} if name == "2b" else {})):
            write_json(scores / f"{scored}.json", model_scores(scored, data_sha256, **changes))
    path = models / "1b_tuned/seed_1.npz"
    chosen = {"learning_rate": 0.5, "epochs": 2, "batch_size": 50, "momentum": 0.9}
    provenance = Provenance(model="1b_tuned", seed=1, data_sha256=data_sha256, **chosen)
    save_model(path, *load_model(path), provenance)
    choice = {"model": "1b_tuned", "validation_error": 3.25, "failures": []} | chosen
    write_json(models / "1b_tuned/hyperparameters.json", choice)
    result = run(publish.main)
    assert result.exit_code == 0, result.output
    assert list(json.loads((project / "data/published/published.json").read_text())) == [*MODELS, "1b_tuned"]


def test_a_model_of_other_data_is_not_published(project):
    path = project / "data/models/2d/seed_1.npz"
    provenance = Provenance(model="2d", seed=1, learning_rate=0.5, epochs=2, batch_size=20, data_sha256="ab" * 32)
    save_model(path, *load_model(path), provenance)
    result = run(publish.main)
    assert result.exit_code == 1
    assert result.output.startswith("Error: data/models/2d/seed_1.npz: it is a network of another data_sha256; ")
    assert result.output.count("\n") == 1
    assert not (project / "data/published").exists()


def test_models_are_found_where_they_were_trained_else_where_they_are_published(project):
    run(publish.main)
    assert str(find_model("2d", 2)) == "data/models/2d/seed_2.npz"
    assert seeds_of("2d", [1, 2]) == [1, 2]
    (project / "data/models").rename(project / "away")
    assert str(find_model("2d")) == str(find_model("2d", 1)) == "data/published/2d.npz"
    assert seeds_of("2d", [1, 2]) == [1]
    with pytest.raises(UserError, match="published with seed 1, not 2"):
        find_model("2d", 2)
