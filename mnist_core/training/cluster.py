"""Runs independent training jobs on worker processes: one a core here, or those of a Dask cluster.

Jobs are cut into segments and the job that is furthest behind goes next. So three jobs keep two workers busy to the
end, which three whole jobs would not. Each job computes on one thread, because BLAS and TensorFlow add in another order
on more, and results must not depend on the number of workers. Only NumPy's networks with convolutions, which give the
same bytes on any number of threads, share among them the cores of this machine that would be idle.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Never, TypeAlias

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from tqdm import tqdm

from mnist_core.errors import UserError, printable
from mnist_core.files.writing import scratch_directory
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.jobs import GO_ON, Cluster, Jobs
from mnist_core.training.loop import advance
from mnist_core.training.run import TrainingRun, TrainingState, is_finished
from mnist_core.training.worker import ONE_THREAD, versions

SEGMENTS_PER_RUN = 20

Bar: TypeAlias = "tqdm[Never]"

_CONFIG = {
    # Dask's own threads wake a hundred times a second to watch for what matters to many short tasks. Ours run for
    # seconds, and every wake-up takes the interpreter lock from the training.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    # No web pages: they would ask nobody who he is.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Before the workers start: BLAS and TensorFlow read the environment when they are loaded.
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
}


@contextmanager
def open_cluster(*, num_workers: int | None = None, scheduler: str | None = None) -> Iterator[Cluster]:
    """Connect to the scheduler at an address, or start local workers and stop them afterwards.

    Args:
        num_workers: local worker processes; by default one for each core that this process may use. With 0, jobs run
            in a thread of this process, where a debugger sees them.
        scheduler: address of a running Dask scheduler, such as "tls://10.0.0.1:8786"; see docs/cluster.md.

    Raises:
        UserError: the scheduler cannot be reached or has other code, or local workers cannot be started.
    """
    # What Dask logs about dead workers and schedulers becomes one line of ours.
    for name in ("distributed", "distributed.client"):  # the client has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler:
        with _connect(scheduler) as client:
            yield Cluster(client, scheduler)
    else:
        with (
            scratch_directory() as scratch,
            dask.config.set(_CONFIG),
            _start_workers(CPU_COUNT if num_workers is None else num_workers, scratch) as workers,
            Client(workers) as client,
        ):
            yield Cluster(client)


def _connect(scheduler: str) -> Client:
    if not scheduler.startswith("tls://"):
        warning = "no TLS: all who reach it can run code on its machines"
        print(f"scheduler {printable(scheduler)}: {warning}", file=sys.stderr)
    try:
        # The arrays of a data set travel as an argument.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            client = Client(scheduler, timeout="10s")
    except (OSError, ValueError, TypeError) as error:  # the last one: tls:// without certificates
        raise UserError(f"scheduler {scheduler}: cannot connect ({error}); start it or unset it") from error
    ours = versions()
    try:
        theirs = client.run_on_scheduler(versions)
    except (ImportError, AttributeError) as error:  # no project there, or an older one
        client.close()
        raise UserError(f"scheduler {scheduler}: {error}; install the project where it runs and restart it") from error
    except OSError as error:
        client.close()
        raise UserError(f"scheduler {scheduler}: it is gone ({error}); start it again") from error
    for name, version in ours.items():
        if theirs.get(name) != version:
            client.close()
            raise UserError(
                f"scheduler {scheduler}: its {name} is {theirs.get(name)}, here {version};"
                " install the same there and restart it"
            )
    return client


def _start_workers(num_workers: int, scratch: Path) -> LocalCluster:
    """Start workers that Ctrl-C leaves alone, since this process stops them: they inherit the blocked signal."""
    in_main_thread = threading.current_thread() is threading.main_thread() and hasattr(signal, "pthread_sigmask")
    if in_main_thread:
        _start_resource_tracker()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return LocalCluster(
            n_workers=num_workers or 1,
            processes=num_workers > 0,
            threads_per_worker=1,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            security=True,  # TLS with a certificate that only these processes know: no other user can submit code
            dashboard_address="127.0.0.1:0",  # None would mean port 8787, with a warning if it is taken
            local_directory=str(scratch),
        )
    except (OSError, RuntimeError) as error:
        reason = printable(f"{error}: {_root_of(error)}")
        raise UserError(f"local workers cannot be started ({reason}); see to it, then {GO_ON}") from error
    finally:
        if in_main_thread:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _root_of(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _start_resource_tracker() -> None:
    """Start Python's helper of processes now, since it unblocks the signal. What a kill leaves is no news."""
    silence = "ignore::UserWarning:multiprocessing.resource_tracker"
    sys.warnoptions.append(silence)  # the helper gets the options of this interpreter
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(silence)


