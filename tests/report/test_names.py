import pytest

from mnist_core.report.names import class_names, dataset_name


def test_every_data_set_has_ten_names_of_classes():
    assert class_names("mnist") == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert class_names("fashion_mnist")[0] == "T-shirt/top"
    assert class_names("fashion_mnist")[9] == "Ankle boot"
    assert len(set(class_names("fashion_mnist"))) == 10


def test_a_data_set_of_ones_own_has_the_names_given_or_numbers():
    letters = tuple("abcdefghij")
    assert class_names("custom", letters) == letters
    assert class_names("custom") == tuple("0123456789")


@pytest.mark.parametrize(("key", "name"), [("fashion_mnist", "Fashion-MNIST"), ("kuzushiji", "kuzushiji")])
def test_data_sets_are_called_as_their_authors_write_them(key, name):
    assert dataset_name(key) == name
