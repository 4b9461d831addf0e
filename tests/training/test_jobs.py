"""Workers that die, and somebody else's scheduler and workers: separate processes in other directories."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_core.errors import UserError
from mnist_core.files.reading import content_hash
from mnist_core.training import jobs, loop
from mnist_core.training.cluster import open_cluster, train_all
from tests.runs import begin, content, learning, with_setup

ROOT = Path(__file__).parents[2]


def die_once(path):
    """Kill the worker that does this, the first time."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_workers_job_runs_again_at_most_twice(tmp_path, prepared):
    with open_cluster(num_workers=2) as cluster:
        assert cluster.run(die_once, tmp_path / "died", data_directory=prepared) == "survived"
        with pytest.raises(UserError, match=r"^local workers: 3 workers died at one job, .*`dvc repro` goes on"):
            cluster.run(die, data_directory=prepared)


def place_of_data():
    return str(loop._place.get())


class Elsewhere:
    """A scheduler and workers as processes of their own, each in its own directory."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.directory, self.address, self.processes = directory, f"tcp://127.0.0.1:{port}", []
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")

    def start(self, *arguments, project=ROOT):
        place = self.directory / str(len(self.processes))
        place.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(project)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def start_worker(self, **options):
        space = self.directory / f"space-{len(self.processes)}"
        options_of_dask = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(space))
        return self.start("worker", self.address, *options_of_dask, **options)


@pytest.fixture
def elsewhere(tmp_path):
    started = Elsewhere(tmp_path)
    yield started
    for process in started.processes:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def changed_copy(directory):
    """A copy of the project's library with one more comment."""
    subprocess.run(["cp", "-r", ROOT / "mnist_core", directory], check=True)
    with (directory / "mnist_core/metrics.py").open("a") as file:
        file.write("# changed\n")
    return directory


def test_workers_elsewhere_give_the_bytes_of_local_ones(elsewhere, run, tmp_path, capfd):
    """They read data of their own; one has other code and is refused; one dies on the way."""
    (tmp_path / "changed").mkdir()
    workers = [elsewhere.start_worker() for _ in range(2)]
    elsewhere.start_worker(project=changed_copy(tmp_path / "changed"))
    runs = [replace(learning(run, epochs=6), seed=seed) for seed in (1, 2, 3)]
    runs += [learning(with_setup(run, framework="tensorflow"), epochs=2)]
    states = {}
    with open_cluster(scheduler=elsewhere.address) as cluster:
        for number, (index, state) in enumerate(train_all(cluster, runs, description="")):
            states[index] = state
            if number == 3:
                workers[0].kill()
        deadline = time.monotonic() + 30
        while not cluster.refused and time.monotonic() < deadline:
            jobs.Jobs(cluster, run.setup.data_directory).completed()
        read = Path(cluster.run(place_of_data, data_directory=run.setup.data_directory))
    assert tmp_path in read.parents
    assert content_hash(read) == content_hash(run.setup.data_directory)
    assert [content(states[index]) for index in range(3)] == [content(begin(one, 6)) for one in runs[:3]]
    with open_cluster(num_workers=1) as local:
        assert content(states[3]) == content(dict(train_all(local, runs[3:], description=""))[0])
    lines = capfd.readouterr().err.splitlines()
    assert f"scheduler {elsewhere.address}: no TLS: all who reach it can run code on its machines" in lines
    (refused,) = [line for line in lines if "refused" in line]
    assert "refused: its code is " in refused


def test_a_scheduler_that_dies_or_has_no_workers_is_one_line(elsewhere, run, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 2.0)
    with open_cluster(scheduler=elsewhere.address) as cluster:
        with pytest.raises(UserError, match=rf"^scheduler {elsewhere.address}: no worker for 2 s; start one"):
            dict(train_all(cluster, [run], description=""))
        elsewhere.start_worker()
        monkeypatch.setattr(jobs, "PATIENCE", 60.0)
        monkeypatch.setattr(jobs, "ANSWER", 2.0)
        long = learning(run, epochs=4_000)
        training = train_all(cluster, [long], description="")
        next(training)
        elsewhere.scheduler.kill()
        began = time.monotonic()
        with pytest.raises(UserError, match=rf"^scheduler {elsewhere.address}: it is gone; start the scheduler again"):
            dict(training)
        assert time.monotonic() - began < 20


def test_a_frozen_scheduler_is_one_line_and_a_frozen_workers_job_goes_to_another(elsewhere, run, monkeypatch, capfd):
    monkeypatch.setattr(jobs, "PATIENCE", 4.0)
    monkeypatch.setattr(jobs, "ANSWER", 3.0)
    frozen = elsewhere.start_worker()
    with open_cluster(scheduler=elsewhere.address) as cluster:
        dict(train_all(cluster, [run], description=""))
        frozen.send_signal(signal.SIGSTOP)
        waiting = train_all(cluster, [run], description="")
        elsewhere.start_worker()
        time.sleep(4)
        assert content(dict(waiting)[0]) == content(begin(run, 4))
        elsewhere.scheduler.send_signal(signal.SIGSTOP)
        with pytest.raises(UserError, match="no answer for 3 s"):
            dict(train_all(cluster, [run], description=""))
        elsewhere.scheduler.send_signal(signal.SIGCONT)
