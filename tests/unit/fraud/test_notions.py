"""One column, one notion: what a value means does not depend on the format it is stored in."""

from __future__ import annotations

import datetime as dt
import io
import logging
import zoneinfo
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.hostile import encoded
from workload.errors import DatasetRefused
from workload.fraud.transactions import Day, day_from_file, day_from_frame
from workload.readers import parquet as readers_parquet
from workload.share.dataset_file import DatasetFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATE = dt.date(2018, 4, 1)
MOMENTS = [pd.Timestamp("2018-04-01 00:00:00"), pd.Timestamp("2018-04-01 13:07:59")]
TEXT = ["2018-04-01 00:00:00", "2018-04-01 13:07:59"]
FORMATS = [".pkl", ".parquet", ".csv", "frame"]


def frame(**columns: Any) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "TRANSACTION_ID": [1, 2],
            "TX_DATETIME": MOMENTS,
            "CUSTOMER_ID": [5, 7],
            "TERMINAL_ID": [0, 2**53 + 1],
            "TX_AMOUNT": [57.16, 0.07],
            "TX_FRAUD_SCENARIO": [0, 3],
        }
    )
    return rows.assign(**columns)


def of_bytes(data: bytes, suffix: str, date: dt.date | None = DATE, **options: Any) -> Day:
    return day_from_file(DatasetFile(f"2018-04-01{suffix}", date, data, ""), **options)


def read(rows: pd.DataFrame, suffix: str) -> Day:
    if suffix == "frame":
        return day_from_frame(rows, date=DATE)
    return of_bytes(encoded(rows, suffix), suffix)


def refusal(rows: pd.DataFrame, suffix: str) -> str:
    with pytest.raises(DatasetRefused) as refused:
        read(rows, suffix)
    reason = str(refused.value)
    assert "\n" not in reason
    assert len(reason) < 250
    return reason


def objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object)


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


PARIS = [moment.tz_localize("UTC").tz_convert("Europe/Paris") for moment in MOMENTS]
TOKYO = dt.timezone(dt.timedelta(hours=9))
IDS = [0, 2**53 + 1]
AMOUNTS = [Decimal("57.16"), Decimal("0.07")]

SAME: dict[str, dict[str, Callable[[], Any]]] = {
    "TX_AMOUNT": {
        "objects": lambda: objects([57.16, 0.07]),
        "decimals": lambda: objects(AMOUNTS),
        "decimals and floats": lambda: objects([AMOUNTS[0], 0.07]),
        "decimal128": lambda: arrow(AMOUNTS, pa.decimal128(12, 2)),
        "decimal128 of 38 digits": lambda: arrow(AMOUNTS, pa.decimal128(38, 18)),
        "category": lambda: pd.Series(pd.Categorical([57.16, 0.07])),
        "masked": lambda: pd.array([57.16, 0.07], dtype="Float64"),
        "arrow": lambda: arrow([57.16, 0.07], pa.float64()),
    },
    "TERMINAL_ID": {
        "objects": lambda: objects(IDS),
        "decimals": lambda: objects([Decimal(0), Decimal(2**53 + 1)]),
        "decimal128": lambda: arrow([Decimal(i) for i in IDS], pa.decimal128(38, 0)),
        "category": lambda: pd.Series(pd.Categorical(IDS)),
        "category of objects": lambda: pd.Series(pd.Categorical(objects(IDS))),
        "masked": lambda: pd.array(IDS, dtype="Int64"),
        "uint64": lambda: np.array(IDS, dtype="uint64"),
        "arrow": lambda: arrow(IDS, pa.int64()),
    },
    "CUSTOMER_ID": {
        "floats": lambda: [5.0, 7.0],
        "objects with a float": lambda: objects([5, 7.0]),
        "category of floats": lambda: pd.Series(pd.Categorical([5.0, 7.0])),
        "int16": lambda: np.array([5, 7], dtype="int16"),
    },
    "TX_DATETIME": {
        "text": lambda: TEXT,
        "text as objects": lambda: objects(TEXT),
        "text of arrow": lambda: arrow(TEXT, pa.string()),
        "text as category": lambda: pd.Series(pd.Categorical(TEXT)),
        "text with T and fractions": lambda: ["2018-04-01T00:00:00.5", "2018-04-01T13:07:59.9"],
        "text with zones": lambda: ["2018-04-01 02:00:00+02:00", "2018-04-01T13:07:59Z"],
        "Timestamps": lambda: objects(MOMENTS),
        "Timestamps of a zone": lambda: objects(PARIS),
        "datetimes": lambda: objects([moment.to_pydatetime() for moment in MOMENTS]),
        "datetimes of an offset": lambda: objects(
            [moment.tz_localize("UTC").to_pydatetime().astimezone(TOKYO) for moment in MOMENTS]
        ),
        "datetimes in UTC": lambda: objects(
            [moment.to_pydatetime().replace(tzinfo=dt.UTC) for moment in MOMENTS]
        ),
        "datetimes in zoneinfo's UTC": lambda: objects(
            [moment.to_pydatetime().replace(tzinfo=zoneinfo.ZoneInfo("UTC")) for moment in MOMENTS]
        ),
        "datetime64": lambda: objects([np.datetime64(moment, "s") for moment in MOMENTS]),
        "a zone": lambda: pd.Series(PARIS),
        "category": lambda: pd.Series(pd.Categorical(MOMENTS)),
        "arrow": lambda: arrow(MOMENTS, pa.timestamp("ms", "UTC")),
        "nanoseconds": lambda: [moment.value for moment in MOMENTS],
        "nanoseconds as objects": lambda: objects([moment.value for moment in MOMENTS]),
    },
}
CASES = [(name, kind, suffix) for name in SAME for kind in SAME[name] for suffix in FORMATS]


