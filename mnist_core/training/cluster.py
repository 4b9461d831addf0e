"""Runs independent training jobs on worker processes: one a core here, or those of a Dask cluster.

Jobs are cut into segments and the job that is furthest behind goes next. So three jobs keep two workers busy to the
end, which three whole jobs would not. Each job computes on one thread, because BLAS and TensorFlow add in another order
on more, and results must not depend on the number of workers. Only NumPy's networks with convolutions, which give the
same bytes on any number of threads, share among them the cores of this machine that would be idle.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dask
from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, wait
from tqdm import tqdm

from mnist_core.errors import UserError
from mnist_core.training.loop import advance
from mnist_core.training.run import TrainingRun, TrainingState, is_finished

SEGMENTS_PER_RUN = 20

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Dask's own threads wake a hundred times a second to watch for what matters to many short tasks. Ours run for seconds,
# and every wake-up takes the interpreter lock from the training.
_NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


@contextmanager
def open_cluster(*, num_workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """Connect to the scheduler at an address, or start local workers and stop them afterwards.

    Args:
        num_workers: local worker processes; by default one for each core that this process may use.
        scheduler: address of a running Dask scheduler, such as "tcp://10.0.0.1:8786". Its workers need this package,
            one thread each, and the project's directory at the same path.

    Raises:
        UserError: the scheduler cannot be reached.
    """
    if scheduler:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError, TypeError) as error:  # the last one: tls:// without certificates
            raise UserError(f"scheduler {scheduler}: cannot connect ({error}); start it or unset it") from error
        with client:
            yield client
        return
    logging.getLogger("distributed").setLevel(logging.ERROR)  # TensorFlow's slow exit is no news
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        # Before the workers start: BLAS and TensorFlow read the environment when they are loaded.
        dask.config.set(_QUIET | _NO_PAGES | {"distributed.nanny.pre-spawn-environ": _ONE_THREAD}),
        LocalCluster(
            n_workers=num_workers or CPU_COUNT,
            threads_per_worker=1,
            memory_limit=0,
            security=True,  # TLS with a certificate that only these processes know: no other user can submit code
            dashboard_address="127.0.0.1:0",  # None would mean port 8787, with a warning if it is taken
            local_directory=scratch,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def train_all(client: Client, runs: Sequence[TrainingRun], *, description: str) -> Iterator[tuple[int, TrainingState]]:
    """Train every run to its end or until it fails, unless the caller stops asking for more.

    Args:
        client: see `open_cluster`.
        runs: what to train.
        description: shown before the progress bar, which counts epochs; there is none if stderr is not a terminal.

    Yields:
        The index of a run and its state, whenever a segment of it has ended.
    """
    states = [run.initial_state() for run in runs]
    waiting = set(range(len(runs)))
    running: dict[Future, int] = {}
    with tqdm(total=sum(run.num_epochs for run in runs), desc=description, unit="epoch", disable=None) as bar:
        while waiting or running:
            while waiting and len(running) < max(1, len(client.nthreads())):
                num_threads = threads_per_job(client, len(waiting) + len(running))
                index = min(waiting, key=lambda i: (len(states[i].records) / runs[i].num_epochs, i))
                waiting.remove(index)
                segment = -(-runs[index].num_epochs // SEGMENTS_PER_RUN)
                job = client.submit(advance, runs[index], states[index], segment, num_threads, pure=False)
                running[job] = index
            for future in wait(list(running), return_when="FIRST_COMPLETED").done:
                index = running.pop(future)
                state: TrainingState = future.result()
                bar.update(len(state.records) - len(states[index].records))
                states[index] = state
                if not is_finished(runs[index], state):
                    waiting.add(index)
                else:
                    bar.total = (bar.total or 0) - (runs[index].num_epochs - len(state.records))
                yield index, state


def threads_per_job(client: Client, num_jobs: int) -> int | None:
    """Return the cores of this machine for each of so many jobs, at least one; None if the workers are not ours."""
    if not isinstance(client.cluster, LocalCluster):
        return None
    cores: int = min(len(client.nthreads()), CPU_COUNT)
    return max(1, cores // num_jobs)
