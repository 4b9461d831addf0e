import pytest

from mnist_core.files import output_directory, output_file


def test_a_directory_appears_when_the_block_has_succeeded(tmp_path):
    path = tmp_path / "new" / "out"
    with output_directory(path) as directory:
        (directory / "file").write_text("content")
        assert not path.exists()
    assert (path / "file").read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "stale").write_text("old")
    with output_directory(path) as directory:
        (directory / "file").write_text("new")
    assert [file.name for file in path.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [path]


def write_half_a_directory(path, interruption):
    with output_directory(path) as directory:
        (directory / "half").write_text("half")
        raise interruption


def write_half_a_file(path):
    with output_file(path) as file:
        file.write_text("half")
        raise ValueError("half")


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_an_old_directory_as_it_was(tmp_path, interruption):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(interruption):
        write_half_a_directory(path, interruption)
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_name_and_is_replaced(tmp_path):
    path = tmp_path / "new" / "model.keras"
    for text in ("first", "second"):
        with output_file(path) as file:
            assert file.name == "model.keras"
            file.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_an_old_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"):
        write_half_a_file(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
