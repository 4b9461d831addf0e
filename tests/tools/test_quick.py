"""`make quick` starts workers once, for all stages."""

import os
import subprocess
import sys
from pathlib import Path

from tools.quick import workers_for_all

ROOT = Path(__file__).parents[2]


def search(environment):
    command = [sys.executable, "-m", "stages.search", "--model", "1b"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stderr, Path("data/search/1b.json").read_bytes()


def test_a_stage_uses_the_workers_it_is_led_to_and_writes_the_same_bytes(small_project):
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    own.pop("MNIST_SCHEDULER", None)
    alone = search(own)
    with workers_for_all() as environment:
        assert search(own | environment) == alone == ("", alone[1])
        keys = [Path(path) for name, path in environment.items() if "TLS" in name]
        assert len(keys) == 3
        assert keys[0].parent.stat().st_mode & 0o077 == 0  # nobody else reads the key
    assert not any(key.exists() for key in keys)


def test_workers_that_the_user_has_are_taken(monkeypatch):
    monkeypatch.setenv("MNIST_SCHEDULER", "tls://somewhere:8786")
    with workers_for_all() as environment:
        assert environment == {}
