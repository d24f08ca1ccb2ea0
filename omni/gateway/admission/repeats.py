"""Settlements that are sent more than once: what their arguments tell settle.lua of the times before.

The arguments come with the keys before them, or without: what changes stands at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from omni.gateway.redis.resp import Argument, unpack

PERHAPS_AGAIN, FIRST, MARKED, RELEASE = b"0", b"1", b"2", b"3"
"""It may have been carried out; it was not; it was not, or left a mark; it gives a hold back, and that is all."""
_REQUEST_AT, _BEFORE_AT, _AFTER_AT, _CHARGED_AT, _RESERVED_AT, _ATTEMPT_AT = -8, -7, -6, -5, -4, -3


def arguments_of(call: bytes) -> list[bytes]:
    """Number of keys, keys and arguments of a packed settlement."""
    return unpack(call)[2:]


def event_of(args: Sequence[bytes]) -> bytes:
    """The usage event of a settlement, with its amount where it has one."""
    charged = args[_CHARGED_AT]
    return args[_BEFORE_AT] + charged + args[_AFTER_AT] if charged else args[_BEFORE_AT]


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
