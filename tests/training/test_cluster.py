"""Jobs on real worker processes."""

import gc
import io
import os
import time
from concurrent.futures import wait
from dataclasses import replace

import pytest
from distributed import Client, LocalCluster

from mnist_core.errors import UserError
from mnist_core.training import cluster, jobs
from mnist_core.training.cluster import open_cluster, threads_per_job, train_all
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.jobs import Cluster
from mnist_core.training.run import TrainingState
from tests.another_user import answers_to_another_user
from tests.runs import CNN, begin, content, learning, with_setup


@pytest.fixture
def runs(run):
    return [replace(learning(run, epochs=num_epochs), seed=seed) for seed, num_epochs in ((1, 4), (2, 30), (3, 1))]


def trained(client, runs):
    """Return the final states in the order of the runs."""
    states = dict(train_all(client, runs, description=""))
    return [states[index] for index in range(len(runs))]


def test_the_number_of_workers_does_not_change_a_single_bit(client, runs):
    two = [content(state) for state in trained(client, runs)]
    with open_cluster(num_workers=1) as one_worker:
        one = [content(state) for state in trained(one_worker, runs)]
    assert [len(records) for _, _, records, _ in two] == [4, 30, 1]
    assert one == two


def test_every_worker_computes_on_one_thread(client):
    def threads():
        import os

        import numpy as np  # noqa: F401  loads BLAS
        from threadpoolctl import threadpool_info

        return os.environ["OMP_NUM_THREADS"], {pool["num_threads"] for pool in threadpool_info()}

    assert set(client.client.nthreads().values()) == {1}
    assert list(client.client.run(threads).values()) == [("1", {1})] * 2


def test_dask_seldom_interrupts_a_worker(client):
    def intervals(dask_worker):
        return {name: callback.callback_time for name, callback in dask_worker.periodic_callbacks.items()}

    for names in client.client.run(intervals).values():
        assert "profile" not in names
        assert min(names.values()) >= 500  # milliseconds; left alone, Dask takes 10


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_this_machine_cannot_submit_work(client):
    """Tried at the stage's own address with another certificate and without; and, for comparison, where all may."""
    address = client.client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as open_to_all:
        answers = answers_to_another_user([address, address.replace("tls", "tcp"), open_to_all.scheduler_address])
    assert answers == ["refused", "refused", str(os.getuid())]


@pytest.fixture
def submitted(monkeypatch):
    """The arguments of all jobs given to workers."""
    arguments = []

    class Recorder(cluster.Jobs):
        def submit(self, key, function, *others):
            arguments.append(others)
            super().submit(key, function, *others)

    monkeypatch.setattr(cluster, "Jobs", Recorder)
    return arguments


def test_every_segment_is_reported_and_no_run_is_cut_into_more_than_twenty(client, runs, submitted):
    epochs = [(index, len(state.records)) for index, state in train_all(client, runs, description="")]
    assert [[epoch for i, epoch in epochs if i == index] for index in range(3)] == [
        [1, 2, 3, 4],
        list(range(2, 31, 2)),
        [1],
    ]
    assert sorted((run.seed, segment) for run, _, segment, _ in submitted) == [(1, 1)] * 4 + [(2, 2)] * 15 + [(3, 1)]


def test_the_last_convolutional_network_in_numpy_takes_the_idle_cores_too(client, run, monkeypatch, submitted):
    monkeypatch.setattr(cluster, "CPU_COUNT", 2)
    short = learning(with_setup(run, architecture=CNN, batch_size=60), epochs=1)  # batches of three chunks
    long = learning(short, epochs=20)
    states = trained(client, [short, long])
    assert [num_threads for run, *_, num_threads in submitted if run == short] == [1]
    assert [num_threads for run, *_, num_threads in submitted if run == long][-1] == 2
    assert content(states[1]) == content(begin(long, 20, num_threads=1))


@pytest.mark.parametrize(("cores", "expected"), [(1, [1, 1]), (2, [1, 2]), (8, [1, 2])])
def test_no_more_threads_than_cores_or_workers(client, run, monkeypatch, submitted, cores, expected):
    monkeypatch.setattr(cluster, "CPU_COUNT", cores)
    monkeypatch.setattr(jobs, "wait", lambda futures, **_: wait(futures))  # both, then the last
    run = with_setup(run, architecture=CNN)
    trained(client, [learning(run, epochs=1), learning(run, epochs=2)])
    assert [num_threads for *_, num_threads in submitted][-2:] == expected


