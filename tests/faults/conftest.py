"""What the fault suite shares: every fault that is tried is written down, and `make faults` prints them as a table."""

import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import pytest

from mnist_core.errors import printable
from tests.projects import Undisturbed


@dataclass
class Attempt:
    """A fault that is tried; `message` is what was said, `times` how often it was tried, `hostile` whether as input."""

    fault: str
    message: str = ""
    times: int = 1
    survived: int = 0
    hostile: bool = False
    seconds: float = 0.0


@pytest.fixture
def trying(request):
    """Context manager for a fault: if its block ends without an exception, the fault is survived."""

    @contextmanager
    def attempt(fault, hostile=False):
        tried = Attempt(fault, hostile=hostile)
        start = time.monotonic()
        try:
            yield tried
            tried.survived = tried.times
        finally:
            tried.seconds = time.monotonic() - start
            request.node.user_properties.append(("fault", asdict(tried)))  # travels to the process that prints

    return attempt


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A small pipeline that has run without a fault, and what it wrote."""
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"), "evaluate@2b")


def pytest_generate_tests(metafunc):
    """Give a test that asks for `number` a few of them, or as many as its mark `times` says with --all-faults."""
    mark = metafunc.definition.get_closest_marker("times")
    if mark:
        count = mark.kwargs["all" if metafunc.config.getoption("--all-faults") else "quick"]
        metafunc.parametrize("number", range(count))


def pytest_collection_modifyitems(config, items):
    """Leave out what takes minutes."""
    if not config.getoption("--all-faults"):
        kept = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = kept


def pytest_terminal_summary(terminalreporter, config):
    """Print the table."""
    if not config.getoption("--all-faults"):
        return
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    attempts = defaultdict(list)
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, value in report.user_properties:
                if name == "fault":
                    attempts[value["fault"]].append(Attempt(**value))
    width = max(map(len, attempts), default=5)
    terminalreporter.section("faults")
    terminalreporter.line(f"{'fault':{width}}   tried survived     lost  longest  message")
    for fault, tried in sorted(attempts.items()):
        times, survived = sum(one.times for one in tried), sum(one.survived for one in tried)
        longest, message = max(one.seconds for one in tried), next((one.message for one in tried if one.message), "")
        terminalreporter.line(
            f"{fault:{width}} {times:7} {survived:8} {times - survived:8} {longest:6.1f} s  {printable(message, 160)}"
        )
    every = [one for tried in attempts.values() for one in tried]
    counts = [sum(one.times for one in every if one.hostile == hostile) for hostile in (False, True)]
    lost = sum(one.times - one.survived for one in every)
    longest = max((one.seconds for one in every if one.fault.startswith("fetch")), default=0)
    terminalreporter.line(
        f"{counts[0]} faults and {counts[1]} hostile inputs, {lost} lost; longest wait of a fetch {longest:.1f} s"
    )
