"""Shares the chunks of a batch among threads, without a say in what is computed.

Every thread works on a network of its own, all on the same weights. Results come back in the order of the chunks, so
whoever adds them up gets the same bytes on any number of threads.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from mnist_core.arrays import Array
from mnist_core.numpy_nn.sequential import Network

Result = TypeVar("Result")

SWITCH_INTERVAL = 1e-4  # seconds; Python's 5 ms are longer than a chunk, for which the other thread may have to wait


class Crew:
    """One network for each thread."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._pool = ThreadPoolExecutor(len(networks)) if len(networks) > 1 else None

    def map(self, function: Callable[[Network, Array], Result], chunks: Sequence[Array]) -> list[Result]:
        """Return function(network, chunk) of every chunk, in their order."""
        if self._pool is None:
            return [function(self._networks[0], chunk) for chunk in chunks]
        count = len(self._networks)
        settings = np.geterr()  # a thread does not inherit them

        def run_share(index: int) -> list[Result]:
            with np.errstate(**settings):
                return [function(self._networks[index], chunk) for chunk in chunks[index::count]]

        shares = list(self._pool.map(run_share, range(count)))
        return [shares[index % count][index // count] for index in range(len(chunks))]


def default_num_threads() -> int:
    """Return OMP_NUM_THREADS, which BLAS obeys too, or the number of cores if it is no positive number."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return (int(asked) if asked.isdecimal() else 0) or os.cpu_count() or 1


@contextmanager
def one_blas_thread_each() -> Iterator[None]:
    """Let BLAS use one thread, for it adds in another order on several, and let no thread of ours wait long."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with _threadpools().limit(limits=1, user_api="blas"):
            yield
    finally:
        sys.setswitchinterval(interval)


@functools.cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()
