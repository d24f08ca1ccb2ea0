"""What `/v1/tabular/cluster` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.clustering.features import features_of
from omni.inference.tabular.clustering.profiles import profiles_of
from omni.inference.tabular.clustering.schemas import LEAST_ROWS, ClusterRequest, ClusterResponse, Quality, Tried
from omni.inference.tabular.columns import Column, read_columns
from omni.kit.errors import InvalidInput, Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.clustering.engine import Clusterer, Found

MAX_CATEGORIES = 50
MAX_FEATURES = 200


class ClusteringService:
    """Finds and describes clusters."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._clusterer: LazyEngine[Clusterer] = LazyEngine(
            "omni.inference.tabular.clustering.engine", lambda module: module.Clusterer()
        )

    async def cluster(self, call: Call, request: ClusterRequest) -> ClusterResponse:
        """Labels, profiles and quality.

        Raises what `read_columns` raises, InvalidInput `cluster_options_invalid` or `too_many_categories`,
        Unprocessable `too_few_different_rows`.
        """
        _check_options(request)
        response = await self._pool.run(call, "tabular", lambda: self._work(call, request))
        call.usage.model = f"{response.engine}/{request.method}"
        return response

    def _work(self, call: Call, request: ClusterRequest) -> ClusterResponse:
        columns = read_columns(request.rows, request.columns, LEAST_ROWS)
        _check_categories(columns)
        features = features_of(columns, request.scaling)
        engine = self._clusterer.get()
        different = len({row.tobytes() for row in features.matrix})
        if different < (request.clusters or 2):
            raise Unprocessable(
                "too_few_different_rows",
                f"There are {different} different rows, too few to group. Send other rows or ask for fewer clusters.",
                param="rows",
            )
        if request.method == "hdbscan":
            found = engine.dense_regions(features.matrix, request.min_cluster_size)
        else:
            most = request.clusters or min(request.max_clusters, different, len(request.rows) - 1)
            numbers = range(request.clusters or 2, most + 1)
            found = engine.cluster(features.matrix, request.method, numbers, request.seed, call.seconds_left)
        return _response(engine.name, request, columns, found, features.unused)


def _check_options(request: ClusterRequest) -> None:
    param, reason = "", ""
    if request.method == "hdbscan" and request.clusters is not None:
        param, reason = "clusters", "hdbscan finds the number itself; leave it out"
    elif request.method == "hdbscan" and request.min_cluster_size > len(request.rows):
        param, reason = "min_cluster_size", "it is larger than the number of rows"
    if reason:
        raise InvalidInput("cluster_options_invalid", f"{param}: {reason}.", param=param)


def _check_categories(columns: Sequence[Column]) -> None:
    features = 0
    for column in columns:
        different = 1 if column.is_numeric else len(set(column.categories))
        if different > MAX_CATEGORIES:
            raise InvalidInput(
                "too_many_categories",
                f"The column {column.name!r} has {different} different values; at most {MAX_CATEGORIES} can be used. "
                "Leave out names and ids.",
                param="rows",
            )
        features += different
    if features > MAX_FEATURES:
        raise InvalidInput(
            "too_many_categories",
            f"The columns have {features} categories in all; the limit is {MAX_FEATURES}.",
            param="rows",
        )


def _response(
    engine: str, request: ClusterRequest, columns: Sequence[Column], found: Found, unused: list[str]
) -> ClusterResponse:
    scores = found.scores
    return ClusterResponse(
        engine=engine,
        method=request.method,
        labels=found.labels.tolist(),
        noise=int((found.labels < 0).sum()),
        clusters=profiles_of(columns, found.labels),
        quality=None
        if scores is None
        else Quality(
            silhouette=scores.silhouette,
            davies_bouldin=scores.davies_bouldin,
            calinski_harabasz=scores.calinski_harabasz,
        ),
        tried=[Tried(clusters=number, silhouette=silhouette) for number, silhouette in found.tried.items()],
        unused_columns=unused,
    )
