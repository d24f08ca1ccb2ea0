"""What `/v1/anomalies/stream` does."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from omni import __version__
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.streams.detector import Method, StreamDetector, judge_all
from omni.inference.tabular.streams.schemas import StreamOptions, StreamRequest, StreamResponse, StreamResult
from omni.kit.errors import InvalidInput
from omni.kit.sealing import DecryptionFailed, seal, unseal

ENGINE = f"omni-{__version__}"
MODELS: dict[Method, str] = {"level": "robust-ewma", "quantiles": "t-digest"}
THRESHOLDS: dict[Method, float] = {"level": 4.0, "quantiles": 3.0}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StreamService:
    """Judges points of series whose state travels sealed with the requests: nothing is stored here."""

    def __init__(self, pool: EnginePool, state_secret: bytes) -> None:
        """`state_secret`: 32 bytes that states are sealed with; the same on every replica."""
        self._pool = pool
        self._secret = state_secret

    async def judge(self, call: Call, request: StreamRequest) -> StreamResponse:
        """Scores and the next state.

        Raises InvalidInput `state_invalid` or `stream_options_fixed`.
        """
        if request.state is not None and request.options is not None:
            raise InvalidInput(
                "stream_options_fixed",
                "The state has the options of its series. Send `options` only for a new one.",
                param="options",
            )
        tenant = call.principal.tenant_id
        points = [(_micros(point.time), point.value) for point in request.points]

        def work() -> tuple[StreamResponse, Method]:
            detector = self._opened(request, tenant)
            judged = judge_all(detector, points)
            results = [
                StreamResult(
                    time=point.time, status=each.status, score=each.score, expected=each.expected, anomaly=each.anomaly
                )
                for point, each in zip(request.points, judged, strict=True)
            ]
            sealed = seal(self._secret, detector.to_bytes(), _associated(tenant))
            state = urlsafe_b64encode(sealed).decode("ascii")
            answer = StreamResponse(engine=ENGINE, results=results, points_seen=detector.seen, state=state)
            return answer, detector.method

        response, method = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{ENGINE}/{MODELS[method]}"
        return response

    def _opened(self, request: StreamRequest, tenant: UUID) -> StreamDetector:
        if request.state is None:
            options = request.options or StreamOptions()
            threshold = options.threshold or THRESHOLDS[options.method]
            return StreamDetector(options.half_life, options.warm_up, threshold, options.method)
        try:
            sealed = urlsafe_b64decode(request.state.encode("ascii"))
            return StreamDetector.from_bytes(unseal(self._secret, sealed, _associated(tenant)))
        except (ValueError, DecryptionFailed):
            raise InvalidInput(
                "state_invalid",
                "`state` is not one that this service gave to your account. Send it unchanged, or leave it out.",
                param="state",
            ) from None


def _associated(tenant: UUID) -> bytes:
    return b"series-state-1:" + tenant.bytes


def _micros(time: datetime) -> int:
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (aware - EPOCH) // timedelta(microseconds=1)
