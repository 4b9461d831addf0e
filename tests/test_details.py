import numpy as np
import pytest

from mnist_core.details import DISPUTED_MNIST_TEST_IMAGES, disputed_images, model_details


def predictions(labels, *wrong_of_each_seed):
    """Certain predictions, float32 (S, N, 10), each seed wrong at these places."""
    predicted = np.tile(labels, (len(wrong_of_each_seed), 1))
    for seed, places in enumerate(wrong_of_each_seed):
        predicted[seed, places] = (predicted[seed, places] + 1) % 10
    return np.eye(10, dtype=np.float32)[predicted]


def details(num_images, *wrong_of_each_seed, dataset="mnist"):
    labels = np.arange(num_images) % 10
    return model_details(
        predictions(labels, *wrong_of_each_seed),
        labels,
        dataset=dataset,
        validation_error=1.84,
        final_validation_error=1.976,
    )


def test_the_halves_are_those_of_the_slice():
    result = details(40, [0, 1, 2, 20], [3, 39])
    assert result.first_half_error == 10  # 3 + 1 of 2 * 20
    assert result.second_half_error == 5  # 1 + 1
    assert result.error_without_disputed is None  # in a slice they have other places


def test_the_error_without_disputed_labels_leaves_these_images_out():
    assert len(set(DISPUTED_MNIST_TEST_IMAGES)) == 15
    result = details(10_000, [947, 9729, 0, 5000], [947])
    assert result.first_half_error == 0.03  # 947 twice and 0, of 2 * 5,000
    assert result.error_without_disputed == 0.01  # 2 of 2 * 9,985 is 0.010015


def test_another_data_set_has_no_such_halves_and_labels():
    result = details(10_000, [947], dataset="fashion_mnist")
    assert result.first_half_error is result.second_half_error is result.error_without_disputed is None


@pytest.mark.parametrize(
    ("dataset", "num_images", "count"), [("mnist", 10_000, 15), ("mnist", 9_999, 0), ("fashion_mnist", 10_000, 0)]
)
def test_disputed_images_are_known_in_the_whole_test_set_only(dataset, num_images, count):
    assert len(disputed_images(dataset, num_images)) == count


def test_optimism_is_final_minus_search():
    result = details(20, [0])
    assert (result.validation_error, result.final_validation_error, result.optimism) == (1.84, 1.976, 0.136)


def test_one_image_has_no_halves():
    assert details(1, [0]).first_half_error is None
