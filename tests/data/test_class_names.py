"""What params.yaml may say of the classes, and what is said where it may not."""

import pytest

from mnist_core.data.params import load_data_params
from mnist_core.errors import UserError

LIST = "data.class_names: should be a list of at most 10 names"
NAME = "should be 1 to 40 characters on one line, with no space at either end"


def class_names(directory, text):
    path = directory / "params.yaml"
    path.write_text(f"data: {{dataset: custom, directory: mine, class_names: {text}}}\n")
    return load_data_params(path).class_names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat", f"{LIST} (found 'cat')"),
        ("3", f"{LIST} (found 3)"),
        ("", f"{LIST} (found None)"),
        ("{0: cat}", LIST),
        ("[a, b, c, d, e, f, g, h, i, j, k]", LIST),
        ("[a, 1]", "data.class_names.1: should be text, in quotes if it is a number (found 1)"),
        ("[a, [b]]", "data.class_names.1: should be text, in quotes if it is a number"),
        ('[a, ""]', f"data.class_names.1: {NAME} (found '')"),
        ('[a, " b"]', f"data.class_names.1: {NAME} (found ' b')"),
        ('[a, "b "]', f"data.class_names.1: {NAME} (found 'b ')"),
        (r'["a\nb"]', rf"data.class_names.0: {NAME} (found 'a\nb')"),
        (f"[{'x' * 41}]", f"data.class_names.0: {NAME} (found '{'x' * 41}')"),
        ("[a, b, a]", "data.class_names: two classes have one name"),
    ],
)
def test_what_is_wrong_with_class_names_is_said_in_words(tmp_path, text, message):
    with pytest.raises(UserError) as refused:
        class_names(tmp_path, text)
    assert str(refused.value) == f"{tmp_path}/params.yaml: {message}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[]", ()),
        ("[cat, T-shirt/top, Ankle boot]", ("cat", "T-shirt/top", "Ankle boot")),
        ('["1", か]', ("1", "か")),
        (f"[{'x' * 40}]", ("x" * 40,)),
        ("[a, b, c, d, e, f, g, h, i, j]", tuple("abcdefghij")),
    ],
)
def test_up_to_ten_names_of_up_to_forty_characters(tmp_path, text, names):
    assert class_names(tmp_path, text) == names
