"""What the authoring API promises to those who write kernels."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import pydoc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.authoring import plain_kernel, tick_kernel
from fintech_toolkit.scan.parameters import Choice, Duration, Flag, Number


@plain_kernel(kind="matrix", reads="returns", gives="covariance", source="definition")
def covariance(returns: Any) -> Any:
    """Return the covariance matrix of the columns."""
    return np.cov(returns, rowvar=False)


def test_a_plain_function_is_a_kernel_that_is_called_as_it_is() -> None:
    returns = np.random.default_rng(0).normal(size=(50, 3))
    assert_array_equal(covariance(returns), np.cov(returns, rowvar=False))
    assert (covariance.kind, covariance.stateless) == ("matrix", True)
    assert "covariance matrix" in (covariance.__doc__ or "")


def test_a_function_that_asks_for_what_there_is_not_is_refused() -> None:
    declare = tick_kernel(reads="x", gives="y", state=[("n", "i8")], source="definition")

    def asks_too_much(s: Any, x: float, weather: float) -> float:
        return x * weather

    with pytest.raises(ft.KernelError, match="asks for \\['weather'\\]"):
        declare(asks_too_much)

    def takes_too_little(s: Any) -> float:
        return 1.0

    with pytest.raises(ft.KernelError, match=r"takes \(s\), and is called with 2 arguments"):
        declare(takes_too_little)


def test_columns_are_typed_where_they_are_declared() -> None:
    @tick_kernel(reads=(name for name in ("side", "id:i8", "*flags:?")), gives=["count:i8", "share"])
    def typed_columns(side: float, number: int, flags: Any) -> Any:
        return number, side

    read = [(c.name, c.dtype.str[1:], c.variadic) for c in typed_columns.inputs]
    assert read == [("side", "f8", False), ("id", "i8", False), ("flags", "b1", True)]
    assert [(c.name, c.dtype.str[1:]) for c in typed_columns.outputs] == [("count", "i8"), ("share", "f8")]
    assert typed_columns.input_names(2) == ["side", "id", "flags", "flags"]
    assert str(inspect.signature(typed_columns)).startswith("(side='side', id=None, *flags, ")
    assert "\n*flags : str or array_like" in (inspect.getdoc(typed_columns) or "")
    with pytest.raises(ft.KernelError, match="'x:f9' is declared with the dtype 'f9', which there is not"):
        tick_kernel(reads="x:f9", gives="y")


def test_a_kernel_shows_what_it_takes_and_its_class_what_a_kernel_is() -> None:
    page = pydoc.plain(pydoc.render_doc(ft.rolling_mean))
    for text in (f"{ft.rolling_mean.__doc__}".partition("\n")[0], "min_periods : int, optional", "Warm-up: "):
        assert text in page
    assert list(inspect.signature(ft.rolling_mean).parameters)[:3] == ["x", "window", "min_periods"]
    assert (inspect.getdoc(ft.Kernel) or "").startswith("A kernel's declaration")
    assert next(iter(inspect.signature(ft.Kernel).parameters)) == "function"


def test_two_kernels_of_one_name_are_refused(tmp_path: Path) -> None:
    text = '@tick_kernel(reads="x", gives="y", aliases=["second"])\ndef {}(x):\n    return x\n'
    for number, name in enumerate(("first", "second")):
        path = tmp_path / "family" / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(name))
    with pytest.raises(TypeError, match=r"called second: package\.family\.module_0 and package\.family\.module_1"):
        kernels.read_declarations(tmp_path, "package")


def test_whatever_is_declared_in_the_library_is_found_by_its_declaration() -> None:
    """Modules are not imported to see what they hold; this one test does."""
    declared = {}
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, ft.Kernel) and value.__module__ == module.name:
                declared |= dict.fromkeys((value.name, *value.aliases), value)
    assert len(declared) > 150
    assert kernels.registry() == declared


def test_aliases_are_the_same_kernel_and_listed_once() -> None:
    assert ft.sma is ft.rolling_mean
    assert "sma" not in ft.catalogue().index
    assert {"sma", "rolling_mean", "resample_ohlc"} <= set(dir(ft))


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (Number("k", "times", above=0), [1.0, -1.0], "must be greater than 0"),
        (Number("k", "times", below=1), 1, "must be less than 1"),
        (Number("k", "times"), True, "must be a number"),
        (Flag("f", "whether"), 1, "must be True or False"),
        (Choice("c", "which", options=("a", "b")), "d", "one of 'a', 'b'"),
        (Duration("d", "how long"), "0s", "must be longer than zero"),
        (Duration("d", "how long"), [1, 2], "is not a duration"),
    ],
)
def test_parameters_are_checked(parameter: Any, value: Any, message: str) -> None:
    with pytest.raises(ft.ParameterError, match=message):
        parameter.resolve({parameter.name: value})


def test_signature_and_documentation_follow_the_declaration() -> None:
    assert str(inspect.signature(ft.microprice)).startswith("(bid='bid', ask='ask', bid_size='bid_size'")
    assert "halflife" in inspect.signature(ft.ewma).parameters
    document = inspect.getdoc(ft.rsi) or ""
    assert document.index("Parameters\n---") < document.index("Returns\n---") < document.index("Examples\n---")


def test_a_sweep_is_one_row_for_each_parameter() -> None:
    x = np.random.default_rng(0).normal(size=200)
    swept = ft.rolling_mean(x, window=[5, 10, 20])
    assert_array_equal(swept, np.stack([ft.rolling_mean(x, window=w) for w in (5, 10, 20)]))
    across = ft.ewma(x.reshape(40, 5).T.copy(), span=4, axis=1).T
    assert_array_equal(ft.ewma(x.reshape(40, 5), span=4), across)
