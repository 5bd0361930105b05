"""What a class of one's own did wrong in one of Spark's workers, as the sentence that was meant for a person."""

from __future__ import annotations

import re

from headrace.errors import LearnerError

_TOLD = re.compile(r"^headrace\.errors\.LearnerError: (.+)$", re.MULTILINE)


def own_learner_failure(error: Exception) -> LearnerError | None:
    """The LearnerError for which a job of Spark failed, or None where it failed for something else."""
    found = _TOLD.search(str(error))
    return LearnerError(found[1]) if found else None
