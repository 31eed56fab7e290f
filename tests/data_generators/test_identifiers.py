"""CUSIP and ISIN against python-stdnum and against identifiers that were really issued."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import cusip, isin

from data_generators import GeneratorError, securities
from data_generators.identifiers import (
    ISSUERS,
    ISSUES_PER_ISSUER,
    cusip_check_digit,
    cusips_and_isins,
    isin_check_digit,
    numbered,
)
from tests.stress import dealt

# Apple, Microsoft, Amazon, Alphabet C and A, Berkshire A, JPMorgan, IBM, Coca-Cola, Exxon, Cisco, Oracle,
# Tesla, Meta, NVIDIA, Walmart, Visa, Procter & Gamble, Johnson & Johnson, PepsiCo: as in their filings.
PUBLISHED_CUSIPS = [
    "037833100",
    "594918104",
    "023135106",
    "02079K107",
    "02079K305",
    "084670108",
    "46625H100",
    "459200101",
    "191216100",
    "30231G102",
    "17275R102",
    "68389X105",
    "88160R101",
    "30303M102",
    "67066G104",
    "931142103",
    "92826C839",
    "742718109",
    "478160104",
    "713448108",
]
# BAE, SAP, Total, ASML, Nestlé, Toyota, Treasury Corporation of Victoria, Shell, an Irish fund, Siemens,
# Novartis, HSBC, BNP, Ericsson, China Mobile, Bayer, a German and a British government bond, a US Treasury bond.
PUBLISHED_ISINS = [
    "GB0002634946",
    "DE0007164600",
    "FR0000120271",
    "NL0010273215",
    "CH0038863350",
    "JP3633400001",
    "AU0000XVGZA3",
    "GB00B03MLX29",
    "IE00B4L5Y983",
    "DE0007236101",
    "CH0012005267",
    "GB0005405286",
    "FR0000131104",
    "SE0000108656",
    "HK0941009539",
    "DE000BAY0017",
    "DE0001102580",
    "GB00BDRHNP05",
    "US912810TM09",
]


@pytest.mark.parametrize("published", PUBLISHED_CUSIPS)
def test_published_cusip_and_the_isin_made_from_it(published: str) -> None:
    assert cusip_check_digit(published[:8]) == published[8]
    assert isin.is_valid(f"US{published}{isin_check_digit('US' + published)}")


@pytest.mark.parametrize("published", PUBLISHED_ISINS)
def test_published_isin(published: str) -> None:
    assert isin_check_digit(published[:11]) == published[11]


@settings(deadline=None)
@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=8, max_size=8))
def test_check_digits_of_any_characters_equal_stdnum(body: str) -> None:
    assert cusip_check_digit(body) == cusip.calc_check_digit(body)
    full = "US" + body + "0"
    assert isin_check_digit(full) == isin.calc_check_digit(full)


@pytest.mark.parametrize("body", ["0378331", "037833 0", "03783310a", "0378331é", ""])
def test_check_digit_of_what_is_no_body_is_an_error(body: str) -> None:
    with pytest.raises(GeneratorError, match="8 digits and capital letters"):
        cusip_check_digit(body)


@pytest.mark.parametrize("validated", dealt([20_000, 1_000_000], 1))  # python-stdnum takes its time
def test_a_million_identifiers_are_unique_and_valid(validated: int) -> None:
    blocks = [securities.block(11, number).select(["symbol", "cusip", "isin"]) for number in range(62)]
    table = pa.concat_tables(blocks)
    assert table.num_rows > 1_000_000
    for column in table.column_names:
        assert pc.count_distinct(table[column]).as_py() == table.num_rows
    assert pc.all(pc.equal(pc.utf8_slice_codeunits(table["isin"], 2, 11), table["cusip"])).as_py()
    drawn = table.take(np.random.default_rng(0).choice(table.num_rows, validated, replace=False))
    assert [text for text in drawn["cusip"].to_pylist() if not cusip.is_valid(text)] == []
    assert [text for text in drawn["isin"].to_pylist() if not isin.is_valid(text)] == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, ISSUERS - 1), st.integers(0, ISSUES_PER_ISSUER - 1)),
        min_size=1,
        max_size=50,
        unique=True,
    )
)
def test_different_issues_get_different_valid_identifiers(pairs: list[tuple[int, int]]) -> None:
    issuer, issue = np.array(pairs).T
    cusips, isins = cusips_and_isins(issuer, issue, np.array([b"CA"] * len(pairs)))
    assert len(set(cusips.to_pylist())) == len(pairs)
    assert all(map(cusip.is_valid, cusips.to_pylist()))
    assert all(map(isin.is_valid, isins.to_pylist()))


@pytest.mark.parametrize(("issuer", "issue"), [(ISSUERS, 0), (-1, 0), (0, ISSUES_PER_ISSUER), (0, -1)])
def test_numbers_without_an_identifier_are_an_error(issuer: int, issue: int) -> None:
    with pytest.raises(GeneratorError, match="numbers must be from 0 to"):
        cusips_and_isins(np.array([issuer]), np.array([issue]), np.array([b"US"]))


def test_blocks_beyond_the_issuer_numbers_are_an_error() -> None:
    assert securities.terms(0, securities.MAX_BLOCKS - 1).issuer.max() < ISSUERS
    with pytest.raises(GeneratorError, match="issuer numbers for 9,595 blocks"):
        securities.terms(0, securities.MAX_BLOCKS)


def test_numbered_strings_sort_like_their_numbers() -> None:
    assert numbered("B", 999_999_998, 2).to_pylist() == ["B999999998", "B999999999"]
    assert numbered("B", 5, 0).to_pylist() == []
