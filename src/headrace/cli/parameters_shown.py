"""How parameters look at the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from headrace.located import printable
from headrace.parameters.event import CLASS_WEIGHTS, STATISTICS, VOCABULARY
from headrace.parameters.sketch import counts_of

if TYPE_CHECKING:
    from headrace.parameters import Parameters, Pointer, State
    from headrace.parameters.compare import Difference

_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 20
_OUTER = ("0.01", "0.99")
"""Between these quantiles a histogram is drawn: a few far values would flatten it."""
_WORDS = 40
_WIDTH = 160


def show_list(state: State) -> None:
    """Every version, one a line."""
    table = _table("name", "version", "known before (UTC)", "made (UTC)", "made of", "")
    for name in state.names:
        for one in state.versions(name):
            pointer = state.pointer_to(one)
            said = "" if pointer is None else f"pinned: {pointer.why}" if pointer.pinned else "current"
            table.add_row(name, str(one.version), _when(one.as_of), _when(one.made_at), _sources(one), printable(said))
    _print(table) if state.names else print("nothing is published yet; run: headrace parameters PIPELINE --as-of TIME")


def show_one(one: Parameters, pointer: Pointer | None) -> None:
    """One version: where it comes from, then what it says."""
    print(
        f"{one.key}, of what was known before {_when(one.as_of)} UTC; made {_when(one.made_at)} UTC of {_sources(one)}"
    )
    if pointer is not None and pointer.version == one.version:
        print(f"pinned: {printable(pointer.why or '')}" if pointer.pinned else "current")
    elif pointer is not None:
        print(f"{one.name}/{pointer.version} is current")
    if one.name == STATISTICS:
        _statistics(one.value)
    elif one.name.startswith(VOCABULARY):
        _vocabulary(one.value)
    elif one.name == CLASS_WEIGHTS:
        said = one.value
        print(
            f"{said['positive']:,} positive and {said['negative']:,} negative rows: scale_pos_weight {said['scale_pos_weight']:.4g}"
        )
    else:
        _plain(one.value)


def show_differences(old: Parameters, new: Parameters, found: Sequence[Difference]) -> None:
    """What differs, one a line."""
    print(f"{old.key} (before {_when(old.as_of)}) and {new.key} (before {_when(new.as_of)}): {len(found)} differences")
    table = _table("what", old.key, new.key, "")
    for one in found:
        table.add_row(printable(one.what), _number(one.before), _number(one.after), "material" if one.material else "")
    if found:
        _print(table)


def histogram(feature: Mapping[str, Any], *, columns: int = _COLUMNS) -> str:
    """Bars for the values between the quantiles 0.01 and 0.99, of equal width; empty where all are equal."""
    if feature["minimum"] is None:
        return ""
    known: Mapping[str, float] = {_OUTER[0]: feature["minimum"], _OUTER[1]: feature["maximum"]} | feature["quantiles"]
    low, high = (float(known[share]) for share in _OUTER)
    if low >= high:
        return ""
    heights = [0] * columns
    for value, count in counts_of(feature["sketch"]).items():
        if low <= value <= high:
            heights[min(int((value - low) / (high - low) * columns), columns - 1)] += count
    top = max(heights) or 1
    return "".join(_BARS[0 if not height else max(1, round(height / top * 8))] for height in heights)


def _statistics(value: Mapping[str, Any]) -> None:
    print(f"{value['rows']:,} requests")
    table = _table("feature", "missing", "mean", "deviation", "least", "5 %", "median", "95 %", "most", "1 % to 99 %")
    for name, said in value["features"].items():
        quantiles = [_number(said["quantiles"].get(share)) for share in ("0.05", "0.5", "0.95")]
        table.add_row(
            name, f"{said['missing_rate']:.1%}", _number(said["mean"]), _number(said["standard_deviation"]),
            _number(said["minimum"]), *quantiles, _number(said["maximum"]), histogram(said),
        )  # fmt: skip
    _print(table)


def _vocabulary(value: Mapping[str, Any]) -> None:
    rows = sum(value["counts"])
    print(
        f"{value['column']} of {value['stream']}: {len(value['values']):,} values in {rows:,} rows; {value['rare']:,} rows have a "
        f"value without an index (fewer than {value['minimum_count']} rows each, or beyond the largest size), {value['missing']:,} "
        "have none"
    )
    table, top = _table("index", "value", "rows", ""), max(value["counts"], default=1) or 1
    for index, (word, count) in enumerate(zip(value["values"][:_WORDS], value["counts"], strict=False)):
        table.add_row(str(index), printable(word), f"{count:,}", "█" * round(count / top * _COLUMNS))
    _print(table)
    if len(value["values"]) > _WORDS:
        print(f"and {len(value['values']) - _WORDS:,} more; --json shows all")


def _plain(value: Mapping[str, Any], path: str = "") -> None:
    for key, said in value.items():
        if isinstance(said, Mapping):
            _plain(said, f"{path}{key}.")
        else:
            print(f"{printable(path + key)}: {printable(_number(said))}")


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _sources(one: Parameters) -> str:
    return ", ".join(f"{name} version {version}" for name, version in sorted(one.sources.items())) or "what is declared"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name)
    return table


def _print(table: Table) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)  # a line that the terminal breaks is easier to read than broken cells
    console.print(table, markup=False)