@pytest.mark.parametrize(("name", "kind", "suffix"), CASES)
def test_a_column_means_the_same_in_every_type_and_format(
    name: str, kind: str, suffix: str
) -> None:
    rows = frame(**{name: SAME[name][kind]()})
    if kind == "datetime64" and suffix == ".parquet":
        pytest.skip("pyarrow does not write such objects")
    if kind == "decimals and floats" and suffix == ".parquet":
        pytest.skip("pyarrow does not write a mixture")
    day = read(rows, suffix)
    assert day.second.tolist() == [0, 47_279]
    assert day.customer.tolist() == [5, 7]
    assert day.terminal.tolist() == IDS
    assert day.amount.tolist() == [57.16, 0.07]
    assert day.scenario.tolist() == [0, 3]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("name", "values", "row"),
    [
        ("CUSTOMER_ID", [Decimal(5), Decimal("7.5")], 1),
        ("CUSTOMER_ID", [Decimal(2**63), Decimal(1)], 0),
        ("CUSTOMER_ID", [5.5, 7.0], 0),
    ],
)
def test_a_decimal_that_is_no_integer_is_refused_with_its_row(
    name: str, values: list[Any], row: int, suffix: str
) -> None:
    reason = refusal(frame(**{name: objects(values)}), suffix)
    assert reason.startswith(f"column {name}, row {row}: ")
    assert reason.endswith("is not an exact integer")


