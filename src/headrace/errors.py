"""All errors a user can meet, and the exit code of each.

An error is one sentence: what is wrong, where, what was expected, and what to do. A command that ends with one
prints that sentence (never a stack trace) and exits with the error's code; ``docs/exit-codes.md`` lists them.
"""

from __future__ import annotations


class HeadraceError(Exception):
    """Something a user can mend. ``str(error)`` is the whole message."""

    exit_code = 1


class SpecError(HeadraceError):
    """The pipeline file, or a schema or suite beside it, is wrong."""

    exit_code = 3


class PrerequisiteError(HeadraceError):
    """Java, Python or a package that Headrace needs is missing or too old."""

    exit_code = 4


class BrokerError(HeadraceError):
    """Kafka can't be reached, or a topic is absent."""

    exit_code = 5


class StorageError(HeadraceError):
    """A path can't be written or read, or the disk is full."""

    exit_code = 6


class KeyRingError(HeadraceError):
    """The key ring is missing, damaged, readable by others, or lacks a key version."""

    exit_code = 7


class CheckpointError(HeadraceError):
    """Checkpoint and table disagree, or another job owns the table: going on could lose or repeat rows."""

    exit_code = 8


class AccountingError(HeadraceError):
    """Records read and records written don't add up."""

    exit_code = 9


class GateRefused(HeadraceError):
    """The challenger was trained and logged, but the gate did not let it pass."""

    exit_code = 10


class TrainingError(HeadraceError):
    """There is no data to train on, or too little."""

    exit_code = 11


class EmbeddedServerError(HeadraceError):
    """An embedded server did not start: its port is taken, or its process ended."""

    exit_code = 12


class ModelError(HeadraceError):
    """A model or alias is absent, or its file is not the one that was registered."""

    exit_code = 13


class DataStopped(HeadraceError):
    """A stream went above its declared ``stop_above`` share of quarantined rows."""

    exit_code = 14


class RecordsLost(HeadraceError):
    """Kafka deleted records (retention) that were not read: going on leaves a gap, which must be accepted in so many words."""

    exit_code = 15


class ParametersError(HeadraceError):
    """A model's parameters are absent, malformed, contradict each other, or were made of what was known too late."""

    exit_code = 19


class NotReproduced(HeadraceError):
    """A model that was rebuilt is not the registered one, or what it was made from is not what was recorded."""

    exit_code = 17


class NotReproducible(HeadraceError):
    """A model can't be rebuilt: what it was made from is gone (erased, released, beyond its retention) or was never recorded."""

    exit_code = 18


class LearnerError(HeadraceError):
    """A class of one's own that trains a model raised, answered with what is no prediction, or is not installed."""

    exit_code = 20


def first_line(error: BaseException) -> str:
    """What an error of another library says first, cut to 200 characters; its class where it says nothing."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__


INTERRUPTED = 130
"""Exit code after Ctrl-C (the shell's own for SIGINT)."""
