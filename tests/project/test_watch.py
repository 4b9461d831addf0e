"""`make watch` tells from the kept states alone how far a stage has come."""

import os
import re
import shutil
import time
from dataclasses import replace

import numpy as np
from click.testing import CliRunner

from mnist_core.files.writing import write_arrays
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.divergence import Failure
from tests.runs import begin, learning
from tools import watch


def test_every_run_has_a_line_the_best_first(tmp_path, run, monkeypatch):
    monkeypatch.setattr(watch, "CHECKPOINTS", tmp_path)
    run = replace(learning(run, momentum=0.9), evaluate_on=("validation",))
    checkpoints = Checkpoints(tmp_path / "search-2b_tuned")
    good = begin(run, 3)
    bad = learning(run, learning_rate=1e-4)
    checkpoints.save(bad, replace(begin(bad, 1), failure=Failure("spiked", 1)))
    checkpoints.save(run, good)
    (tmp_path / "search-2b_tuned/broken.npz").write_bytes(b"")
    (tmp_path / "train-2a").mkdir()
    os.utime(tmp_path / "search-2b_tuned", times=(0, time.time() - 90))
    first, second, third = CliRunner().invoke(watch.main, ["--once"]).output.splitlines()
    assert re.fullmatch(r"search-2b_tuned: 2 runs, 4 epochs, the last kept 9\d s ago", first)
    error = 100 * good.records[-1].errors["validation"]
    assert second == f"  epoch 3 of 4, validation error {error:.2f} %: seed 0, learning rate 0.1, momentum 0.9"
    assert third.startswith("  epoch 1 of 4, validation error ")
    assert third.endswith(" %, spiked: seed 0, learning rate 0.0001, momentum 0.9")


def test_a_state_that_nobody_wrote_so_is_not_shown(tmp_path, run, monkeypatch):
    monkeypatch.setattr(watch, "CHECKPOINTS", tmp_path)
    directory = tmp_path / "train-2b"
    Checkpoints(directory).save(run, begin(run, 1))
    (file,) = directory.iterdir()
    shutil.copy(file, directory / f"{'0' * 32}.npz")
    brackets = np.frombuffer(b"[" * 100_000, np.uint8)
    write_arrays(directory / "brackets.npz", {"progress": brackets})
    assert len(CliRunner().invoke(watch.main, ["--once"], catch_exceptions=False).output.splitlines()) == 2
    write_arrays(file, {"progress": brackets})
    result = CliRunner().invoke(watch.main, ["--once"], catch_exceptions=False)
    assert result.output.startswith("No search and no training is running")


def test_when_nothing_runs_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "CHECKPOINTS", tmp_path / "missing")
    result = CliRunner().invoke(watch.main, ["--once"])
    assert result.output == "No search and no training is running, or none has kept a state yet.\n"
