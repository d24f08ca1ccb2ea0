"""What moderation tells apart."""

from __future__ import annotations

from typing import Final, Literal, get_args

Category = Literal["harassment", "hate", "sexual", "violence", "self_harm", "profanity"]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
MEANT: Final[tuple[Category, ...]] = ("harassment", "hate", "sexual", "violence", "self_harm")
"""Those that are judged by meaning, too. Profanity is a matter of words."""
MODEL: Final = "text-moderation-rules-1"
"""Its name in responses, usage and the catalogue."""
