"""Building a model again from what its training recorded, and holding it against the registered one: byte for byte, or (trained by
Spark's workers, or on a graphics card) by its predictions, within the recorded tolerance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import LearnerError, ModelError, NotReproducible
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.log import read_log
from headrace.spec.learners import BOOSTING
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import size_in_bytes
from headrace.training import differences
from headrace.training.device import require_device
from headrace.training.differences import Difference, apart
from headrace.training.distributed.again import again_by_workers
from headrace.training.environment import environment
from headrace.training.learn import learn_again
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.checked import opened
from headrace.training.learners.found import Found, find
from headrace.training.learners.linear_model import LinearModel
from headrace.training.learners.protocol import Fitted
from headrace.training.model_files import trusted_file
from headrace.training.recipe import Recipe
from headrace.training.snapshot import column_hashes, content_hash, read_snapshot, rows_in, to_arrow
from headrace.training.source import rows_from_tables
from headrace.training.split import known_before
from headrace.training.trained import Trained

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

ERASED, RELEASED_AT, RELEASED_BY = "headrace.erased", "headrace.released_at", "headrace.released_by"
_NOT = frozenset({"rows", "record", "model file", "bytes", "beyond tolerance"})
"""Kinds of a difference that say no; the others explain."""


@dataclass(frozen=True)
class Reproduction:
    """What a rebuild gave."""

    run_id: str
    model: str
    rows: int
    train_rows: int
    threads: int
    partitions: int
    source: str
    """``snapshot``, or ``tables`` where the rows were computed anew."""
    recorded_sha256: str
    rebuilt_sha256: str
    differences: tuple[Difference, ...]
    workers: int | None = None
    """Of Spark, that trained again; None: the driver did."""
    tolerance: float | None = None
    """None where the bytes must be the same."""
    apart: float | None = None
    """With a tolerance: the largest difference of a prediction, as the recipe measures it."""

    @property
    def reproduced(self) -> bool:
        """Whether rows, records, file and bytes are those of the training."""
        return not any(one.kind in _NOT for one in self.differences)

    @property
    def sentence(self) -> str:
        """The outcome and all that explains it."""
        return "; ".join([f"{self.model} was rebuilt {self.how}", *(one.sentence for one in self.differences)])

    @property
    def how(self) -> str:
        """In which sense it is the same."""
        if self.tolerance is None:
            return "byte for byte" if self.recorded_sha256 == self.rebuilt_sha256 else "with other bytes"
        if self.apart is None:
            return "and not compared"
        side = "within" if self.apart <= self.tolerance else "beyond"
        return (
            f"{side} the tolerance of {self.tolerance:g} (the largest difference of a prediction is {self.apart:.3g})"
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "reproduced": self.reproduced,
            **{name: value for name, value in asdict(self).items() if name != "differences"},
            "differences": [asdict(one) for one in self.differences],
        }


def reproduce(
    spark: SparkSession,
    trained: Trained,
    recipe: Recipe,
    *,
    pipeline: Pipeline | None = None,
    threads: int | None = None,
    partitions: int | None = None,
    from_source: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Rebuild the model of a run, from its snapshot or (``from_source``) from the recorded versions of the events tables.

    ``pipeline`` says where the lake is now; without it, it is where it was. Writes nothing. Raises NotReproducible where the rows
    are gone: erased, released, or beyond the retention of older versions.
    """
    learner = _learner(trained, recipe)
    session, partitions = _session(spark, partitions)
    path = Layout(pipeline.spec.lake.root).snapshot(recipe.run_id) if pipeline else recipe.snapshot.path
    require_rows(spark, trained, path)
    notify(f"reading the training rows of {trained.name}")
    if from_source:
        rows, where = rows_from_tables(session, recipe, pipeline), "what the recorded versions of the tables give"
    else:
        rows, where = read_snapshot(session, path), "the snapshot"
    rows = rows.repartition(partitions)
    found = list(differences.record_differences(recipe, trained))
    content = content_hash(rows)
    if content != recipe.snapshot.content:
        found += differences.row_differences(recipe, content=content, columns=column_hashes(rows), where=where)
    boosting = recipe.learner == BOOSTING
    settings = {**recipe.settings, "nthread": threads} if threads and boosting else recipe.settings
    require_device(recipe.settings.get("device", "cpu"))
    if recipe.workers is None:
        table = to_arrow(rows)
        train = known_before(table, recipe.split.cut)
        count = table.num_rows
        notify(f"training on {train.num_rows:,} rows again")
        fitted = learn_again(train, recipe, found=learner, settings=settings, spark=session)
    else:
        notify(f"training by {recipe.workers} workers again")
        booster, train, table = again_by_workers(session, rows, recipe, settings=settings, limit=_memory(pipeline))
        fitted, count = Boosted(booster), rows_in(content)
    rebuilt = hashlib.sha256(fitted.to_bytes()).hexdigest()
    done = Reproduction(
        run_id=recipe.run_id, model=trained.name, rows=count, train_rows=train.num_rows,
        threads=int(settings["nthread"]) if boosting else 1, partitions=partitions, source="tables" if from_source else "snapshot",
        recorded_sha256=recipe.booster_sha256, rebuilt_sha256=rebuilt, differences=tuple(found),
        workers=recipe.workers, tolerance=recipe.tolerance,
    )  # fmt: skip
    return _compared(done, trained, recipe, fitted, table, learner=learner)


