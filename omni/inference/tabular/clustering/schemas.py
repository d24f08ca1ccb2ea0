"""Request and response of `/v1/tabular/cluster`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.tabular.columns import ColumnNames, MixedRow

MAX_ROWS = 3_000
MAX_CLUSTERS = 20
LEAST_ROWS = 8

Method = Literal["kmeans", "agglomerative", "gaussian_mixture", "hdbscan"]
Scaling = Literal["standard", "robust", "none"]


class ClusterRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["height", "plan"],
                    "rows": [
                        [1.60, "free"],
                        [1.62, "free"],
                        [1.61, "free"],
                        [1.59, "free"],
                        [1.90, "pro"],
                        [1.92, "pro"],
                        [1.91, "pro"],
                        [1.89, "pro"],
                    ],
                    "clusters": 2,
                }
            ]
        }
    )

    rows: Annotated[
        list[MixedRow],
        Field(
            max_length=MAX_ROWS,
            description="8 to 3,000 rows of 1 to 50 cells, 200,000 in all; a column holds numbers of at most 1e15 in "
            "size, or text and true/false as categories (at most 50 different ones).",
        ),
    ]
    columns: ColumnNames | None = None
    method: Annotated[
        Method,
        Field(
            description="`kmeans` (10 starts), `agglomerative` (Ward), `gaussian_mixture` (full covariances up to 10 "
            "features, else diagonal), `hdbscan` (finds the number itself and leaves noise out)."
        ),
    ] = "kmeans"
    clusters: Annotated[
        int | None,
        Field(ge=2, le=MAX_CLUSTERS, description="How many; none = as the silhouette is best. Not for hdbscan."),
    ] = None
    max_clusters: Annotated[
        int, Field(ge=2, le=MAX_CLUSTERS, description="Without `clusters`: 2 to this many are tried.")
    ] = 8
    min_cluster_size: Annotated[int, Field(ge=2, le=1_000, description="For hdbscan.")] = 5
    scaling: Annotated[
        Scaling,
        Field(
            description="Of numbers: `standard` to mean 0 and variance 1, `robust` by median and quartiles, `none`. A "
            "category becomes a 0/1 feature for each of its values, together of variance 1 (divided by the root of 1 - "
            "sum of squared shares), so that it weighs as much as a standardised number."
        ),
    ] = "standard"
    seed: Annotated[int, Field(ge=0, lt=2**32, description="The same request gives the same answer.")] = 0


class NumberProfile(BaseModel):
    column: str
    mean: Annotated[float, Field(description="In the column's own unit.")]
    standard_deviation: float


class CategoryProfile(BaseModel):
    column: str
    shares: Annotated[dict[str, float], Field(description="Of the rows of the cluster, largest first; 0 left out.")]


class Distinction(BaseModel):
    column: str
    value: Annotated[str | None, Field(description="The category; null for a number.")]
    effect: Annotated[
        float,
        Field(
            description="Mean (or share) of the cluster less that of all rows, over the standard deviation of all rows."
        ),
    ]


class Cluster(BaseModel):
    label: int
    size: int
    share: Annotated[float, Field(description="Of all rows.")]
    numbers: Annotated[list[NumberProfile], Field(description="The centroid, in original units.")]
    categories: list[CategoryProfile]
    distinguishing: Annotated[list[Distinction], Field(description="Up to 5, strongest first.")]


class Quality(BaseModel):
    """In the scaled space, without noise."""

    silhouette: Annotated[float, Field(description="-1 to 1, higher is better (Rousseeuw 1987).")]
    davies_bouldin: Annotated[float, Field(description="Lower is better (Davies, Bouldin 1979).")]
    calinski_harabasz: Annotated[
        float | None, Field(description="Higher is better (Calinski, Harabasz 1974); null when clusters are points.")
    ]


class Tried(BaseModel):
    clusters: int
    silhouette: float | None


class ClusterResponse(BaseModel):
    engine: Annotated[str, Field(examples=["scikit-learn-1.9.1"])]
    method: Method
    labels: Annotated[list[int], Field(description="One a row: 0 = the largest cluster; -1 = noise, of hdbscan.")]
    noise: Annotated[int, Field(description="Rows that are in no cluster.")]
    clusters: list[Cluster]
    quality: Annotated[Quality | None, Field(description="Null with fewer than 2 clusters, or one for each row.")]
    tried: Annotated[list[Tried], Field(description="Numbers of clusters that were compared, without `clusters`.")]
    unused_columns: Annotated[list[str], Field(description="All of one value, so that they tell nothing.")]
