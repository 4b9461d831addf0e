"""The plan of the house: who may import whom, and that dvc.yaml declares the code that each stage really runs."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parents[2]
FRAMEWORK_OF_MODEL_NUMBER = {"1": {"tensorflow_nn"}, "2": {"numpy_nn"}}
BOTH = {"tensorflow_nn", "numpy_nn"}
GROUND = {"errors", "arrays", "models", "files", "metrics", "candidates", "records"}

# Room or wing of mnist_core -> the rooms and wings that it may import, besides itself. Arrows point down only.
MAY_IMPORT = {
    "errors": set(),
    "arrays": set(),
    "metrics": {"arrays"},
    "class_names": {"arrays"},
    "models": {"errors"},
    "files": {"arrays", "errors"},
    "candidates": {"errors", "files"},
    "records": {"arrays", "candidates", "errors", "files", "models"},
    "data": {"arrays", "errors", "files"},
    "networks": GROUND,
    "numpy_nn": GROUND | {"networks"},
    "tensorflow_nn": GROUND | {"networks"},
    "registry": GROUND | {"networks", "numpy_nn", "tensorflow_nn"},
    "export": GROUND | {"networks", "tensorflow_nn"},
    "published": GROUND,
    "predict": GROUND | {"class_names", "networks", "data", "registry", "published"},
    "draw": GROUND | {"class_names", "networks", "published"},
    "__main__": {"predict"},
    "params": GROUND | {"networks", "data"},
    "training": GROUND | {"networks", "data", "registry"},
    "search": GROUND | {"networks", "data", "registry", "params", "training"},
    "tuning": GROUND | {"params", "training"},
    "final_training": GROUND | {"training"},
    "evaluation": GROUND | {"networks", "data", "registry", "training"},
    "calibration": GROUND,
    "comparison": GROUND,
    "details": GROUND | {"calibration"},
    "proof": GROUND | {"networks", "data", "registry", "params", "numpy_nn", "training"},
    "report": GROUND | {"class_names", "networks", "data", "params"},
}


def module_file(module):
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(path):
    """Yield (module, name) of every import of the project's own code, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("mnist_core", "stages"):
            for alias in node.names:
                submodule = module_file(f"{node.module}.{alias.name}")
                yield (f"{node.module}.{alias.name}" if submodule.exists() else node.module), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in ("mnist_core", "stages"):
                    yield alias.name, None


def has_code(path):
    """Packages whose __init__ is a docstring only are no dependency."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


def import_closure(module, frameworks):
    """Return the files that a stage may run. The registry's lazy imports count where a network is built."""
    found, waiting = set(), {module}
    while waiting:
        current = waiting.pop()
        path = module_file(current)
        if path in found:
            continue
        found.add(path)
        for target, name in imports(path):
            package = target.split(".")[1] if "." in target else None
            if current == "mnist_core.registry" and package in BOTH:
                continue
            if package in BOTH and package not in frameworks:
                continue
            waiting.add(target)
            waiting.update(".".join(target.split(".")[:depth]) for depth in range(1, target.count(".") + 1))
            if name == "build_classifier":
                waiting |= {f"mnist_core.{framework}.classifier" for framework in frameworks}
                waiting |= {f"mnist_core.{framework}" for framework in frameworks}
    return {path.relative_to(ROOT) for path in found if has_code(path)}


def declared_code(stage):
    """Return the files and wings of our code that a stage names in dvc.yaml."""
    paths = [Path(dependency.def_path) for dependency in stage.deps]
    return [path for path in paths if path.parts[0] in ("stages", "mnist_core")]


@cache
def stages():
    return {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}


def closure_of(name, stage):
    _, _, model = name.partition("@")
    return import_closure(stage.cmd.split()[2], FRAMEWORK_OF_MODEL_NUMBER[model[0]] if model else BOTH)


@pytest.mark.parametrize("name", sorted(stages()))
def test_all_code_that_a_stage_imports_is_declared(name):
    stage = stages()[name]
    declared = declared_code(stage)
    assert [file for file in closure_of(name, stage) if not {file, *file.parents} & set(declared)] == []


@pytest.mark.parametrize("name", sorted(stages()))
def test_no_code_is_declared_that_a_stage_does_not_use(name):
    stage = stages()[name]
    used = {place for file in closure_of(name, stage) for place in (file, *file.parents)}
    assert [path for path in declared_code(stage) if path not in used] == []


def test_every_stage_module_is_a_stage_or_shared_by_stages():
    commands = {stage.cmd.split()[2].split(".")[1] for stage in stages().values()}
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert modules - commands == {"__init__", "command", "training"}


def place(path):
    """Return the room on the ground floor or the wing of mnist_core that a file stands in."""
    return path.relative_to(ROOT / "mnist_core").parts[0].removesuffix(".py")


def test_every_room_has_its_place_in_the_plan():
    rooms = {place(path) for path in (ROOT / "mnist_core").rglob("*.py")}
    assert rooms - {"__init__"} == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_arrows_point_down(room):
    allowed = MAY_IMPORT[room] | {room}
    offenders = [
        f"{file.relative_to(ROOT)}: {target}"
        for file in sorted((ROOT / "mnist_core").rglob("*.py"))
        if place(file) == room
        for target, _ in imports(file)
        if target.split(".")[0] == "stages" or target.split(".")[1] not in allowed
    ]
    assert offenders == []


def test_the_plan_has_no_circle():
    below = {room: set(allowed) for room, allowed in MAY_IMPORT.items()}
    while below:
        lowest = {room for room, rooms in below.items() if not rooms & set(below)}
        assert lowest, f"a circle among {sorted(below)}"
        below = {room: rooms for room, rooms in below.items() if room not in lowest}


@pytest.mark.parametrize(
    "module",
    [
        "stages.fetch",
        "stages.prepare",
        "stages.search",
        "stages.tuning",
        "stages.train",
        "stages.evaluate",
        "stages.compare",
        "stages.plot",
        "stages.table",
        "stages.report",
        "stages.publish",
        "stages.draw",
        "mnist_core.__main__",
        "mnist_core.numpy_nn.classifier",
    ],
)
def test_import_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_file_is_long_and_no_function_either():
    for path in sorted((ROOT / "mnist_core").rglob("*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= 350, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"
