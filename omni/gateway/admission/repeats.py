"""Settlements that are sent more than once: what their arguments tell settle.lua of the times before."""

from __future__ import annotations

from collections.abc import Sequence

from omni.gateway.redis.resp import Argument

PERHAPS_AGAIN, FIRST, MARKED, RELEASE = b"0", b"1", b"2", b"3"
"""It may have been carried out; it was not; it was not, or left a mark; it gives a hold back, and that is all."""
_RESERVED_AT, _ATTEMPT_AT = 4, 9


def sent_again(args: Sequence[Argument], charged: int | None) -> Sequence[Argument]:
    """The arguments of a settlement that Redis carried out at `charged` nano-units, or perhaps did (None)."""
    attempt = args[_attempt_at(args)]
    if attempt == RELEASE or (attempt == MARKED and charged is None):
        return args
    return _with_attempt(args, PERHAPS_AGAIN if charged is None else b"=%d" % charged)


def never_sent(args: Sequence[Argument]) -> Sequence[Argument]:
    """The arguments of a settlement that waits on disk, from where it may be sent more than once."""
    return _with_attempt(args, MARKED)


def released(args: Sequence[Argument]) -> Sequence[Argument]:
    """The arguments of a settlement that gives a hold back, and does nothing where there is none."""
    return _with_attempt(args, RELEASE)


def _attempt_at(args: Sequence[Argument]) -> int:
    return 1 + int(args[0]) + _ATTEMPT_AT


def _with_attempt(args: Sequence[Argument], attempt: bytes) -> Sequence[Argument]:
    """What is reserved is left to the hold: Redis may have lost an extension of it."""
    first = 1 + int(args[0])
    changed = list(args)
    changed[first + _RESERVED_AT] = b""
    changed[first + _ATTEMPT_AT] = attempt
    return changed
