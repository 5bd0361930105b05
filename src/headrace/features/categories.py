"""Categories: a column of the requests becomes the index of its value in a vocabulary, by one function for training and scoring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import ParametersError
from headrace.spec.features import Features

if TYPE_CHECKING:
    from pyspark.sql import Column

Vocabularies = Mapping[str, Sequence[str]]
"""Name to values, in the order of their indices (from 0)."""
NONE: Vocabularies = MappingProxyType({})


def encoded(column: str, *, features: Features, vocabularies: Vocabularies) -> Column:
    """The index (``double``) of the column's value; null where that is null or has no index.

    Raises ParametersError where the vocabulary is not given.
    """
    name = features.categories[column]
    if name not in vocabularies:
        raise ParametersError(
            f"no vocabulary {name!r} for the feature {column!r} was published; run headrace parameters PIPELINE --as-of TIME"
        )
    words = F.from_json(F.lit(json.dumps(list(vocabularies[name]))), "array<string>")
    position = F.array_position(words, F.col(column).cast("string"))  # from 1; 0 where it is not there
    return F.when(position > 0, (position - 1).cast("double"))


def unseen(*, features: Features, vocabularies: Vocabularies) -> dict[str, Column]:
    """Feature to an aggregate: how many requests have a value without an index."""
    return {
        name: F.count_if(F.col(name).isNotNull() & encoded(name, features=features, vocabularies=vocabularies).isNull())
        for name in features.categories
    }
