"""Writes the graph of the pipeline into README.md: one box for what dvc.yaml has once for each model.

`dvc dag` shows every model by itself and is 1,300 columns wide. Run `python -m tools.graph` after a change of dvc.yaml.
"""

import re
from pathlib import Path

import click
from dvc.repo import Repo  # type: ignore[import-untyped]

from mnist_core.errors import UserError
from mnist_core.files.writing import output_file
from stages.command import StageCommand

README = Path("README.md")
_BLOCK = re.compile(r"(?<=<!-- python -m tools.graph: begin -->\n).*(?=<!-- python -m tools.graph: end -->)", re.DOTALL)


def mermaid(needs: dict[str, set[str]]) -> str:
    """Return the graph as a fenced block of Mermaid, which GitHub draws.

    Args:
        needs: stage -> the stages whose outputs it reads; "search@2b" and its like become one box. What a longer way
            implies gets no arrow of its own.
    """
    before: dict[str, set[str]] = {}
    for name, others in needs.items():
        before.setdefault(_box(name), set()).update(map(_box, others))

    def needed(name: str) -> set[str]:
        return before[name].union(*map(needed, before[name]))

    each = {_box(name) for name in needs if "@" in name}
    alone = set(before) - set().union(*before.values()) - {name for name in before if before[name]}
    lines = [f'  {name}["{name}, for each model"]' if name in each else f"  {name}" for name in sorted(each | alone)]
    for name in sorted(before, key=lambda name: (len(needed(name)), name)):
        direct = before[name].difference(*map(needed, before[name]))
        lines += [f"  {other} --> {name}" for other in sorted(direct)]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```", ""])


def _box(name: str) -> str:
    return name.split("@")[0]


def with_graph(page: str, needs: dict[str, set[str]]) -> str:
    """Return the page with the graph between its two marks.

    Raises:
        UserError: if the page has no such marks.
    """
    if not _BLOCK.search(page):
        raise UserError(f"{README}: the marks of python -m tools.graph are missing; take them from git")
    return _BLOCK.sub(lambda _: mermaid(needs), page)


def stages_needed(root: Path) -> dict[str, set[str]]:
    """Return, for each stage of the pipeline in `root`, the stages whose outputs it reads."""
    graph = Repo(str(root)).index.graph
    return {stage.addressing: {other.addressing for other in graph.successors(stage)} for stage in graph}


@click.command(cls=StageCommand)
def main() -> None:
    """Write the graph of the pipeline into README.md."""
    page = with_graph(README.read_text("utf-8"), stages_needed(Path()))
    with output_file(README) as path:
        path.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
