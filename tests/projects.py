"""Small projects of their own, in which tests run the real pipeline."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from mnist_core.data.idx import TEST_FILES, TRAIN_FILES, encode_idx

ROOT = Path(__file__).parents[1]
RAW = ROOT / "data" / "raw"


def environment(**more):
    """The variables of a run: none of git's, DVC's, pytest's or make's; images from this machine where it has them."""
    others = ("GIT_", "DVC_", "PYTEST_", "MAKE", "MFLAGS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    kept |= {"PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "DVC_NO_ANALYTICS": "1"}
    if RAW.is_dir():
        kept["MNIST_DIRECTORY"] = str(RAW)  # else fetched, as a newcomer's run does
    return kept | more


def run(directory, *command, check=True, variables=()):
    result = subprocess.run(
        command,
        cwd=directory,
        env=environment(**dict(variables)),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert not check or result.returncode == 0, f"{command}: {result.stdout}\n{result.stderr}"
    return result


def shrink(params):
    """Make the quick profile smaller still: this tests the pipeline, not the networks."""
    params["profile"] = "quick"
    profile = params["profiles"]["quick"]
    profile["data"] = {"train": 600, "validation": 200, "test": 200}
    for framework in ("tensorflow", "numpy"):
        profile[framework]["epochs"] = dict.fromkeys(params["architectures"], 1)
    profile["tensorflow"]["search"]["learning_rates"] = [0.1]
    profile["numpy"]["search"] |= {"largest_learning_rate": 0.1, "num_learning_rates": 1}
    profile["tuned"]["search"] |= {"num_batches": 1, "trials_per_batch": 1, "num_rungs": 1}
    profile["tuned"]["epochs"] = dict.fromkeys(params["architectures"], 1)
    profile["parity"] |= {"steps": [1, 6], "epochs": 1}


def copy_project(directory, change, *more):
    """Copy the pipeline's files, and others that are named, into a directory; params.yaml with a change."""
    for name in ("dvc.yaml", ".dvcignore", "stages", "mnist_core", "docs", ".dvc/plots", ".dvc/config", *more):
        source, target = ROOT / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copy(ROOT / ".dvc/.gitignore", directory / ".dvc/.gitignore")
    edit_params(directory, change)
    (directory / ".gitignore").write_text("__pycache__/\n")


def edit_params(directory, change):
    yaml = YAML()
    path = directory / "params.yaml"
    params = yaml.load(path if path.exists() else ROOT / "params.yaml")
    change(params)
    yaml.dump(params, path)


def make_repository(directory):
    run(directory, "git", "init", "--quiet")
    run(directory, "git", "config", "user.name", "test")
    run(directory, "git", "config", "user.email", "test@example.invalid")


def commit(directory):
    run(directory, "git", "add", "--all")
    run(directory, "git", "commit", "--quiet", "--message", "results")


def squares(rng, count):
    """Return images uint8 (count, 28, 28) of a bright square at a place that tells the class, and labels uint8."""
    labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
    images = rng.integers(0, 60, (count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 + 10 * (label // 5), 3 + 5 * (label % 5)
        image[row : row + 6, column : column + 4] = rng.integers(80, 255, (6, 4))
    return images, labels


def write_squares(directory):
    """Write four IDX files: 160 images to learn from, 40 to test on."""
    directory.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for names, count in ((TRAIN_FILES, 160), (TEST_FILES, 40)):
        for name, array in zip(names, squares(rng, count), strict=True):
            (directory / name).write_bytes(encode_idx(array))


def contents(directory):
    """Return the SHA-256 of every file that a pipeline writes, by its path; what lies hidden counts too."""
    names = ("data", "metrics", "plots", "dvc.lock", ".dvc/tmp/mnist")
    found = [path for name in names for path in ([directory / name], (directory / name).rglob("*")) for path in path]
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(found)
        if path.is_file()
    }


def error_line(stderr):
    """Return the one line that a stage printed about what is wrong; stage evaluate says where its models lie, too."""
    (line,) = [line for line in stderr.splitlines() if not line.startswith("Models from ")]
    assert line.startswith("Error: ")
    assert line.isprintable()
    assert len(line) < 1000
    return line


class Undisturbed:
    """A project without git, of squares, in which the pipeline was run once: `contents`, and `seconds` it took.

    `epochs` is how long the models b train, so that there is time for a disturbance.
    """

    def __init__(self, directory, *targets, epochs=300, variables=()):
        self._fresh, self.directory = directory / "fresh", directory / "run"
        write_squares(self._fresh / "squares")
        copy_project(self._fresh, partial(_for_squares, epochs))
        with (self._fresh / ".dvc/config").open("a") as file:
            file.write("    no_scm = true\n")
        self.copy(self.directory, fresh=True)
        start = time.monotonic()
        run(self.directory, "dvc", "repro", *targets, variables=variables)
        self.seconds = time.monotonic() - start
        self.contents = contents(self.directory)

    def copy(self, directory, *, fresh=False, without=()):
        """Copy the project into a new directory, as it was before anything had run or after all had."""
        place = self._fresh if fresh else self.directory
        return shutil.copytree(place, directory, ignore=shutil.ignore_patterns("__pycache__", *without))


def _for_squares(epochs, params):
    shrink(params)
    params["data"] |= {"dataset": "custom", "directory": "squares"}
    quick = params["profiles"]["quick"]
    quick["data"] = {"train": 130, "validation": 30, "test": 40}
    for framework in ("tensorflow", "numpy"):
        quick[framework] |= {"batch_size": 20, "epochs": {"a": 3, "b": epochs, "c": 3, "d": 3}}
    quick["numpy"]["search"]["num_learning_rates"] = 3
