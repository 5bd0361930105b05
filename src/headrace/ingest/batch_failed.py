"""What Spark hears of a batch's error."""

from __future__ import annotations


class BatchFailed(Exception):
    """Raised to Spark in place of a batch's error, which the writer keeps for the job.

    Where a query was stopped meanwhile, Spark looks through the text of the error with a regex that repeats a group. At the long
    text of an error of Java's that came through Python the stack of its thread overflows, and prints a thousand lines.
    """
