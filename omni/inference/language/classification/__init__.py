"""Classification of texts by labels or by examples."""
