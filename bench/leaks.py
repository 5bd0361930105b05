"""Planted leaks: each is a variant of ``conf/flights/pipeline.yaml`` that a hurried author might write.

What can be told from the file is refused by ``headrace check``. What only the data shows is refused by the training, which holds
``known_at`` against Kafka's own times, or by the gate, whose ceiling nothing honest reaches.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from year import FLIGHTS, fill, use

from headrace.connections import connect_broker, connect_tracking
from headrace.errors import SpecError, TrainingError
from headrace.ingest.run import start_ingest
from headrace.spec import load
from headrace.training.run import train

DAYS = (date(2013, 1, 1), date(2013, 2, 14))
AS_OF = datetime(2013, 2, 15, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Leak:
    """Texts of the pipeline file that are replaced; the first line of each names the place."""

    what: str
    changes: tuple[tuple[str, str], ...]


OWN = """  windows:
"""
MOVEMENTS = """    event_time: at
    known_at: at
    sent_within: 5m
    normalize:
      case: {carrier: upper, origin: upper, dest: upper, tailnum: upper}
    expectations: expectations/movements.json
"""
REQUESTS = """    known_at: requested_at
    sent_within: 5m
"""
UNWITNESSED = ("    sent_within: 5m\n", "")


def _known(sql: str) -> tuple[str, str]:
    """Movements that claim to be known at another time."""
    derived = MOVEMENTS.replace("known_at: at\n", "known_at: claimed\n").replace(
        "tailnum: upper}\n", "tailnum: upper}\n      derive: {claimed: \"" + sql + "\"}\n"
    )  # fmt: skip
    return MOVEMENTS, derived


SCHEDULED = "cast(unix_timestamp(at) - 60 * coalesce(dep_delay, 0) as timestamp)"
DAY = "cast(to_date(from_utc_timestamp(at, 'America/New_York')) as timestamp)"

LEAKS = {
    "own_departure_delay": Leak(
        "the flight's own departure delay, joined by its id",
        ((OWN, "    - {stream: movements, by: [flight_id], within: 2d, columns: {own_dep_delay: dep_delay}}\n" + OWN),),
    ),
    "random_split": Leak("rows split at random", (("  test_share: 0.15\n", "  test_share: 0.15\n  split: random\n"),)),
    "by_scheduled_time": Leak("movements known at their scheduled time", (_known(SCHEDULED),)),
    "day_mean": Leak("movements known from the start of their day", (_known(DAY),)),
    "asked_at_departure": Leak(
        "requests known at the scheduled departure, when the flight itself may have left",
        ((REQUESTS, REQUESTS.replace("requested_at", "scheduled_departure")),),
    ),
    "by_scheduled_time_unwitnessed": Leak(
        "movements known at their scheduled time, where nobody holds that against Kafka's times", (_known(SCHEDULED), UNWITNESSED)
    ),
    "day_mean_unwitnessed": Leak(
        "movements known from the start of their day, where nobody holds that against Kafka's times", (_known(DAY), UNWITNESSED)
    ),
}  # fmt: skip


def planted(spark, home: Path) -> dict[str, dict[str, object]]:
    """What became of each leak: who caught it, and what was said."""
    fill(spark, home, start=DAYS[0], end=DAYS[1])
    return {name: {"what": leak.what, **_caught(spark, home, name, leak)} for name, leak in LEAKS.items()}


def variant(folder: Path, leak: Leak) -> Path:
    """The pipeline's folder with the leak in it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FLIGHTS, folder)
    text = (folder / "pipeline.yaml").read_text(encoding="utf-8")
    for old, new in leak.changes:
        assert old in text, f"the pipeline file no longer has: {old}"
        text = text.replace(old, new)
    (folder / "pipeline.yaml").write_text(text, encoding="utf-8")
    return folder


def _caught(spark, home: Path, name: str, leak: Leak) -> dict[str, object]:
    folder = variant(home / "variants" / name, leak)
    use(home)
    try:
        checked = load(folder)
    except SpecError as error:
        return {"caught_by": "check", "said": str(error).splitlines()[0].replace(str(folder), "conf/flights")}
    lake = home / "variants" / f"{name}.lake"
    pipeline = load(folder, {"HEADRACE_LAKE": str(lake), "HEADRACE_KEYS": str(home / "keys.json")})
    broker = connect_broker(checked, home=home)
    if not (lake / "events").exists():
        start_ingest(spark, pipeline, broker=broker, until_caught_up=True).wait()
    try:
        done = train(spark, pipeline, tracking=connect_tracking(pipeline, home=home / "variants" / name), as_of=AS_OF)
    except TrainingError as error:
        return {"caught_by": "training", "said": str(error)}
    by = "nobody" if done.promoted else "gate"
    return {"caught_by": by, "auc": round(done.metrics["auc"], 4), "said": done.verdict.refusals}
