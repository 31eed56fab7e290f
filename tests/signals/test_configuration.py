"""What a run may be asked: keys and values, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.signals.configuration import run_settings
from fintech_toolkit.signals.storage import Store, file_name


def test_a_file_and_options_that_go_before_it(tmp_path: Path) -> None:
    path = tmp_path / "signals.yaml"
    path.write_text(
        "input: in\noutput: out\ncontracts: [AAPL]\nat: 2024-01-02 09:30:00-05:00\nsignals:\n  base: 0.25\n"
    )
    found = run_settings(path, output="other", layout=None)
    assert (found.input, found.output, found.contracts, found.signals.base) == ("in", "other", ["AAPL"], 0.25)
    assert [str(stamp) for stamp in found.bounds] == ["2024-01-02 14:30:00+00:00"] * 2
    assert str(run_settings(input="in", since="2024-01-02").bounds[0]) == "2024-01-02 00:00:00+00:00"


def test_the_environment_stands_over_the_file_and_options_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signals.yaml"
    path.write_text("input: in\nsignals: {base: 0.25, limit: 2}\n")
    variables = {"OUTPUT": "s3://bucket/folder", "SIGNALS__BASE": "0.4", "ATTEMPTS": "7"}
    for key, value in variables.items():
        monkeypatch.setenv(f"FINTECH_TOOLKIT_SIGNALS__{key}", value)
    found = run_settings(path, attempts=2)
    assert (found.output, found.signals.base, found.signals.limit) == ("s3://bucket/folder", 0.4, 2.0)
    assert found.attempts == 2


WRONG = {
    "inputs: a": r"there is no key 'inputs'. Did you mean 'input'\?",
    "input: a\nsignals: {basis: 1}": r"there is no key 'signals.basis'. Did you mean 'base'\?",
    "input: a\nsignals: {base: -1}": "'signals.base' cannot be -1: input should be greater than 0",
    "input: a\nsignals: {max_age: 2x}": "'signals.max_age' cannot be '2x'",
    "output: a": "the key 'input' is missing",
    "input: a\nlayout: files": "'layout' cannot be 'files': input should be 'compacted' or 'stamps'",
    "input: a\ncalendar: XNYX": r"'calendar' cannot be 'XNYX': there is no calendar 'XNYX'. Did you mean 'XNYS'\?",
    "input: a\ncontracts: 0": "'contracts' cannot be 0: name at least one",
    "input: a\nat: noon": "'at' cannot be 'noon'",
    "input: a\nat: 2024-01-01\nuntil: 2024-01-02": "at is one stamp",
    "input: a\nsince: 2024-01-03\nuntil: 2024-01-02": "lies after",
    "- a": "should hold keys and values",
    "input: [": "is no YAML: .*line 1",
    "input: a\nkey: secret": "no key 'key'",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_keys_and_values_are_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "signals.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=WRONG[text]) as error:
        run_settings(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s4://bucket/folder", "Protocol not known: s4. Known: "),
        ("s3://key:secret@bucket/folder", "holds no credentials: set AWS_ACCESS_KEY_ID"),
        ("s3://key@bucket/folder", "holds no credentials"),
        ("sftp://user:secret@host/folder", "holds no credentials"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as error:
        Store(url)
    assert "secret" not in str(error.value)


def test_names_of_contracts_are_no_paths(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    names = ["BRK.B", "BRK/B", "..", ".", "_x", "A%2FB", "a b", "Ü"]
    for name in names:
        store.write(f"results/{file_name(name)}.parquet", name.encode())
    assert len(list((tmp_path / "results").iterdir())) == len(store.names("results")) == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
