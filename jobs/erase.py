"""``headrace erase`` on a cluster: a person goes from every table of a pipeline.

    spark-submit --master spark://HOST:7077 --jars $(headrace jars) jobs/erase.py conf/payments --subject-file person.txt

Arguments and exit codes are those of the command. The master, memory and jars are spark-submit's.
"""

import sys

from headrace.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "erase")
    main()
