"""Every sentence with a number, on the pages that speak of results, says where the number comes from.

`prose_numbers.yaml` lists these sentences, page by page. The value is the committed file that has the numbers, or in
words what else stands behind them: a choice, arithmetic, a test, or how somebody measured it. A new sentence fails
until it is listed.
"""

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
LISTED = YAML(typ="safe").load(ROOT / "tests/project/prose_numbers.yaml")
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)
GENERATED = re.compile(
    r"<!-- [^>]*: begin -->.*?<!-- [^>]*: end -->", re.DOTALL
)  # tables and the like, tested elsewhere
# Two digits or a decimal point or a unit: single digits count things or name them.
NUMBER = re.compile(
    r"(?<![\w.#-])(?:\d[\d,]*\d(?:\.\d+)?|\d+\.\d+|\d+(?= (?:GB|MiB|minutes|points|seconds|times|%)))(?![\w-])"
)


def sentences(text):
    """Return the sentences with numbers outside code, formulas, tables, headings and what a command has written."""
    found = []
    tokens = MARKDOWN.parse(GENERATED.sub("", text))
    in_table = False
    for before, token in itertools.pairwise(tokens):
        in_table = (in_table or token.type == "table_open") and token.type != "table_close"
        if token.type != "inline" or in_table or before.type == "heading_open":
            continue
        kinds = {"text": lambda piece: piece.content, "softbreak": lambda piece: " "}
        hidden = ("code_inline", "math_inline")
        line = "".join(
            kinds[piece.type](piece) if piece.type in kinds else "·" if piece.type in hidden else ""
            for piece in token.children
        )
        found += [part for part in re.split(r"(?<=[.:;?!])\s+", line) if NUMBER.search(part)]
    return found


def test_sentences_are_found_outside_code_formulas_tables_and_headings():
    text = "# 10\nA `22` b $33$. Has 4,555 of\nx; has 6.5. In 7 minutes!\n\n| 77 |\n| --- |\n| 88 |\n\n"
    text += "<!-- a: begin -->\n99\n<!-- a: end -->\nModel 2d, 1, 2.\n"
    assert sentences(text) == ["Has 4,555 of x;", "has 6.5.", "In 7 minutes!"]


@pytest.mark.parametrize("page", LISTED)
def test_every_sentence_with_a_number_is_listed(page):
    assert sorted(sentences((ROOT / page).read_text())) == sorted(LISTED[page])


def committed_numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


@pytest.mark.parametrize(
    ("sentence", "path"),
    [
        (sentence, source)
        for page in LISTED.values()
        for sentence, source in page.items()
        if re.fullmatch(r"\S+\.\w+", source)
    ],
)
def test_a_number_from_a_file_is_there(committed, sentence, path):
    known = committed_numbers(committed(path))
    for number in NUMBER.findall(sentence):
        digits = number.replace(",", "")
        decimals = len(digits.partition(".")[2])
        assert float(digits) in {round(value, decimals) for value in known}, (number, path)
