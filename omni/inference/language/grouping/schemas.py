"""Requests and responses of near-duplicates and clusters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXTS = 1_000
MAX_TEXT_CHARS = 20_000
MAX_ALL_CHARS = 1_000_000

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]
Index = Annotated[int, Field(description="Place of the text in the request, from 0.")]


class DuplicatesRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "texts": [
                        "The quick brown fox jumps over the lazy dog today.",
                        "The quick brown fox jumps over the lazy dog.",
                        "Something else.",
                    ],
                    "threshold": 0.7,
                }
            ]
        }
    )

    texts: Annotated[
        list[Text],
        Field(
            min_length=2,
            max_length=MAX_TEXTS,
            description="2 to 1,000 texts of at most 20,000 characters, 1,000,000 in all.",
        ),
    ]
    mode: Annotated[
        Literal["lexical", "semantic"],
        Field(
            description="`lexical`: the same words in the same order (Jaccard similarity of shingles). `semantic`: the "
            "same meaning (cosine)."
        ),
    ] = "lexical"
    threshold: Annotated[
        float | None,
        Field(ge=0.1, le=1, description="Least similarity of two duplicates; absent = 0.8, or 0.9 with `semantic`."),
    ] = None
    shingle_words: Annotated[
        int, Field(ge=1, le=10, description="For `lexical`: how many words in a row are compared as one.")
    ] = 3


class DuplicateMember(BaseModel):
    index: Index
    similarity: Annotated[float, Field(ge=-1, le=1, description="With the representative: exact, not estimated.")]


class DuplicateGroup(BaseModel):
    representative: Annotated[int, Field(description="The text that is most like the others; the first of equals.")]
    members: Annotated[
        list[DuplicateMember],
        Field(
            description="All texts of the group, in order. Each is a duplicate of at least one other, not of every one."
        ),
    ]


class DuplicatesResponse(BaseModel):
    groups: Annotated[list[DuplicateGroup], Field(description="By their first text.")]
    unique: Annotated[list[int], Field(description="Texts without a duplicate.")]
    threshold: float
    model: Annotated[str, Field(examples=["minhash-lsh", "all-MiniLM-L6-v2"])]


class ClusterRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "texts": [
                        "I was charged twice.",
                        "The invoice is wrong.",
                        "The app crashes.",
                        "It does not start.",
                    ],
                    "clusters": 2,
                }
            ]
        }
    )

    texts: Annotated[
        list[Text],
        Field(
            min_length=3,
            max_length=MAX_TEXTS,
            description="3 to 1,000 texts of at most 20,000 characters, 1,000,000 in all and 131,072 tokens.",
        ),
    ]
    method: Annotated[
        Literal["kmeans", "hdbscan"],
        Field(
            description="`kmeans`: every text is in a cluster. `hdbscan` (Campello et al. 2013): finds the number of "
            "clusters itself and leaves outliers apart; it needs some dozens of texts."
        ),
    ] = "kmeans"
    clusters: Annotated[
        int | None,
        Field(
            ge=2,
            le=100,
            description="For `kmeans`: how many; absent = 2 to 12, whichever has the best silhouette. Not more than "
            "there are different texts.",
        ),
    ] = None
    min_cluster_size: Annotated[int, Field(ge=2, le=500, description="For `hdbscan`: fewest texts of a cluster.")] = 5
    keywords: Annotated[int, Field(ge=1, le=20, description="Keywords of each cluster.")] = 5

    @model_validator(mode="after")
    def _number_only_for_kmeans(self) -> ClusterRequest:
        if self.method == "hdbscan" and self.clusters is not None:
            raise ValueError("`hdbscan` finds the number of clusters itself: leave `clusters` out")
        return self


class ClusterKeyword(BaseModel):
    word: str
    weight: Annotated[
        float,
        Field(description="Class-based TF-IDF: share of the cluster's words × ln(1 + words a cluster / occurrences)."),
    ]


class ClusterMember(BaseModel):
    index: Index
    cosine: Annotated[float, Field(ge=-1, le=1, description="With the cluster's centre.")]


class Cluster(BaseModel):
    label: Annotated[
        str | None, Field(description="Its three best keywords; absent when its texts have only function words.")
    ]
    keywords: list[ClusterKeyword]
    central: Annotated[int, Field(description="The text closest to the centre.")]
    members: Annotated[list[ClusterMember], Field(description="Closest to the centre first.")]


class ClusterResponse(BaseModel):
    clusters: Annotated[list[Cluster], Field(description="Largest first.")]
    outliers: Annotated[list[int], Field(description="Texts of no cluster; only with `hdbscan`.")]
    silhouette: Annotated[
        float | None,
        Field(
            ge=-1,
            le=1,
            description="Mean silhouette by cosine distance (Rousseeuw 1987) without outliers: near 1 = well apart, "
            "near 0 = overlapping. Absent with fewer than two clusters, or when each text is its own.",
        ),
    ]
    method: Literal["kmeans", "hdbscan"]
    model: str
