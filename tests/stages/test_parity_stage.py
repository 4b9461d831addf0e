"""Stage parity, in a small project."""

import json

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from stages.parity import main


@pytest.fixture
def project(small_project, shared_cluster):
    """The two smallest networks only, and few steps: training is tested elsewhere."""
    set_parity(small_project, steps=[1, 3], epochs=2, batch_size=65)
    return small_project


def set_parity(project, **values):
    yaml = YAML(typ="safe")
    params = yaml.load(project / "params.yaml")
    params["profiles"]["quick"]["parity"].update(values)
    for letter in "bcd":
        params["architectures"][letter] = params["architectures"]["a"]
    yaml.dump(params, project / "params.yaml")


def test_writes_the_comparison_and_the_curves_and_the_same_again(project):
    written = []
    for _ in range(2):
        result = CliRunner().invoke(main, [])
        assert result.exit_code == 0, result.output
        written.append([(project / name).read_bytes() for name in ("metrics/parity.json", "plots/parity.csv")])
    assert written[0] == written[1]
    records = json.loads(written[0][0])
    assert list(records) == ["a", "b", "c", "d"]
    assert list(records["a"]["logit_difference"]) == ["1", "3"]
    assert written[0][1].decode().splitlines()[0] == "letter,framework,epoch,test_error"


def test_steps_after_the_last_epoch_are_left_out(project):
    set_parity(project, steps=[1, 10, 40])
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0, result.output
    records = json.loads((project / "metrics/parity.json").read_text())
    assert [list(record["logit_difference"]) for record in records.values()] == [["1"]] * 4


def test_no_step_before_the_last_epoch_ends_is_one_line_and_leaves_nothing(project):
    set_parity(project, steps=[999])
    result = CliRunner().invoke(main, [])
    assert result.output == (
        "Error: params.yaml: parity.steps of the active profile: all come after the last step of its parity.epochs; "
        "add a lower one, such as 1\n"
    )
    assert result.exit_code == 1
    assert not [path for name in ("metrics", "plots") for path in (project / name).rglob("*")]


def test_a_rate_at_which_training_diverges_is_one_line_and_leaves_nothing(project):
    yaml = YAML(typ="safe")
    params = yaml.load(project / "params.yaml")
    hidden = {"type": "dense", "units": 50, "activation": "relu"}
    params["architectures"]["a"] = [*[hidden] * 6, {"type": "dense", "units": 10}]  # one layer alone stays finite
    yaml.dump(params, project / "params.yaml")
    set_parity(project, learning_rate=1e6)
    result = CliRunner().invoke(main, [])
    assert result.output == (
        "Error: params.yaml: parity.learning_rate of the active profile: training diverges at 1e+06; lower it\n"
    )
    assert result.exit_code == 1
    assert not [path for name in ("metrics", "plots") for path in (project / name).rglob("*")]
