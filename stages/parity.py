"""Train the twins side by side; write metrics/parity.json and plots/parity.csv."""

import json

import click

from mnist_core.data.dataset import check_as_asked
from mnist_core.files.writing import output_file, write_csv
from mnist_core.params import load_params
from mnist_core.proof.parity import compare_twins
from mnist_core.training.cluster import open_cluster
from stages.command import METRICS, PARAMS, PLOTS, PREPARED, StageCommand
from stages.training import cluster_options


@click.command(cls=StageCommand)
@cluster_options
def main(workers: int | None, scheduler: str | None) -> None:
    """Compare 1x with 2x from equal weights on equal batches, with the active profile's `parity` in params.yaml."""
    params = load_params(PARAMS)
    architectures = dict(params.architectures)
    check_as_asked(PREPARED, params.data, params.active.data)
    with output_file(METRICS / "parity.json") as metrics, output_file(PLOTS / "parity.csv") as plot:
        with open_cluster(num_workers=workers, scheduler=scheduler) as cluster:
            records, curves = compare_twins(cluster, architectures, PREPARED.resolve(), params.active.parity)
        metrics.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
        write_csv(curves, plot)


if __name__ == "__main__":
    main()
