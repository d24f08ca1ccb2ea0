"""Text in images with RapidOCR: PaddleOCR's PP-OCR models on onnxruntime. Heavy: loaded at first use.

The models are the ones inside RapidOCR's own wheel, given by path, so that nothing is ever downloaded.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import rapidocr
from PIL import Image
from rapidocr.ch_ppocr_det import TextDetOutput
from rapidocr.utils.output import RapidOCROutput

from omni.inference.vision.schemas import OcrLine
from omni.kit.errors import NotConfigured

MODELS = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
# The detector enlarges an image until its shorter side has 736 pixels: white beside small and narrow ones keeps letters
# from falling apart and a strip from becoming a wall.
SMALLEST_SIDE = 400
LONGEST_RATIO = 3


class Recogniser:
    """Finds and reads lines of text. Safe to use from several threads."""

    def __init__(self, threads: int) -> None:
        """`threads` is how many cores one image may use. Raises NotConfigured `model_unusable` without the models."""
        folder = Path(rapidocr.__file__).parent / "models"
        paths = {option: folder / name for option, name in MODELS.items()}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if missing:
            raise NotConfigured("model_unusable", f"OCR models are missing: {', '.join(missing)}.")
        cv2.setNumThreads(threads)
        self.name = f"rapidocr-{version('rapidocr')}/PP-OCRv6-small"
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                **{option: str(path) for option, path in paths.items()},
            }
        )

    def read(self, image: Image.Image) -> list[OcrLine]:
        """The lines of an RGB image, in reading order; none when there is no text."""
        found = self._engine(np.asarray(_padded(image))[:, :, ::-1])
        assert isinstance(found, RapidOCROutput | TextDetOutput)  # the latter stands for "no text found"
        if not isinstance(found, RapidOCROutput) or found.boxes is None or found.txts is None or found.scores is None:
            return []
        return [
            OcrLine(
                text=text,
                confidence=min(1.0, float(score)),
                polygon=[(float(x), float(y)) for x, y in box],
            )
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        ]


def _padded(image: Image.Image) -> Image.Image:
    """The image with white added at the right or below when a side is too short; places stay the same."""
    least = max(SMALLEST_SIDE, max(image.size) // LONGEST_RATIO)
    if min(image.size) >= least:
        return image
    canvas = Image.new("RGB", (max(image.width, least), max(image.height, least)), "white")
    canvas.paste(image)
    return canvas
