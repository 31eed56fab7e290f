"""How a partition becomes a file: Parquet and Arrow with canonical columns, CSV and JSON as on the wire."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from data_generators.datasets import Dataset
from data_generators.errors import GeneratorError
from data_generators.wire import table_to_wire

Writer = Callable[[BinaryIO, Iterable[pa.Table], Dataset], None]


def _parquet(file: BinaryIO, tables: Iterable[pa.Table], dataset: Dataset) -> None:
    repeating = [
        field.name for field in dataset.schema if pa.types.is_string(field.type) and field.name not in dataset.distinct
    ]
    with pa.parquet.ParquetWriter(file, dataset.schema, use_dictionary=repeating) as writer:
        for table in tables:
            writer.write_table(table)


def _arrow(file: BinaryIO, tables: Iterable[pa.Table], dataset: Dataset) -> None:
    with pa.ipc.new_file(file, dataset.schema) as writer:
        for table in tables:
            writer.write_table(table)


def _csv(file: BinaryIO, tables: Iterable[pa.Table], dataset: Dataset) -> None:
    schema = table_to_wire(dataset.schema.empty_table(), dataset).schema
    with pa.csv.CSVWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table_to_wire(table, dataset))


def _json_lines(file: BinaryIO, tables: Iterable[pa.Table], dataset: Dataset) -> None:
    for table in tables:
        frame = table_to_wire(table, dataset).to_pandas()
        file.write(frame.to_json(orient="records", lines=True).encode())


FORMATS: dict[str, Writer] = {"parquet": _parquet, "csv": _csv, "jsonl": _json_lines, "arrow": _arrow}


def find_format(name: str) -> Writer:
    """Return the writer of a format, or raise `GeneratorError` with the names that exist."""
    if name not in FORMATS:
        raise GeneratorError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]
