"""``headrace maintain`` on a cluster: retention, compaction, VACUUM and the logs of all tables of a pipeline.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/maintain.py conf/flights

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "maintain")
    main()
