"""The graph of the pipeline in README.md."""

from pathlib import Path

import pytest

from mnist_core.errors import UserError
from tools.graph import mermaid, stages_needed, with_graph

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in DVC, not in ours
def test_readme_shows_the_graph_of_dvc_yaml():
    page = (ROOT / "README.md").read_text()
    needs = stages_needed(ROOT)
    assert {"train@1a", "train@2d", "report"} <= set(needs)
    assert with_graph(page, needs) == page  # else run `python -m tools.graph`


def test_models_share_a_box_and_an_implied_arrow_is_left_out():
    needs = {
        "alone": set(),
        "prepare": set(),
        "train@1a": {"prepare"},
        "train@2a": {"prepare"},
        "table": {"train@1a", "train@2a", "prepare"},
    }
    assert mermaid(needs).splitlines() == [
        "```mermaid",
        "flowchart LR",
        "  alone",
        '  train["train, for each model"]',
        "  prepare --> train",
        "  train --> table",
        "```",
    ]


def test_a_page_without_the_marks_is_refused():
    with pytest.raises(UserError, match=r"^README.md: the marks of python -m tools.graph are missing"):
        with_graph("# A page\n", {})
