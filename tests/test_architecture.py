"""The shape of the project: who may import whom, and that dvc.yaml declares the code that each stage really runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parent.parent
FRAMEWORK_OF_MODEL_NUMBER = {"1": {"tensorflow_nn"}, "2": {"numpy_nn"}}
BOTH = {"tensorflow_nn", "numpy_nn"}


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
            package = target.split(".")[1]
            if current == "mnist_core.registry" and package in BOTH:
                continue
            if package in BOTH and package not in frameworks:
                continue
            waiting.add(target)
            waiting.update(".".join(target.split(".")[:depth]) for depth in range(2, target.count(".") + 1))
            if name in ("build_classifier", "loaded_classifier"):
                waiting |= {f"mnist_core.{framework}.network" for framework in frameworks}
                waiting |= {f"mnist_core.{framework}" for framework in frameworks}
    return {str(path.relative_to(ROOT)) for path in found if has_code(path)}


def declared_code(stage):
    files = set()
    for dependency in stage.deps:
        path = ROOT / dependency.def_path
        if dependency.def_path.split("/")[0] in ("stages", "mnist_core"):
            files |= {path} if path.is_file() else set(path.rglob("*.py"))
    return {str(file.relative_to(ROOT)) for file in files if file.suffix == ".py" and has_code(file)}


def stages():
    return {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}


@pytest.mark.parametrize("name", sorted(stages()))
def test_declared_code_is_what_the_stage_imports(name):
    stage = stages()[name]
    module = stage.cmd.split()[2]
    _, _, model = name.partition("@")
    frameworks = FRAMEWORK_OF_MODEL_NUMBER[model[0]] if model else BOTH
    assert declared_code(stage) == import_closure(module, frameworks)


def test_every_stage_module_is_a_stage_or_says_that_it_is_none():
    commands = {stage.cmd.split()[2].split(".")[1] for stage in stages().values()}
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert modules - commands == {"__init__", "command", "plots_page"}


FORBIDDEN = [
    ("mnist_core", "stages"),
    ("mnist_core.numpy_nn", "mnist_core.tensorflow_nn"),
    ("mnist_core.tensorflow_nn", "mnist_core.numpy_nn"),
    ("mnist_core.numpy_nn", "mnist_core.training"),
    ("mnist_core.tensorflow_nn", "mnist_core.training"),
    ("mnist_core.numpy_nn", "mnist_core.data"),
    ("mnist_core.tensorflow_nn", "mnist_core.data"),
    ("mnist_core.plotting", "mnist_core.numpy_nn"),
    ("mnist_core.plotting", "mnist_core.tensorflow_nn"),
    ("mnist_core.tables", "mnist_core.numpy_nn"),
    ("mnist_core.tables", "mnist_core.tensorflow_nn"),
    ("mnist_core.report", "mnist_core.numpy_nn"),
    ("mnist_core.report", "mnist_core.tensorflow_nn"),
]


@pytest.mark.parametrize(("importer", "imported"), FORBIDDEN)
def test_forbidden_import(importer, imported):
    base = module_file(importer)
    files = base.parent.rglob("*.py") if base.name == "__init__.py" else [base]
    offenders = [
        f"{file.relative_to(ROOT)}: {target}"
        for file in files
        for target, _ in imports(file)
        if target == imported or target.startswith(f"{imported}.")
    ]
    assert not offenders


@pytest.mark.parametrize(
    "module",
    [
        "stages.fetch",
        "stages.prepare",
        "stages.search",
        "stages.train",
        "stages.evaluate",
        "stages.plot",
        "stages.table",
        "stages.report",
        "mnist_core.numpy_nn.network",
    ],
)
def test_import_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
