"""Image files from outside: recognised by their first bytes, measured by their header, only then decoded."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image, ImageOps, UnidentifiedImageError

from omni.kit.errors import InvalidInput, OmniError, TooLarge

_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\x00": "TIFF", b"MM\x00*": "TIFF"}
# What Pillow's readers raise on files that are cut off or wrong inside.
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, TypeError)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def image_format(data: bytes) -> str | None:
    """`PNG`, `JPEG`, `TIFF` or `WEBP` by the first bytes; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)


def decode(data: bytes, file_format: str, max_pixels: int, max_pages: int) -> Iterator[Image.Image]:
    """The pages of an image file as upright RGB images on white, one at a time; only TIFF has more than one.

    Raises TooLarge `image_too_large` (over `max_pixels`, known before decoding) or `too_many_pages`, InvalidInput
    `broken_image`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=[file_format]) as image:
            pages = getattr(image, "n_frames", 1) if file_format == "TIFF" else 1
            if pages > max_pages:
                raise TooLarge(
                    "too_many_pages", f"The file has {pages} pages. Send at most {max_pages}.", max_pages=max_pages
                )
            for page in range(pages):
                if pages > 1:
                    image.seek(page)
                if image.width * image.height > max_pixels:
                    raise _too_large(max_pixels)
                yield _upright_rgb(image)
    except OmniError:
        raise
    except _BOMB:
        raise _too_large(max_pixels) from None
    except _BROKEN as error:
        raise InvalidInput(
            "broken_image", "The image cannot be read. Check that it opens in a viewer.", internal=repr(error)
        ) from error


def _upright_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return upright.convert("RGB")


def _too_large(max_pixels: int) -> TooLarge:
    return TooLarge(
        "image_too_large", f"The image has more than {max_pixels} pixels. Scale it down.", max_pixels=max_pixels
    )
