"""``headrace ingest`` on a cluster: read the declared topics into their tables.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/ingest.py conf/flights --until-caught-up

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "ingest")
    main()
