"""Records that are wrong on purpose, and the list that says which they are."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.errors import GeneratorError

LATE_AFTER = np.timedelta64(60, "s")
"""A record behind by at least this is late; one behind by less is out of order."""
_LATEST_SECONDS = 600.0
_LARGEST_DISPLACEMENT = 20

FAULTS_SCHEMA = pa.schema([("row", pa.int64()), ("kind", pa.string()), ("detail", pa.string())])


@dataclass(frozen=True)
class Faults:
    """The shares of records that are wrong, each from 0 to 1 and together at most 1.

    Parameters
    ----------
    late : float
        Records that arrive when one at least 60 s newer has arrived.
    out_of_order : float
        Records that arrive when a newer one has, by less than 60 s.
    duplicate : float
        Records that arrive twice, the second time right after the first: additional rows, so that
        a share of 0.01 gives 101 rows for 100 records.
    crossed : float
        Quotes whose bid lies above their ask.
    malformed : float
        Records with a missing or impossible value; the detail names it.
    sentinel : float
        Records whose price is a number that feeds use for "none": 0, 1 or 1000 to 1005.
    null_text : float
        Records with the text ``NULL`` where a name should be.
    zero_size : float
        Records with a size of 0.
    withdrawn : float
        One-sided quotes that their dealer takes away before the next one, or after the close: two additional
        rows each, with the action DELETE. No trade meets a quote that has been withdrawn.

    Raises
    ------
    GeneratorError
        If a share is out of range, or the shares exceed 1 together.

    Examples
    --------
    >>> Faults(duplicate=0.01).any()
    True
    >>> Faults(late=1.5)
    Traceback (most recent call last):
    data_generators.errors.GeneratorError: the share of late records must be from 0 to 1, not 1.5
    """

    late: float = 0.0
    out_of_order: float = 0.0
    duplicate: float = 0.0
    crossed: float = 0.0
    malformed: float = 0.0
    sentinel: float = 0.0
    null_text: float = 0.0
    zero_size: float = 0.0
    withdrawn: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise GeneratorError(f"the share of {field.name} records must be from 0 to 1, not {share!r}")
        total = sum(getattr(self, kind) for kind in _DRAWN)
        if total > 1 + 1e-12:
            raise GeneratorError(f"the shares of faulty records are {total:g} together: a record has one fault at most")

    def any(self) -> bool:
        """Return whether any share is above 0."""
        return any(getattr(self, field.name) > 0 for field in fields(self))

    def check_for(self, columns: list[str]) -> None:
        """Raise `GeneratorError` if records with these columns cannot have one of the faults asked for."""
        spoiled = {kind: tuple(dict.fromkeys(column for column, _, _ in _SPOILED[kind])) for kind in _SPOILED}
        for kind, needed in {**_NEEDED, **spoiled}.items():
            if getattr(self, kind) > 0 and not set(needed) & set(columns):
                names = " or ".join(map(repr, needed))
                raise GeneratorError(f"records without a column {names} cannot be {kind.replace('_', ' ')}")


_NEEDED = {"late": ("ts",), "out_of_order": ("ts",), "crossed": ("bid",), "withdrawn": ("action",)}


def fault_counts(faults: Faults, rows: int) -> dict[str, int]:
    """Return how many of a block's records get each fault."""
    return {field.name: round(getattr(faults, field.name) * rows) for field in fields(faults)}


