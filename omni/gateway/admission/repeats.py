"""Settlements that are sent more than once: what their arguments tell settle.lua of the times before.

All functions take the arguments with or without the keys before them: what changes stands at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from omni.gateway.redis.resp import Argument

PERHAPS_AGAIN, FIRST, MARKED, RELEASE = b"0", b"1", b"2", b"3"
"""It may have been carried out; it was not; it was not, or left a mark; it gives a hold back, and that is all."""
_REQUEST_AT, _RESERVED_AT, _ATTEMPT_AT = -8, -4, -3


def request_of(args: Sequence[Argument]) -> Argument:
    """The id of the request that is settled."""
    return args[_REQUEST_AT]


def sent_again(args: Sequence[Argument], charged: int | None) -> Sequence[Argument]:
    """The arguments of a settlement that Redis carried out at `charged` nano-units, or perhaps did (None)."""
    attempt = args[_ATTEMPT_AT]
    attempt = attempt.encode("ascii") if isinstance(attempt, str) else attempt
    if attempt == RELEASE or (attempt == MARKED and charged is None):
        return args
    return _with_attempt(args, PERHAPS_AGAIN if charged is None else b"=%d" % charged)


def never_sent(args: Sequence[Argument]) -> Sequence[Argument]:
    """The arguments of a settlement that waits on disk, from where it may be sent more than once."""
    return _with_attempt(args, MARKED)


def released(args: Sequence[Argument]) -> Sequence[Argument]:
    """The arguments of a settlement that gives a hold back, and does nothing where there is none."""
    return _with_attempt(args, RELEASE)


def _with_attempt(args: Sequence[Argument], attempt: bytes) -> Sequence[Argument]:
    """What is reserved is left to the hold: Redis may have lost an extension of it."""
    changed = list(args)
    changed[_RESERVED_AT] = b""
    changed[_ATTEMPT_AT] = attempt
    return changed
