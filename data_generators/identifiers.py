"""Identifiers with check digits: CUSIP, ISIN, FIGI, SEDOL and LEI, for one and vectorised for millions."""

from typing import Any

import numpy as np
import pyarrow as pa

from data_generators.compilation import compiled
from data_generators.errors import GeneratorError

# I and O are never issued: they read like 1 and 0.
_ISSUER_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", dtype=np.uint8)
_ISSUE_FIRST = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ", dtype=np.uint8)
_ISSUE_SECOND = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", dtype=np.uint8)

_NO_VOWELS = np.frombuffer(b"0123456789BCDFGHJKLMNPQRSTVWXYZ", dtype=np.uint8)
_ALPHANUMERIC = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)

ISSUERS = 1000 * len(_ISSUER_ALPHABET) ** 3
"""How many six-character issuer numbers exist: three digits, then three characters."""
ISSUES_PER_ISSUER = len(_ISSUE_FIRST) * len(_ISSUE_SECOND)
"""How many two-character issue numbers of debt an issuer has."""


@compiled
def _value(character: int) -> int:
    """Return 0-9 for a digit, 10-35 for a letter, -1 for anything else."""
    if 48 <= character <= 57:
        return character - 48
    if 65 <= character <= 90:
        return character - 55
    return -1


@compiled
def _cusip_check(text: np.ndarray) -> int:
    """Check a CUSIP, or a FIGI: all but the last character, every second one doubled."""
    total = 0
    for position in range(len(text) - 1):
        value = _value(text[position])
        if position % 2 == 1:
            value *= 2
        total += value // 10 + value % 10
    return (10 - total % 10) % 10


@compiled
def _isin_check(text: np.ndarray) -> int:
    total = 0
    doubled = True
    for position in range(10, -1, -1):
        value = _value(text[position])
        while True:
            digit = value % 10
            if doubled:
                digit *= 2
            total += digit // 10 + digit % 10
            doubled = not doubled
            value //= 10
            if value == 0:
                break
    return (10 - total % 10) % 10


@compiled
def _fill_identifiers(
    issuer: np.ndarray,
    issue: np.ndarray,
    prefix: np.ndarray,
    alphabet: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    cusip: np.ndarray,
    isin: np.ndarray,
) -> None:
    radix = len(alphabet)
    for row in range(len(issuer)):
        number = issuer[row]
        for position in range(5, 2, -1):
            cusip[row, position] = alphabet[number % radix]
            number //= radix
        for position in range(2, -1, -1):
            cusip[row, position] = 48 + number % 10
            number //= 10
        cusip[row, 6] = first[issue[row] // len(second)]
        cusip[row, 7] = second[issue[row] % len(second)]
        cusip[row, 8] = 48 + _cusip_check(cusip[row])
        isin[row, 0] = prefix[row, 0]
        isin[row, 1] = prefix[row, 1]
        isin[row, 2:11] = cusip[row]
        isin[row, 11] = 48 + _isin_check(isin[row])


@compiled
def _spell(number: int, alphabet: np.ndarray, out: np.ndarray) -> None:
    for position in range(len(out) - 1, -1, -1):
        out[position] = alphabet[number % len(alphabet)]
        number //= len(alphabet)


@compiled
def _fill_figis_and_sedols(start: int, alphabet: np.ndarray, figi: np.ndarray, sedol: np.ndarray) -> None:
    for row in range(len(figi)):
        number = start + row
        figi[row, 0], figi[row, 1], figi[row, 2], figi[row, 3] = 66, 66, 71, 48  # BBG0
        _spell(number, alphabet, figi[row, 4:11])
        figi[row, 11] = 48 + _cusip_check(figi[row])
        # The alphabet begins with its ten digits; the first character of a new SEDOL is a letter.
        sedol[row, 0] = alphabet[10 + number % (len(alphabet) - 10)]
        _spell(number // (len(alphabet) - 10), alphabet, sedol[row, 1:6])
        total = 0
        for position, weight in enumerate((1, 3, 1, 7, 3, 9)):
            total += weight * _value(sedol[row, position])
        sedol[row, 6] = 48 + (10 - total % 10) % 10


@compiled
def _fill_leis(entity: np.ndarray, alphabet: np.ndarray, out: np.ndarray) -> None:
    for row in range(len(entity)):
        for position, character in enumerate((53, 52, 57, 51, 48, 48)):  # 549300
            out[row, position] = character
        # Neighbours get codes far from each other, and no two the same one.
        _spell(entity[row] * 57_885_161_011 + 1, alphabet, out[row, 6:18])
        remainder = 0
        for position in range(18):
            value = _value(out[row, position])
            remainder = (remainder * (100 if value >= 10 else 10) + value) % 97
        check = 98 - remainder * 100 % 97
        out[row, 18], out[row, 19] = 48 + check // 10, 48 + check % 10


@compiled
def _fill_numbered(start: int, letter: int, out: np.ndarray) -> None:
    for row in range(out.shape[0]):
        number = start + row
        for position in range(out.shape[1] - 1, 0, -1):
            out[row, position] = 48 + number % 10
            number //= 10
        out[row, 0] = letter


def fixed_width_strings(characters: Any) -> pa.Array:
    """Return an Arrow string array from a (rows, width) matrix of ASCII bytes."""
    rows, width = characters.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)[: rows + 1]
    return pa.Array.from_buffers(
        pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters))]
    )


