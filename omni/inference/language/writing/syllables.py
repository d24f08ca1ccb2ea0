"""Syllables of English words, by rules.

Groups of vowels are counted, then what is silent is taken off (a final e, -ed after most consonants, -es after those
that need no sound) and what is spoken apart is added (-ia, -io, -ism, -le after a consonant …), as in Greg Fast's
Lingua::EN::Syllable. Right for about nine words of ten; a dictionary with pronunciations would be better.
"""

from __future__ import annotations

import re
import unicodedata

_VOWELS = re.compile("[aeiouy]+")
# Endings whose e is silent. Spoken are -es after s, x, z, c, g, ch, sh, -ed after t, d, and -le, -re after a consonant.
_SILENT = (
    re.compile("[^aeiouylsxzcgh]es$"),
    re.compile("[aeiouy]les$"),
    re.compile("[^aeiouytd]ed$"),
    re.compile("(?<![^aeiouy][lr])(?<=[^aeiouy])e$"),
    re.compile("[^aeiouy]e(?:ly|less|ness|ment|ments|ful)$"),
)
# Neighbouring vowels that are two syllables, and endings that are one without a vowel.
_APART = (
    re.compile("i[aou]|(?<!fr)ie[nt]|[aeiouy][^aeiouy]+ie(?:r|st)$"),
    re.compile("eo(?!u)|[^gct]eous|eum|[aeiouy][^aeiouy]+ea$|[rh]ea(?:ct|t[eir]|li)"),
    re.compile("[aeo]ing|yi|ao|oe[tm]|ua|ue[nt]|uo(?!u)"),
    re.compile("[aeiouy]sms?$|dn't$"),
)
# Of those, the ones that are spoken as one.
_TOGETHER = (re.compile("[tscxgh]i[aou]|tien|(?<!s)cien|[gh]eon|eopl|eopard|qua|que[nt]|quo|gua|gue[nt]"),)


def syllables(word: str) -> int:
    """At least 1. Digits and letters of other scripts count one a word."""
    plain = unicodedata.normalize("NFKD", word.casefold().replace("’", "'"))
    return sum(_of_part(part) for part in re.split("[-/_.]", re.sub("[^a-z'/_.-]", "", plain)) if part) or 1


def _of_part(part: str) -> int:
    count = len(_VOWELS.findall(part))
    count -= sum(pattern.search(part) is not None for pattern in _SILENT)
    count += sum(len(pattern.findall(part)) for pattern in _APART)
    count -= sum(len(pattern.findall(part)) for pattern in _TOGETHER)
    return max(1, count)
