"""What search and training write down: the right files are read, others refused in one line naming file and key."""

import json

import pytest

from mnist_core.candidates import Candidate, Choice, rank, read_choice, read_search
from mnist_core.errors import UserError
from tests.records import MADE_WITH
from tests.report.tuned_inputs import tuned_search

PAIR = {"learning_rate": 0.1, "epochs": 3, "validation_error": 1.5}
SHORTER = {"learning_rate": 0.1, "epochs": 2, "validation_error": 2.0}
OTHER_RATE = {"learning_rate": 0.01, "epochs": 3, "validation_error": 2.5}
TRIAL = {"learning_rate": 0.1, "failure": None, "epochs": 3, "best_epoch": 3, "best_validation_error": 1.5}
OTHER_TRIAL = TRIAL | {"learning_rate": 0.01, "best_validation_error": 2.5}
TRIALS = [TRIAL, OTHER_TRIAL]
SEARCH = PAIR | MADE_WITH | {"model": "2b", "candidates": [PAIR, SHORTER, OTHER_RATE], "trials": TRIALS, "probes": []}
CHOICE = PAIR | {"model": "2b", "failures": []}


NOT_BEST = "the first of candidates is not the best, or not what stands on top; "
NOT_FOUND = "candidates are not what trials and finalists found; "


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def message(path, read, content):
    """What the reader says of a file with this content."""
    with pytest.raises(UserError) as refused:
        read(write(path, content), "2b")
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert text.endswith(" first (dvc repro)")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_both_files_are_read_back(path):
    search = read_search(write(path, SEARCH), "2b")
    assert search.candidates == [Candidate(**PAIR), Candidate(**SHORTER), Candidate(**OTHER_RATE)]
    failed = {"learning_rate": 0.1, "epochs": 3, "seed": 4, "failure": "spiked", "epoch": 3}
    choice = read_choice(write(path, CHOICE | SHORTER | {"failures": [failed]}), "2b", search)
    assert (choice.epochs, choice.failures[0].failure, choice.failures[0].seed) == (2, "spiked", 4)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "not valid JSON (Expecting property name"),
        (b"\xff", "not valid JSON ('utf-8' codec"),
        (b"[]", "Input should be a valid dictionary"),
        (b"{}", "learning_rate: missing"),
        (CHOICE | {"learning_rate": "fast"}, "learning_rate: Input should be a valid number"),
        (CHOICE | {"validation_error": float("nan")}, "validation_error: Input should be a finite number"),
        (CHOICE | {"epochs": 0}, "epochs: Input should be greater than 0"),
        (CHOICE | {"epoch": 3}, "epoch: unknown key"),
        (CHOICE | {"epochs": 10**12}, "epochs: Input should be less than or equal to 5000"),
        (CHOICE | {"batch_size": 10**12}, "batch_size: Input should be less than or equal to 10000000"),
    ],
)
def test_a_damaged_choice_is_one_line(path, content, fault):
    assert message(path, read_choice, content).startswith(fault)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"candidates": []}, "candidates: List should have at least 1 item"),
        ({"candidates": [PAIR, {"epochs": 3, "validation_error": 1.0}]}, "candidates.1.learning_rate: missing"),
        ({"trials": [TRIAL | {"failure": "diverged"}]}, "trials.0.failure: Input should be 'non-finite', 'dead'"),
        ({"trials": [TRIAL | {"best_epoch": None}]}, "trials.0: a trial has a best epoch"),
        ({"trials": [TRIAL | {"best_validation_error": None}]}, "trials.0: a trial has a best epoch"),
        ({"candidates": [PAIR | {"epochs": 10**12}]}, "candidates.0.epochs: Input should be less than or equal to"),
        ({"learning_rate": 0.2}, NOT_BEST),
        ({"epochs": 2}, NOT_BEST),
        ({"batch_size": 7}, NOT_BEST),
        ({"validation_error": 0.1}, NOT_BEST),
        ({"candidates": [SHORTER, PAIR]} | SHORTER, NOT_BEST),
        ({"trials": [TRIAL]}, NOT_FOUND),  # the other candidate has a rate that was not tried
        ({"trials": [TRIAL | {"epochs": 2}, OTHER_TRIAL]}, NOT_FOUND),  # or more epochs than were
        ({"candidates": [PAIR, SHORTER | {"momentum": 0.5}]}, NOT_FOUND),  # which only the tuned protocol chooses
    ],
)
def test_a_damaged_search_is_one_line(path, change, fault):
    assert message(path, read_search, SEARCH | change).startswith(fault)


