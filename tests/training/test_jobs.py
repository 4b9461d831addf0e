"""Workers that die, and somebody else's scheduler and workers: separate processes in other directories."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import wait
from contextlib import closing
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


def pid():
    return os.getpid()


class SlowToSend:
    """A result that takes three seconds to leave its worker."""

    def __reduce__(self):
        time.sleep(3)
        return str, ("sent",)


def finish(path):
    path.touch()
    return SlowToSend()


def test_a_worker_that_dies_before_its_result_has_come_does_not_hold_up_the_rest(tmp_path, prepared):
    """The task may be done by that worker alone, so its result would be waited for without end."""
    with open_cluster(num_workers=2) as cluster, closing(jobs.Jobs(cluster, prepared)) as under_way:
        while under_way.num_free < 2:
            under_way.completed()
        of_worker = cluster.client.run(pid)
        under_way.submit(7, finish, tmp_path / "finished")
        (job,) = under_way._running.values()
        while not (tmp_path / "finished").exists():
            time.sleep(0.1)
        time.sleep(1)
        os.kill(of_worker[job.worker.address], signal.SIGKILL)
        began, found = time.monotonic(), []
        while not found:
            found = under_way.completed()
        assert (found, len(under_way)) == ([(7, "sent")], 0)
        assert time.monotonic() - began < 30


def fail():
    raise TimeoutError("of the job itself")


def test_what_has_been_done_is_handed_over_before_another_job_raises(prepared):
    with open_cluster(num_workers=2) as cluster, closing(jobs.Jobs(cluster, prepared)) as under_way:
        while under_way.num_free < 2:
            under_way.completed()
        under_way.submit(1, fail)
        under_way.submit(2, pid)
        wait(under_way._running)
        assert [key for key, _ in under_way.completed()] == [2]
        with pytest.raises(TimeoutError, match="of the job itself"):
            under_way.completed()


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

    def start_worker(self, *, port=0, **options):
        space = self.directory / f"space-{len(self.processes)}"
        options_of_dask = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(space))
        return self.start("worker", self.address, "--worker-port", str(port), *options_of_dask, **options)


NO_TLS = "no TLS: all who reach it can run code on its machines"


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
    assert f"scheduler {elsewhere.address}: {NO_TLS}" in lines
    (refused,) = [line for line in lines if "refused" in line]
    assert "refused: its code is " in refused


def test_a_scheduler_that_dies_or_has_no_workers_is_one_line(elsewhere, run, monkeypatch, capfd):
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
    printed = capfd.readouterr().err.splitlines()  # Dask would log tracebacks
    assert [line for line in printed if not line.endswith(NO_TLS)] == []


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


def test_who_comes_back_at_the_address_of_another_worker_is_looked_at_anew(elsewhere, run, tmp_path, capfd):
    """One with other code is refused though its forerunner was admitted, and its successor is not refused with it."""
    (tmp_path / "changed").mkdir()
    first = elsewhere.start_worker()
    with open_cluster(scheduler=elsewhere.address) as cluster:
        dict(train_all(cluster, [run], description=""))
        (worker,) = cluster.admitted
        port = int(worker.address.rpartition(":")[2])
        under_way = jobs.Jobs(cluster, run.setup.data_directory)
        first.kill()
        first.wait()
        changed = elsewhere.start_worker(port=port, project=changed_copy(tmp_path / "changed"))
        deadline = time.monotonic() + 30
        while not cluster.refused and time.monotonic() < deadline:
            under_way.completed()
        assert [refused.address for refused in cluster.refused] == [worker.address]
        assert under_way.num_free == 0
        changed.kill()
        changed.wait()
        elsewhere.start_worker(port=port)
        assert content(dict(train_all(cluster, [run], description=""))[0]) == content(begin(run, 4))
    assert "refused: its code is " in capfd.readouterr().err


def test_a_worker_that_freezes_while_it_joins_is_no_worker(elsewhere, run, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 4.0)
    monkeypatch.setattr(jobs, "join", sleep_and_join)
    worker = elsewhere.start_worker()
    with open_cluster(scheduler=elsewhere.address) as cluster:
        while not cluster.num_workers:
            time.sleep(0.1)
        under_way = jobs.Jobs(cluster, run.setup.data_directory)
        assert under_way._joining
        worker.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(UserError, match="no worker for 4 s; start one"):
            wait_for_ever(under_way)
        assert time.monotonic() - began < 15


def test_a_worker_of_other_code_does_no_job_even_if_it_was_admitted(elsewhere, run, monkeypatch):
    elsewhere.start_worker()
    with open_cluster(scheduler=elsewhere.address) as cluster:
        dict(train_all(cluster, [run], description=""))
        monkeypatch.setattr(jobs, "versions", lambda: {"code": "of another day"})
        with pytest.raises(UserError, match="3 workers died at one job"):
            cluster.run(pid, data_directory=run.setup.data_directory)


def sleep_and_join(data_sha256):
    time.sleep(60)


def wait_for_ever(under_way):
    while True:
        under_way.completed()
