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


def processes_of(session):
    """Return the commands of the living processes of a session."""
    listed = subprocess.run(["ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if not line.startswith("Z")]


@pytest.mark.parametrize("how", ["Ctrl-C", "parent killed"])
def test_a_stage_that_is_stopped_says_how_to_go_on_and_leaves_no_process(small_project, how):
    params = small_project / "params.yaml"
    params.write_text(params.read_text().replace("epochs: {a: 3, b: 3", "epochs: {a: 3, b: 100000"))
    assert "b: 100000" in params.read_text()
    command = [sys.executable, "-m", "stages.search", "--model", "2b", "--workers", "2"]
    parent = subprocess.Popen(
        ["sh", "-c", '"$@"; exit $?', "sh", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "search@2b"},
        cwd=small_project,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kept = small_project / ".dvc/tmp/mnist/search-2b"
    deadline = time.monotonic() + 60
    while not kept.exists():
        assert time.monotonic() < deadline
        assert parent.poll() is None, parent.stderr.read()
        time.sleep(0.1)
    if how == "Ctrl-C":
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.kill()
    deadline = time.monotonic() + 10  # three seconds on an idle machine
    while processes_of(parent.pid):
        assert time.monotonic() < deadline, processes_of(parent.pid)
        time.sleep(0.1)
    assert parent.communicate()[1].split("\n") == ["", "Interrupted; `dvc repro` goes on where it was", ""]
    assert kept.exists()