def test_a_float_that_may_have_been_another_integer_is_refused() -> None:
    data = encoded(frame(), ".csv").replace(b"9007199254740993", b"9007199254740993.0")
    with pytest.raises(DatasetRefused, match=r"TERMINAL_ID, row 1: .* is not an exact integer"):
        of_bytes(data, ".csv")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("values", "looks"),
    [
        ([1522540800, 1522588079], "1522540800 looks like seconds since 1970"),
        (np.array([1522540800, 1522588079], "int32"), "1522540800 looks like seconds since 1970"),
        ([1522540800_000, 1522588079_000], "1522540800000 looks like milliseconds since 1970"),
        ([1522540800_000_000] * 2, "1522540800000000 looks like microseconds since 1970"),
        ([31, 47_279], "31 looks like seconds since 1970"),
        ([20180401] * 2, "20180401 looks like a date written in digits"),
        ([20180401130759] * 2, "20180401130759 looks like a date written in digits"),
        (objects([1522540800, 1522588079]), "1522540800 looks like seconds since 1970"),
    ],
)
def test_integers_of_another_unit_are_refused_with_its_name(
    values: Any, looks: str, suffix: str
) -> None:
    reason = refusal(frame(TX_DATETIME=values), suffix)
    assert reason.startswith(f"column TX_DATETIME, row 0: {looks}; allowed are dates with time")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "values",
    [
        [DATE, DATE],
        ["2018-04-01", "2018-04-01"],
        [pd.Timestamp(DATE)] * 2,
        arrow([DATE, DATE], pa.date32()),
    ],
    ids=["dates", "text", "midnights", "arrow"],
)
def test_dates_without_a_time_are_said_aloud_in_every_format(
    values: Any, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "workload"):
        day = read(frame(TX_DATETIME=values), suffix)
    assert day.second.tolist() == [0, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "No time of day, all rows are at 00:00:00: date=2018-04-01 rows=2"
    ]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "workload"):
        read(frame(), suffix)
    assert not caplog.records


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["2018-04-01 00:00:00", "2018-04-01 01:00:00Z"], "has a time zone, row 0 has none"),
        (["2018-04-01 00:00:00Z", "2018-04-01 01:00:00"], "has no time zone, row 0 has one"),
        (["2018-04-01 00:00:00", "20180401T010000"], "'20180401T010000' is not allowed"),
        (["2018-04-01 00:00:00", "01.04.2018"], "'01.04.2018' is not allowed"),
        (["2018-04-01 00:00:00", "x" * 100_000], f"'{'x' * 40}' is not allowed"),
        (["2018-04-01 00:00:00", None], "the value is missing"),
    ],
    ids=["zone", "no zone", "basic", "German", "long", "missing"],
)
def test_the_text_that_is_no_moment_is_named_with_its_row(
    values: list[str], reason: str, suffix: str
) -> None:
    told = refusal(frame(TX_DATETIME=objects(values)), suffix)
    assert told.startswith("column TX_DATETIME, row 1: ")
    assert reason in told


@pytest.mark.parametrize("suffix", [".pkl", "frame"])
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([MOMENTS[0], PARIS[1]], "has a time zone, row 0 has none"),
        ([PARIS[0], MOMENTS[1]], "has no time zone, row 0 has one"),
        ([MOMENTS[0], pd.NaT], "the value is missing"),
        ([pd.NA, MOMENTS[1]], "the value is missing"),
        ([MOMENTS[0], "2018-04-01"], "'2018-04-01' is text, row 0 is a date"),
        ([MOMENTS[0], 5], "5 is an integer, row 0 is a date"),
        ([MOMENTS[0], 5.5], "5.5 is not allowed; allowed are dates with time"),
        ([MOMENTS[0], True], "True is not allowed"),
    ],
    ids=str,
)
def test_objects_that_are_not_all_moments_are_refused_with_the_row(
    values: list[Any], reason: str, suffix: str
) -> None:
    told = refusal(frame(TX_DATETIME=objects(values)), suffix)
    row = 0 if values[0] is pd.NA else 1
    assert told.startswith(f"column TX_DATETIME, row {row}: ")
    assert reason in told


def test_a_zone_that_only_a_database_knows_is_refused_in_objects_of_a_pickle() -> None:
    zone = zoneinfo.ZoneInfo("Europe/Paris")
    moments = [moment.to_pydatetime().replace(tzinfo=zone) for moment in MOMENTS]
    reason = refusal(frame(TX_DATETIME=objects(moments)), ".pkl")
    assert (
        reason
        == "column TX_DATETIME has moments of a zone (Europe/Paris), which is not read; use UTC"
    )


