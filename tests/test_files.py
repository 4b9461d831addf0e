import pytest

from mnist_core import files as results
from mnist_core.errors import UserError


def test_reads_what_was_written(tmp_path):
    (tmp_path / "x.json").write_text('{"1a": {"test_error": 7.5}}')
    (tmp_path / "x.csv").write_text("epoch,test_error\n1,7.5\n2,6.25\n")
    assert results.read_json(tmp_path / "x.json") == {"1a": {"test_error": 7.5}}
    assert results.read_csv(tmp_path / "x.csv")["test_error"].to_list() == [7.5, 6.25]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", None, "x.json: no such file; run `dvc repro` to write it again"),
        (
            "x.json",
            "{",
            "x.json: not valid JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)); run `dvc repro` to write it again",
        ),
        ("x.csv", None, "x.csv: no such file; run `dvc repro` to write it again"),
        ("x.json", '{"a": 1}', "x.json: no key b; run `dvc repro` to write it again"),
        ("x.json", "[]", "x.json: no key a; run `dvc repro` to write it again"),
        ("x.csv", "", "x.csv: not valid CSV (No columns to parse from file); run `dvc repro` to write it again"),
        ("x.csv", "a\n1\n", "x.csv: no column b; run `dvc repro` to write it again"),
        ("x.csv", "a,b\n", "x.csv: no rows; run `dvc repro` to write it again"),
        ("x.csv", "a,b\n1,2\n3,\n", "x.csv: b of row 2 is no finite number; run `dvc repro` to write it again"),
        ("x.csv", "a,b\ninf,2\n", "x.csv: a of row 1 is no finite number; run `dvc repro` to write it again"),
        ("x.csv", "a,b\n1,many\n", "x.csv: b of row 1 is no finite number; run `dvc repro` to write it again"),
    ],
)
def test_a_missing_or_broken_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    read = results.read_json if name.endswith("json") else results.read_csv
    with pytest.raises(UserError) as caught:
        read(path, ["a", "b"])
    assert str(caught.value) == str(path.parent) + "/" + message


def test_columns_of_text_need_no_numbers(tmp_path):
    (tmp_path / "x.csv").write_text("model,epoch\n1a,1\n")
    frame = results.read_csv(tmp_path / "x.csv", ["epoch"], texts=["model"])
    assert frame["model"].to_list() == ["1a"]
    with pytest.raises(UserError, match="no column letter"):
        results.read_csv(tmp_path / "x.csv", ["epoch"], texts=["letter"])