def inject(table: pa.Table, faults: Faults, random: np.random.Generator, first: int) -> tuple[pa.Table, pa.Table]:
    """Return a block with faults, and the list of them.

    Parameters
    ----------
    table : pyarrow.Table
        A block of clean records; where they have a column ``ts``, it never decreases.
    faults : Faults
        The shares.
    random : numpy.random.Generator
        The block's stream for this purpose.
    first : int
        Row number of the block's first row in the data set.

    Returns
    -------
    (pyarrow.Table, pyarrow.Table)
        The records in order of arrival, and `FAULTS_SCHEMA`: the row number in the data set, the kind (the
        name of a share of `Faults`), and what is wrong. Rows that are not listed are right.
    """
    rows = table.num_rows
    counts = fault_counts(faults, rows)
    # Rounding may ask for a record or two more than there are: the last kinds then get fewer.
    bounds = np.minimum(np.r_[0, np.cumsum([counts[kind] for kind in _DRAWN])], rows)
    drawn = random.permutation(rows)
    chosen = {kind: np.sort(drawn[bounds[i] : bounds[i + 1]]) for i, kind in enumerate(_DRAWN)}

    arrival = np.arange(rows, dtype=float)
    if "ts" in table.column_names:
        ts = table["ts"].cast(pa.int64()).to_numpy()
        moved = chosen["out_of_order"]
        steps = random.integers(2, _LARGEST_DISPLACEMENT, len(moved), endpoint=True)
        arrival[moved] = np.minimum(moved + steps, rows - 1) + 0.5
        moved = chosen["late"]
        delay = (random.uniform(LATE_AFTER.astype(float), _LATEST_SECONDS, len(moved)) * 1e9).astype(np.int64)
        arrival[moved] = np.searchsorted(ts, ts[moved] + delay, side="left") + 0.5
    copied = chosen["duplicate"]
    order = np.argsort(np.r_[arrival, copied + 0.25], kind="stable")
    source = np.r_[np.arange(rows), copied][order]
    is_copy = order >= rows

    position = np.empty(rows, dtype=np.int64)
    position[source[~is_copy]] = np.flatnonzero(~is_copy)
    spoiled: list[tuple[str, str, str, Any, Any]] = []
    for kind, variants in _SPOILED.items():
        usable = [variant for variant in variants if variant[0] in table.column_names]
        if len(chosen[kind]):
            variant_of = random.integers(0, len(usable), len(chosen[kind]))
            for number, (column, detail, spoil) in enumerate(usable):
                spoiled.append((kind, column, detail, spoil, position[chosen[kind][variant_of == number]]))

    listed = [_entries(first, np.flatnonzero(is_copy), "duplicate", "copy of the row before")]
    if "ts" in table.column_names:
        # What happened counts: a record moved behind others that moved too may be in order after all.
        # And a record that lost its time is before and behind nothing.
        arrived = ts[source]
        rank = source.copy()
        for _, column, _, _, struck in spoiled:
            if column == "ts":
                arrived[struck], rank[struck] = 0, -1
        behind = np.maximum.accumulate(arrived) - arrived
        late = (rank >= 0) & (behind >= LATE_AFTER / np.timedelta64(1, "ns"))
        listed.append(_entries(first, np.flatnonzero(late), "late", "a record newer by 60 s or more came before"))
        swapped = (rank >= 0) & (np.maximum.accumulate(rank) > rank) & ~late
        for which, detail in ((behind > 0, "a newer record"), (behind == 0, "a later record of the same time")):
            listed.append(_entries(first, np.flatnonzero(swapped & which), "out_of_order", f"{detail} came before"))

    faulty = table.take(pa.array(source))
    if counts["crossed"]:
        where = position[chosen["crossed"]]
        mask = _mask(len(source), where)
        bid, ask = faulty["bid"], faulty["ask"]
        faulty = _replaced(faulty, "bid", pc.if_else(mask, ask, bid))
        faulty = _replaced(faulty, "ask", pc.if_else(mask, bid, ask))
        listed.append(_entries(first, where, "crossed", "bid above ask"))
    for kind, column, detail, spoil, struck in spoiled:
        mask = _mask(len(source), struck)
        faulty = _replaced(faulty, column, pc.if_else(mask, spoil(faulty[column]), faulty[column]))
        listed.append(_entries(first, struck, kind, f"{column} {detail}"))
    if "action" in table.column_names:
        deleted = pc.equal(faulty["action"], "DELETE").to_numpy()
        listed.append(_entries(first, np.flatnonzero(deleted), "withdrawn", "quote withdrawn"))
    return faulty, pa.concat_tables(listed).sort_by("row")


# Duplicates first: their number must be exact, for it moves the row numbers of all later blocks.
_DRAWN = ("duplicate", "late", "out_of_order", "crossed", "malformed", "sentinel", "null_text", "zero_size")


def _missing(column: pa.ChunkedArray) -> pa.Scalar:
    return pa.scalar(None, column.type)


def _wrong_check_digit(column: pa.ChunkedArray) -> pa.ChunkedArray:
    body = pc.utf8_slice_codeunits(column, 0, -1)
    digit = pc.utf8_slice_codeunits(column, -1).cast(pa.int64())
    return pc.binary_join_element_wise(body, pc.if_else(pc.equal(digit, 9), 0, pc.add(digit, 1)).cast(pa.string()), "")


def _always(value: Any) -> Any:
    return lambda column: pa.scalar(value, column.type)


_SENTINELS = (0, 1, *range(1000, 1006))
_SPOILED: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "malformed": (
        ("symbol", "missing", _missing),
        ("ts", "missing", _missing),
        ("bid", "missing", _missing),
        ("ask_size", "negative", pc.negate),
        ("price", "missing", _missing),
        ("size", "negative", pc.negate),
        ("cusip", "with a wrong check digit", _wrong_check_digit),
        ("isin", "with a wrong check digit", _wrong_check_digit),
    ),
    "sentinel": tuple(
        (column, f"is {value}", _always(value))
        for column in ("price", "bid", "ask", "clean_price")
        for value in _SENTINELS
    ),
    "null_text": tuple(
        (column, "is the text NULL", _always("NULL")) for column in ("dealer", "venue", "currency", "rating", "sector")
    ),
    "zero_size": tuple((column, "is 0", _always(0)) for column in ("size", "bid_size", "ask_size", "amount_issued")),
}


def _entries(first: int, where: Any, kind: str, detail: str) -> pa.Table:
    columns = [
        pa.array(first + where, pa.int64()),
        pa.repeat(kind, len(where)),
        pa.repeat(detail, len(where)),
    ]
    return pa.Table.from_arrays(columns, schema=FAULTS_SCHEMA)


def _mask(rows: int, where: Any) -> pa.Array:
    mask = np.zeros(rows, dtype=bool)
    mask[where] = True
    return pa.array(mask)


def _replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), values)
