from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.report import main
from tests.report.report_inputs import write_report_inputs


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    write_report_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_one_page_with_the_metrics_of_the_project(project):
    result = CliRunner().invoke(main)
    assert result.exit_code == 0, result.output
    page = (project / "plots/report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert page.endswith("</html>\n")
    assert "that of 2d, is 1.04 % of the 10,000 test" in page


def test_a_missing_file_is_one_line_and_leaves_the_old_page(project):
    (project / "plots/report.html").write_text("old")
    (project / "metrics/parity.json").unlink()
    result = CliRunner().invoke(main)
    assert result.exit_code == 1
    assert result.output.startswith("Error: metrics/parity.json: no such file; ")
    assert result.output.count("\n") == 1
    assert (project / "plots/report.html").read_text() == "old"
    assert sorted(path.name for path in (project / "plots").iterdir()) == [
        "confusion",
        "curves",
        "figures",
        "report.html",
        "search",
    ]
