"""Coarser values: a year, a network, a band, a cell, a beginning."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from headrace.spec.protect import Generalize

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

_DIGITS = 9
"""Edges of cells and bands are rounded to so many decimals: 3 times 0.1 is not 0.3 in a double."""
_WHOLE = ("int", "bigint")


def generalized(column: Column, *, kind: DataType, by: Generalize) -> Column:
    """``int`` for a year, ``string`` such as ``2026-03`` for a month; the lower edge, of the column's own type (a decimal's as
    ``double``), for a band or a grid; ``string`` for a prefix. A network is made by :func:`network`, in a worker.
    """  # fmt: skip
    from pyspark.sql import functions as F

    width = by.width or 0
    match by.generalize:
        case "year":
            return F.year(column)
        case "month":
            return F.date_format(column, "yyyy-MM")
        case "prefix":
            return F.substring(column.cast("string"), 1, int(width))
        case "network":
            raise ValueError("a network is made in a worker")
        case "band" | "grid":
            name = kind.simpleString()
            return (
                _lower_whole(column, int(width), name) if name in _WHOLE else _lower_edge(column.cast("double"), width)
            )


def network(address: str) -> str | None:
    """``203.0.113.0/24`` of an IPv4 address, ``2001:db8:1::/48`` of an IPv6 one (RFC 4291); None for any other text."""
    try:
        ip = ipaddress.ip_address(address.strip().split("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


def _lower_whole(column: Column, width: int, kind: str) -> Column:
    from pyspark.sql import functions as F

    value = column.cast("bigint")
    return (value - F.pmod(value, F.lit(width))).try_cast(kind)


def _lower_edge(column: Column, width: float) -> Column:
    """Null for what is no finite number, or so large that a band is lost in its rounding."""
    from pyspark.sql import functions as F

    bands = F.round(column / F.lit(width), _DIGITS)
    return F.when(F.abs(bands) < 2**53, F.round(F.floor(bands) * F.lit(width), _DIGITS))
