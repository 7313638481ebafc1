# SPDX-License-Identifier: GPL-3.0-or-later
"""The converted file: what another program reads in it, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body.kinds import NETWORK_FILE  # noqa: E402
from dice_core.errors import DiceError  # noqa: E402
from dice_core.network import tensorfile  # noqa: E402
from dice_core.network.checkpoint import convert, load, read  # noqa: E402

pytestmark = pytest.mark.torch


def written_to(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_safetensors_library_agrees(made_up_official, tmp_path):
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    written = convert(made_up_official(), tmp_path)
    loaded = library.load_file(tmp_path / NETWORK_FILE)
    assert loaded.keys() == written.tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in written.tensors.items())
    library.save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors", {"about": "nothing"})
    with pytest.raises(DiceError, match="not converted by this program"):
        read(tmp_path / "other.safetensors")


def test_a_newer_one(made_up_official, tmp_path):
    convert(made_up_official(), tmp_path)
    content = (tmp_path / NETWORK_FILE).read_bytes()
    path = written_to(tmp_path / "new", content.replace(b'"format": "1"', b'"format": "2"'))
    with pytest.raises(DiceError, match="newer version"):
        read(path)


@pytest.mark.parametrize("keep", [0.0005, 0.3, 0.9999])
def test_cut_short(keep, made_up_official, tmp_path):
    convert(made_up_official(), tmp_path)
    with pytest.raises(DiceError, match="is incomplete.*Convert model.bin again"):
        content = (tmp_path / NETWORK_FILE).read_bytes()
        read(written_to(tmp_path / "x", content[: int(len(content) * keep)]))


@pytest.mark.parametrize("keep", [0, 4, 0.001, 0.5])
def test_a_damaged_conversion_is_to_be_made_again(keep, made_up_official, tmp_path):
    """Whatever is left of it: in the models folder it is ours, not the user's model.bin."""
    convert(made_up_official(), tmp_path)
    content = (tmp_path / NETWORK_FILE).read_bytes()
    (tmp_path / NETWORK_FILE).write_bytes(content[: keep if keep > 1 else int(len(content) * keep)])
    with pytest.raises(DiceError, match="Convert model.bin again"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        *(("heads", value) for value in ("0", "-4", "2.5", "[4]", "{}{", '{"trans_encoder.0": "4"}', "true", "null")),
        *(("layer_norm_eps", value) for value in ("0", "-1e-12", "NaN", "Infinity", '{"trans_encoder.0": NaN}', "[]")),
    ],
)
def test_settings_that_make_no_sense(what, value, made_up_official, tmp_path):
    tensors, notes = tensorfile.read(convert_to(made_up_official(), tmp_path))
    path = tmp_path / "x.safetensors"
    tensorfile.write(path, tensors, notes | {what: value})
    with pytest.raises(DiceError, match="sensible|not converted by"):
        read(path)


def convert_to(path: Path, folder: Path) -> Path:
    convert(path, folder)
    return folder / NETWORK_FILE


@pytest.mark.parametrize(
    "header",
    [
        *(b"{}", b"[]", b"{" * 900, b"{\xff}", b'{"a":1}', b'{"__metadata__":7}'),
        *(
            b'{"a":{"dtype":%s,"shape":%s,"data_offsets":[%s]}}' % parts
            for parts in [
                (b'"F32"', b"[2]", b"0,4"),
                (b'"F32"', b"[-1,-1]", b"0,4"),
                (b'"X"', b"[]", b"0,4"),
                (b"[]", b"[1]", b"0,4"),
                (b'"F32"', b"[1]", b"400,404"),
                (b'"F32"', b"[1]", b"-4,0"),
                (b'"F32"', b"[1.0]", b"0,4"),
                (b'"F32"', b"[9999999999999999999]", b"0,39999999999999999996"),
            ]
        ),
    ],
)
def test_odd_headers(header, tmp_path):
    path = written_to(tmp_path / "x", struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(DiceError):
        read(path)


def test_a_header_that_is_too_long(tmp_path):
    path = written_to(tmp_path / "x", struct.pack("<Q", 1 << 62) + b'{"a":1}')
    with pytest.raises(DiceError, match="not in the safetensors format"):
        read(path)