# What a header says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace(",", ";"), "separates its columns by ';'; allowed is ','"),
        (lambda text: text.replace(",", "\t"), r"separates its columns by '\t'; allowed is ','"),
        (lambda text: text.replace(",", "|"), "separates its columns by '|'; allowed is ','"),
        (
            lambda text: text.replace(",", ";").replace(".", ",").lower(),
            "separates its columns by ';'; allowed is ','",
        ),
        (lambda text: text.encode("utf-16"), "is UTF-16 text; allowed is csv in UTF-8"),
        (lambda text: text.encode("utf-16-le"), "is UTF-16 text or no text; allowed is csv"),
        (
            lambda text: f"Größe,{text}".encode("latin-1"),
            r"has the header b'Gr\xf6\xdfe,TRANSACTION_ID,TX_DATETIME,CUSTOME', which is not UTF-8",
        ),
        (
            lambda text: text.replace("CUSTOMER", " CUSTOMER"),
            "lacks the column CUSTOMER_ID; it has ' CUSTOMER_ID': rename it to CUSTOMER_ID",
        ),
        (
            lambda text: text.replace("TX_AMOUNT", "tx_amount"),
            "lacks the column TX_AMOUNT; it has 'tx_amount': rename it to TX_AMOUNT",
        ),
        (
            lambda text: text.replace("TX_AMOUNT", "TxAmount"),
            "lacks the column TX_AMOUNT; it has 'TxAmount': rename it to TX_AMOUNT",
        ),
        (
            lambda text: text.replace("TX_FRAUD_SCENARIO", "is_fraud"),
            "lacks the column TX_FRAUD_SCENARIO; if 'is_fraud' is the label, say so: "
            "fraud?label=is_fraud",
        ),
        (
            lambda text: text.replace("TX_FRAUD_SCENARIO", "Class"),
            "lacks the column TX_FRAUD_SCENARIO; if 'Class' is the label, say so: "
            "fraud?label=Class",
        ),
        (lambda _: b"PAR1", "is parquet; allowed is csv in UTF-8"),
        (lambda _: b"\x1f\x8b\x08", "is gzip; allowed is csv in UTF-8"),
        (lambda _: b"PK\x03\x04", "is a zip archive; allowed is csv in UTF-8"),
        (lambda _: b"a" * (1 << 21), "has a first line of more than 1048576 bytes"),
    ],
)
def test_what_is_wrong_with_a_header_is_said(change: Callable[[str], Any], reason: str) -> None:
    data = change(encoded(frame(), ".csv").decode())
    with pytest.raises(DatasetRefused) as refused:
        of_bytes(data if isinstance(data, bytes) else data.encode(), ".csv")
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_label_of_another_name_is_named_in_every_format(suffix: str) -> None:
    rows = frame().rename(columns={"TX_FRAUD_SCENARIO": "TX_FRAUD"})
    assert refusal(rows, suffix).endswith("say so: fraud?label=TX_FRAUD")


@pytest.mark.parametrize("begin", [b"\xef\xbb\xbf", b"\n\r\n", b""])
def test_a_csv_may_begin_with_a_mark_or_empty_lines(begin: bytes) -> None:
    assert of_bytes(begin + encoded(frame(), ".csv"), ".csv").rows == 2


def test_a_column_of_a_csv_that_is_not_utf_8_is_named_only_if_it_is_needed() -> None:
    data = encoded(frame(NOTE=["a", "ö"]), ".csv").decode().encode("latin-1")
    assert of_bytes(data, ".csv").rows == 2
    data = encoded(frame(TX_AMOUNT=["1", "ö"]), ".csv").decode().encode("latin-1")
    with pytest.raises(DatasetRefused, match=r"column TX_AMOUNT, row 1: b'\\xf6' is not UTF-8"):
        of_bytes(data, ".csv")


# Bytes are bounded --------------------------------------------------------------------------------


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    size = len(next(iter(columns.values())))
    table = table.take(pa.array(np.zeros(size, dtype=np.int64)))
    table = table.set_column(0, "TRANSACTION_ID", pa.array(np.arange(size)))
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, values)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False, **options)
    return sink.getvalue()


