"""The notebook runs from top to bottom, and was committed as it ran."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
SECONDS = 180


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """Return what the cells say in words: verdicts, not figures that another processor rounds otherwise."""
    streams = [output for cell in code_cells(notebook) for output in cell.outputs if output.output_type == "stream"]
    return [
        line for output in streams if output.name == "stdout" for line in output.text.splitlines() if "True" in line
    ]


def test_was_committed_executed_from_top_to_bottom_without_errors():
    cells = code_cells(nbformat.read(TUTORIAL, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"stream", "display_data", "execute_result"}


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_runs_within_three_minutes_and_finds_the_planted_fault():
    notebook = nbformat.read(TUTORIAL, as_version=4)
    committed = printed(notebook)
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(TUTORIAL.parent)}}).execute()
    assert printed(notebook) == committed
    assert "conv2d_1.bias is wrong; relative error 0.986" in str(code_cells(notebook))
