"""Hands jobs to the workers of a Dask scheduler and sees them through, should workers die, freeze or not fit.

Every job is given to one worker by name. So a job whose worker is gone is known at once, and no worker gets one before
it was admitted: those of somebody else's scheduler must have this code, these library versions and these data.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import distributed
from distributed import Client, KilledWorker
from distributed.comm import CommClosedError
from tqdm import tqdm

from mnist_core.errors import UserError, printable
from mnist_core.files.reading import read_bytes
from mnist_core.training.worker import NotAdmitted, hash_of, join, perform, receive, versions

PATIENCE = 60.0  # seconds without any worker, or without a sign of life from one
AWAY = 20.0  # seconds between two looks, after which this process itself must have been stopped
ANSWER = 30.0  # seconds that a scheduler may take to answer
MAX_RERUNS = 2  # of a job whose worker died
GO_ON = "`dvc repro` goes on where it was"


class WorkerProcess(NamedTuple):
    """One life of a worker: whoever comes back at the same address has another directory."""

    address: str
    directory: str


class Cluster:
    """A connection to a scheduler.

    Attributes:
        client: Dask's own.
        address: of a scheduler that is not ours; None for local workers.
    """

    def __init__(self, client: Client, address: str | None = None) -> None:
        self.client = client
        self.address = address
        self.admitted: dict[WorkerProcess, str] = {}  # -> hash of the data it has
        self.refused: set[WorkerProcess] = set()

    def __str__(self) -> str:
        return f"scheduler {self.address}" if self.address else "local workers"

    @property
    def num_workers(self) -> int:
        """Workers known at this moment, admitted or not."""
        return len(self.last_seen())

    def last_seen(self) -> dict[WorkerProcess, float]:
        """Return when the scheduler last heard of each worker, by its own clock.

        Raises:
            UserError: the scheduler is gone or does not answer.
        """
        try:
            if self.client.status != "running":
                raise OSError("connection lost")
            identity = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER)
        except (OSError, CommClosedError, TimeoutError) as error:
            reason = f"no answer for {ANSWER:g} s" if isinstance(error, TimeoutError) else "it is gone"
            raise UserError(f"{self}: {reason}; start the scheduler again, then {GO_ON}") from error
        return {
            WorkerProcess(address, worker["local_directory"]): worker["last_seen"]
            for address, worker in identity["workers"].items()
        }

    def run(self, function: Callable[..., Any], *arguments: Any, data_directory: Path) -> Any:
        """Do one job and return its result; see `Jobs`."""
        with closing(Jobs(self, data_directory)) as jobs:
            while not jobs.num_free:
                jobs.completed()
            jobs.submit(0, function, *arguments)
            while not (found := jobs.completed()):
                pass
            return found[0][1]


_LOST = (CancelledError, KilledWorker, CommClosedError, NotAdmitted)  # what a job ends with whose worker is gone


@dataclass
class _Job:
    key: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    worker: WorkerProcess
    reruns: int = 0


class Jobs:
    """Jobs on one cluster and one data directory, one at a time for each worker.

    Args:
        cluster: where.
        data_directory: sent once to every worker that is not ours; the jobs name it by its path here.
    """

    def __init__(self, cluster: Cluster, data_directory: Path) -> None:
        self._cluster = cluster
        self._data_directory = data_directory
        self._data_sha256 = hash_of(data_directory) if cluster.address else ""
        self._running: dict[Future[Any], _Job] = {}
        self._joining: dict[Future[Any], WorkerProcess] = {}
        self._tasks: dict[Future[Any], distributed.Future] = {}  # Dask's claims to what runs and joins
        self._waiting: list[_Job] = []  # for a second worker
        self._last_seen: dict[WorkerProcess, tuple[float, float]] = {}  # -> by the scheduler's clock, by ours
        self._looked = -math.inf
        self._sign_of_life = time.monotonic()  # of any worker that may be given a job, now or soon
        self._look()

    def __len__(self) -> int:
        """Return the number of jobs under way."""
        return len(self._running) + len(self._waiting)

    @property
    def num_free(self) -> int:
        """Workers that wait for a job."""
        return max(0, len(self._free()) - len(self._waiting))

    def submit(self, key: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a job to a free worker; there must be one."""
        self._start(_Job(key, function, arguments, self._free()[0]))

    def completed(self) -> list[tuple[int, Any]]:
        """Wait a little, and return key and result of the jobs that have ended since, perhaps none.

        Raises:
            UserError: the scheduler is gone, or there is no worker, or a job's workers died again and again.
            Exception: a job's own.
        """
        self._look()
        for worker in self._free()[: len(self._waiting)]:
            self._start(replace(self._waiting.pop(0), worker=worker))
        results = [*self._running, *self._joining]
        if not results:
            time.sleep(0.1)
            return []
        done = wait(results, timeout=1, return_when="FIRST_COMPLETED").done
        for result in done & self._joining.keys():
            self._forget(result)
            self._go_on_joining(result, self._joining.pop(result))
        ended = {result: result.exception() for result in done & self._running.keys()}
        if finished := [result for result, error in ended.items() if error is None]:
            for result in finished:
                self._forget(result)
            return [(self._running.pop(result).key, result.result()) for result in finished]
        for result, error in ended.items():  # only now that what others have done is safe: this may raise
            if error and not isinstance(error, _LOST):
                raise error
            self._last_seen.pop(self._running[result].worker, None)  # no job for it before it is seen again
            self._run_again(result)
        return []

    def close(self) -> None:
        """Forget the jobs that are under way."""
        for result in list(self._tasks):
            self._forget(result)

    def _start(self, job: _Job) -> None:
        if self._cluster.address:
            arguments = (job.function, job.arguments, self._data_sha256, versions())
            self._running[self._submit(job.worker, perform, *arguments)] = job
        else:
            self._running[self._submit(job.worker, job.function, *job.arguments)] = job

    def _submit(self, worker: WorkerProcess, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Return what will be the result itself, not a claim to one, which a worker that dies cannot meet any more."""
        client = self._cluster.client
        task = client.submit(function, *arguments, workers=[worker.address], pure=False)
        fetched = client.gather(task, asynchronous=True)
        result: Future[Any] = asyncio.run_coroutine_threadsafe(fetched, client.loop.asyncio_loop)
        self._tasks[result] = task
        return result

    def _forget(self, result: Future[Any]) -> None:
        self._tasks.pop(result).release()

    def _run_again(self, result: Future[Any]) -> None:
        job = self._running.pop(result)
        self._forget(result)
        job.reruns += 1
        if job.reruns > MAX_RERUNS:
            raise UserError(
                f"{self._cluster}: {job.reruns} workers died at one job, perhaps for want of memory; then {GO_ON}"
            )
        self._waiting.append(job)

    def _free(self) -> list[WorkerProcess]:
        busy = {job.worker for job in self._running.values()}
        return [
            worker
            for worker in self._last_seen
            if worker not in busy
            and not self._is_frozen(worker)
            and self._cluster.admitted.get(worker) == self._data_sha256
        ]

    def _is_frozen(self, worker: WorkerProcess) -> bool:
        return time.monotonic() - self._last_seen[worker][1] > PATIENCE

    def _look(self) -> None:
        """Once a second: who has come, who is gone, who has frozen, and is there anybody left?"""
        now = time.monotonic()
        if now - self._looked < 1:
            return
        was_away = now - self._looked > AWAY  # stopped by Ctrl-Z, say: then nobody else is to blame
        seen = self._cluster.last_seen()
        self._looked = now = time.monotonic()
        known = self._last_seen
        self._last_seen = {
            worker: known[worker] if worker in known and known[worker][0] == last and not was_away else (last, now)
            for worker, last in seen.items()
        }
        for result, worker in list(self._joining.items()):
            if worker not in seen:
                del self._joining[result]
                self._forget(result)
        for worker in seen.keys() - self._joining.values():
            self._welcome(worker)
        for result, job in list(self._running.items()):
            if job.worker not in self._last_seen:
                self._run_again(result)
            elif self._is_frozen(job.worker):
                _say(f"worker {job.worker.address}: no sign of life for {PATIENCE:g} s; its job goes to another")
                self._run_again(result)
        signs = [sign for worker, (_, sign) in self._last_seen.items() if worker not in self._cluster.refused]
        self._sign_of_life = now if was_away else max([self._sign_of_life, *signs])
        if now - self._sign_of_life > PATIENCE:
            num_refused = len(self._cluster.refused & seen.keys())
            refused = f" but {num_refused} refused" if num_refused else ""
            raise UserError(
                f"{self._cluster}: no worker for {PATIENCE:g} s{refused}; start one (docs/cluster.md), then {GO_ON}"
            )

    def _welcome(self, worker: WorkerProcess) -> None:
        if not self._cluster.address:
            self._cluster.admitted[worker] = self._data_sha256
        elif worker not in self._cluster.refused and self._cluster.admitted.get(worker) != self._data_sha256:
            self._joining[self._submit(worker, join, self._data_sha256)] = worker

    def _go_on_joining(self, result: Future[Any], worker: WorkerProcess) -> None:
        error = result.exception()
        if isinstance(error, _LOST):  # it is gone, or will be asked again
            return
        if error:
            self._refuse(worker, f"it cannot run this project ({error}); install the project there")
            return
        if (answer := result.result()) is not None:  # of `join`; `receive` says nothing
            theirs, has_data = answer
            for name, version in versions().items():
                if theirs.get(name) != version:
                    self._refuse(worker, f"its {name} is {theirs.get(name)}, here {version}; install the same there")
                    return
            if not has_data:
                contents = {path.name: read_bytes(path) for path in sorted(self._data_directory.iterdir())}
                self._joining[self._submit(worker, receive, self._data_sha256, contents)] = worker
                return
        self._cluster.admitted[worker] = self._data_sha256

    def _refuse(self, worker: WorkerProcess, reason: str) -> None:
        self._cluster.refused.add(worker)
        _say(f"worker {worker.address}: refused: {reason}, and restart it")


def _say(line: str) -> None:
    tqdm.write(printable(line), file=sys.stderr)
