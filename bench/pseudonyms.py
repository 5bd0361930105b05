"""What pseudonyms cost: the same topic through the ingest with a plain ``sha2`` of three columns, and with pseudonyms of them.

    python bench/pseudonyms.py [--records 300000] [--rounds 3]

Ways: ``sha2`` (Spark's, unkeyed, of the value as it stands), ``pseudonym`` (HMAC-SHA256 under the domain's key, of the value as it
stands), ``identifiers`` (the same of the normalized e-mail address, telephone number and card number), ``clear`` (nothing).
``throughput`` is records by CPU second, as a share of that of ``sha2``. The first batch of
each run is left out: it compiles code, and a sample of it is looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator

from measure import Cost, compared, drained, median_cpu, report, workplace
from pyspark.sql import Column
from pyspark.sql import functions as F
from readings import write_pipeline, written

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.session import spark_session
from headrace.stages import anonymize

COLUMNS = ("email", "phone", "card")
FIELDS = [("id", "string", False), ("at", "timestamp", False), *((name, "string", True) for name in COLUMNS)]
FIELDS += [("amount", "double", True)]
RULES = [
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0, "max_value": 1000},
     "severity": "critical", "meta": {"rule_id": "amount_plausible"}}
]  # fmt: skip
NORMALIZED = {"email": "as: email", "phone": "as: phone, region: NL", "card": "as: card"}
CLEAR = "{" + ", ".join(f"{name}: public" for name in COLUMNS) + "}"
PLAIN = "{" + ", ".join(f"{name}: {{pseudonym: {name}}}" for name in COLUMNS) + "}"
IDENTIFIERS = "{" + ", ".join(f"{name}: {{pseudonym: {name}, {NORMALIZED[name]}}}" for name in COLUMNS) + "}"


def hashed(column: Column, **_: object) -> Column:
    """In the place of a pseudonym: what a pipeline without Headrace would do."""
    return F.sha2(column, 256)


WAYS = {
    "clear": (CLEAR, anonymize.pseudonymized),
    "sha2": (PLAIN, hashed),
    "pseudonym": (PLAIN, anonymize.pseudonymized),
    "identifiers": (IDENTIFIERS, anonymize.pseudonymized),
}


def values(count: int) -> Iterator[tuple[int, str]]:
    """Payments of a hundredth as many people, spelled in several ways."""
    chance = random.Random(1)
    for number in range(count):
        person = chance.randrange(max(1, count // 100))
        card = f"4539{person:011d}0"
        record = {
            "id": f"p{number}", "at": "2026-01-01T00:00:00Z", "amount": round(chance.uniform(1, 900), 2),
            "email": f"Person.{person}@Example.ORG" if chance.random() < 0.5 else f"person.{person}@example.org",
            "phone": f"+31 6 {10_000_000 + person}" if chance.random() < 0.5 else f"06-{10_000_000 + person}",
            "card": card if chance.random() < 0.5 else " ".join(card[at : at + 4] for at in range(0, 16, 4)),
        }  # fmt: skip
        yield number % 2, json.dumps(record)


def main() -> None:
    """Print the table and write it to bench/results/pseudonyms.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        written(bootstrap, "payments", values(arguments.records))
        spark = spark_session(app="bench", driver_memory="3g")

        def run(protect: str, pseudonymized: Callable[..., Column]) -> Cost:
            anonymize.pseudonymized = pseudonymized
            shutil.rmtree(root / "run" / "lake", ignore_errors=True)
            spec = write_pipeline(
                root / "run", bootstrap=bootstrap, topic="payments", fields=FIELDS, rules=RULES, protect=protect
            )  # fmt: skip
            return drained(
                lambda heard: start_ingest(
                    spark, spec, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=heard
                )
            )

        ways = {name: lambda way=way: run(*way) for name, way in WAYS.items()}
        medians = {name: median_cpu(spent) for name, spent in compared(ways, rounds=arguments.rounds).items()}
    result = {
        "records": arguments.records,
        "rounds": arguments.rounds,
        "columns": len(COLUMNS),
        "cpu_s": {name: round(value, 2) for name, value in medians.items()},
        "throughput": {name: round(medians["sha2"] / value, 2) for name, value in medians.items()},
        "cores": os.cpu_count(),
    }
    report("pseudonyms", result)


if __name__ == "__main__":
    main()
