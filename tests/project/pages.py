"""The commands that the pages show: what stands in their fenced and indented blocks of shell."""

from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
SHELLS = ("", "sh", "bash", "shell", "console")


def commands_of_text(text, section=None):
    """Return the lines of a text's shell blocks, without comments, of one section only if its heading is given."""
    tokens = MarkdownIt().parse(text)
    lines, heading = [], None
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open":
            heading = following.content
        elif token.type in ("fence", "code_block") and token.info in SHELLS and section in (None, heading):
            lines += token.content.replace("\\\n", " ").splitlines()
    lines = (line.split(" #")[0].strip() for line in lines)
    return [line for line in lines if line and not line.startswith("#")]


def commands(page, section=None):
    return commands_of_text((ROOT / page).read_text(), section)