def _memory(pipeline: Pipeline | None) -> int:
    """Bytes that test rows may take on the driver."""
    model = pipeline.spec.model if pipeline else None
    return size_in_bytes("4g") if model is None else model.memory_bytes


def _compared(
    done: Reproduction, trained: Trained, recipe: Recipe, rebuilt: Fitted, rows: pa.Table, *, learner: Found
) -> Reproduction:
    """The outcome with all that differs between the registered model and this one, on ``rows``."""
    found, stored = list(done.differences), b""
    if trained.source:
        try:
            stored = trusted_file(
                trained.source, learner=learner.name, file=learner.learner.file, sha256=recipe.booster_sha256, what=trained.name
            )  # fmt: skip
        except ModelError as error:
            found.append(Difference("model file", str(error)))
    registered = opened(learner, stored, task=recipe.task) if stored else None
    if recipe.tolerance is not None:
        between = None if registered is None else apart(registered, rebuilt, rows, recipe)
        done = replace(done, apart=between)
        found += differences.beyond(between, tolerance=recipe.tolerance, model=trained.name)
    elif done.rebuilt_sha256 != done.recorded_sha256:
        found.append(
            Difference("bytes", f"the SHA-256 was {done.recorded_sha256}, and is {done.rebuilt_sha256} now")
        )  # fmt: skip
    if done.rebuilt_sha256 != done.recorded_sha256:
        found += (Difference("environment", one) for one in recipe.environment.changes_to(environment(learner)))
        if isinstance(registered, Boosted) and isinstance(rebuilt, Boosted):
            found += differences.booster_differences(registered.booster, rebuilt.booster)
        if isinstance(registered, LinearModel) and isinstance(rebuilt, LinearModel):
            found += differences.linear_differences(registered, rebuilt)
        if registered is not None:
            found.append(differences.prediction_difference(registered, rebuilt, rows, features=recipe.features))
    return replace(done, differences=tuple(found))


def _learner(trained: Trained, recipe: Recipe) -> Found:
    """The learner that a recipe names. Raises NotReproducible where it is not here."""
    try:
        return find(recipe.learner)
    except LearnerError as error:
        raise NotReproducible(f"{trained.name} can't be rebuilt: {error}") from None


def require_rows(spark: SparkSession, trained: Trained, path: str) -> None:
    """Raise NotReproducible where the training rows of a run are not all there any more, and MLflow or the lake says why."""
    tags = {**trained.version_tags, **trained.tags}
    if RELEASED_AT in tags:
        raise NotReproducible(
            f"the training rows of {trained.name} were released on {tags[RELEASED_AT]} by {tags.get(RELEASED_BY)}, so it can't "
            "be rebuilt; train anew where you need a model that can"
        )
    there = delta.exists(spark, path)
    erased = erased_rows(spark, path) if there else None
    if ERASED in tags or erased:
        count = f"{erased:,} rows" if erased is not None else "rows"
        raise NotReproducible(
            f"{count} of erased people are gone from what {trained.name} was trained on (erasure {tags.get(ERASED, 'unmarked')}), "
            "so it can't be rebuilt; train anew, and the new model can"
        )
    if not there:
        raise NotReproducible(
            f"the training rows of {trained.name} are not at {path}, and nothing says that they were released or erased; restore "
            "that folder, or name the pipeline whose lake holds it"
        )


def erased_rows(spark: SparkSession, path: str) -> int:
    """Rows that erasures took from a snapshot, by its log."""
    return sum(
        int(entry.metadata["rows"]) for entry in read_log(spark, path) if entry.metadata.get("headrace") == "erase"
    )


def _session(spark: SparkSession, partitions: int | None) -> tuple[SparkSession, int]:
    """A session of its own that shuffles into so many partitions, and the number."""
    session = spark.newSession()
    count = partitions or int(session.conf.get("spark.sql.shuffle.partitions") or 2)
    session.conf.set("spark.sql.shuffle.partitions", str(count))
    session.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    return session, count
