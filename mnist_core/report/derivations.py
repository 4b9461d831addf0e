"""docs/derivations.md as a section of the page: Markdown becomes HTML, LaTeX becomes MathML, which browsers draw."""

import os
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import latex2mathml.converter
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from mnist_core.errors import UserError
from mnist_core.files.reading import read_text

_SCROLLS = 'role="group" aria-label="Formula" tabindex="0"'  # by keyboard too
_LONG_FORMULA = 24  # characters; a longer one takes a line of its own on a phone
_BOLD_DIGITS = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
_FUNCTION = re.compile(r"(\\(?:log|exp))(?![A-Za-z])(?!\s*(?:\(|\\left|\^|_))")
"""A function's name before its argument without parentheses: TeX sets a thin space between the two."""


def render_derivations(path: Path, *, page_directory: Path) -> Markup:
    """Turn the Markdown derivations into HTML with MathML, to stand below a heading of level 2.

    The document's title goes (the page has its own), its other headings move one level down, and its links, written
    relative to the document, become relative to `page_directory`.

    Raises:
        UserError: the file is missing, does not begin with a title and text below it, or a formula cannot be converted.
    """
    text = read_text(path)

    def render_formula(formula: str, options: dict[str, Any]) -> str:
        try:
            mathml = formula_to_mathml(formula, display=options["display_mode"])
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        if options["display_mode"]:
            return f'<div class="displayed" {_SCROLLS}>{mathml}</div>'
        # Formulas do not break across lines: on a phone a long one takes a line of its own, which scrolls.
        long = len("".join(ElementTree.fromstring(mathml).itertext())) > _LONG_FORMULA
        return f'<span class="long" {_SCROLLS}>{mathml}</span>' if long else mathml

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=render_formula, allow_labels=False, double_inline=True)
    tokens = markdown.parse(text)
    if len(tokens) <= 3 or tokens[0].tag != "h1":
        raise UserError(
            f"{path} has to begin with a title (# ...) and text below it; restore it: `git checkout {path}`"
        )
    tokens = tokens[3:]
    _adapt_headings(tokens)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("href", _adapt_link(str(child.attrGet("href")), path.parent, page_directory))
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))


def _adapt_headings(tokens: list[Token]) -> None:
    used: dict[str, int] = {}
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            # GitHub's rule for anchors, so that links inside the document keep working.
            slug = re.sub(r"[^\w\- ]", "", tokens[position + 1].content.lower()).strip().replace(" ", "-")
            used[slug] = used.get(slug, -1) + 1
            token.attrSet("id", f"derivations-{slug}" + (f"-{used[slug]}" if used[slug] else ""))
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{max(3, min(6, int(token.tag[1]) + 1))}"


def _adapt_link(target: str, document_directory: Path, page_directory: Path) -> str:
    if target.startswith("#"):
        return f"#derivations-{target[1:]}"
    if urlsplit(target).scheme:
        return target
    up = Path(os.path.relpath(document_directory, page_directory)).as_posix()
    return posixpath.normpath(posixpath.join(up, target))


def formula_to_mathml(formula: str, *, display: bool) -> str:
    """Convert a LaTeX formula.

    Raises:
        ValueError: a part of it is not understood; the converter alone would show it as it stands or drop it.
    """
    latex = _FUNCTION.sub(r"\1\,", formula)
    try:
        mathml = latex2mathml.converter.convert(latex, display="block" if display else "inline")
        math = ElementTree.fromstring(mathml.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    except Exception as error:  # the converter has no common base class for its errors
        raise ValueError(f"formula {formula!r} cannot be converted ({error or type(error).__name__})") from error
    for element in math.iter():
        _adapt_math(element)
    # The converter drops the name of an environment that it does not know; none is needed here.
    leftover = re.search(r"\\begin\{[^}]*\}", formula) or re.search(r"\\\S*", "".join(math.itertext()))
    if leftover:
        raise ValueError(f"{leftover.group()} in formula {formula!r} is not known; write it another way")
    return ElementTree.tostring(math, encoding="unicode")


def _adapt_math(element: ElementTree.Element) -> None:
    """Set spaces as TeX does, and spell bold digits as characters: browsers know no mathvariant but "normal"."""
    if element.tag == "mo" and element.text in ("/", "∂", ".", "∞", "|"):
        element.attrib |= {"lspace": "0", "rspace": "0"}
    if element.tag == "mn" and element.text and element.get("mathvariant") == "bold":
        element.text = element.text.translate(_BOLD_DIGITS)
        del element.attrib["mathvariant"]
