"""One contender in a process of its own: its threads, memory and imports touch no other's.

The first line of standard input is the order (JSON, see `measure.Worker`), each further line is "train" or "predict".
Each line is answered by one line of JSON.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from threadpoolctl import threadpool_info

from benchmarks.contenders import Contender, SkippedError, build
from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.data.dataset import load_split
from mnist_core.networks.architectures import CheckedArchitecture


def load_images(data: str | None, count: int) -> tuple[Array, Array]:
    """Return `count` training images float32 (count, 28, 28, 1) and labels int64 (count,); random ones without `data`.

    Raises:
        UserError: a file in `data` is missing or damaged.
    """
    if data is None:
        rng = np.random.default_rng(0)
        return rng.random((count, *IMAGE_SHAPE), np.float32), rng.integers(NUM_CLASSES, size=count)
    split = load_split(Path(data), "train")
    if count == len(split.labels):
        return split.images, split.labels
    return np.array(split.images[:count]), split.labels[:count]  # a view would keep all images in memory


def main() -> None:
    """Answer orders until standard input ends."""
    # Libraries print what they like: only this function may write to the pipe.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")

    order = json.loads(sys.stdin.readline())
    architecture = TypeAdapter(CheckedArchitecture).validate_python(order["layers"])
    images, labels = load_images(order["data"], order["images"])
    try:
        contender = build(order["contender"], architecture, images, labels, order["threads"])
    except SkippedError as skipped:
        answer(skipped=str(skipped))
        return
    kernels = [pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    answer(versions=contender.versions, blas_kernel=kernels[0] if kernels else None)
    for line in sys.stdin:
        seconds = _timed(contender, line.strip())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
        answer(seconds=seconds, peak_rss_mb=peak)


def _timed(contender: Contender, task: str) -> float:
    function = contender.train_epoch if task == "train" else contender.predict
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
