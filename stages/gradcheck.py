"""Check the hand-written gradients three ways; write metrics/gradients.json."""

import os

import click

from mnist_core.files.writing import output_file
from mnist_core.params import load_params
from mnist_core.proof.gradient_report import check_gradients, to_json
from stages.command import METRICS, PARAMS, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Compare the NumPy gradients with finite differences, TensorFlow and naive loops; fail above the tolerance."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when TensorFlow starts: rounding must not depend on the cores
    params = load_params(PARAMS)
    architectures = dict(params.architectures)
    check = params.active.gradcheck
    with output_file(METRICS / "gradients.json") as path:
        record = check_gradients(architectures, seeds=check.seeds, tolerance=check.tolerance)
        path.write_text(to_json(record), encoding="utf-8")


if __name__ == "__main__":
    main()
