"""Settings as models of pydantic, out of files of YAML and the environment: what is wrong is told by its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from fintech_toolkit.errors import ParameterError, did_you_mean


class Settings(BaseModel):
    """Settings that cannot be changed afterwards; a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=Settings)


def load_settings(
    model: type[Model],
    path: Path | None,
    prefix: str,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Model:
    """Return settings: those of a file of YAML, over them what the environment says, and over these options.

    Parameters
    ----------
    model : type
        The settings that there are.
    path : Path, optional
        The file.
    prefix : str
        What the names of variables begin with. What follows are keys, those below one another with two underscores
        between them; the value is YAML.
    options : mapping, optional
        By key; those that are None say nothing.
    environ : mapping of str to str
        The environment.

    Raises
    ------
    ParameterError
        If the file cannot be read, or a key is unknown, missing or of a wrong value; it names key, origin and the
        nearest right key.
    """
    found = {} if path is None else _read(path)
    variables = _override(found, environ, prefix)
    found |= {key: value for key, value in (options or {}).items() if value is not None}
    try:
        return model.model_validate(found)
    except ValidationError as error:
        told = (_sentence(each, model, path, variables) for each in error.errors())
        raise ParameterError("\n".join(told)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is no YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(found, dict):
        raise ParameterError(f"{path} should hold keys and values, such as output: out.")
    return found


def _override(found: dict[str, Any], environ: Mapping[str, str], prefix: str) -> dict[tuple[str, ...], str]:
    """Put what the environment says over what a file says, and return the variables by the keys that they set."""
    variables = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(prefix):
            continue
        keys = tuple(variable.removeprefix(prefix).lower().split("__"))
        place = found
        for key in keys[:-1]:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        try:
            place[keys[-1]] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ParameterError(f"{variable} is no YAML: {' '.join(str(error).split())}.") from None
        variables[keys] = variable
    return variables


def _sentence(
    error: Mapping[str, Any], model: type[Settings], path: Path | None, variables: Mapping[tuple[str, ...], str]
) -> str:
    """Return what is wrong with a key, who set it, and which key may be meant."""
    place = tuple(str(part) for part in error["loc"])
    given = "the settings" if path is None else str(path)
    origin = next((variables[place[:n]] for n in range(len(place), 0, -1) if place[:n] in variables), given)
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        return f"{origin}: there is no key {key!r}. {did_you_mean(place[-1], _keys(model, place[:-1]))}"
    if error["type"] == "missing":
        return f"{origin}: the key {key!r} is missing; add it."
    reason = error["msg"].removeprefix("Value error, ").rstrip(".")
    reason = f"{reason[:1].lower()}{reason[1:]}."
    return f"{origin}: {key!r} cannot be {error['input']!r}: {reason}" if place else f"{origin}: {reason}"


def _keys(model: Any, place: tuple[str, ...]) -> list[str]:
    """Return the keys that there are at a place."""
    for part in place:
        model = model.model_fields[part].annotation
    return list(model.model_fields) if issubclass(model, BaseModel) else []