def peak(read: Callable[[], object]) -> int:
    """Return how many bytes Arrow had at most while `read` ran."""
    pool = pa.system_memory_pool()
    before = pa.default_memory_pool()
    pa.set_memory_pool(proxy := pa.proxy_memory_pool(pool))
    try:
        read()
    finally:
        pa.set_memory_pool(before)
    return int(proxy.max_memory() or 0)


def repeated(value: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("TX_AMOUNT", "column TX_AMOUNT is of type string; allowed are numbers"),
        ("CUSTOMER_ID", "column CUSTOMER_ID is of type string; allowed are integers"),
        ("TX_DATETIME", "column TX_DATETIME, row 0: '1111"),
    ],
)
def test_a_few_bytes_of_repeated_text_are_refused_unexpanded(name: str, reason: str) -> None:
    """20,000 rows of one value of 20,000 bytes are 400 MB when decoded, and 2 KB of file."""
    data = parquet({name: repeated("1" * 20_000, 20_000)})
    assert len(data) < 500_000

    def refuse() -> None:
        with pytest.raises(DatasetRefused) as refused:
            of_bytes(data, ".parquet")
        assert str(refused.value).startswith(reason)

    assert peak(refuse) < 20_000_000


def test_one_text_named_many_times_in_a_pickle_is_refused_unexpanded() -> None:
    long = "1" * 20_000
    data = encoded(
        pd.concat([frame()] * 10_000).assign(TX_DATETIME=objects([long] * 20_000)), ".pkl"
    )

    def refuse() -> None:
        with pytest.raises(DatasetRefused, match=r"TX_DATETIME, row 0: '1{40}' is not allowed"):
            of_bytes(data, ".pkl")

    assert peak(refuse) < 1_000_000


def test_a_column_has_no_more_rows_than_its_file_says() -> None:
    """A column's own count of values may be forged; asking pyarrow for it can end the process."""

    class Forged:
        metadata = SimpleNamespace(num_rows=5)

        def iter_batches(self, *_: Any, **__: Any) -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"TX_AMOUNT": pa.array([1.0] * 4)})
            yield pa.record_batch({"TX_AMOUNT": pa.array([1.0] * 4)})
            raise AssertionError("read on")

    file: Any = Forged()
    with pytest.raises(DatasetRefused, match="column TX_AMOUNT has more rows than the 5"):
        readers_parquet._values(file, "TX_AMOUNT")


def test_text_that_repeats_its_prefix_is_refused_unexpanded() -> None:
    values = pa.array(["2018-04-01 00:00:00"] * 10)
    data = parquet(
        {"TX_DATETIME": values},
        use_dictionary=False,
        column_encoding={"TX_DATETIME": "DELTA_BYTE_ARRAY"},
    )
    with pytest.raises(DatasetRefused, match="is text in the encoding DELTA_BYTE_ARRAY"):
        of_bytes(data, ".parquet")


def test_a_parquet_that_expands_too_far_is_refused_from_its_footer() -> None:
    values = pa.array(["x" * 40_000_000])
    data = parquet({"TX_AMOUNT": values}, use_dictionary=False)

    def refuse() -> None:
        with pytest.raises(DatasetRefused, match=r"expands to 4\d{7} bytes; allowed are 100 times"):
            of_bytes(data, ".parquet")

    assert peak(refuse) < 1_000_000


def test_lines_of_a_csv_are_counted_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workload.readers.delimited.MAX_ROWS", 1_000_000)
    monkeypatch.setattr("workload.readers.table.MAX_ROWS", 1_000_000)
    data = b"TRANSACTION_ID\n" + b"1\n" * 2_000_000

    def refuse() -> None:
        with pytest.raises(DatasetRefused, match="has 2000000 rows; at most 1000000 are read"):
            of_bytes(data, ".csv", DATE)

    assert peak(refuse) < 1_000_000


def test_columns_of_a_csv_that_nobody_asks_for_are_not_decoded() -> None:
    data = encoded(frame(NOTE=["x" * 5_000_000, "y" * 5_000_000]), ".csv")
    bare = encoded(frame(), ".csv")
    assert peak(lambda: of_bytes(data, ".csv")) - peak(lambda: of_bytes(bare, ".csv")) < 15_000_000
