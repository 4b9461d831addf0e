"""What README.md says must be so: its table, its links and its make targets."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_shows_the_committed_error_table(committed):
    table = committed("metrics/error_table.md")
    shown = re.search(
        r"<!-- metrics/error_table.md: begin -->\n(.*)<!-- metrics/error_table.md: end -->", README, re.DOTALL
    )
    assert shown is not None
    assert shown[1] == table


@pytest.mark.parametrize("page", ["README.md", "docs/derivations.md"])
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_names_only_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert {"repro", "test", "quick", "evaluate", "plots", "lint", "bench"} <= named
    assert named <= targets


def test_first_two_commands_are_repro_and_test():
    commands = re.findall(r"^(make \w+|dvc \w+|python .*)", README, re.MULTILINE)
    assert commands[:2] == ["make repro", "make test"]


def test_the_house_has_every_room():
    house = re.search(r"```text\n(stages/.*?)```", README, re.DOTALL)[1]
    rooms = {path.stem for path in (ROOT / "mnist_core").iterdir() if not path.name.startswith("__")}
    named = set(re.findall(r"[a-z_]+", house))
    assert rooms - named == set()
