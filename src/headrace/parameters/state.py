"""What the records of a topic, or the rows of its copy, come to: every version, and which one is current."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from headrace.errors import ParametersError
from headrace.parameters.event import Event, Parameters, Pointer


@dataclass(frozen=True)
class State:
    """All parameters of a pipeline."""

    parameters: Mapping[tuple[str, int], Parameters]
    pointers: Mapping[str, Pointer]

    @property
    def names(self) -> list[str]:
        """Every name, in order."""
        return sorted({name for name, _ in self.parameters})

    def versions(self, name: str) -> list[Parameters]:
        """All versions of a name, oldest first."""
        return [self.parameters[key] for key in sorted(self.parameters) if key[0] == name]

    def version(self, name: str, number: int) -> Parameters:
        """One version. Raises ParametersError where it is not there."""
        found = self.parameters.get((name, number))
        if found is None:
            raise ParametersError(f"there is no {name}/{number}; {self._known(name)}")
        return found

    def current(self, name: str) -> Parameters:
        """The version that the pointer names. Raises ParametersError where the name is not there."""
        pointer = self.pointers.get(name)
        if pointer is None:
            raise ParametersError(f"no version of {name!r} is current; {self._known(name)}")
        return self.version(name, pointer.version)

    def known_by(self, name: str, cut: datetime) -> Parameters | None:
        """What may be used by who knows nothing from ``cut`` (UTC) on: the current version if its cut-off is not later, or else,
        where nobody pinned it, the newest version of which that is so. None where there is none.
        """  # fmt: skip
        pointer = self.pointers.get(name)
        found = self.parameters.get((name, pointer.version)) if pointer else None
        if found is not None and found.as_of <= cut:
            return found
        if pointer is not None and pointer.pinned:
            return None
        fitting = [one for one in self.versions(name) if one.as_of <= cut]
        return fitting[-1] if fitting and pointer is not None else None

    def events(self) -> list[Event]:
        """All of it, in the order in which it came about."""
        everything: list[Event] = [*self.parameters.values(), *self.pointers.values()]
        return sorted(everything, key=lambda event: (event.name, event.sequence, isinstance(event, Pointer)))

    def _known(self, name: str) -> str:
        versions = [one.version for one in self.versions(name)]
        if versions:
            return (
                f"there is {name}/{versions[0]} to {name}/{versions[-1]}"
                if len(versions) > 1
                else f"there is {name}/{versions[0]}"
            )
        return (
            f"there is {', '.join(self.names) or 'nothing yet'}; headrace parameters PIPELINE --as-of TIME makes them"
        )


def state_of(events: Iterable[Event]) -> State:
    """The state after these events, in any order. Raises ValueError where one version is there with two contents."""
    parameters: dict[tuple[str, int], Parameters] = {}
    pointers: dict[str, Pointer] = {}
    for event in events:
        if isinstance(event, Parameters):
            known = parameters.setdefault((event.name, event.version), event)
            if known.sha256 != event.sha256:
                raise ValueError(f"{event.key} is there with two contents")
        elif event.name not in pointers or event.sequence >= pointers[event.name].sequence:
            pointers[event.name] = event
    return State(parameters, pointers)
