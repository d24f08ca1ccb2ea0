"""Which chunks are ranked by their words."""

from __future__ import annotations

import re
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from omni.inference.retrieval.candidates import COMBINED_WORDS, Word, any_of, most_telling

TOTAL = 1_000_000
counts = st.lists(st.integers(1, TOTAL), min_size=1, max_size=COMBINED_WORDS + 2).map(sorted)


def words_of(chunk_counts: list[int]) -> list[Word]:
    return [Word(f"w{number}", count) for number, count in enumerate(chunk_counts)]


def matching(query: str, sets: list[frozenset[str]]) -> set[frozenset[str]]:
    """Those that PostgreSQL would match, for queries of words, & and |."""
    terms = re.sub(r"'(\w+)'", r"('\1' in having)", query).replace("&", " and ").replace("|", " or ")
    condition = compile(terms, "query", "eval")
    return {having for having in sets if eval(condition, {"having": having})}


def sets_of(words: list[Word]) -> list[frozenset[str]]:
    texts = [word.text for word in words]
    return [frozenset(each) for each in chain.from_iterable(combinations(texts, n) for n in range(len(texts) + 1))]


@settings(deadline=None)
@given(counts, st.integers(1, 5_000))
def test_what_matches_tells_more_than_what_does_not(chunk_counts: list[int], most: int) -> None:
    words = words_of(chunk_counts)[:COMBINED_WORDS]
    idfs = {word.text: word.idf(TOTAL) for word in words}
    for query in most_telling(words_of(chunk_counts), TOTAL, TOTAL, most, readable=TOTAL * len(chunk_counts)):
        weights = {having: sum(idfs[text] for text in having) for having in sets_of(words)}
        taken = matching(query, list(weights))
        left = [weight for having, weight in weights.items() if having not in taken]
        assert max(left) <= min(weights[having] for having in taken) + 1e-6


@settings(deadline=None)
@given(counts, st.integers(1, 5_000), st.integers(1, TOTAL))
def test_the_wider_query_takes_all_of_the_narrower_and_each_has_a_rare_word(
    chunk_counts: list[int], most: int, readable: int
) -> None:
    words = words_of(chunk_counts)
    narrow, wide = most_telling(words, TOTAL, TOTAL, most, readable)
    rare = {word.text for number, word in enumerate(words) if not number or sum(chunk_counts[: number + 1]) <= readable}
    sets = sets_of(words[:COMBINED_WORDS])
    taken, widely = matching(narrow, sets), matching(wide, sets)
    assert taken
    assert taken <= widely
    assert all(having & rare for having in widely)


def test_about_as_many_chunks_match_as_are_ranked() -> None:
    words = words_of([100, 600, 2_000, 40_000])
    narrow, wide = most_telling(words, TOTAL, TOTAL, 800)
    assert narrow == "'w0' | 'w1' | 'w2' & ('w3')"  # 100, 600 and 80
    assert wide == "'w0' | 'w1' | 'w2'"


def test_common_words_count_together() -> None:
    narrow, _ = most_telling(words_of([5_000, 50_000, 90_000]), TOTAL, TOTAL, 800)
    assert narrow == "'w0' & ('w1' | 'w2')"


def test_where_less_is_searched_more_combinations_fit() -> None:
    words = words_of([5_000, 50_000, 90_000])
    assert most_telling(words, TOTAL, 5_000, 800, readable=TOTAL)[0] == any_of(words)


def test_all_words_count_where_few_chunks_have_any() -> None:
    words = words_of([3] * (COMBINED_WORDS + 4))
    assert most_telling(words, 50, 50, 800) == (any_of(words), any_of(words))


def test_quotes_and_backslashes_are_text() -> None:
    assert any_of([Word("o'neil", 1), Word("a\\b", 1)]) == r"'o''neil' | 'a\\b'"
