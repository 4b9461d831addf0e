"""Runs the contenders in turn, one epoch each, round after round, so that a slow minute of the machine hits them all.

Every (contender, threads, architecture) has a process of its own; only one of them computes at a time.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import click

from benchmarks.contenders import BUILDERS
from mnist_core.networks.architectures import Architecture, architecture_to_dicts

_SETTLE = 0.1  # seconds; threads of the contender before still spin a moment, waiting for work
_FEWEST = 3  # counted rounds, however long they take
_FORWARD_ROUNDS = 3


@dataclass
class Group:
    """What one architecture on one number of threads gave: contender -> its figures."""

    train_seconds: dict[str, list[float]] = field(default_factory=dict)
    predict_seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_rss_mb: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    blas_kernel: str | None = None


class Worker:
    """The process of one contender; leaving the context ends it."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._contender = order["contender"]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=worker_environment(os.environ, order["threads"]),
        )
        self._send(json.dumps(order))

    def run(self, task: str) -> Any:
        """Run "train" (one epoch) or "predict" (all images); return the answer of worker.py."""
        self._send(task)
        return self.answer()

    def answer(self) -> Any:
        """Wait for the next answer.

        Raises:
            RuntimeError: the process died; the message ends with what it wrote to standard error.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"the {self._contender} worker died:\n{self._errors.read()[-3000:]}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()  # it holds nothing worth saving
        self._process.communicate()
        self._errors.close()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: `answer` says why


def worker_environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the environment of a worker that may use `threads` threads."""
    # Some machines force OpenBLAS to an older kernel or a smaller cache than theirs, which only NumPy and
    # scikit-learn obey: the comparison would measure that setting.
    forced = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}
    kept = {name: value for name, value in environment.items() if name not in forced}
    limits = ("OMP", "OPENBLAS", "MKL", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
    return kept | {
        **{f"{name}_THREADS" if name.startswith("TF") else f"{name}_NUM_THREADS": str(threads) for name in limits},
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",  # everybody on the processor
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def measure_group(
    architecture: Architecture, *, data: str | None, images: int, threads: int, repeats: int, seconds: float
) -> Group:
    """Time one architecture on all contenders.

    Args:
        architecture: the network.
        data: directory of the prepared images; None for random ones.
        images: training images in an epoch.
        threads: threads each contender may use.
        repeats: rounds that count, after one that does not; fewer (but at least three) when `seconds` are over.
        seconds: time for the rounds of training.
    """
    group = Group()
    with ExitStack() as stack:
        order = {"layers": architecture_to_dicts(architecture), "data": data, "images": images, "threads": threads}
        workers = {name: stack.enter_context(Worker({**order, "contender": name})) for name in BUILDERS}
        for name, worker in list(workers.items()):
            ready = worker.answer()
            if "skipped" in ready:
                group.skipped[name] = ready["skipped"]
                del workers[name]
                continue
            group.versions |= ready["versions"]
            if name == "numpy":
                group.blas_kernel = ready["blas_kernel"]
        start = time.monotonic()
        for number in range(repeats + 1):
            round_start = time.monotonic()
            answers = _round(workers, "train", f"epoch {number}" if number else "warm-up")
            if number:
                for name, answer in answers.items():
                    group.train_seconds.setdefault(name, []).append(answer["seconds"])
            now = time.monotonic()
            if number >= _FEWEST and now - start + (now - round_start) > seconds:
                break
        group.peak_rss_mb = {name: answer["peak_rss_mb"] for name, answer in answers.items() if name != "gemm"}
        del workers["gemm"]
        for number in range(min(repeats, _FORWARD_ROUNDS) + 1):
            answers = _round(workers, "predict", f"forward {number}" if number else "warm-up")
            if number:
                for name, answer in answers.items():
                    group.predict_seconds.setdefault(name, []).append(answer["seconds"])
    return group


def _round(workers: Mapping[str, Worker], task: str, label: str) -> dict[str, Any]:
    answers = {}
    for name, worker in workers.items():
        time.sleep(_SETTLE)
        answers[name] = worker.run(task)
    taken = "  ".join(f"{name} {answer['seconds']:.3f}" for name, answer in answers.items())
    click.echo(f"  {label}: {taken}", err=True)
    return answers
