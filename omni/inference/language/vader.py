"""Sentiment by VADER (Hutto and Gilbert 2014): a lexicon of English words with rules for negation, emphasis and
emoticons.
"""

from __future__ import annotations

from importlib.metadata import version

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from omni.inference.language.schemas import Sentiment

THRESHOLD = 0.05  # of the compound score, from VADER's documentation


class Vader:
    """Scores English text. Safe to use from several threads: it only reads its lexicon."""

    def __init__(self) -> None:
        self.name = f"vader-{version('vaderSentiment')}"
        self._analyzer = SentimentIntensityAnalyzer()

    def score(self, text: str) -> Sentiment:
        """Label and scores of one text."""
        scores: dict[str, float] = self._analyzer.polarity_scores(text)
        compound = scores["compound"]
        label = "positive" if compound >= THRESHOLD else "negative" if compound <= -THRESHOLD else "neutral"
        return Sentiment.model_validate(
            {
                "label": label,
                "compound": compound,
                "positive": scores["pos"],
                "neutral": scores["neu"],
                "negative": scores["neg"],
            }
        )
