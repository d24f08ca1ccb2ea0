"""Languages by lingua (https://github.com/pemistahl/lingua-py): n-gram models of 75 languages. Heavy: loaded at first
use.

In its low-accuracy mode, which counts trigrams only: all languages take 70 MB of memory and 1.7 s to load. The full
models take 1,050 MB and 25 s, and those of 22 European languages still 640 MB. The price is paid by short texts:
below about 120 letters similar languages are mixed up, unless the caller names the languages that are possible.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib.metadata import version

from lingua import Language, LanguageDetector, LanguageDetectorBuilder

from omni.inference.language.identification.schemas import Confidence, Identified, Segment
from omni.inference.language.sentences import sentences
from omni.kit.errors import InvalidInput

MIN_LETTERS = 12  # of a sentence that is identified by itself
KEPT_DETECTORS = 32  # of the sets of languages that callers name; models are shared between them


class Detector:
    """Identifies languages. Safe to use from several threads."""

    def __init__(self) -> None:
        self.name = f"lingua-{version('lingua-language-detector')}-low-accuracy"
        self._languages = {_code(language): language for language in Language.all()}
        self._detectors: OrderedDict[frozenset[str], LanguageDetector] = OrderedDict()
        self._lock = threading.Lock()

    def require_known(self, codes: Sequence[str]) -> None:
        """Raises InvalidInput `language_not_supported`."""
        unknown = sorted(set(codes) - self._languages.keys())
        if unknown:
            raise InvalidInput(
                "language_not_supported",
                f"There is no model of {', '.join(unknown)}. Languages: {', '.join(sorted(self._languages))}.",
                param="languages",
            )
        if len(set(codes)) == 1:
            raise InvalidInput(
                "language_not_supported", "Name at least two different languages, or none.", param="languages"
            )

    def identify(self, index: int, text: str, codes: Sequence[str], top_k: int, segments: bool) -> Identified:
        """The languages of a text among `codes` (none = all)."""
        detector = self._detector(frozenset(codes))
        values = [
            Confidence(language=_code(found.language), confidence=min(1.0, max(0.0, found.value)))
            for found in detector.compute_language_confidence_values(text)
            if found.value > 0
        ]
        values.sort(key=lambda value: (-value.confidence, value.language))
        return Identified(
            index=index,
            language=values[0].language if values else None,
            confidences=values[:top_k],
            segments=_segments(detector, text) if segments else None,
        )

    def _detector(self, codes: frozenset[str]) -> LanguageDetector:
        with self._lock:
            detector = self._detectors.get(codes)
            if detector is None:
                builder = (
                    LanguageDetectorBuilder.from_languages(*(self._languages[code] for code in sorted(codes)))
                    if codes
                    else LanguageDetectorBuilder.from_all_languages()
                )
                detector = self._detectors[codes] = builder.with_low_accuracy_mode().build()
            self._detectors.move_to_end(codes)
            while len(self._detectors) > KEPT_DETECTORS:
                self._detectors.popitem(last=False)
            return detector


def _segments(detector: LanguageDetector, text: str) -> list[Segment]:
    """Runs of sentences in one language. A sentence of few letters goes on in the language before it."""
    found: list[Segment] = []
    for part in sentences(text):
        sentence = text[part.start : part.end]
        language = None
        if not found or sum(map(str.isalpha, sentence)) >= MIN_LETTERS:
            language = detector.detect_language_of(sentence)
        if language is not None and (not found or found[-1].language != _code(language)):
            found.append(Segment(start=part.start, end=part.end, language=_code(language)))
        elif found:
            found[-1] = found[-1].model_copy(update={"end": part.end})
    return found


def _code(language: Language) -> str:
    return language.iso_code_639_1.name.lower()
