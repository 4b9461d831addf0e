"""The test labels only report: with wrong ones every choice and every weight is the same."""

import shutil
from dataclasses import replace

import pytest

from mnist_core.candidates import Candidate
from mnist_core.data.dataset import SPLIT_NAMES, load_bytes, save_dataset
from mnist_core.errors import UserError
from mnist_core.final_training import train_seeds
from mnist_core.params import GridSearch, ProbeSearch, SearchSpace, TunedSearch
from mnist_core.search import search
from mnist_core.tuning import tune

GRID = GridSearch(strategy="grid", learning_rates=(1e36, 0.1, 0.01), seed=0)
PROBE = ProbeSearch(strategy="probe", largest_learning_rate=1000, num_learning_rates=2, seed=0)


@pytest.fixture(scope="module")
def poisoned(prepared, tmp_path_factory):
    """The same images, of which those for the test have wrong labels, all of them."""
    directory = tmp_path_factory.mktemp("poisoned")
    splits = {name: load_bytes(prepared, name) for name in SPLIT_NAMES}
    images, labels = splits["test"]
    save_dataset(directory, splits | {"test": (images, (labels + 1) % 10)})
    return directory


@pytest.fixture
def setups(setup, poisoned):
    """The same model on the right test labels and on the wrong ones."""
    return setup, replace(setup, data_directory=poisoned)


@pytest.mark.parametrize("params", [GRID, PROBE], ids=["grid", "probe"])
def test_the_search_does_not_see_test_labels(client, setups, params):
    right, wrong = (search(client, setup, params, num_epochs=4, description="") for setup in setups)
    assert right.to_json() == wrong.to_json()
    assert right.curves.equals(wrong.curves)


def without_test_images(setup, directory):
    """The same prepared data, but who opens the test images or their labels gets an error."""
    shutil.copytree(setup.data_directory, directory, dirs_exist_ok=True)
    for path in directory.glob("test_*.npy"):
        path.write_bytes(b"not to be opened")
    with pytest.raises(UserError):
        load_bytes(directory, "test")
    return replace(setup, data_directory=directory)


@pytest.mark.parametrize("params", [GRID, PROBE], ids=["grid", "probe"])
def test_the_search_does_not_open_test_images(client, setup, params, tmp_path):
    search(client, without_test_images(setup, tmp_path), params, num_epochs=1, description="")


def test_the_tuned_protocol_does_not_open_test_images(client, setup, tmp_path):
    setup = without_test_images(setup, tmp_path)
    params = TunedSearch(
        strategy="random",
        seed=0,
        num_batches=1,
        trials_per_batch=2,
        num_rungs=1,
        reduction=2,
        choice_seeds=(1,),
    )
    space = SearchSpace(
        learning_rate={"low": 0.01, "high": 0.1},
        batch_size=(20,),
        momentum=(0.9,),
        weight_decay=(0.0,),
        schedule=("cosine",),
        shift=(1,),
    )
    assert tune(client, setup, params, space, epochs=1, description="").candidates


def test_final_training_does_not_see_test_labels(client, setups):
    """Neither in the weights nor in which candidate is taken: the first fails, the second is trained."""
    candidates = [
        Candidate(learning_rate=rate, epochs=4, validation_error=error) for rate, error in ((1e36, 1), (0.1, 2))
    ]
    right, wrong = (train_seeds(client, setup, candidates, (1, 2), description="") for setup in setups)
    assert right.candidate == wrong.candidate == candidates[1]
    assert right.passed_over == wrong.passed_over
    for state, other in zip(right.states, wrong.states, strict=True):
        assert {name: array.tobytes() for name, array in state.weights.items()} == {
            name: array.tobytes() for name, array in other.weights.items()
        }
        # The poison was there: only what is reported shows it.
        assert [record.errors["train"] for record in state.records] == [
            record.errors["train"] for record in other.records
        ]
        assert state.records[-1].errors["test"] < 0.5 < other.records[-1].errors["test"]
