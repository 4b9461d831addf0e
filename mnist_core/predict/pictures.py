"""Picture files to arrays, by Pillow, which is told to trust nobody."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_core.arrays import Array
from mnist_core.errors import UserError, printable

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")

MAX_BYTES = 256 << 20  # of a file: about as much as the largest picture that Pillow decodes holds, of 89 million pixels
_LONGEST_SIDE = 1024  # pixels; a photograph is reduced by a whole number before more is done with it


def decode(content: bytes) -> Array:
    """Return a picture as uint8 (height, width, 4), red, green, blue, alpha; of an animation the first frame.

    Raises:
        UserError: it is none of the five formats, is damaged, or is so large that it must be meant to fill memory.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"refused: more than {MAX_BYTES >> 20} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on broken metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))  # JPEG only: decodes at a fraction of the size
            image.load()
            return _rgba(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise UserError(f"not a picture in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f"refused: more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow's parsers let through what they run into: IndexError, struct.error and others
        raise UserError(f"a damaged picture ({printable(error) or type(error).__name__})") from error


def _rgba(image: Image.Image) -> Array:
    """Return a loaded picture of any mode as uint8 (height, width, 4), its longer side reduced if it is too long."""
    if image.mode.startswith("I"):  # 16 bits; Pillow would cut off what is above 255
        image = Image.fromarray((np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8).astype(np.uint8))
    if image.mode not in ("RGB", "RGBA", "L", "LA", "P", "PA", "1"):
        image = image.convert("RGB")
    factor = -(-max(image.size) // _LONGEST_SIDE)
    image = image.convert("RGBA")
    return np.asarray(image.reduce(factor) if factor > 1 else image)


def encode_png(images: Sequence[Array]) -> bytes:
    """Return uint8 images (28, 28), 0 black to 255 white, side by side as one grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.hstack(images)).save(buffer, "PNG")
    return buffer.getvalue()
