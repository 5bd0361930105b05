"""Regexes whose time grows without bounds on a text that does not match, found by their form.

Java tries every way to divide a text among repetitions that can take the same characters: ``a*a*a*a*b`` needs n**5 steps for n
letters a. So repetitions are followed through the regex, each with the characters that it can take, and those that can hand
characters to each other form a chain. What Java remembers itself (a repeated group, where nothing refers back to it) costs it
little: ``(a+)+b`` is no such regex there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LONGEST_CHAIN = 3
_MOST_STEPS = 20_000
_COPIES_COUNTED, _COPIES_ENDLESS = 4, 2
_SAMPLE = frozenset([*map(chr, range(128)), "\u00a0", "é", "中"])
_ATOM = re.compile(
    r"\\Q.*?(?:\\E|$)|\\[pPxN]\{[^}]*\}|\\k<\w+>|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?")
_GROUP = re.compile(r"\((?:\?(?:<?[=!]|>|<\w+>|[a-zA-Z-]*:|[a-zA-Z-]+(?=\))))?")
_REFERS_BACK = re.compile(r"\\(?:[1-9]|k<)")
_ZERO_WIDTH = ("^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G")

_State = dict[frozenset[str], int]
"""Repetitions that can still take more characters: what each can take, and how long the chain is that ends in it."""


@dataclass
class _Walk:
    """One pass through a regex, which is valid."""

    atoms: list[str]
    at: int = 0
    steps: int = 0
    longest: int = 0
    sets: dict[str, frozenset[str]] = field(default_factory=dict)

    def alternatives(self, before: _State) -> _State:
        """From here to the closing bracket, or the end."""
        after = self.sequence(before)
        while self.at < len(self.atoms) and self.atoms[self.at] == "|":
            self.at += 1
            after = _joined(after, self.sequence(before))
        return after

    def sequence(self, state: _State) -> _State:
        while self.at < len(self.atoms) and self.atoms[self.at] not in ("|", ")"):
            atom = self.atoms[self.at]
            if _GROUP.fullmatch(atom):
                state = self.group(state)
                continue
            self.at += 1
            least, most, possessive = self.repeat()
            if atom not in _ZERO_WIDTH:
                state = self.single(state, self.taken(atom), least, most, possessive)
        return state

    def group(self, before: _State) -> _State:
        self.at += 1
        begin, state = self.at, self.alternatives(before)
        self.at += 1  # the closing bracket
        least, most, possessive = self.repeat()
        end = self.at
        copies = 1 if possessive or most == 1 else _COPIES_ENDLESS if most is None else min(most, _COPIES_COUNTED)
        for _ in range(copies - 1):
            self.at = begin
            state = self.alternatives(state)
        self.at = end
        return _joined(before, state) if least == 0 else state

    def single(self, state: _State, taken: frozenset[str], least: int, most: int | None, possessive: bool) -> _State:
        self.steps += 1 + len(state)
        left = state if least == 0 else {one: chain for one, chain in state.items() if one & taken}
        if most is not None or possessive:
            return left
        chain = 1 + max((chain for one, chain in state.items() if one & taken), default=0)
        self.longest = max(self.longest, chain)
        return _joined(left, {taken: chain})

    def repeat(self) -> tuple[int, int | None, bool]:
        """How often the last atom may come (None: without end), and whether it gives nothing back."""
        sign = self.atoms[self.at] if self.at < len(self.atoms) else ""
        if not _REPEAT.fullmatch(sign):
            return 1, 1, False
        self.at += 1
        possessive = len(sign) > 1 and sign.endswith("+")
        if sign[0] != "{":
            return int(sign[0] == "+"), 1 if sign[0] == "?" else None, possessive
        least, comma, most = sign[1 : sign.index("}")].partition(",")
        return int(least), int(most) if most else None if comma else int(least), possessive

    def taken(self, atom: str) -> frozenset[str]:
        if atom not in self.sets:
            try:
                one = re.compile(atom, re.DOTALL)
                self.sets[atom] = frozenset(c for c in _SAMPLE if one.fullmatch(c)) or _SAMPLE
            except re.error:
                self.sets[atom] = _SAMPLE
        return self.sets[atom]


def slowness(regex: str) -> str | None:
    """Why a regex that is valid may take without end, or None."""
    atoms = _atoms(regex)
    endless = any(_REPEAT.fullmatch(atom) and atom[0] in "*+" for atom in atoms)
    if endless and any(_REFERS_BACK.match(atom) for atom in atoms):
        return "it refers back to a group beside a repetition; write it without"
    walk = _Walk(atoms)
    try:
        while walk.at < len(atoms) and walk.steps <= _MOST_STEPS:
            walk.alternatives({})
            walk.at += 1
    except RecursionError:
        return "its groups are nested too deeply; simplify it"
    if walk.steps > _MOST_STEPS:
        return "it is too long to be judged; split it"
    if walk.longest > LONGEST_CHAIN:
        return (
            f"more than {LONGEST_CHAIN} repetitions in it can take the same characters; exclude from each what follows it, "
            "as in [^,]*, or make them possessive, as in .*+"
        )
    return None


def _atoms(regex: str) -> list[str]:
    atoms: list[str] = []
    at = 0
    while at < len(regex):
        found = _GROUP.match(regex, at) or (_REPEAT.match(regex, at) if atoms else None) or _ATOM.match(regex, at)
        if found is None:  # pragma: no cover
            break
        atoms.append(found[0])
        at = found.end()
    return atoms


def _joined(one: _State, other: _State) -> _State:
    return {taken: max(one.get(taken, 0), other.get(taken, 0)) for taken in {**one, **other}}
