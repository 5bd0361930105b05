"""Pseudonyms: equal values of a domain have equal ones, and nobody without the key can tell from which value.

The first version of a domain's key is applied to the normalized value, each later one to the pseudonym of the version that it
follows: ``v2 = HMAC(key 2, "v1..." )``. So a pseudonym that was written under an old version becomes the newest one without the
value that it stands for (docs/decisions/0009-pseudonyms-follow-their-key.md).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headrace.privacy.identifiers import normalizer
from headrace.privacy.keys import KeyRing, pseudonym_key, worker_chain
from headrace.privacy.worker import text_function
from headrace.spec.paths import Path
from headrace.spec.protect import Pseudonym

if TYPE_CHECKING:
    from pyspark.sql import Column

Chain = Sequence[tuple[int, bytes]]
"""Versions and secrets, the first one first."""
_BITS_HEX = 32


def pseudonymized(column: Column, *, declared: Pseudonym, ring: KeyRing, steps: Path = ()) -> Column:
    """Pseudonyms (``string``) of texts, in arrays as the steps say; null stays null."""
    name = pseudonym_key(declared.pseudonym)
    return text_function(_preparer(ring.path, name, ring.current(name), declared), steps=steps)(column)


def renewed(column: Column, *, domain: str, ring: KeyRing, steps: Path = ()) -> Column:
    """Pseudonyms of any version as those of the newest one; what is of no version that leads there stays as it is."""
    name = pseudonym_key(domain)
    return text_function(_renewer(ring.path, name, ring.current(name)), steps=steps)(column)


def maker(chain: Chain, declared: Pseudonym) -> Callable[[str], str]:
    """The function from a value to its pseudonym: ``v<key version>.`` and 32 hex digits, HMAC-SHA256 (RFC 2104) of the
    normalized value in UTF-8, cut to 128 bits; then, for each further version, the same of that pseudonym.
    """  # fmt: skip
    normalize, links = normalizer(declared), [_link(*version) for version in chain]

    def make(value: str) -> str:
        made = normalize(value)
        for link in links:
            made = link(made)
        return made

    return make


def renewer(chain: Chain) -> Callable[[str], str]:
    """The function from a pseudonym to that of the chain's last version."""
    links = {f"v{version}": [_link(*later) for later in chain[at + 1 :]] for at, (version, _) in enumerate(chain)}

    def renew(value: str) -> str:
        for link in links.get(value.partition(".")[0], ()):
            value = link(value)
        return value

    return renew


def _link(version: int, secret: bytes) -> Callable[[str], str]:
    keyed, prefix = hmac.new(secret, digestmod="sha256"), f"v{version}."

    def make(value: str) -> str:
        mac = keyed.copy()  # half the time of a new one
        mac.update(value.encode())
        return prefix + mac.hexdigest()[:_BITS_HEX]

    return make


def _preparer(reference: str, name: str, version: int, declared: Pseudonym) -> Callable[[], Callable[[str], str]]:
    return lambda: maker(worker_chain(reference, name, version), declared)


def _renewer(reference: str, name: str, version: int) -> Callable[[], Callable[[str], str]]:
    return lambda: renewer(worker_chain(reference, name, version))
