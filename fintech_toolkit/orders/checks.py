"""Rows as a file has them, made canonical: every value right, or the row rejected with the reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import ColumnError, DataError, did_you_mean
from fintech_toolkit.orders.language import (
    NULL,
    ORDERS,
    OTHER_NAMES,
    QUOTES,
    TRADES,
    Column,
    DealSource,
    OrderType,
    Reason,
    Role,
    Side,
    Status,
)
from fintech_toolkit.schema import Array

KINDS: dict[str, dict[str, Column]] = {"orders": ORDERS, "trades": TRADES, "quotes": QUOTES}
KEYS = {
    "orders": ("timestamp", "sequence", "order_id"),
    "trades": ("timestamp", "sequence", "order_id"),
    "quotes": ("timestamp",),
}
"""By what the rows of each kind are sorted."""

EXACT = frozenset({"order_id", "timestamp", "sequence", "security_code", "matchgroupid"})
"""Columns that a file must not hold as float64, in which they lose digits."""
PRICES = frozenset({"price", "national_bid", "national_offer", "bid", "offer"})
STATED_DAY = ("date", "tradedate")
"""Columns in which files say of what day a row is; the time decides."""
NULLS = ["", "NULL", "null", "NaN", "nan", "NA", "N/A", "None"]

_SINCE, _UNTIL = 631_152_000 * 10**9, 4_102_444_800 * 10**9  # 1990 and 2100
_CODES: dict[str, type[IntEnum]] = {
    "side": Side,
    "orderstatus": Status,
    "changereason": Reason,
    "dealsource": DealSource,
    "passiveaggressive": Role,
}
_BITS = int(~sum(OrderType))
_WHOLE = 2**53
"""Up to here float64 holds every whole number."""


@dataclass
class Checked:
    """What became of some rows.

    Attributes
    ----------
    taken : pyarrow.Table
        Canonical columns of the rows that are right.
    kept : array of bool
        Which rows these are.
    reasons : array of int16
        For each row, the place of its reason in `why`; -1 where it was taken.
    why : list of str
        The reasons.
    notes : dict of str to int
        What is odd about rows that were taken.
    """

    taken: pa.Table
    kept: Array
    reasons: Array
    why: list[str]
    notes: dict[str, int] = field(default_factory=dict)


def schema_of(kind: str) -> pa.Schema:
    """Return the Arrow types of canonical columns."""
    return pa.schema([(name, _type(column)) for name, column in KINDS[kind].items()])


def _type(column: Column) -> pa.DataType:
    return pa.timestamp("ns", "UTC") if column.dtype == "time" else pa.type_for_alias(column.dtype)


def canonical_name(name: str) -> str:
    """Return what a column of a file is called here."""
    lower = name.strip().lower()
    return OTHER_NAMES.get(lower, lower)


def canonical_names(names: Collection[str], kind: str, called: str) -> list[str]:
    """Return for each column of a file its canonical name, or an empty text for a column that is not read.

    Raises
    ------
    ColumnError
        If a column is missing or there twice.
    """
    known = {*KINDS[kind], *STATED_DAY}
    mapped = [name if name in known else "" for name in map(canonical_name, names)]
    for name, column in KINDS[kind].items():
        if mapped.count(name) > 1:
            raise ColumnError(f"{called} has the column {name!r} twice; leave one of them out.")
        if name not in mapped and column.missing is None:
            raise ColumnError(f"{called} has no column {name!r} of {kind}. {did_you_mean(name, names)}")
    return mapped


def check_types(schema: pa.Schema, called: str) -> None:
    """Look at the types of a file's canonical columns.

    Raises
    ------
    ColumnError
        If values were lost when the file was written, or are of no use.
    """
    for each in schema:
        kind = each.type.value_type if pa.types.is_dictionary(each.type) else each.type
        if each.name == "exchangeordertype" and kind in (pa.int8(), pa.uint8()):
            raise ColumnError(
                f"{called}: exchangeordertype is {kind}, in which sweeps (2048) and blocks (4096) become 0. "
                "Make the file again from its source with at least int16."
            )
        if each.name in EXACT and pa.types.is_floating(kind):
            raise ColumnError(
                f"{called}: {each.name} is {kind}, in which digits are lost. Make the file again from its source "
                "with int64."
            )
        if pa.types.is_timestamp(kind) and each.name == "timestamp":
            if kind.tz is None:
                raise ColumnError(
                    f"{called}: timestamp has no time zone; write it with one, or as ns since 1970 in UTC."
                )
        elif not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or _is_text(kind)
            or each.name in STATED_DAY
            or pa.types.is_null(kind)
        ):
            raise ColumnError(f"{called}: {each.name} is {kind}; write it as int64.")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


class Checks:
    """Rows that are made canonical: problems are noted for each row, of which the first one counts."""

    def __init__(self, rows: int) -> None:
        self.reasons = np.full(rows, -1, np.int16)
        self.why: list[str] = []

    def reject(self, wrong: Array, why: str) -> None:
        """Reject rows that have not been rejected yet."""
        wrong = wrong & (self.reasons < 0)
        if wrong.any():
            if why not in self.why:
                self.why.append(why)
            self.reasons[wrong] = self.why.index(why)


def check(table: pa.Table, kind: str, zone: str) -> Checked:
    """Part rows with canonical names into those that are right and those that are not.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of a file under their canonical names, as whole numbers, floats, texts or times.
    kind : {"orders", "trades", "quotes"}
        What the rows are.
    zone : str
        Of the exchange; the days that a file states are compared with its local days.
    """
    checks = Checks(table.num_rows)
    values = {}
    for name, column in KINDS[kind].items():
        if name in table.column_names:
            values[name] = _whole(table[name], name, column, checks)
        else:
            values[name] = np.full(table.num_rows, 0 if column.missing is None else column.missing, np.int64)
    _check_values(values, kind, checks)
    kept = checks.reasons < 0
    whole = bool(kept.all())
    taken = pa.table(
        {name: pa.array(each if whole else each[kept]).cast(_type(KINDS[kind][name])) for name, each in values.items()}
    )
    notes = _stated_days(table, kept, taken["timestamp"], zone)
    return Checked(taken, kept, checks.reasons, checks.why, notes)


def _whole(column: pa.ChunkedArray, name: str, about: Column, checks: Checks) -> Array:
    """Return a column as int64, and reject the rows in which it is no whole number."""
    values = pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    if pa.types.is_null(values.type):
        values = values.cast(pa.int64())
    if name == "timestamp" and pa.types.is_timestamp(values.type):
        values, wrong = _nanoseconds(values)
        checks.reject(wrong, "timestamp lies outside of 1990 to 2100")
    elif _is_text(values.type):
        values, wrong = _whole_of_text(values, name)
        checks.reject(wrong, f"{name} is not a whole number" if name != "timestamp" else _NO_TIME)
    elif pa.types.is_floating(values.type):
        values, wrong = _whole_of_float(values)
        checks.reject(wrong, f"{name} is not a whole number")
    elif values.type == pa.uint64():
        wrong = pc.greater(values, pa.scalar(2**63 - 1, pa.uint64())).fill_null(False).to_numpy(zero_copy_only=False)
        checks.reject(wrong, f"{name} is not a whole number of 64 bits")
        values = pc.if_else(pa.array(wrong), pa.scalar(None, pa.uint64()), values).cast(pa.int64())
    else:
        values = values.cast(pa.int64())
    if values.null_count:
        absent = values.is_null().to_numpy(zero_copy_only=False)
        instead = NULL if name in PRICES else about.missing
        if instead is None:
            checks.reject(absent, f"{name} is missing")
        values = values.fill_null(0 if instead is None else instead)
    return np.asarray(values.to_numpy(zero_copy_only=False))


_NO_TIME = "timestamp is neither nanoseconds since 1970 nor a time with its zone"
_PLAIN = r"^-?[0-9]{1,18}$"
_ZONED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def _whole_of_text(texts: pa.Array, name: str) -> tuple[pa.Array, Array]:
    """Return texts as int64 with nulls, and where they are no whole numbers."""
    texts = texts.cast(pa.large_binary())
    absent = pc.is_in(texts, value_set=pa.array([text.encode() for text in NULLS], pa.large_binary()))
    texts = pc.if_else(absent, None, texts)
    plain = pc.match_substring_regex(texts, _PLAIN)
    values = pc.if_else(plain, texts, None).cast(pa.large_string()).cast(pa.int64())
    odd = pc.invert(plain).fill_null(False)
    wrong = np.zeros(len(texts), bool)
    if not pc.any(odd).as_py():
        return values, wrong
    # Odd texts are few, or the same ones again and again.
    found = pc.dictionary_encode(texts.filter(odd))
    whole = [_whole_of_one(text, name) for text in found.dictionary.to_pylist()]
    which = found.indices.to_numpy()
    place = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    wrong[place] = np.array([each is None for each in whole])[which]
    filled = pa.array(whole, pa.int64()).take(found.indices)
    return pc.replace_with_mask(values, odd, filled), wrong


def _whole_of_one(text: bytes, name: str) -> int | None:
    stripped = text.strip(b" \t").decode("utf-8", "replace")
    try:
        if name == "timestamp" and re.match(_ZONED, stripped):
            return int(pa.array([stripped]).cast(pa.timestamp("ns", "UTC"))[0].value)
        return int(pa.array([stripped]).cast(pa.int64())[0].as_py())
    except pa.ArrowInvalid:
        pass
    if name in EXACT:
        return None
    try:
        number = float(stripped)
    except ValueError:
        return None
    return int(number) if _is_whole(np.array([number]))[0] else None


def _is_whole(numbers: Array) -> Array:
    with np.errstate(invalid="ignore"):
        whole: Array = (np.abs(numbers) < _WHOLE) & (numbers == np.floor(numbers)) | (numbers == float(NULL))
        return whole


def _whole_of_float(values: pa.Array) -> tuple[pa.Array, Array]:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)  # nulls become NaN
    absent = np.isnan(numbers)
    wrong = ~absent & ~_is_whole(numbers)
    return pa.array(np.where(absent | wrong, 0, numbers).astype(np.int64), mask=absent), wrong


def _nanoseconds(times: pa.Array) -> tuple[pa.Array, Array]:
    """Return times as nanoseconds, and where they are too far away to be counted in these."""
    per = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[times.type.unit]
    values = times.cast(pa.int64())
    far = pc.or_(pc.less(values, _SINCE // per), pc.greater_equal(values, _UNTIL // per)).fill_null(False)
    return pc.multiply(pc.if_else(far, 0, values), per), far.to_numpy(zero_copy_only=False)


def _check_values(values: Mapping[str, Array], kind: str, checks: Checks) -> None:
    times = values["timestamp"]
    checks.reject((times < _SINCE) | (times >= _UNTIL), _NO_TIME)
    for name, codes in _CODES.items():
        if name in values:
            missing = KINDS[kind][name].missing
            known = np.array([*codes, *(() if missing is None else (missing,))], np.int64)
            checks.reject(~np.isin(values[name], known), f"{name} has an unknown code; known: {_listed(codes)}")
    if "exchangeordertype" in values:
        each = values["exchangeordertype"]
        checks.reject((each & _BITS) != 0, f"exchangeordertype has an unknown bit; known: {_listed(OrderType)}")
    if "quantity" in values:
        checks.reject(values["quantity"] <= 0, "quantity is not above 0")
    for name in ("leavesquantity", "totalmatchedquantity", "minimumquantity", "singlefillminimumquantity"):
        if name in values:
            checks.reject(values[name] < 0, f"{name} is below 0")
    for name in PRICES & values.keys():
        absent = (values[name] == NULL) & (kind != "trades" or name != "price")
        checks.reject((values[name] <= 0) & ~absent, f"{name} is not above 0")
    for name, column in KINDS[kind].items():
        if column.dtype in ("int16", "int32"):
            most = np.iinfo(column.dtype)
            checks.reject((values[name] < most.min) | (values[name] > most.max), f"{name} does not fit {column.dtype}")


def _listed(codes: type[IntEnum] | type[OrderType]) -> str:
    return ", ".join(str(int(code)) for code in codes)


def local_days(times: pa.Array | pa.ChunkedArray, zone: str) -> pa.Array:
    """Return the local day of each time, as date32."""
    return pc.local_timestamp(times.cast(pa.timestamp("ns", zone))).cast(pa.date32(), safe=False)


def _stated_days(table: pa.Table, kept: Array, times: pa.ChunkedArray, zone: str) -> dict[str, int]:
    """Count the rows of which a file says another day than that of their time."""
    for name in STATED_DAY:
        if name in table.column_names:
            stated = table[name].filter(pa.array(kept))
            days = local_days(times, zone).cast(pa.string())
            if not _is_text(stated.type):
                try:
                    stated = stated.cast(pa.date32()).cast(pa.string())
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise DataError(f"{name} is {stated.type}; write days as 2024-09-05.") from error
            stated = pc.utf8_slice_codeunits(stated.cast(pa.binary()).cast(pa.string()), 0, 10)
            other = pc.sum(pc.not_equal(stated, days)).as_py() or 0
            return {"stated day differs from the day of the time": other} if other else {}
    return {}
