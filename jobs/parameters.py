"""``headrace parameters`` on a cluster: make a model's parameters of accepted rows and publish them, once or as rows arrive.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/parameters.py conf/flights --continuous

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "parameters")
    main()
