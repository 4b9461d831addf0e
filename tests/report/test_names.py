import pytest

from mnist_core.report.names import dataset_name


@pytest.mark.parametrize(
    ("key", "name"), [("mnist", "MNIST"), ("fashion_mnist", "Fashion-MNIST"), ("custom", "images of one’s own")]
)
def test_data_sets_are_called_as_their_authors_write_them(key, name):
    assert dataset_name(key) == name
