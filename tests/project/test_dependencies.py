"""Every dependency in pyproject.toml is imported, and every import is a dependency."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = {"mnist_core", "stages", "tools", "benchmarks", "tests"}

# Dependencies that no line imports, and why they are there all the same.
NOT_IMPORTED = {
    "cryptography": "Dask imports it for the certificates of local workers",
    "ipykernel": "runs docs/tutorial.ipynb",
    "mypy": "a command of make lint",
    "pandas-stubs": "types for mypy",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest: make test runs on two processes",
    "ruff": "a command of make lint",
    "setuptools": "builds the project, without a network",
    "types-tqdm": "types for mypy",
}
# Distributions that are imported although no dependency names them, and why that works all the same.
NOT_NAMED = {
    "dvc-render": "DVC brings the version that it needs; a test draws with it what DVC draws",
    "ruamel-yaml-clib": "an extra of ruamel.yaml, which the lock file has: DVC reads faster with it",
    "torch": "benchmarks compare with it where it can be had; see the Makefile",
}


def normal(name):
    """A distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(requirements):
    return {normal(re.match(r"[\w.-]+", text)[0]) for text in requirements}


RUN = distributions(PROJECT["project"]["dependencies"])
GROUPS = {name: distributions(group) for name, group in PROJECT["dependency-groups"].items()}


def imported(*directories):
    """Return the modules that the code in these directories imports, ours and Python's own left out: name -> file."""
    found = {}
    for path in sorted(path for directory in directories for path in (ROOT / directory).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                if (top := name.partition(".")[0]) not in OURS | sys.stdlib_module_names:
                    found.setdefault(top, path.relative_to(ROOT))
    return found


def named(modules):
    """Return the distributions that hold these modules; `make test` alone does not install what benchmarks compare."""
    holders = {"sklearn": ["scikit-learn"], "torch": ["torch"]} | packages_distributions()
    return {normal(holder) for module in modules for holder in holders[module]}


CODE = ("mnist_core", "stages", "tools")


def test_every_dependency_is_imported_or_has_a_reason():
    unused = (RUN - named(imported(*CODE))) | (GROUPS["dev"] - named(imported("tests", "tools")))
    assert unused | (GROUPS["bench"] - named(imported("benchmarks"))) == set(NOT_IMPORTED)


def test_every_import_is_a_dependency_or_has_a_reason():
    allowed = {CODE: RUN, ("tests",): RUN | GROUPS["dev"], ("benchmarks",): RUN | GROUPS["bench"]}
    strangers = [named(imported(*directories)) - distributions for directories, distributions in allowed.items()]
    assert set.union(*strangers) == set(NOT_NAMED)