def train_all(
    cluster: Cluster, runs: Sequence[TrainingRun], *, description: str, checkpoints: Checkpoints | None = None
) -> Iterator[tuple[int, TrainingState]]:
    """Train every run to its end or until it fails, unless the caller stops asking for more.

    Args:
        cluster: see `open_cluster`.
        runs: what to train, all on the same data.
        description: shown before the progress bar.
        checkpoints: where the runs go on, and where every segment that has ended is kept.

    Yields:
        The index of a run and its state, first where it goes on, then whenever a segment of it has ended.
    """
    with progress_bar(sum(run.num_epochs for run in runs), description) as bar:
        yield from train_until(cluster, runs, bar=bar, checkpoints=checkpoints)


def progress_bar(num_epochs: int, description: str) -> Bar:
    """Count the epochs of a stage; nothing is shown if stderr is not a terminal."""
    # Shorter than tqdm's own, so that what follows it fits into 80 columns.
    form = "{desc}: {n_fmt}/{total_fmt} epochs|{bar}|{remaining} left{postfix}"
    return tqdm(total=num_epochs, desc=description, bar_format=form, disable=None)


def train_until(
    cluster: Cluster,
    runs: Sequence[TrainingRun],
    *,
    bar: Bar,
    epoch: int | None = None,
    states: Sequence[TrainingState | None] = (),
    others: Sequence[TrainingState] = (),
    checkpoints: Checkpoints | None = None,
) -> Iterator[tuple[int, TrainingState]]:
    """Train every run until it fails or has so many epochs behind it; see `train_all`.

    Args:
        cluster: see `open_cluster`.
        runs: what to train, all on the same data.
        bar: counts epochs up to `epoch`.
        epoch: None is the end of each run. A state that was kept may be further on.
        states: where the runs stand, None where only `checkpoints` may know.
        others: states of runs that are no longer trained, for the bar's text.
        checkpoints: see `train_all`.

    Yields:
        See `train_all`.
    """
    goals = [min(run.num_epochs, epoch or run.num_epochs) for run in runs]
    standing = list(states) or [None] * len(runs)
    known = {
        index: state
        for index, run in enumerate(runs)
        if standing[index] is None and checkpoints and (state := checkpoints.load(run))
    }
    current = [standing[index] or known.get(index) or run.initial_state() for index, run in enumerate(runs)]
    waiting = {index for index, state in enumerate(current) if not state.needs_no_training_to(goals[index])}
    for index, state in known.items():
        _show(bar, goals[index], 0, state)
        if not bar.disable:
            bar.initial += min(len(state.records), goals[index])  # the time left is reckoned from what is trained now
    yield from ((index, state) for index, state in enumerate(current) if index in known or index not in waiting)
    with closing(Jobs(cluster, runs[0].setup.data_directory)) as jobs:
        while waiting or len(jobs):
            while waiting and jobs.num_free:
                num_threads = threads_per_job(cluster, len(waiting) + len(jobs))
                index = min(waiting, key=lambda i: (len(current[i].records) / runs[i].num_epochs, i))
                waiting.remove(index)
                segment = -(-runs[index].num_epochs // SEGMENTS_PER_RUN)
                left = goals[index] - len(current[index].records)
                jobs.submit(index, advance, runs[index], current[index], min(segment, left), num_threads)
            ended = jobs.completed()
            for index, state in ended:  # all of them, before the caller may stop
                if checkpoints:
                    checkpoints.save(runs[index], state)
            for index, state in ended:
                before, current[index] = len(current[index].records), state
                if not state.needs_no_training_to(goals[index]):
                    waiting.add(index)
                _show(bar, goals[index], before, state)
                num_left_out = sum(not is_finished(runs[0], state) for state in others)
                bar.set_postfix_str(_standing([*current, *others], len(waiting) + len(jobs), num_left_out))
                yield index, state


def _show(bar: Bar, goal: int, epochs_before: int, state: TrainingState) -> None:
    epochs = min(len(state.records), goal)
    if state.failure is not None:
        bar.total = (bar.total or 0) - (goal - epochs)
    bar.update(epochs - epochs_before)


def _standing(states: Sequence[TrainingState], num_to_go: int, num_left_out: int) -> str:
    records = [record for state in states for record in state.records]
    errors = [record.errors["validation"] for record in records if "validation" in record.errors]
    best = f"best {100 * min(errors):.2f} %, " if errors else ""
    return f"{best}{num_to_go} to go" + (f", {num_left_out} out" if num_left_out else "")


def threads_per_job(cluster: Cluster, num_jobs: int) -> int:
    """Return the cores of this machine for each of so many jobs, at least one; one if the workers are not ours."""
    if cluster.address:
        return 1
    cores: int = min(cluster.num_workers, CPU_COUNT)
    return max(1, cores // num_jobs)