def test_foreign_workers_compute_on_one_thread(run):
    assert threads_per_job(Cluster(None, "tls://elsewhere:8786"), 1) == 1


@pytest.fixture
def bars(monkeypatch):
    """The progress bars drawn."""
    drawn = []

    class Recorder(cluster.tqdm):
        monitor_interval = 0  # no thread that outlives the test

        def __init__(self, **options):
            super().__init__(**options | {"disable": False, "file": io.StringIO()})
            drawn.append(self)

    monkeypatch.setattr(cluster, "tqdm", Recorder)
    return drawn


def test_the_progress_bar_ends_full_though_a_run_diverges(client, run, bars):
    trained(client, [learning(run, learning_rate=1e30), run])
    assert [(bar.total, bar.n) for bar in bars] == [(4, 4)]


@pytest.mark.parametrize("smallest", [0.125, 0.0])
def test_the_bar_tells_the_best_error_and_who_is_left_out(client, run, bars, smallest):
    """Of three other runs one is left out: one has finished, and one has failed."""
    errors = [0.5, 0.25, 0.2, smallest]
    records = tuple(EpochRecord(epoch, 1.0, {"validation": error}) for epoch, error in enumerate(errors, start=1))
    others = [
        TrainingState({}, records),
        TrainingState({}, records[:2]),
        TrainingState({}, records[:3], Failure("dead", 3)),
    ]
    with cluster.progress_bar(run.num_epochs, "") as bar:
        for _ in cluster.train_until(client, [run], bar=bar, others=others):
            pass
    assert bar.postfix == f"best {100 * smallest:.2f} %, 0 to go, 1 out"


def test_the_bar_has_room_for_all_it_tells_in_80_columns(monkeypatch):
    """A search of 16 trials and 2,100 epochs that takes an hour."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    with cluster.progress_bar(2100, "search 2a_tuned") as bar:
        bar.ncols, bar.n, bar.start_t = 80, 1050, time.time() - 3700
        bar.set_postfix_str("best 10.64 %, 12 to go, 14 out")
    (line, *_) = (line for line in terminal.getvalue().split("\r") if "best" in line)
    assert line.startswith("search 2a_tuned: 1050/2100 epochs|")
    assert line.rstrip().endswith("|1:01:40 left, best 10.64 %, 12 to go, 14 out")


def test_whoever_stops_listening_stops_the_training(client, runs, submitted):
    for _ in train_all(client, runs, description=""):
        break
    assert len(submitted) == 2
    deadline = time.monotonic() + 30
    while any(client.client.processing().values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_diverges_ends_alone(client, run):
    states = trained(client, [learning(run, learning_rate=1e30), run])
    assert [(state.failure, len(state.records)) for state in states] == [(Failure("non-finite", 1), 0), (None, 4)]


def test_a_users_error_and_a_programming_error_keep_their_types(client, run, tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json: no such file"):
        trained(client, [run, with_setup(run, data_directory=tmp_path)])
    with pytest.raises(AttributeError, match="tset"):
        trained(client, [run, replace(run, evaluate_on=("tset",))])
    (state,) = trained(client, [run])  # the cluster goes on
    assert content(state) == content(begin(run, 4))


def test_an_address_is_printed_escaped(capsys, no_failed_client_left):
    with pytest.raises(UserError, match="cannot connect"), open_cluster(scheduler="x://\x1b[31m:1"):
        pass
    assert "\x1b" not in capsys.readouterr().err


def test_a_running_scheduler_can_be_used_by_its_address(client, run):
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as theirs,
        open_cluster(scheduler=theirs.scheduler_address) as other,
    ):
        assert other is not client
        (state,) = trained(other, [run])
    assert len(state.records) == 4
    assert client.client.submit(abs, -1).result() == 1  # it is not ours to stop


@pytest.fixture
def no_failed_client_left():
    """A client that could not connect blocks the next one for ten seconds if it is collected in that one's thread."""
    yield
    gc.collect()


@pytest.mark.usefixtures("no_failed_client_left")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "foo://127.0.0.1:1", "tls://127.0.0.1:1"])
def test_a_scheduler_that_cannot_be_reached_is_named(address, monkeypatch):
    monkeypatch.setattr(cluster, "Client", lambda address, timeout: Client(address, timeout="1s"))
    with (
        pytest.raises(UserError, match=rf"^scheduler {address}: cannot connect [^\n]*; start it or unset it$"),
        open_cluster(scheduler=address),
    ):
        pass
