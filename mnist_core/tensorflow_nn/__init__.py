"""The networks in TensorFlow. This file only starts TensorFlow up: quiet, on the CPU, deterministic.

That happens once, before any module of this package runs an operation.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide what C++ code prints to file descriptor 2; Python exceptions still reach the caller."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a path of ours)
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def use_threads_of_environment() -> None:
    """Give TensorFlow as many threads as OMP_NUM_THREADS says, which it does not read itself; unset: its own choice."""
    num_threads = os.environ.get("OMP_NUM_THREADS", "")
    if num_threads.isdecimal():
        tf.config.threading.set_intra_op_parallelism_threads(int(num_threads))
        tf.config.threading.set_inter_op_parallelism_threads(int(num_threads))


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow itself switches oneDNN on only where AVX-512 VNNI is; with AVX2 alone convolutions are three times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# TensorFlow loads Keras along with itself, a third of its start-up, unless it is told to look for Keras 2.
_is_default = "TF_USE_LEGACY_KERAS" not in os.environ
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
with _silent_stderr():  # some start-up notices come before the log level is read
    import tensorflow as tf

if _is_default:
    del os.environ["TF_USE_LEGACY_KERAS"]
tf.get_logger().setLevel("ERROR")  # a process that builds many networks is no mistake
use_threads_of_environment()
tf.config.set_visible_devices([], "GPU")  # the same numbers on every machine matter more here
tf.config.experimental.enable_op_determinism()
