"""Where each table and checkpoint lies under the lake's root."""

from __future__ import annotations

from dataclasses import dataclass

EVENTS = "events/"
"""What the name of a stream's table begins with, in leases, errands and messages; the stream's own name follows."""


@dataclass(frozen=True)
class Layout:
    """Paths (local, or URIs that Spark can write) under one root."""

    root: str

    def events(self, stream: str) -> str:
        """All records of a stream, accepted and quarantined."""
        return f"{self.root}/events/{stream}"

    def drift(self, stream: str) -> str:
        """What was told of changes in a stream's records."""
        return f"{self.root}/drift/{stream}"

    @property
    def errands(self) -> str:
        """Folder of what commands ask of the jobs that write the tables."""
        return f"{self.root}/errands"

    @property
    def openings(self) -> str:
        """Who opened which quarantined record, and when."""
        return f"{self.root}/access/openings"

    @property
    def erasures(self) -> str:
        """Folder of the signed records of erasures."""
        return f"{self.root}/access/erasures"

    def decisions(self, model: str) -> str:
        """Who promoted, refused or rolled back which version of a model, when and why."""
        return f"{self.root}/decisions/{model}"

    @property
    def parameters(self) -> str:
        """Every version of every parameter that was published, and which was current when."""
        return f"{self.root}/parameters"

    @property
    def snapshots(self) -> str:
        """Folder of all training snapshots."""
        return f"{self.root}/snapshots"

    def features(self, stream: str) -> str:
        """Features of all requests of a stream, derived from the events tables: it can be built anew at any time."""
        return f"{self.root}/features/{stream}"

    def requests(self, model: str) -> str:
        """Requests for a prediction as they came from the topic, those still waiting included."""
        return f"{self.root}/serving/{model}/requests"

    def predictions(self, model: str) -> str:
        """Predictions with the feature values that they used."""
        return f"{self.root}/serving/{model}/predictions"

    def snapshot(self, run_id: str) -> str:
        """The training rows of one run, held for as long as its model is."""
        return f"{self.root}/snapshots/{run_id}"

    def steps(self, model: str) -> str:
        """The steps of continuous training: each with its Booster, and with how far it has consumed the events tables."""
        return f"{self.root}/training/{model}/steps"

    def checkpoint(self, query: str) -> str:
        """A streaming query's checkpoint."""
        return f"{self.root}/checkpoints/{query}"

    def ledger(self, stream: str) -> str:
        """What was read and committed, batch by batch: a folder for each table that the stream ever had."""
        return f"{self.root}/ledger/{stream}"