def cusips_and_isins(issuer: Any, issue: Any, country: Any) -> tuple[pa.Array, pa.Array]:
    """Build CUSIPs and their ISINs.

    Parameters
    ----------
    issuer : ndarray of int64, shape (n,)
        Issuer numbers, from 0 to `ISSUERS` - 1.
    issue : ndarray of int64, shape (n,)
        Issue numbers of the issuer, from 0 to `ISSUES_PER_ISSUER` - 1. Different (issuer, issue) pairs give
        different identifiers.
    country : ndarray of bytes ``S2``, shape (n,)
        The two-letter prefix of the ISIN.

    Returns
    -------
    (pyarrow.StringArray, pyarrow.StringArray)
        CUSIPs (nine characters) and ISINs (twelve), with their check digits.

    Raises
    ------
    GeneratorError
        If a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> cusip, isin = cusips_and_isins(np.array([37_833 * 34**0]), np.array([0]), np.array([b"US"]))
    >>> len(cusip[0].as_py()), len(isin[0].as_py())
    (9, 12)
    """
    issuer, issue = (np.ascontiguousarray(numbers, dtype=np.int64) for numbers in (issuer, issue))
    for name, numbers, limit in (("issuer", issuer, ISSUERS), ("issue", issue, ISSUES_PER_ISSUER)):
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= limit):
            raise GeneratorError(
                f"{name} numbers must be from 0 to {limit - 1}, not {numbers.min()} to {numbers.max()}"
            )
    prefix = np.ascontiguousarray(country, dtype="S2").view(np.uint8).reshape(-1, 2)
    cusip = np.empty((len(issuer), 9), dtype=np.uint8)
    isin = np.empty((len(issuer), 12), dtype=np.uint8)
    _fill_identifiers(issuer, issue, prefix, _ISSUER_ALPHABET, _ISSUE_FIRST, _ISSUE_SECOND, cusip, isin)
    return fixed_width_strings(cusip), fixed_width_strings(isin)


def figis_and_sedols(start: int, rows: int) -> tuple[pa.Array, pa.Array]:
    """Build the FIGIs and SEDOLs of consecutive securities, with their check digits.

    Parameters
    ----------
    start : int
        Number of the first security, from 0; the last must lie below 600 million.
    rows : int
        How many.

    Returns
    -------
    (pyarrow.StringArray, pyarrow.StringArray)
        FIGIs (twelve characters) and SEDOLs (seven); different numbers give different ones.

    Examples
    --------
    >>> figi, sedol = figis_and_sedols(41, 1)
    >>> figi[0].as_py(), sedol[0].as_py()
    ('BBG0000001B3', 'Z000016')
    """
    figi, sedol = np.empty((rows, 12), dtype=np.uint8), np.empty((rows, 7), dtype=np.uint8)
    _fill_figis_and_sedols(start, _NO_VOWELS, figi, sedol)
    return fixed_width_strings(figi), fixed_width_strings(sedol)


def leis(entity: Any) -> pa.Array:
    """Build the LEIs (ISO 17442) of legal entities, with their check digits.

    Parameters
    ----------
    entity : ndarray of int64, shape (n,)
        Numbers of the entities, from 0 to 79 million; different ones get different LEIs.

    Returns
    -------
    pyarrow.StringArray
        Twenty characters each.

    Examples
    --------
    >>> leis(np.array([7]))[0].as_py()
    '54930000005657B8ME13'
    """
    entity = np.ascontiguousarray(entity, dtype=np.int64)
    lei = np.empty((len(entity), 20), dtype=np.uint8)
    _fill_leis(entity, _ALPHANUMERIC, lei)
    return fixed_width_strings(lei)


def numbered(letter: str, start: int, rows: int, digits: int = 9) -> pa.Array:
    """Return ``rows`` identifiers made of a letter and a number with leading zeros.

    Examples
    --------
    >>> numbered("B", 41, 2).to_pylist()
    ['B000000041', 'B000000042']
    """
    characters = np.empty((rows, digits + 1), dtype=np.uint8)
    _fill_numbered(start, ord(letter), characters)
    return fixed_width_strings(characters)


def _characters(text: str, length: int, kind: str) -> Any:
    if len(text) != length or not text.isascii() or any(_value(byte) < 0 for byte in text.encode()):
        raise GeneratorError(f"{kind} needs {length} digits and capital letters before its check digit, not {text!r}")
    return np.frombuffer(text.encode(), dtype=np.uint8)


def cusip_check_digit(body: str) -> str:
    """Return the check digit of the eight characters of a CUSIP (ANSI X9.6, modulus 10 double add double).

    Examples
    --------
    Apple's common stock is 037833100:

    >>> cusip_check_digit("03783310")
    '0'
    """
    return str(_cusip_check(np.append(_characters(body, 8, "a CUSIP"), 0)))


def isin_check_digit(body: str) -> str:
    """Return the check digit of the eleven characters of an ISIN (ISO 6166: letters to digits, then Luhn).

    Examples
    --------
    Apple's common stock is US0378331005:

    >>> isin_check_digit("US037833100")
    '5'
    """
    return str(_isin_check(_characters(body, 11, "an ISIN")))
