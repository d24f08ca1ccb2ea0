"""Turns of phrase that say more than their words, as bounded patterns over folded text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from omni.inference.language.moderation.categories import Category

_YOU = r"(?:you|u|ya|him|her|them|everyone|everybody|all of (?:you|them))"
_GROUP = (
    r"(?:(?:im)?migrants|refugees|foreigners|muslims|jews|christians|hindus|arabs|asians|africans|mexicans|blacks|whites"
    r"|indians|gypsies|roma|gays|lesbians|homosexuals|women|men|girls|disabled people|(?:gay|black|white|brown"
    r"|trans(?:gender)?|jewish|muslim|old|poor) people)"
)
_VILE = (
    r"(?:vermin|parasites|animals|beasts|savages|subhumans?|cockroaches|rats|pigs|thieves|criminals|terrorists|rapists"
    r"|filth|filthy|scum|trash|inferior|disgusting|freaks|a plague|a disease|apes|monkeys|devils|not humans?)"
)
_INSULT = (
    r"(?:stupid|dumb|ugly|fat|pathetic|worthless|useless|disgusting|brainless|lying|filthy|ignorant|miserable|little|fucking"
    r"|bloody|complete|total|absolute|utter|such|an?|the|most)"
)
_NOUN = (
    r"(?:idiots?|morons?|imbeciles?|losers?|fools?|freaks?|creeps?|pigs?|cows?|clowns?|rats?|trash|scum|scumbags?|failure"
    r"|disgrace|coward|waste of (?:space|air|oxygen)|bitch|bastards?|assholes?|whore|slut|liar|joke|nobody|retards?"
    r"|stupid|dumb|ugly|pathetic|worthless|disgusting|brainless|repulsive|hideous)"
)
_TARGET = r"(?:you|u|your face|she|he)"
_WILL = r"(?:i will|i'll|i am going to|i'm going to|i'm gonna|im gonna|i want to|we will|we'll|we are going to|let's)"
_KILL = (
    r"(?:kill|murder|stab|shoot|strangle|behead|butcher|slaughter|hang|hurt|beat (?:up )?|bash|burn|cut|gut|torture"
    r"|rape|break (?:both )?(?:your|his|her|their)|slit (?:your|his|her|their)|bomb|blow up)"
)
_SELF = r"(?:my ?self|my life|it all|everything)"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A pattern with how bad what it matches is, 0 to 1 by category."""

    name: str
    pattern: re.Pattern[str]
    scores: Mapping[Category, float]


def _phrase(name: str, pattern: str, **scores: float) -> Phrase:
    found: dict[Category, float] = {**scores}  # type: ignore[dict-item]
    return Phrase(name, re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])"), found)


PHRASES: Final = (
    _phrase("told_to_die", r"(?:go )?(?:and )?(?:kill|hang|drown|shoot) (?:yo?urself|urself|urselves|yourselves)"
            r"|go (?:and )?die|drink bleach", self_harm=0.8, harassment=0.8),
    _phrase("wish_to_die", r"(?:want|wants|going|plan|planning|decided|ready|trying|try|wish i could|ways?) to "
            r"(?:die|kill myself|end (?:it all|my life)|commit suicide|hang myself|harm myself|hurt myself|cut myself)"
            r"|(?:thinking|think|thought|dreaming) (?:about|of) (?:killing|hanging|cutting|shooting|drowning) myself",
            self_harm=0.85),
    _phrase("own_death", rf"(?:end|ending|take|taking) (?:my (?:own )?life|{_SELF} tonight)"
            r"|better off (?:dead|without me)|better off if i (?:was|were) dead|wish i (?:was|were) dead"
            r"|no reason (?:for me )?to (?:go on )?liv(?:e|ing)|(?:do not|don't|dont) want to (?:live|be alive)"
            r"|(?:cut|cutting|burn|burning|starve|starving) (?:myself|my (?:arms?|wrists?|legs?|skin|thighs))",
            self_harm=0.75),
    _phrase("how_to_die", r"(?:least painful|painless|easiest|best|quickest) (?:way|method)s? to (?:die|commit suicide"
            r"|kill (?:myself|oneself)|end (?:my life|it all))|how to (?:hang|kill) myself", self_harm=0.9),
    _phrase("threat", rf"{_WILL} {_KILL}(?: \w+)? ?(?:{_YOU}|your|his|their|that|everybody|the whole)", violence=0.8),
    _phrase("threat_of_death", r"(?:you|he|she|they) (?:are|is|'re) (?:so )?dead (?:meat|when|if|i)|i will end you"
            r"|(?:bullet|knife) in (?:the|your|his|her|their) (?:head|back|heart|skull)", violence=0.75),
    _phrase("call_for_violence", rf"(?:someone|somebody|we|you) (?:should|must|ought to|needs? to|have to) {_KILL}"
            rf"|(?:must|should|deserves? to) (?:be (?:hanged|shot|killed|stoned|beheaded|lynched|beaten)|die)"
            rf"|kill (?:them|'em) all", violence=0.7),
    _phrase("vile_group", rf"(?:all )?{_GROUP}(?: people)? (?:are|is|r) (?:(?:all|just|only|nothing but|too) )*{_VILE}",
            hate=0.9),
    _phrase("expelled_group", rf"(?:deport|ban|cleanse|remove|exterminate|gas|get rid of|wipe out|lock up)"
            rf"(?: \w+){{0,4}} (?:all|every|the) (?:the )?{_GROUP}"
            rf"|{_GROUP} (?:should|must) (?:be (?:banned|deported|locked (?:up|away)"
            rf"|driven out|thrown out|exterminated|wiped out)|go back to)"
            rf"|{_GROUP} (?:do not|don't|dont) (?:belong|deserve)",
            hate=0.8),
    _phrase("insult", rf"(?:{_TARGET} (?:are|r|is)|you're|youre|ur)(?: so)?(?: {_INSULT}){{0,4}} {_NOUN}"
            rf"|{_TARGET}(?: {_INSULT}){{1,4}} {_NOUN}",
            harassment=0.8),
    _phrase("silencing", r"shut (?:the \w+ )?up,? you|go to hell|get lost,? (?:you|loser|freak)"
            r"|nobody (?:likes|wants|loves) you|(?:everyone|everybody) hates you|you (?:disgust me|make me sick)",
            harassment=0.75),
    _phrase("abuse", r"(?:fuck|screw) (?:you|u|off)|piss off|suck my", harassment=0.7, profanity=0.8),
    _phrase("mild_oath", r"(?:what|who|why|how) the (?:hell|heck)|the hell (?:is|are|was|did)", profanity=0.35),
    _phrase("sexual_offer", r"(?:have|having|want|wanna) (?:hot )?sex(?: with (?:you|me|him|her))? (?:now|tonight|on)"
            r"|(?:send|show) me (?:your )?(?:nudes?|naked)|naked (?:pictures|photos|pics) of (?:yourself|you)"
            r"|turns you on|(?:oral|anal) (?:sex|and more|pleasure)", sexual=0.75),
)  # fmt: skip
