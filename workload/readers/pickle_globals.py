"""The globals that a pickled frame may name, by exact module and name, each with its role.

Read off the pickles of pandas 1.0 to 3.1 with NumPy 1.18 to 2.4 (pandas' own list of moved names is
`pandas.compat.pickle_compat`).
"""

from __future__ import annotations

ALLOWED = {
    "builtins.bytearray": "bytes",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "pandas.DataFrame": "frame",
    "pandas.core.frame.DataFrame": "frame",
    "pandas.Series": "series",
    "pandas.core.series.Series": "series",
    "pandas.core.internals.managers.BlockManager": "manager",
    "pandas.core.internals.managers.SingleBlockManager": "opaque",
    "pandas._libs.internals._unpickle_block": "block",
    "pandas.core.internals.blocks.new_block": "block",
    "functools.partial": "partial",
    "builtins.slice": "slice",
    "builtins.getattr": "getattr",
    "pandas.core.indexes.base._new_Index": "index",
    "pandas.core.indexes.datetimes._new_DatetimeIndex": "opaque",
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": "backed",
    "pandas.arrays.DatetimeArray": "datetimes",
    "pandas.core.arrays.datetimes.DatetimeArray": "datetimes",
    "pandas.arrays.StringArray": "strings",
    "pandas.core.arrays.string_.StringArray": "strings",
    "pandas.core.arrays.string_.StringArrayNumpySemantics": "strings",
    "pandas.arrays.IntegerArray": "masked",
    "pandas.core.arrays.integer.IntegerArray": "masked",
    "pandas.arrays.FloatingArray": "masked",
    "pandas.core.arrays.floating.FloatingArray": "masked",
    "pandas.arrays.ArrowExtensionArray": "arrow",
    "pandas.core.arrays.arrow.array.ArrowExtensionArray": "arrow",
    "pandas.arrays.ArrowStringArray": "arrow",
    "pandas.core.arrays.string_arrow.ArrowStringArray": "arrow",
    "pandas.core.arrays.string_arrow.ArrowStringArrayNumpySemantics": "arrow",
    "pyarrow.lib.chunked_array": "chunks",
    "pyarrow.lib._restore_array": "chunk",
    "pyarrow.lib.py_buffer": "bytes",
    "pyarrow.lib.type_for_alias": "alias",
    "pyarrow.lib.timestamp": "timestamp",
    "zoneinfo.ZoneInfo": "zone",
}
"""Globals in pickles of data frames, and the part each plays in reading the columns."""

_OPAQUE = {
    "numpy": "ndarray",
    "datetime": "date datetime time timedelta timezone",
    "pandas": (
        "ArrowDtype BooleanDtype Categorical CategoricalDtype CategoricalIndex DatetimeIndex "
        "DatetimeTZDtype Float32Dtype Float64Dtype Index Int16Dtype Int32Dtype Int64Dtype "
        "Int8Dtype IntervalDtype IntervalIndex MultiIndex NA PeriodDtype PeriodIndex RangeIndex "
        "SparseDtype StringDtype TimedeltaIndex UInt16Dtype UInt32Dtype UInt64Dtype UInt8Dtype"
    ),
    "pandas._libs.interval": "Interval __pyx_unpickle_IntervalMixin",
    "pandas._libs.missing": "NA",
    "pandas._libs.sparse": "IntIndex BlockIndex",
    "pandas._libs.tslibs.nattype": "__nat_unpickle _nat_unpickle",
    "pandas._libs.tslibs.offsets": "Day Hour Minute Second",
    "pandas._libs.tslibs.period": "__pyx_unpickle_PeriodMixin Period",
    "pandas._libs.tslibs.timedeltas": "Timedelta _timedelta_unpickle",
    "pandas._libs.tslibs.timestamps": "Timestamp _unpickle_timestamp",
    "pandas.arrays": (
        "BooleanArray IntervalArray PeriodArray SparseArray TimedeltaArray Categorical"
    ),
    "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.floating": "Float32Dtype Float64Dtype",
    "pandas.core.arrays.integer": (
        "Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype"
    ),
    "pandas.core.arrays.interval": "IntervalArray",
    "pandas.core.arrays.period": "PeriodArray",
    "pandas.core.arrays.sparse.array": "SparseArray",
    "pandas.core.arrays.sparse.dtype": "SparseDtype",
    "pandas.core.arrays.string_": "StringDtype",
    "pandas.core.arrays.timedeltas": "TimedeltaArray",
    "pandas.core.dtypes.dtypes": (
        "ArrowDtype CategoricalDtype DatetimeTZDtype IntervalDtype PeriodDtype SparseDtype"
    ),
    "pandas.core.indexes.base": "Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "DatetimeIndex",
    "pandas.core.indexes.interval": "IntervalIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.numeric": "Int64Index UInt64Index Float64Index",
    "pandas.core.indexes.period": "PeriodIndex _new_PeriodIndex",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.indexes.timedeltas": "TimedeltaIndex",
    "pandas.tseries.offsets": "Day Hour Minute Second",
    "pytz": "_UTC _p",
}
"""Globals of row indexes and of columns nobody asks for: only carried along."""

ALLOWED |= {f"{module}.{name}": "opaque" for module in _OPAQUE for name in _OPAQUE[module].split()}
