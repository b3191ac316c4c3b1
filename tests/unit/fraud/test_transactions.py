"""Day files: the same rows from every format, and one clear reason for every bad file."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import os
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.support.hostile import encoded
from workload.errors import DatasetRefused
from workload.fraud import transactions
from workload.fraud.transactions import Day, day_from_frame, read_day
from workload.readers import delimited, formats, table
from workload.share import dataset_file
from workload.share.dataset_file import SUFFIXES, dataset_stem, name_date

if TYPE_CHECKING:
    from collections.abc import Callable

DATE = dt.date(2018, 4, 1)
TIMES = ["00:00:31", "00:02:10", "00:02:10", "12:00:00.75", "23:59:59"]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "TRANSACTION_ID": [10, 11, 12, 13, 14],
            "TX_DATETIME": pd.to_datetime([f"2018-04-01 {time}" for time in TIMES], format="mixed"),
            "CUSTOMER_ID": [596, 4961, 2, 4128, 5000],
            "TERMINAL_ID": [3156, 3412, 1365, 0, 12_345_678_901],
            "TX_AMOUNT": [57.16, 81.51, 0.0, 646.0, 50.99],
            "TX_TIME_SECONDS": [31, 130, 130, 43200, 86399],
            "TX_TIME_DAYS": [0, 0, 0, 0, 0],
            "TX_FRAUD": [0, 0, 0, 1, 1],
            "TX_FRAUD_SCENARIO": [0, 0, 0, 1, 3],
        }
    )


FORMATS = (".pkl", ".parquet", ".csv", ".csv.gz")


def encode(rows: pd.DataFrame, suffix: str) -> bytes:
    content = encoded(rows, suffix.removesuffix(".gz"))
    return gzip.compress(content) if suffix.endswith(".gz") else content


def read(directory: Path, content: bytes, suffix: str = ".pkl", **options: Any) -> Day:
    path = directory / f"2018-04-01{suffix}"
    path.write_bytes(content)
    return read_day(path, **options)


def refusal(directory: Path, content: bytes, suffix: str = ".pkl", **options: Any) -> str:
    with pytest.raises(DatasetRefused) as refused:
        read(directory, content, suffix, **options)
    reason = str(refused.value)
    assert "\n" not in reason
    assert len(reason) < 250
    return reason


def rows_of(day: Day) -> list[tuple[Any, ...]]:
    columns = (day.transaction, day.second, day.customer, day.terminal, day.amount, day.scenario)
    return list(zip(*(column.tolist() for column in columns), strict=True))


HEADER = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD_SCENARIO"

EXPECTED = [
    (10, 31, 596, 3156, 57.16, 0),
    (11, 130, 4961, 3412, 81.51, 0),
    (12, 130, 2, 1365, 0.0, 0),
    (13, 43200, 4128, 0, 646.0, 1),
    (14, 86399, 5000, 12_345_678_901, 50.99, 3),
]


# What is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_typed_rows(tmp_path: Path, suffix: str) -> None:
    content = encode(frame(), suffix)
    day = read(tmp_path, content, suffix, date=DATE)
    assert rows_of(day) == EXPECTED
    assert day.date == DATE
    assert day.rows == 5
    assert day.fraud.tolist() == [False, False, False, True, True]
    assert day.sha256 == hashlib.sha256(content).hexdigest()
    assert [
        str(array.dtype)
        for array in (day.transaction, day.second, day.customer, day.terminal, day.amount)
    ] == ["int64", "int32", "int64", "int64", "float64"]
    assert day.scenario.dtype == np.int8


@pytest.mark.parametrize("suffix", FORMATS)
def test_arrays_are_read_only_so_that_a_day_can_be_shared(tmp_path: Path, suffix: str) -> None:
    day = read(tmp_path, encode(frame(), suffix), suffix)
    for array in (day.transaction, day.second, day.customer, day.terminal, day.amount):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_come_in_order_of_second_and_transaction_whatever_the_file_has(
    tmp_path: Path, suffix: str
) -> None:
    shuffled = frame().sample(frac=1, random_state=3)
    assert rows_of(read(tmp_path, encode(shuffled, suffix), suffix)) == EXPECTED


@pytest.mark.parametrize(
    "change",
    [
        {"CUSTOMER_ID": "object", "TERMINAL_ID": "object", "TX_FRAUD_SCENARIO": "object"},
        {"CUSTOMER_ID": "float64", "TX_FRAUD_SCENARIO": "float32"},
        {"CUSTOMER_ID": "int16", "TERMINAL_ID": "uint64", "TX_FRAUD_SCENARIO": "int8"},
        {"CUSTOMER_ID": "Int64", "TX_AMOUNT": "Float64", "TX_FRAUD_SCENARIO": "UInt8"},
        {"CUSTOMER_ID": ">i8", "TX_AMOUNT": ">f8"},
        {"TX_AMOUNT": "object"},
        {"TX_DATETIME": "datetime64[ns]"},
        {"TX_DATETIME": "datetime64[ms]"},
        {"TX_DATETIME": "datetime64[s]"},
    ],
    ids=str,
)
def test_dtypes_found_in_the_wild_are_accepted(tmp_path: Path, change: dict[str, str]) -> None:
    rows = frame().astype(change)
    assert rows_of(read(tmp_path, encode(rows, ".pkl"))) == EXPECTED
    assert rows_of(day_from_frame(rows)) == EXPECTED


def test_objects_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    rows = frame()
    for name, kind in (("CUSTOMER_ID", np.int64), ("TX_AMOUNT", np.float64)):
        rows[name] = pd.Series([kind(value) for value in rows[name]], dtype=object)
    assert rows_of(read(tmp_path, encode(rows, ".pkl"))) == EXPECTED
    assert rows_of(day_from_frame(rows)) == EXPECTED


@pytest.mark.parametrize("suffix", [".pkl", ".parquet"])
def test_times_of_another_zone_are_converted_to_utc(tmp_path: Path, suffix: str) -> None:
    rows = frame()
    rows["TX_DATETIME"] = rows["TX_DATETIME"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert rows_of(read(tmp_path, encode(rows, suffix), suffix)) == EXPECTED
    assert rows_of(day_from_frame(rows)) == EXPECTED


@pytest.mark.parametrize("kind", ["int64", "uint64", object])
def test_times_may_be_nanoseconds_since_1970(tmp_path: Path, kind: Any) -> None:
    rows = frame()
    rows["TX_DATETIME"] = rows["TX_DATETIME"].astype("datetime64[ns]").astype("int64").astype(kind)
    assert rows_of(read(tmp_path, encode(rows, ".pkl"))) == EXPECTED
    assert rows_of(read(tmp_path, encode(rows, ".csv"), ".csv")) == EXPECTED


@pytest.mark.parametrize(
    ("written", "second"),
    [
        ("2018-04-01 09:30:00", 34_200),
        ("2018-04-01T09:30:00.999999999", 34_200),
        ("2018-04-01T09:30Z", 34_200),
        ("2018-04-01 09:30:00+02:00", 27_000),
        ("2018-04-01", 0),
        ("1522575000000000000", 34_200),
    ],
)
def test_csv_times_are_iso_8601(tmp_path: Path, written: str, second: int) -> None:
    day = read(tmp_path, f"{HEADER}\n1,{written},5,7,1,0\n".encode(), ".csv")
    assert (day.date, rows_of(day)) == (DATE, [(1, second, 5, 7, 1.0, 0)])


def test_days_before_1970_are_days_too() -> None:
    rows = frame()
    rows["TX_DATETIME"] -= pd.Timedelta(days=20_000)
    day = day_from_frame(rows)
    assert (day.date, rows_of(day)) == (DATE - dt.timedelta(days=20_000), EXPECTED)


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_that_are_not_needed_are_not_looked_at(tmp_path: Path, suffix: str) -> None:
    rows = frame()[
        ["TX_FRAUD", "TX_AMOUNT", "TERMINAL_ID", "CUSTOMER_ID", "TX_DATETIME", "TRANSACTION_ID"]
    ].assign(NOTE=["a", "", "c", "d", "é"], TX_TIME_DAYS="?")
    day = read(tmp_path, encode(rows, suffix), suffix, label="TX_FRAUD")
    assert day.scenario.tolist() == [0, 0, 0, 1, 1]


def test_any_column_of_integers_can_be_the_label() -> None:
    day = day_from_frame(frame().assign(mine=[0, 127, 0, 0, 1]), label="mine")
    assert day.fraud.tolist() == [False, True, False, False, True]


def test_without_labels_nothing_of_them_is_read(tmp_path: Path) -> None:
    rows = frame().drop(columns="TX_FRAUD").assign(TX_FRAUD_SCENARIO="unknown")
    day = read(tmp_path, encode(rows, ".pkl"), labelled=False)
    assert day.scenario.tolist() == [0] * 5
    assert day.customer.tolist() == [row[2] for row in EXPECTED]


def test_a_frame_is_left_as_it_is() -> None:
    rows = frame().sample(frac=1, random_state=3)
    before = rows.copy()
    day_from_frame(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_gzip_files_of_several_members_are_one_file(tmp_path: Path) -> None:
    content = encode(frame(), ".csv")
    split = gzip.compress(content[:77]) + gzip.compress(content[77:]) + b"\0\0"
    assert rows_of(read(tmp_path, split, ".csv.gz")) == EXPECTED


def test_the_module_does_not_import_pandas_or_pyarrow() -> None:
    code = (
        "import sys; import workload.fraud.transactions; "
        "assert not {'pandas', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Names --------------------------------------------------------------------------------------------


def test_stem_and_date_come_from_the_name() -> None:
    for suffix in (*SUFFIXES, ".CSV", ".Pkl.GZ"):
        assert dataset_stem(f"training/2018-04-01{suffix}") == "2018-04-01"
        assert name_date(f"training/2018-04-01{suffix}") == DATE
        assert name_date(Path(f"2018-04-01{suffix}")) == DATE
    assert dataset_stem("test_dataset.pkl") == "test_dataset"
    assert dataset_stem("v1.2.csv.gz") == "v1.2"


@pytest.mark.parametrize(
    "name", ["test.pkl", "20180401.pkl", "2018-W13-7.pkl", "2018-02-30.csv", "2018-4-1.pkl", ".pkl"]
)
def test_a_name_that_is_no_date_is_refused(name: str) -> None:
    with pytest.raises(DatasetRefused, match="is not a date; allowed are names like 2018-04-01"):
        name_date(name)


@pytest.mark.parametrize("name", ["2018-04-01", "2018-04-01.json", "2018-04-01.gz", "a.pkl.zst"])
def test_a_name_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    for call in (dataset_stem, name_date, lambda name: read_day(tmp_path / name)):
        with pytest.raises(DatasetRefused, match=r"ends in none of \.pkl, \.pickle, \.parquet"):
            call(name)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    assert refusal(tmp_path, b"", suffix) == "is empty"


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_rows_is_refused(tmp_path: Path, suffix: str) -> None:
    reason = refusal(tmp_path, encode(frame().iloc[:0], suffix), suffix)
    assert reason == "has no rows; at least one is needed"


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_columns_are_listed(tmp_path: Path, suffix: str) -> None:
    rows = frame().drop(columns=["TX_AMOUNT", "TX_FRAUD_SCENARIO"])
    reason = refusal(tmp_path, encode(rows, suffix), suffix)
    assert reason.startswith("lacks the columns TX_AMOUNT, TX_FRAUD_SCENARIO")
    rows = rows.drop(columns="TX_FRAUD").assign(TX_AMOUNT=1.0)
    assert refusal(tmp_path, encode(rows, suffix), suffix) == "lacks the column TX_FRAUD_SCENARIO"


@pytest.mark.parametrize("suffix", [".pkl", ".csv", ".csv.gz"])
def test_a_needed_column_must_be_there_once(tmp_path: Path, suffix: str) -> None:
    rows = pd.concat([frame(), frame()[["TX_AMOUNT"]]], axis=1)
    reason = refusal(tmp_path, encode(rows, suffix), suffix)
    assert reason == "has the column TX_AMOUNT more than once"


INTEGERS = ["TRANSACTION_ID", "CUSTOMER_ID", "TERMINAL_ID", "TX_FRAUD_SCENARIO"]


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["1", "2", "3", "4", "5"], "string; allowed are integers"),
        ([True] * 5, "is of type bool; allowed are integers"),
        ([1.0, 2.5, 3.0, 4.0, 5.0], "row 1: 2.5 is not an exact integer"),
        ([1.0, 2.0, np.nan, 4.0, 5.0], "row 2: nan is not an exact integer"),
        ([1.0, 2.0, np.inf, 4.0, 5.0], "row 2: inf is not an exact integer"),
        ([1.0, 2.0, 3.0, 2.0**60, 5.0], "row 3: 1.152921504606847e+18 is not an exact integer"),
        (np.array([1, 2, 3, 4, 2**63], dtype="uint64"), "row 4: 9223372036854775808 does not fit"),
        ([1, -2, 3, 4, 5], "row 1: -2 is"),
        (pd.to_datetime(["2018-04-01"] * 5), "is of type datetime64[us]; allowed are integers"),
        (np.array([1j] * 5), "is of type complex128; allowed are integers"),
    ],
    ids=str,
)
def test_ids_and_labels_are_integers(tmp_path: Path, name: str, values: Any, reason: str) -> None:
    rows = frame().drop(columns=name).assign(**{name: values})
    suffix = ".parquet" if "string" in reason else ".pkl"
    told = refusal(tmp_path, encode(rows, suffix), suffix)
    assert told.startswith(f"column {name}")
    assert reason in told


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("7", "row 3: '7' is not an integer"),
        (None, "row 3: the value is missing"),
        (True, "row 3: True is not an integer"),
        (7.5, "row 3: 7.5 is not an exact integer"),
        (2.0**60, "row 3: 1.152921504606847e+18 is not an exact integer"),
        (float("nan"), "row 3: nan is not an exact integer"),
        (Decimal("7.5"), "row 3: Decimal('7.5') is not an exact integer"),
        (Decimal("1E+999999999"), "row 3: Decimal('1E+999999999') is not an exact integer"),
        (Decimal("NaN"), "row 3: Decimal('NaN') is not an exact integer"),
        (pd.NA, "row 3: "),
        (2**63, "row 3: 9223372036854775808 does not fit 64 bits"),
        (10**5000, "row 3: an integer of 16610 bits does not fit 64 bits"),
        (pd.Timestamp(0), "is not an integer"),
        (["nested"], "row 3: (...) is not an integer"),
        ("x" * 10**6, "is not an integer"),
        (np.timedelta64(5, "s"), "is not an integer"),
        (np.float64(3.5), "row 3: 3.5 is not an exact integer"),
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, int) else "int",
)
def test_objects_are_accepted_only_if_all_are_integers(
    tmp_path: Path, name: str, value: object, reason: str
) -> None:
    rows = frame().astype({name: object})
    values = rows[name].tolist()
    values[3] = value
    rows[name] = pd.Series(values, dtype=object)
    told = refusal(tmp_path, encode(rows, ".pkl"))
    assert told.startswith(f"column {name}, row 3: ")
    assert reason in told


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "nan is no amount; allowed are finite numbers from 0"),
        (np.inf, "inf is no amount"),
        (-np.inf, "-inf is no amount"),
        (-0.01, "-0.01 is no amount"),
    ],
)
def test_amounts_are_finite_and_not_negative(tmp_path: Path, value: float, reason: str) -> None:
    rows = frame()
    rows.loc[2, "TX_AMOUNT"] = value
    for changed in (rows, rows.astype({"TX_AMOUNT": object})):
        told = refusal(tmp_path, encode(changed, ".pkl"))
        assert told.startswith(f"column TX_AMOUNT, row 2: {reason}")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("12", "'12' is not a number"),
        (None, "the value is missing"),
        (Decimal("sNaN"), "Decimal('sNaN') does not fit 64 bits"),
        (Decimal("NaN"), "nan is no amount"),
        (Decimal("1E+400"), "inf is no amount"),
        (True, "True is not a number"),
        (10**400, "does not fit 64 bits"),
    ],
)
def test_amounts_as_objects_are_numbers(tmp_path: Path, value: object, reason: str) -> None:
    values = [*frame()["TX_AMOUNT"].tolist()[:4], value]
    rows = frame().assign(TX_AMOUNT=pd.Series(values, dtype=object))
    told = refusal(tmp_path, encode(rows, ".pkl"))
    assert told.startswith("column TX_AMOUNT, row 4: ")
    assert reason in told


def test_amounts_may_be_integers(tmp_path: Path) -> None:
    rows = frame().assign(TX_AMOUNT=[1, 2, 3, 4, 5])
    for changed in (rows, rows.astype({"TX_AMOUNT": object})):
        assert read(tmp_path, encode(changed, ".pkl")).amount.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("value", [-1, 128])
def test_labels_are_from_0_to_127(tmp_path: Path, value: int) -> None:
    rows = frame()
    rows.loc[4, "TX_FRAUD_SCENARIO"] = value
    assert (
        refusal(tmp_path, encode(rows, ".parquet"), ".parquet")
        == f"column TX_FRAUD_SCENARIO, row 4: {value} is no label; allowed are 0 to 127"
    )


def test_a_transaction_is_there_once(tmp_path: Path) -> None:
    rows = frame()
    rows.loc[3, "TRANSACTION_ID"] = 10
    assert (
        refusal(tmp_path, encode(rows, ".csv"), ".csv")
        == "column TRANSACTION_ID, row 3: 10 is there a second time"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_value_is_refused_with_its_row(tmp_path: Path, suffix: str) -> None:
    rows = frame()
    rows.loc[1, "TX_DATETIME"] = pd.NaT
    assert (
        refusal(tmp_path, encode(rows, suffix), suffix)
        == "column TX_DATETIME, row 1: the value is missing"
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
@pytest.mark.parametrize("name", ["CUSTOMER_ID", "TX_AMOUNT", "TX_FRAUD_SCENARIO"])
def test_a_missing_number_is_refused_with_its_row(tmp_path: Path, suffix: str, name: str) -> None:
    rows = frame().astype({name: "Int64" if name != "TX_AMOUNT" else "Float64"})
    rows.loc[2, name] = pd.NA
    told = refusal(tmp_path, encode(rows, suffix), suffix)
    assert told == f"column {name}, row 2: the value is missing"


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_rows_are_of_one_day(tmp_path: Path, suffix: str) -> None:
    rows = frame()
    rows["TX_DATETIME"] += pd.Timedelta(seconds=1)
    assert (
        refusal(tmp_path, encode(rows, suffix), suffix)
        == "column TX_DATETIME, row 4: 2018-04-02T00:00:00"
        + {".pkl": ".000000", ".parquet": ".000000"}.get(suffix, ".000000000")
        + " is not on 2018-04-01, the day of row 0; a file holds one day (UTC)"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_day_is_the_one_the_name_promises(tmp_path: Path, suffix: str) -> None:
    assert (
        refusal(tmp_path, encode(frame(), suffix), suffix, date=dt.date(2018, 4, 2))
        == "column TX_DATETIME: the rows are of 2018-04-01, the name promises 2018-04-02"
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["April"] * 5, "row 0: 'April' is not allowed; allowed are dates with time such as"),
        ([1.5e18] * 5, "is of type float64; allowed are dates"),
        (np.full(5, 2**60).astype("M8[s]"), "is outside the years 1 to 9999"),
        (pd.to_timedelta(range(5), unit="s"), "is of type duration"),
    ],
    ids=["string", "float", "far", "duration"],
)
def test_times_of_other_types_are_refused(tmp_path: Path, values: Any, reason: str) -> None:
    rows = frame().assign(TX_DATETIME=values)
    suffix = ".pkl" if "float64" in reason or "years" in reason else ".parquet"
    told = refusal(tmp_path, encode(rows, suffix), suffix)
    assert told.startswith("column TX_DATETIME")
    assert reason in told


@pytest.mark.parametrize("unit", ["D", "h", "m"])
def test_moments_in_long_units_do_not_wrap_around(unit: str) -> None:
    values = np.full(1, 2**62).astype(f"M8[{unit}]")
    with pytest.raises(DatasetRefused, match="outside the years 1 to 9999"):
        transactions._seconds(values, None)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("CUSTOMER_ID", "C7", "'C7' is not allowed; allowed are integers"),
        ("TX_AMOUNT", "1,5", "'1,5' is not allowed; allowed are numbers"),
        ("TX_DATETIME", "01.04.2018 10:00", "'01.04.2018 10:00' is not allowed; allowed are dates"),
    ],
)
def test_text_in_a_csv_is_refused_with_its_row(
    tmp_path: Path, column: str, value: str, reason: str
) -> None:
    rows = frame().astype({column: str})
    rows.loc[3, column] = value
    told = refusal(tmp_path, encode(rows, ".csv"), ".csv")
    assert told.startswith(f"column {column}, row 3: {reason}")


def test_a_pickle_that_wants_to_run_something_is_no_frame(tmp_path: Path) -> None:
    reason = refusal(tmp_path, b"\x80\x04cposix\nsystem\n\x8c\x04true\x85R.")
    assert reason == "holds a posix.system, not a DataFrame"


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".pkl", pickle.dumps([1, 2]), "holds a list, not a DataFrame"),
        (
            ".pkl",
            gzip.compress(pickle.dumps(1), mtime=0),
            "is compressed; allowed is a plain pickle",
        ),
        (".parquet", b"PAR1", "is not a readable .parquet file"),
        (".csv", HEADER.encode() + b"\n1\n", "Expected 6 columns, got 1"),
        (".csv.gz", b"a,b\n1,2\n", "is not a readable .gz file"),
        (".csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-4], "ends in the middle"),
        (".csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-1] + b"\x01", "incorrect length check"),
    ],
)
def test_unreadable_files_say_what_they_are(
    tmp_path: Path, suffix: str, content: bytes, reason: str
) -> None:
    assert reason in refusal(tmp_path, content, suffix)


def test_a_csv_gz_that_expands_too_far_is_refused_without_expanding_it(tmp_path: Path) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    reason = refusal(tmp_path, bomb, ".csv.gz")
    assert reason.startswith(f"expands to more than {100 * len(bomb) + 4096} bytes")
    # The same in many members, none of which expands by much.
    reason = refusal(tmp_path, gzip.compress(b"0" * 9000) * 500, ".csv.gz")
    assert reason.startswith("expands to more than")


def test_files_and_tables_above_the_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in FORMATS:
        content = encode(frame(), suffix)
        with monkeypatch.context() as patch:
            patch.setattr(dataset_file, "MAX_BYTES", len(content) - 1)
            reason = refusal(tmp_path, content, suffix)
            assert reason == f"has {len(content)} bytes; at most {len(content) - 1} are read"
        with monkeypatch.context() as patch:
            for module in (table, delimited):
                patch.setattr(module, "MAX_ROWS", 4)
            assert refusal(tmp_path, content, suffix) == "has 5 rows; at most 4 are read"


# What passes through ------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_no_refusal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_day(tmp_path / "2018-04-01.pkl")
    (tmp_path / "2018-04-02.pkl").mkdir()
    with pytest.raises(IsADirectoryError):
        read_day(tmp_path / "2018-04-02.pkl")


@pytest.mark.parametrize("suffix", [".pkl", ".parquet", ".csv"])
def test_want_of_memory_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    def exhausted(*_: object) -> table.Table:
        raise MemoryError

    monkeypatch.setitem(formats._DECODERS, suffix, exhausted)
    with pytest.raises(MemoryError):
        read(tmp_path, b"x", suffix)


# The tutorial's own files -------------------------------------------------------------------------


@pytest.fixture
def tutorial() -> Path:
    directory = os.environ.get("WORKLOAD_TUTORIAL_DATASETS")
    if directory is None:
        pytest.skip("WORKLOAD_TUTORIAL_DATASETS does not name the tutorial's datasets directory")
    return Path(directory)


def test_the_tutorials_files_are_read_as_pandas_reads_them(tutorial: Path) -> None:
    frauds = []
    for path in sorted(tutorial.glob("t*ing/*.pkl")):
        expected = pd.read_pickle(path)
        date = None if path.stem == "test_dataset" else name_date(path)
        day = read_day(path, date=date)
        assert day.rows == len(expected)
        pairs: list[tuple[str, Callable[[Day], Any]]] = [
            ("TRANSACTION_ID", lambda day: day.transaction),
            ("CUSTOMER_ID", lambda day: day.customer),
            ("TERMINAL_ID", lambda day: day.terminal),
            ("TX_AMOUNT", lambda day: day.amount),
            ("TX_FRAUD_SCENARIO", lambda day: day.scenario),
        ]
        ordered = expected.sort_values(["TX_DATETIME", "TRANSACTION_ID"])
        for name, column in pairs:
            assert column(day).tolist() == ordered[name].tolist()
        seconds = ordered["TX_TIME_SECONDS"].astype("int64") % 86_400
        assert day.second.tolist() == seconds.tolist()
        frauds.append((str(day.date), int(day.fraud.sum())))
    assert frauds == [
        ("2018-04-05", 22),
        ("2018-04-01", 3),
        ("2018-04-02", 13),
        ("2018-04-03", 15),
        ("2018-04-04", 18),
    ]
