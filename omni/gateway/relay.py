"""Answers on their way back: which headers pass, what they say of usage, and streams piece by piece."""

from __future__ import annotations

from omni.contracts.usage import MODEL_HEADER, REQUESTS, USAGE_HEADER, parse_usage
from omni.gateway.admission.events import Outcome
from omni.gateway.admission.ledger import Ledger, Ticket
from omni.gateway.edge.exchange import Exchange
from omni.gateway.overload import WAIT
from omni.gateway.upstream.answers import BackendResponse, ClientGone
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError

_USAGE = USAGE_HEADER.encode("ascii")
_MODEL = MODEL_HEADER.encode("ascii")
_NOT_PASSED = frozenset((
    b"connection", b"date", b"keep-alive", b"omni-principal", b"proxy-authenticate", b"proxy-connection", b"server",
    b"te", b"trailer", b"transfer-encoding", b"upgrade", b"x-request-id", _USAGE, _MODEL, WAIT,
))  # fmt: skip
_CLIENT_CLOSED_STATUS = 499


def passed_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The header lines of a backend's answer that the client gets."""
    named: set[bytes] = set()
    lowered = [(name.lower(), value) for name, value in headers]
    for name, value in lowered:
        if name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
    lines = [b"%b: %b\r\n" % pair for pair in lowered if pair[0] not in _NOT_PASSED and pair[0] not in named]
    return b"".join(lines)


def outcome_of(answer: BackendResponse, duration_micros: int, *, metered: bool) -> Outcome:
    """What an answer is billed at: nothing from 500 on or when the route is not metered, else one request and what the
    usage header says."""
    status = answer.status
    if status >= 500 or not metered:
        return Outcome(status, {}, "", duration_micros)
    quantities = {REQUESTS: 1}
    model = ""
    for written, value in answer.headers:
        name = written.lower()
        if name == _USAGE:
            try:
                quantities.update(parse_usage(value.decode("latin-1")))
            except ValueError:
                continue  # a backend that lies about its format is billed as one request
            quantities[REQUESTS] = 1
        elif name == _MODEL:
            model = value.decode("latin-1")
    return Outcome(status, quantities, model, duration_micros)


def _is_metered(exchange: Exchange) -> bool:
    return exchange.route is None or exchange.route.metered


async def relay(exchange: Exchange, answer: BackendResponse, ticket: Ticket, ledger: Ledger) -> None:
    """Passes a stream on as it comes, in constant memory. Its last byte leaves after settle.

    Raises UpstreamFailed, DeadlineExceeded, ClientGone or OSError after settling; the connection is then cut.
    """
    headers = passed_headers(answer.headers) + ticket.headers
    chunked = exchange.begin_stream(answer.status, headers, answer.content_length)
    left = answer.content_length
    connection = exchange.connection
    failure: OmniError | ClientGone | None = None
    held_back = b""
    try:
        while data := await answer.read():
            if left is not None:
                left -= len(data)
                if left <= 0:
                    data, held_back = data[:-1], data[-1:]
                    if not data:
                        continue
            connection.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            await connection.drain_writes()
    except (OmniError, ClientGone) as error:
        failure = error
    outcome = outcome_of(answer, unix_micros() - ticket.occurred_at_micros, metered=_is_metered(exchange))
    if isinstance(failure, ClientGone):
        outcome.status = exchange.status = _CLIENT_CLOSED_STATUS
    elif failure is not None:
        exchange.status = failure.status
        outcome = Outcome(failure.status, {}, outcome.model, outcome.duration_micros)
    await ledger.settle(ticket, outcome)
    if failure is not None:
        raise failure
    connection.write(b"0\r\n\r\n" if chunked else held_back)
