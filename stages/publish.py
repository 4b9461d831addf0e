"""Stage publish: one trained model of each name, ready to use, in git."""

import shutil

import click

from mnist_core.candidates import HYPERPARAMETERS, Percent, read_choice
from mnist_core.data.dataset import load_manifest
from mnist_core.export.onnx_file import onnx_bytes
from mnist_core.files.reading import read_csv
from mnist_core.files.writing import output_directory, write_bytes, write_json
from mnist_core.networks.model_file import load_model
from mnist_core.params import load_params
from mnist_core.published import PUBLISHED, RECORD, PublishedModel, sha256
from mnist_core.records import evaluated_models
from stages.command import MODEL_FILES, PARAMS, PREPARED, SCORES, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/published: the first seed of every evaluated model as .npz and .onnx, and what is known of it."""
    params = load_params(PARAMS)
    seed = params.active.train.seeds[0]
    data_sha256 = load_manifest(PREPARED).sha256
    record = {}
    with output_directory(PUBLISHED) as directory:
        for model in evaluated_models(SCORES):
            trained, published = MODEL_FILES / model, directory / f"{model}.npz"
            choice = read_choice(trained / HYPERPARAMETERS, model)
            expected = {
                **choice.hyperparameters.model_dump(exclude_none=True),
                "model": model,
                "seed": seed,
                "architecture": params.architecture(model),
                "data_sha256": data_sha256,
            }
            network = load_model(trained / f"seed_{seed}.npz", expected)
            write_bytes(published.with_suffix(".onnx"), onnx_bytes(*network))
            shutil.copyfile(trained / f"seed_{seed}.npz", published)
            errors = read_csv(trained / f"seed_{seed}.csv", {"test_error": Percent})["test_error"]
            record[model] = PublishedModel(
                sha256=sha256(published),
                test_error=float(errors.iloc[-1]),
                seed=seed,
                learning_rate=choice.learning_rate,
                epochs=choice.epochs,
                classes=params.data.names,
            ).model_dump(exclude_defaults=True)
        write_json(directory / RECORD, record)


if __name__ == "__main__":
    main()
