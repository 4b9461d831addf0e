"""Pictures as parts of an HTML page: an SVG file becomes an element, an array of pixels a data URI."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.image
from markupsafe import Markup

from mnist_core.arrays import Array
from mnist_core.errors import printable

_SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{_SVG_NAMESPACE}{name}" for name in ("metadata", "style", "title")}
# All that matplotlib writes: what could run, load, lead away or cover the page is not among it.
_ELEMENTS = {
    f"{_SVG_NAMESPACE}{name}" for name in ("svg", "g", "defs", "clipPath", "path", "rect", "use", "image", "text")
}
_LINK = re.compile(r"(#|data:image/png;base64,).*", re.DOTALL)
_ATTRIBUTES = {
    **dict.fromkeys(("id", "d", "x", "y", "width", "height", "viewBox", "version", "transform"), re.compile(r"[^\\]*")),
    **dict.fromkeys(("href", _XLINK_HREF), _LINK),
    "clip-path": re.compile(r"url\(#[^()]+\)"),
    "style": re.compile(r"(\s*(fill|stroke|opacity)[a-z-]*:[^:;(\\]*(;|\Z))*\s*"),
}
_REFERENCE_PATTERN = re.compile(r"url\(#([^)]+)\)")
_PLACES = {"d", "x", "y"}  # not transform: its factors are small numbers
_LONG_DECIMAL = re.compile(r"-?\d+\.\d{3,}")


def inline_svg(source: str, *, prefix: str, label: str) -> Markup:
    """Turn an SVG file into an element for an HTML page that holds many of them.

    Prolog, metadata and style sheets go (a style sheet would apply to the whole page); identifiers that nothing refers
    to go; the others get `prefix`, so that figures do not take each other's clip paths and markers. Places are rounded
    to hundredths of a point, which nobody sees and which makes a page of fifty figures a tenth smaller.

    Args:
        source: text of the SVG file.
        prefix: put before every identifier; unique on the page.
        label: what the figure shows, for those who do not see it.

    Raises:
        ValueError: `source` is not XML, or holds an element or an attribute that no figure of matplotlib has.
        RecursionError: its elements are nested too deeply.
    """
    try:
        root = ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    _drop(root, _DROPPED)
    _check(root)
    references = set(_REFERENCE_PATTERN.findall(source)) | set(re.findall(r'href="#([^"]+)"', source))
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG_NAMESPACE)
        attributes = {name: _prefixed(value, prefix) for name, value in element.attrib.items()}
        if _XLINK_HREF in attributes:
            attributes["href"] = attributes.pop(_XLINK_HREF)
        if attributes.get("href", "").startswith("#"):
            attributes["href"] = f"#{prefix}{attributes['href'][1:]}"
        if "id" in attributes:
            identifier = attributes.pop("id")
            if identifier in references:
                attributes["id"] = prefix + identifier
        for name in _PLACES & attributes.keys():
            attributes[name] = _short(attributes[name])
        element.attrib.clear()
        element.attrib.update(attributes)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    # What matplotlib's style sheet says of every element, said once.
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _prefixed(value: str, prefix: str) -> str:
    return _REFERENCE_PATTERN.sub(rf"url(#{prefix}\1)", value)


def _short(places: str) -> str:
    """Return a list of places, or a path, with two decimals and single spaces."""
    return " ".join(_LONG_DECIMAL.sub(lambda match: f"{float(match[0]):.2f}", places).split())


def _drop(root: ElementTree.Element, tags: set[str]) -> None:
    for element in list(root.iter()):
        for child in list(element):
            if child.tag in tags:
                element.remove(child)


def _check(root: ElementTree.Element) -> None:
    """Refuse what matplotlib does not write: it would become a part of the page as it is."""
    if root.tag != f"{_SVG_NAMESPACE}svg":
        raise ValueError(f"its root is {root.tag}")
    for element in root.iter():
        if element.tag not in _ELEMENTS:
            raise ValueError(f"it has an element {element.tag}")
        for name, value in element.attrib.items():
            if name not in _ATTRIBUTES or not _ATTRIBUTES[name].fullmatch(value):
                raise ValueError(f"it has an attribute {name}={printable(value, limit=60)!r}")


def png_uri(pixels: Array, *, limit: float | None = None) -> str:
    """Return an image as data URI: ink on white for 0 to 255, or blue to red for -limit to limit if that is given."""
    buffer = io.BytesIO()
    ink = {"cmap": "gray_r", "vmin": 0, "vmax": 255}
    signed = {"cmap": "RdBu_r", "vmin": -(limit or 0), "vmax": limit}
    # Without its usual metadata, which names matplotlib's version.
    matplotlib.image.imsave(
        buffer, pixels, format="png", metadata={"Software": ""}, **(ink if limit is None else signed)
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
