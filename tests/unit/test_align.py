"""When a request may be scored: by watermark, or by fence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headrace.lake.log import AddedFile, LogEntry
from headrace.serving.align import Alignment, StreamProgress

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def at(hour: int) -> datetime:
    return NOON.replace(hour=hour)


def file(
    hour: int, *, partition: int = 0, until: int | None = None, verdict: str = "accepted", known: bool = True
) -> AddedFile:
    stamp = {"known_at": f"2013-01-01T{hour:02}:00:00.000Z"} if known else {}
    highest = {"kafka_partition": partition if until is None else until, **stamp}
    return AddedFile(
        {"ingest_date": "2026-01-01", "verdict": verdict}, 10, {"kafka_partition": partition, **stamp}, highest
    )


def batch(version: int, until: dict[str, int], *files: AddedFile) -> LogEntry:
    return LogEntry(version, NOON, "WRITE", {"headrace": "batch", "until": until}, files)


def other(version: int, *files: AddedFile, metadata: dict[str, Any] | None = None) -> LogEntry:
    return LogEntry(version, NOON, "OPTIMIZE", metadata or {}, files)


def followed(*entries: LogEntry) -> StreamProgress:
    progress = StreamProgress()
    progress.follow(entries)
    return progress


def test_a_new_table_has_no_watermark_and_has_reached_nothing() -> None:
    progress = followed()
    assert progress.watermark() is None
    assert not progress.reached({0: 1})
    assert progress.reached({0: 0}), "an empty topic keeps nobody waiting"


def test_the_watermark_is_the_newest_time_of_the_slowest_partition() -> None:
    progress = followed(batch(1, {"0": 10, "1": 10}, file(9), file(7, partition=1)), batch(2, {"0": 20}, file(11)))
    assert progress.watermark() == at(7)


def test_a_partition_without_an_accepted_row_holds_the_watermark_back() -> None:
    progress = followed(batch(1, {"0": 10, "1": 10}, file(9), file(8, partition=1, verdict="quarantined")))
    assert progress.watermark() is None
    progress.follow([batch(2, {"1": 11}, file(6, partition=1))])
    assert progress.watermark() == at(6)


def test_a_watermark_never_goes_back() -> None:
    assert followed(batch(1, {"0": 10}, file(9)), batch(2, {"0": 20}, file(5))).watermark() == at(9)


def test_a_quarantined_row_does_not_move_the_watermark_but_does_move_the_offset() -> None:
    progress = followed(batch(1, {"0": 10}, file(9)), batch(2, {"0": 20}, file(11, verdict="quarantined")))
    assert progress.watermark() == at(9)
    assert progress.reached({0: 20})


def test_a_file_of_several_partitions_says_nothing_about_any_one_of_them() -> None:
    mixed = file(11, partition=0, until=1)
    progress = followed(batch(1, {"0": 10, "1": 10}, file(9), file(8, partition=1)), batch(2, {"0": 20}, mixed))
    assert progress.watermark() == at(8)


def test_a_compaction_moves_neither_offsets_nor_watermark() -> None:
    """OPTIMIZE adds files with old rows of several partitions; their statistics are no news."""
    progress = followed(
        batch(1, {"0": 10, "1": 10}, file(9), file(8, partition=1)), other(2, file(23), file(23, until=1))
    )
    assert progress.watermark() == at(8)
    assert progress.until == {0: 10, 1: 10}
    assert progress.version == 2


def test_a_commit_of_another_job_is_passed_over() -> None:
    replay = {"headrace": "replay", "until": {"0": 999}}
    assert followed(batch(1, {"0": 10}, file(9)), other(2, file(23), metadata=replay)).until == {0: 10}


def test_a_file_without_statistics_is_passed_over() -> None:
    bare = AddedFile({"verdict": "accepted"}, 0, {}, {})
    assert followed(batch(1, {"0": 10}, file(9)), batch(2, {"0": 20}, bare, file(23, known=False))).watermark() == at(9)


def test_the_fence_is_reached_when_every_partition_is_committed_up_to_it() -> None:
    progress = followed(batch(1, {"0": 10, "1": 4}))
    assert progress.reached({0: 10, 1: 4})
    assert progress.reached({0: 9})
    assert not progress.reached({0: 10, 1: 5})
    assert not progress.reached({0: 10, 2: 1}), "a partition that was added later must be read first"


def test_following_in_two_steps_ends_where_one_step_ends() -> None:
    entries = [batch(1, {"0": 10}, file(9)), batch(2, {"0": 20, "1": 1}, file(5, partition=1)), other(3)]
    steps = StreamProgress()
    for entry in entries:
        steps.follow([entry])
    assert steps == followed(*entries)


def test_the_slowest_stream_sets_the_watermark_of_all() -> None:
    both = Alignment({"weather": "w", "movements": "m"})
    both.streams["weather"].follow([batch(1, {"0": 5}, file(11))])
    assert both.watermark() is None
    both.streams["movements"].follow([batch(1, {"0": 9}, file(10))])
    assert both.watermark() == at(10)


def test_all_streams_must_reach_the_fence_and_the_sentence_names_those_that_did_not() -> None:
    both = Alignment({"weather": "w", "movements": "m"})
    both.streams["weather"].follow([batch(1, {"0": 5}, file(11))])
    both.streams["movements"].follow([batch(1, {"0": 1000, "1": 0}, file(10))])
    fence = {"weather": {0: 5}, "movements": {0: 2500, 1: 7}}
    assert not both.reached(fence)
    assert both.behind(fence) == "movements (1,507 records behind)"
    both.streams["movements"].follow([batch(2, {"0": 2500, "1": 7})])
    assert both.reached(fence)
    assert both.behind(fence) == "none"


def test_a_model_without_feature_streams_waits_for_nobody() -> None:
    assert Alignment({}).reached({})
