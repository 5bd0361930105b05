"""``headrace score`` on a cluster: answer requests for predictions from the live topic.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/score.py conf/flights

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "score")
    main()
