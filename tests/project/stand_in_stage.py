"""Stands in for every stage: writes at once what dvc.yaml says, with numbers made from what the stage declares."""

import json
import os
import sys
import zlib
from pathlib import Path

from ruamel.yaml import YAML

COLUMNS = (
    "epoch,learning_rate,best,validation_error,train_error,train_error_std,test_error,test_error_std,model,framework,"
    "letter,actual,predicted,count"
)


def main() -> None:
    name, model = Path(__file__).stem, sys.argv[-1] if "--model" in sys.argv else ""
    with Path(os.environ["STAGES_RUN"]).open("a") as log:
        workers = os.environ.get("MNIST_WORKERS", "-")
        log.write(f"{name}{'@' * bool(model)}{model} {workers} {Path.cwd()}\n")
    pipeline, params = (YAML(typ="safe").load(Path(file)) for file in ("dvc.yaml", "params.yaml"))
    models = pipeline["vars"][0]["models"]
    stage = pipeline["stages"][name]
    stage = stage.get("do", stage)
    values = {"key": model, "profile": params["profile"]}
    values |= {f"item.{key}": value for key, value in models.get(model, {}).items()}

    def filled(entry):
        text = entry if isinstance(entry, str) else next(iter(entry))
        for key, value in values.items():
            text = text.replace(f"${{{key}}}", value)
        return text

    def parameter(key):
        section = params
        for part in filled(key).split("."):
            section = section[part]
        return section

    seen = json.dumps([parameter(key) for key in stage.get("params", [])])
    for path in map(Path, map(filled, stage["deps"])):
        if path.parts[0] not in ("mnist_core", "stages"):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            seen += "".join(file.read_text() for file in files if file.is_file() and file.name != ".gitignore")
    number = zlib.crc32(seen.encode()) % 10_000 / 100
    for path in (Path(filled(entry)) for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])):
        if path.suffix == "":
            path.mkdir(parents=True, exist_ok=True)
            path /= "numbers.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "summary.json":
            text = json.dumps({model: json.loads(Path(f"data/scores/{model}.json").read_text()) for model in models})
        elif path.suffix == ".csv":
            text = f"{COLUMNS}\n1,0.1,1,{number},{number},0,{number},0,2b,numpy,b,0,1,5\n"
        else:
            text = json.dumps({"test_error": number})
        path.write_text(text + "\n")


if __name__ == "__main__":
    main()
