"""``headrace replay`` on a cluster: quarantined records go their way again; those that pass now are released.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/replay.py conf/flights --stream weather

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "replay")
    main()
