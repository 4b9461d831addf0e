"""A stage that was killed goes on where it was."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mnist_core.files.arrays import read_arrays
from mnist_core.files.writing import write_arrays
from mnist_core.training import cluster
from mnist_core.training.checkpoints import Checkpoints, kept, kept_runs
from mnist_core.training.cluster import train_all
from mnist_core.training.divergence import Failure
from mnist_core.training.loop import advance
from tests.runs import begin, content, learning, with_setup


def test_the_velocity_comes_back_too(tmp_path, run):
    run = learning(run, momentum=0.9)
    state = begin(run, 2)
    Checkpoints(tmp_path).save(run, state)
    assert content(Checkpoints(tmp_path).load(run)) == content(state)
    assert state.velocity.keys() == state.weights.keys()


FAILURES = [None, Failure("spiked", 2), Failure("dead", 2), Failure("collapsed", 2)]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_state_comes_back_bit_for_bit(tmp_path, run, failure):
    state = replace(begin(run, 2), failure=failure)
    Checkpoints(tmp_path).save(run, state)
    assert content(Checkpoints(tmp_path).load(run)) == content(state)


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("sound", [0, 2])
def test_a_run_that_diverged_comes_back_as_it_ended(tmp_path, run, framework, momentum, sound):
    run = learning(with_setup(run, framework=framework), momentum=momentum)
    state = advance(learning(run, learning_rate=1e30), begin(run, sound), 3)
    assert state.failure == Failure("non-finite", sound + 1)
    Checkpoints(tmp_path).save(run, state)
    assert content(Checkpoints(tmp_path).load(run)) == content(state)


@pytest.mark.parametrize("loss", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 2 / 3, 123456789.123456789, -1e-17, 2.0])
def test_a_loss_comes_back_to_the_last_bit(tmp_path, run, loss):
    state = begin(run, 1)
    state = replace(state, records=(replace(state.records[0], loss=loss),))
    Checkpoints(tmp_path).save(run, state)
    assert Checkpoints(tmp_path).load(run).records[0].loss.hex() == loss.hex()


def test_a_state_counts_for_its_own_run_code_and_data_only(tmp_path, run, prepared, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, begin(run, 1))
    (tmp_path / "other_data").mkdir()
    others = [
        replace(run, seed=1),
        learning(run, learning_rate=0.2),
        learning(run, epochs=5),
        with_setup(run, batch_size=10),
        with_setup(run, data_directory=tmp_path / "other_data"),
    ]
    assert [checkpoints.load(other) for other in others] == [None] * 5
    monkeypatch.setattr("mnist_core.training.checkpoints.versions", lambda: {"code": "other"})
    assert checkpoints.load(run) is None


def test_a_broken_file_is_as_none(tmp_path, run):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, begin(run, 1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert checkpoints.load(run) is None


def test_a_state_under_the_name_of_another_run_is_as_none(tmp_path, run):
    checkpoints, other = Checkpoints(tmp_path), replace(run, seed=2)
    checkpoints.save(other, begin(other, 1))
    (others_file,) = tmp_path.iterdir()
    checkpoints.save(run, begin(run, 4))
    (file,) = set(tmp_path.iterdir()) - {others_file}
    shutil.copy(file, others_file)
    assert checkpoints.load(other) is None
    assert len(checkpoints.load(run).records) == 4
    assert [found.seed for found in kept_runs(tmp_path)] == [run.seed]


KERNEL = "dense_1.kernel"
DAMAGED_ARRAYS = {
    "a weight that is no number": (KERNEL, lambda array: np.full_like(array, np.nan)),
    "an infinite weight": (KERNEL, lambda array: np.full_like(array, np.inf)),
    "weights of float64": (KERNEL, np.float64),
    "weights of another shape": (KERNEL, lambda array: array[:-1]),
    "no such weights": (KERNEL, None),
    "an array that is no weight": ("foo", lambda _: np.ones(3, np.float32)),
    "a velocity that is no number": (f"velocity/{KERNEL}", lambda array: np.full_like(array, np.nan)),
    "a velocity of float64": (f"velocity/{KERNEL}", np.float64),
    "no such velocity": (f"velocity/{KERNEL}", None),
    "a velocity of no weight": ("velocity/foo", lambda _: np.ones(3, np.float32)),
    "no progress": ("progress", None),
    "progress of another type": ("progress", np.float32),
    "brackets": ("progress", lambda _: np.frombuffer(b"[" * 100_000, np.uint8)),
    "no JSON": ("progress", lambda array: array[:-1]),
    "records longer than any": ("progress", lambda array: np.append(array, np.full(5 << 20, 32, np.uint8))),
}


def changed(file, name, change):
    """Change an array of a file, or take it out."""
    arrays = read_arrays(file)
    found = arrays.pop(name, None)
    write_arrays(file, arrays if change is None else {**arrays, name: change(found)})


@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_a_state_with_other_arrays_is_as_none(tmp_path, run, damage):
    run = learning(run, momentum=0.9)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, begin(run, 2))
    (file,) = tmp_path.iterdir()
    name, change = DAMAGED_ARRAYS[damage]
    changed(file, name, change)
    assert checkpoints.load(run) is None
    assert len(kept_runs(tmp_path)) == (name != "progress")  # who only looks sees no weights


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_state_has_a_velocity_if_its_run_has_one(tmp_path, run, momentum):
    run, other = learning(run, momentum=momentum), learning(run, momentum=0.9 - momentum)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, replace(begin(run, 1), velocity=begin(other, 1).velocity))
    assert checkpoints.load(run) is None


DAMAGED_RECORDS = {
    "a loss that is no number": lambda found: found["records"][0].update(loss=float("nan")),
    "an infinite loss": lambda found: found["records"][0].update(loss=float("inf")),
    "a loss as text": lambda found: found["records"][0].update(loss="1"),
    "an epoch as text": lambda found: found["records"][0].update(epoch="x", errors=5),
    "another epoch": lambda found: found["records"][0].update(epoch=2),
    "more epochs than the run has": lambda found: found["hyperparameters"].update(epochs=1),
    "an error that is no fraction": lambda found: found["records"][0]["errors"].update(test=1.5),
    "an error that is no number": lambda found: found["records"][0]["errors"].update(test=float("nan")),
    "an error of no split": lambda found: found["records"][0]["errors"].update({"\x1b[31m": 0.5}),
    "an unknown failure": lambda found: found.update(failure={"word": "tired", "epoch": 2}),
    "a failure before the end": lambda found: found.update(failure={"word": "spiked", "epoch": 1}),
    "a failure of a later epoch": lambda found: found.update(failure={"word": "spiked", "epoch": 3}),
    "a seed as text": lambda found: found.update(seed="1"),
    "an unknown key": lambda found: found.update(more=1),
    "no records": lambda found: found.pop("records"),
    "another key": lambda found: found.update(key="0" * 32),
}


@pytest.mark.parametrize("damage", DAMAGED_RECORDS)
def test_a_state_with_other_records_is_as_none(tmp_path, run, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, begin(run, 2))
    (file,) = tmp_path.iterdir()

    def change(array):
        found = json.loads(array.tobytes())
        DAMAGED_RECORDS[damage](found)
        return np.frombuffer(json.dumps(found).encode(), np.uint8)

    changed(file, "progress", change)
    assert checkpoints.load(run) is None
    assert kept_runs(tmp_path) == []


def test_errors_of_other_splits_are_as_none(tmp_path, run):
    state = begin(run, 1)
    (record,) = state.records
    checkpoints = Checkpoints(tmp_path)
    for errors in ({"validation": 0.5}, {**record.errors, "train": 0.5}, {}):
        checkpoints.save(run, replace(state, records=(replace(record, errors=errors),)))
        assert checkpoints.load(run) is None


def test_they_stay_after_a_failure_and_go_after_success(tmp_path, run):
    directory = tmp_path / "search-2b"

    def interrupted():
        with kept(directory) as checkpoints:
            checkpoints.save(run, begin(run, 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(list(directory.iterdir())) == 1
    with kept(directory) as checkpoints:
        assert checkpoints.load(run)
    assert not directory.exists()


def test_a_run_whose_state_is_damaged_begins_anew(tmp_path, client, run):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(run, begin(run, 4))
    (file,) = tmp_path.iterdir()
    changed(file, KERNEL, lambda array: array + np.float32(np.nan))
    states = dict(train_all(client, [run], description="", checkpoints=checkpoints))
    assert content(states[0]) == content(begin(run, 4)) == content(checkpoints.load(run))


def test_a_training_interrupted_five_times_trains_no_finished_segment_twice(tmp_path, client, run, monkeypatch):
    runs = [replace(learning(run, epochs=10), seed=seed) for seed in (1, 2)]
    ended = Counter()

    class Counting(cluster.Jobs):
        def completed(self):
            found = super().completed()
            ended.update((index, len(state.records)) for index, state in found)
            return found

    monkeypatch.setattr(cluster, "Jobs", Counting)
    for _ in range(5):
        training = train_all(client, runs, description="", checkpoints=Checkpoints(tmp_path))
        for _ in zip(range(4), training, strict=False):  # two of them are loaded after the first time
            pass
        training.close()
    states = dict(train_all(client, runs, description="", checkpoints=Checkpoints(tmp_path)))
    assert [content(states[index]) for index in (0, 1)] == [content(begin(run, 10)) for run in runs]
    assert ended == {(index, epoch): 1 for index in (0, 1) for epoch in range(1, 11)}
    again = dict(train_all(client, runs, description="", checkpoints=Checkpoints(tmp_path)))
    assert sum(ended.values()) == 20
    assert content(again[0]) == content(states[0])
