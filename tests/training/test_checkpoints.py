"""A stage that was killed goes on where it was."""

from collections import Counter
from dataclasses import replace

import pytest

from mnist_core.training import cluster
from mnist_core.training.checkpoints import Checkpoints, kept
from mnist_core.training.cluster import train_all
from mnist_core.training.divergence import Failure
from tests.runs import begin, content, learning, with_setup


def test_the_velocity_comes_back_too(tmp_path, run):
    run = learning(run, momentum=0.9)
    state = begin(run, 2)
    Checkpoints(tmp_path).save(run, state)
    assert content(Checkpoints(tmp_path).load(run)) == content(state)
    assert state.velocity.keys() == state.weights.keys()


@pytest.mark.parametrize("failure", [None, Failure("spiked", 2)])
def test_a_state_comes_back_bit_for_bit(tmp_path, run, failure):
    state = replace(begin(run, 2), failure=failure)
    Checkpoints(tmp_path).save(run, state)
    assert content(Checkpoints(tmp_path).load(run)) == content(state)


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
