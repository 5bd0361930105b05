"""``headrace train`` on a cluster: train, log and register a model; the gate decides on its promotion (exit code 10: refused).

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/train.py conf/flights --as-of 2013-03-01
    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/train.py conf/flights --continuous

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