def test_a_trial_that_spiked_may_have_a_best_epoch_and_one_that_failed_otherwise_has_none(path):
    failed = {"learning_rate": 1.0, "epochs": 0, "best_epoch": None, "best_validation_error": None}
    trials = [failed | {"failure": "non-finite"}, TRIAL | {"failure": "spiked"}, OTHER_TRIAL]
    search = read_search(write(path, SEARCH | {"trials": trials}), "2b")
    assert [trial.failure for trial in search.trials] == ["non-finite", "spiked", None]


@pytest.mark.parametrize(
    ("place", "key", "value", "fault"),
    [
        (("finalists", 1), "trial", 9, "one of finalists is no trial; "),
        (("finalists", 1), "trial", 3, NOT_FOUND),
        (("finalists", 1), "validation_error", 1.9, NOT_FOUND),
        (("finalists", 0), "validation_error", None, NOT_FOUND),
        (("candidates", 1), "batch_size", 77, NOT_FOUND),
        (("trials", 1), "hyperparameters", None, NOT_FOUND),
    ],
)
def test_what_the_tuned_protocol_ranks_are_its_finalists(path, place, key, value, fault):
    record = json.loads(json.dumps(tuned_search("2b")[0]))  # a copy, in which no part stands twice
    assert len(read_search(write(path, record), "2b").candidates) == 2
    (name, number) = place
    record[name][number][key] = value
    assert message(path, read_search, record).startswith(fault)


@pytest.mark.parametrize(("read", "content"), [(read_choice, CHOICE), (read_search, SEARCH)])
def test_the_file_of_another_model_is_refused(path, read, content):
    """Copied from 2a to 2b it would choose what 2a found."""
    assert message(path, read, content | {"model": "2a"}).startswith("it is about model 2a, not 2b; ")


@pytest.mark.parametrize(("read", "verb"), [(read_choice, "train the model"), (read_search, "run the search")])
def test_a_missing_file_says_what_to_do(path, read, verb):
    with pytest.raises(UserError, match=rf"file\.json: no such file; {verb} first \(dvc repro\)"):
        read(path, "2b")


def test_the_choice_is_a_candidate_of_the_search(path):
    search = read_search(write(path, SEARCH), "2b")
    fault = message(path, lambda path, model: read_choice(path, model, search), CHOICE | {"epochs": 1})
    assert fault.startswith("learning rate 0.1 with 1 epochs is no candidate of its search; ")
    fault = message(path, lambda path, model: read_choice(path, model, search), CHOICE | {"validation_error": 0.5})
    assert fault.startswith("validation_error 0.5 is not that of its search; ")


def test_what_speaks_against_a_candidate_is_its_own_failure_or_another_one_at_its_rate():
    dead = {"learning_rate": 0.1, "epochs": 5, "seed": 2, "failure": "dead", "epoch": 1}
    spiked = {"learning_rate": 0.1, "epochs": 3, "seed": 4, "failure": "spiked", "epoch": 3}
    choice = Choice(model="2b", failures=[dead, spiked], **OTHER_RATE)
    found = [choice.why_not(Candidate(**pair)) for pair in (PAIR, SHORTER, OTHER_RATE)]
    assert [failed.failure if failed else None for failed in found] == ["spiked", "dead", None]


def test_candidates_are_ranked_by_error_then_fewer_epochs_then_the_larger_rate():
    rows = [(0.1, 1, 3.0), (0.1, 2, 2.0), (0.01, 1, 2.5), (0.01, 2, 2.0), (1.0, 2, 2.0), (0.01, 3, 2.0)]
    found = [Candidate(learning_rate=rate, epochs=epochs, validation_error=error) for rate, epochs, error in rows]
    assert [(candidate.learning_rate, candidate.epochs) for candidate in rank(found)] == [
        (1.0, 2),
        (0.1, 2),
        (0.01, 2),
        (0.01, 3),
        (0.01, 1),
        (0.1, 1),
    ]
