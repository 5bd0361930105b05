"""The leader of a partition dies under a running ingest, and another broker leads it: the long variant, with three brokers."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_broker import At
from test_broker_faults import RECORDS, Bench
from three_brokers import ThreeBrokers


@pytest.mark.long
def test_leaders_that_die_in_the_midst_of_batches_lose_nothing_and_repeat_nothing(spark, tmp_path: Path) -> None:
    cluster = ThreeBrokers(tmp_path / "kafka")
    try:
        bench = Bench(spark, tmp_path, cluster, "led", records=3 * RECORDS)
        led: list[int] = []

        def fell(partition: int) -> None:
            led.append(cluster.leader("led", partition))
            cluster.kill(led[-1])

        def rise_and_fall() -> None:
            cluster.start(led[0])
            fell(1)

        elections = At({(1, "planned"): lambda: fell(0), (2, "begun"): rise_and_fall})
        bench.ingest(elections)
        assert not elections.left
        assert cluster.leader("led", 1) != led[1]
        bench.judge(records=3 * RECORDS)
    finally:
        cluster.stop()
