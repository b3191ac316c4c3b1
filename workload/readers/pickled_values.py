"""Single values in a pickle: decimals and moments, from the records of the calls that make them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pickle import UnpicklingError

from workload.readers.pickle_program import Call, Name, kind_of

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a zone is added to those that have one
_PER_SECOND = {7: 1, 8: 10**3, 9: 10**6, 10: 10**9}
"""NumPy's numbers of the units in which pandas 2 pickles a Timestamp; nanoseconds before."""
_MAX_DIGITS = 100


def plain(node: object) -> object:
    """Return the value that a record stands for; the record itself if it is none that is read.

    Moments with a zone come in UTC, their fractions cut to microseconds; what is missing is None.

    Raises:
        UnpicklingError: a moment is of a zone that only a database of zones could tell.
        Exception: of any kind, for damaged bytes.
    """
    match node:
        case Name(role="missing") | Call(function=Name(role="missing")):
            return None
        case Call(function=Name(role="decimal"), arguments=(str() as digits,)):
            return Decimal(digits) if len(digits) <= _MAX_DIGITS else node
        case Call(function=Name(role="moment"), arguments=(int() as count, _, zone, *unit)):
            moment = _EPOCH + dt.timedelta(
                microseconds=count * 10**6 // _PER_SECOND[unit[0] if unit else 10]
            )
            return moment if zone is None else moment.replace(tzinfo=dt.UTC)
        case Call(function=Name(role="datetime"), arguments=(bytes() as packed, *zone)):
            year, micro = int.from_bytes(packed[:2]), int.from_bytes(packed[7:10])
            month, day, hour, minute, second = packed[2] & 127, *packed[3:7]
            moment = dt.datetime(year, month, day, hour, minute, second, micro)  # noqa: DTZ001
            return (moment - _offset(zone[0])).replace(tzinfo=dt.UTC) if zone else moment
        case Call(function=Name(role="date"), arguments=(bytes() as packed,)):
            return dt.date(int.from_bytes(packed[:2]), packed[2], packed[3])
    return node


def _offset(zone: object) -> dt.timedelta:
    match zone:
        case Call(function=Name(role="utc")):
            return dt.timedelta()
        case Call(function=Call(function=Name(role="getattr")), arguments=("UTC", *_)):
            return dt.timedelta()
        case Call(function=Name(role="timezone"), arguments=(Call() as lasting, *_)):
            return dt.timedelta(*lasting.arguments)
        case Call(function=Name(role="pytz"), arguments=(_, int() as seconds, *_)):
            return dt.timedelta(seconds=seconds)
        case Call(function=Name(role="minutes"), arguments=(int() as minutes, *_)):
            return dt.timedelta(minutes=minutes)
    found = kind_of(zone.function) if isinstance(zone, Call) else kind_of(zone)
    if isinstance(zone, Call) and zone.arguments and isinstance(zone.arguments[0], str):
        found = zone.arguments[0][:40]
    raise UnpicklingError(f"has moments of a zone ({found}), which is not read; use UTC")
