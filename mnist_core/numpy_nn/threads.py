"""Threads."""

import functools
import os

from threadpoolctl import ThreadpoolController

SWITCH_INTERVAL = 1e-4  # seconds; Python's 5 ms are longer than a chunk, for which the other thread may have to wait


def default_num_threads() -> int:
    """Return OMP_NUM_THREADS, which BLAS obeys too, or the number of cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


@functools.cache
def threadpools() -> ThreadpoolController:
    """Return the controller of the thread pools of the loaded libraries."""
    return ThreadpoolController()
