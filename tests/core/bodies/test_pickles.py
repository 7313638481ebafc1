# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickles read as data: what the official formats hold comes out, and nothing that a file asks for happens."""

from __future__ import annotations

import collections
import io
import os
import pickle  # noqa: TID251 - to write what must be refused
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from dice_core.body.arrays import array, sparse
from dice_core.body.containers import KNOWN, read_container
from dice_core.untrusted.pickles import Broken, Record, Refused, Truncated, read_pickle
from tests.core.bodies import official_files
from tests.core.bodies.official_files import Ch, Select, csc_matrix, dump

ARRAYS = [
    np.arange(12, dtype=np.uint32).reshape(4, 3),
    np.linspace(-1, 1, 500),
    np.asfortranarray(np.arange(24.0).reshape(4, 3, 2)),
    np.array(4294967295),
    np.array([True, False]),
    np.arange(200, dtype=">i2"),
]


def read(data: bytes):
    value, end, _ = read_pickle(memoryview(data), KNOWN)
    assert end == len(data)
    return value


@pytest.mark.parametrize("expected", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize(("protocol", "python2"), [(2, True), (2, False), (3, False), (4, False), (5, False)])
def test_arrays_of_every_protocol(expected: np.ndarray, protocol: int, python2: bool):
    found = array(read(dump(expected, protocol, python2)))
    assert np.array_equal(found, expected) and found.shape == expected.shape
    assert found.dtype == expected.dtype.newbyteorder("=")


def test_what_python_writes_today():
    several = [1, -5, 2.5, None, True, "text", b"bytes", (), (1, 2, 3, 4)]
    value = {"a": several, "b": np.arange(3000.0), 3: {}, "n": 70000}
    for protocol in (2, 3, 4, 5):
        found = read(pickle.dumps(value, protocol))
        assert np.array_equal(array(found.pop("b")), value["b"])
        assert found["a"][:6] == value["a"][:6] and found["a"][7:] == value["a"][7:] and found["n"] == 70000


def test_chumpy_and_scipy():
    values = np.random.default_rng(0).normal(size=(7, 3, 4))
    matrix = np.where(values[..., 0] > 0, values[..., 0], 0)
    found = read(dump({"ch": Ch(values), "select": Select(values), "csc": csc_matrix(matrix)}))
    assert np.array_equal(array(found["ch"]), values) and np.array_equal(array(found["select"]), values)
    assert np.array_equal(array(found["csc"]), matrix)


def test_today_s_scipy_writes_another_name():
    from scipy.sparse import csc_matrix as today

    matrix = np.diag([1.0, 0, 3])
    assert np.array_equal(array(read(pickle.dumps(today(matrix), 2))), matrix)


def test_numbers_take_no_memory_until_they_are_asked_for():
    data = dump({"big": np.zeros(100_000)})
    record = read(data)["big"]
    assert isinstance(record, Record) and isinstance(record.state[4], memoryview) and record.state[4].obj is data


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_what_torch_writes(tmp_path: Path, legacy: bool):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    dense = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    indices, values = torch.tensor([[0, 2, 2], [1, 0, 3]]), torch.tensor([1.5, 2.5, 3.5], dtype=torch.float64)
    value = {
        "part": dense[1:3, ::2],
        "turned": dense.T,
        "same": dense,
        "parameter": torch.arange(3),
        "sparse": [torch.sparse_coo_tensor(indices, values, (3, 4), check_invariants=True)],
        "numpy": np.arange(5.0),
    }
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    found = read_container(tmp_path / "x.pt")
    for name in ("part", "turned", "same", "parameter", "numpy"):
        assert np.array_equal(array(found[name]), np.asarray(value[name])), name
    matrix = sparse(found["sparse"][0])
    assert matrix.shape == (3, 4) and matrix.rows.tolist() == [0, 2, 2] and matrix.columns.tolist() == [1, 0, 3]
    assert matrix.values.tolist() == [1.5, 2.5, 3.5]


@pytest.mark.torch
def test_torch_reads_our_made_up_files(made_up: Path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = torch.load(made_up / "hand_mesh_transforms.pt", weights_only=True)
    ours = sparse(read_container(made_up / "hand_mesh_transforms.pt")["D"][0])
    dense = np.zeros(ours.shape)
    dense[ours.rows, ours.columns] = ours.values
    assert np.array_equal(theirs["D"][0].to_dense().numpy(), dense) and dense.sum() == 195


class Marker:
    """Makes a file when it is unpickled carelessly."""

    def __init__(self, path: Path, call: str) -> None:
        self.path, self.call = path, call

    def __reduce__(self):
        calls = {
            "mkdir": (os.mkdir, (str(self.path),)),
            "eval": (eval, (f"open({str(self.path)!r}, 'w')",)),
        }
        calls["open"] = (open, (str(self.path), "w"))
        return calls[self.call]


def careless(data: bytes) -> None:
    pickle.loads(data)


@pytest.mark.parametrize("call", ["mkdir", "eval", "open"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("place", ["alone", "in a dict", "state", "in an array"])
def test_a_call_is_refused_by_name_and_not_made(tmp_path: Path, call: str, protocol: int, place: str):
    path = tmp_path / "marker"
    value = Marker(path, call)
    if place == "in a dict":
        value = {"v_template": np.zeros(3), "f": [value]}
    elif place == "state":
        holder = collections.OrderedDict()
        holder.__dict__["hidden"] = value
        value = holder
    elif place == "in an array":
        value = np.array([value, None], object)
    data = pickle.dumps(value, protocol)
    with pytest.raises(Broken) as refused:
        read(data)
    assert protocol < 2 or (isinstance(refused.value, Refused) and call in refused.value.names[0])
    assert not path.exists()
    careless(data)  # the test itself must be able to fail
    assert path.exists()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


NDARRAY = b"cnumpy\nndarray\n"
TRICKS = {
    "dotted name in an allowed module": b"\x80\x04" + text("numpy") + text("core.multiarray._reconstruct") + b"\x93.",
    "dotted module": b"\x80\x02cnumpy.core\nmultiarray._reconstruct\n.",
    "attribute of an allowed function": b"\x80\x04" + text("_codecs") + text("encode.__self__") + b"\x93.",
    "allowed name of another module": b"\x80\x02cos\nndarray\n.",
    "numpy's own loader": b"\x80\x02cnumpy\nload\n.",
    "numpy's test runner": b"\x80\x02cnumpy.testing._private.utils\nruncommand\n.",
    "torch's own loader": b"\x80\x02ctorch\nload\n.",
    "chumpy's relatives": b"\x80\x02cchumpy.ch\nloads\n.",
    "scipy's relatives": b"\x80\x02cscipy.sparse._csc\nnp\n.",
    "call of a record": b"\x80\x02" + NDARRAY + b")R)R.",
    "call of text": b"\x80\x02" + text("eval") + b")R.",
    "arguments that are no tuple": b"\x80\x02" + NDARRAY + b"]R.",
    "state of a name": b"\x80\x02" + NDARRAY + b"}b.",
    "state of a list": b"\x80\x02]}b.",
    "state twice": b"\x80\x02" + NDARRAY + b")\x81}b}b.",
    "items of a record": b"\x80\x02" + NDARRAY + b")\x81(" + text("a") + b"Nu.",
    "items of a name": b"\x80\x02" + NDARRAY + text("a") + b"Ns.",
    "items by halves": b"\x80\x02}(" + text("a") + b"u.",
    "append to a record": b"\x80\x02" + NDARRAY + b")\x81Na.",
    "append to a tuple": b"\x80\x02)Na.",
    "a key that is a tuple": b"\x80\x02})Ns.",
    "a key that is a record": b"\x80\x02}" + NDARRAY + b")\x81Ns.",
    "an old instance": b"\x80\x02(ios\nsystem\n.",
    "an object": b"\x80\x02(" + NDARRAY + b"o.",
    "new with keywords": b"\x80\x04" + NDARRAY + b")}\x92.",
    "an extension": b"\x80\x02\x82\x01.",
    "a buffer from outside": b"\x80\x05\x97.",
    "a text reference": b"\x80\x02Pstorage\n.",
    "a memo never made": b"\x80\x02h\x05.",
    "an empty stack": b"\x80\x02.",
    "a mark never set": b"\x80\x02t.",
    "more than there is": b"\x80\x02N\x87.",
    "a mark of things long gone": b"\x80\x02NN(N0\x87t.",
    "text that is none": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "an integer of 255 bytes": b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".",
    "a name that never ends": b"\x80\x02c" + b"a" * 5000,
    "names that are numbers": b"\x80\x04K\x01K\x02\x93.",
    "instructions without end": b"\x80\x02" + b"N0" * 200_000 + b".",
    "lists without end": b"\x80\x02" + b"]" * 300_000 + b".",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks(trick: str):
    modules = set(sys.modules)
    with pytest.raises(Broken):
        read(TRICKS[trick])
    assert set(sys.modules) == modules


LENGTHS = dict.fromkeys([b"T", b"X", b"B"], "<I") | dict.fromkeys([b"U", b"C", b"\x8c"], "<B")
LENGTHS |= dict.fromkeys([b"\x8d", b"\x8e", b"\x96"], "<Q")


@pytest.mark.parametrize("code", LENGTHS)
def test_a_length_beyond_the_end_takes_no_memory(code: bytes):
    layout = LENGTHS[code]
    most = (1 << 8 * struct.calcsize(layout)) - 1
    with pytest.raises(Truncated):
        read(b"\x80\x04" + code + struct.pack(layout, most) + b"short.")


def test_a_far_memo_takes_no_memory():
    assert read(b"\x80\x02Nr\xff\xff\xff\xffj\xff\xff\xff\xff\x86.") == (None, None)


def test_doubling_takes_no_time():
    """Each tuple holds the one before twice: 2^60 leaves, were anyone to walk through them."""
    doubled = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    assert isinstance(read(b"\x80\x02N" + doubled + b"."), tuple)


def record_of(shape: object, kind: str = "f8", data: object = b"12345678", order: str = "<") -> Record:
    dtype = Record("dtype", (kind, 0, 1), (3, order, None, None, None, -1, -1, 0))
    return Record("ndarray", (), (1, shape, dtype, False, data))


HUGE = 10**15


def selection(index: int, size: int) -> Record:
    return Record("Select", (), {"a": np.zeros(3), "idxs": np.array([index]), "preferred_shape": size})


def matrix_of(row: int) -> Record:
    columns = {"indptr": np.array([0, 1]), "_shape": (2, 1)}
    return Record("csc_matrix", (), {"data": np.ones(1), "indices": np.array([row])} | columns)


NONSENSE = {
    "too large": record_of((HUGE, HUGE)),
    "too large, and empty": record_of((HUGE, 0), data=b""),
    "negative": record_of((-1, -1)),
    "not enough bytes": record_of((2,)),
    "too many bytes": record_of((1,), "f4"),
    "a shape of text": record_of(("a",)),
    "a shape of truths": record_of((True,)),
    "no shape": record_of(None),
    "64 dimensions": record_of((1,) * 64),
    "objects": record_of((1,), "O8"),
    "text": record_of((1,), "S8"),
    "a record dtype": record_of((1,), "V8"),
    "a kind of list": record_of((1,), ["f8"]),
    "an order of bytes that is none": record_of((1,), order="x"),
    "no bytes": record_of((1,), data=None),
    "text beyond Latin-1": record_of((1,), data="\u0100" * 8),
    "more text than numbers": record_of((1,), data=Record("bytes", (memoryview(b"\xc3\xbf" * 500), "latin1"))),
    "another encoding": record_of((1,), data=Record("bytes", ("12345678", "utf-7"))),
    "no state": Record("ndarray", ()),
    "short state": Record("ndarray", (), (1, 2)),
    "chumpy without numbers": Record("Ch", (), {}),
    "chumpy with itself": (lambda ch: setattr(ch, "state", {"x": ch}) or ch)(Record("Ch", ())),
    "a selection beyond the end": selection(7, 1),
    "a selection of another size": selection(1, 9),
    "a sparse matrix with rows outside": matrix_of(9),
    "a sparse matrix with negative rows": matrix_of(-1),
    "a sparse matrix of huge columns": Record(
        "csc_matrix",
        (),
        {
            "data": np.ones(0),
            "indices": np.zeros(0, int),
            "indptr": np.array([0, 1 << 62, -(1 << 63), -(1 << 62), 0]),
            "_shape": (2, 4),
        },
    ),
    "a sparse matrix too large": Record(
        "csc_matrix", (), {"data": np.ones(0), "indices": np.ones(0), "indptr": np.zeros(1), "_shape": (HUGE, HUGE)}
    ),
    "a tensor without storage": Record("tensor", (None, 0, (1,), (1,))),
    "a tensor beyond its storage": Record("tensor", (np.zeros(4), 2, (3,), (1,))),
    "a tensor spread without end": Record("tensor", (np.zeros(1), 0, (HUGE,), (0,))),
    "a tensor with strides beyond": Record("tensor", (np.zeros(4), 0, (2, 2), (3, 3))),
    "a tensor with negative strides": Record("tensor", (np.zeros(4), 3, (2,), (-1,))),
    "a tensor of more strides than sizes": Record("tensor", (np.zeros(4), 0, (2,), (1, 1))),
    "a tensor before its storage": Record("tensor", (np.zeros(4), -1, (2,), (1,))),
    "something else": Record("set", ([],)),
    "a list": [1.0, 2.0],
    "text itself": "array",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_arrays_that_make_no_sense(name: str):
    with pytest.raises(Broken):
        array(NONSENSE[name])


def test_nothing_is_looked_up():
    """The reader knows names as text only: it holds no function of NumPy, SciPy, chumpy or torch to call."""
    assert all(type(part) is str for names, short in KNOWN.items() for part in (*names, short))
    value = read(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + b")R.")
    assert value.kind == "tensor" and value.arguments == () and type(value).__module__ == "dice_core.untrusted.pickles"


def test_npy_headers(tmp_path: Path):
    good = io.BytesIO()
    np.save(good, np.arange(6.0).reshape(2, 3))
    data = good.getvalue()
    path = tmp_path / "x.npy"

    def written(content: bytes):
        path.write_bytes(content)
        return read_container(path)

    assert np.array_equal(written(data), np.arange(6.0).reshape(2, 3))
    with pytest.raises(Truncated):
        written(data[:-1])
    with pytest.raises(Truncated):
        written(data.replace(b"(2, 3), }", b"(2000,), }"))
    other_version = b"\x93NUMPY\x09\x00" + data[8:]
    for broken in (data[:20], data.replace(b"<f8", b"<q8"), data.replace(b"'shape'", b"'shame'"), other_version):
        with pytest.raises(Broken):
            written(broken)
    assert written(official_files.npy_object({"a": 1})) == {"a": 1}
