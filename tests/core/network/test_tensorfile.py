# SPDX-License-Identifier: GPL-3.0-or-later
"""The converted file: what another program reads in it, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.body.kinds import NETWORK_FILE  # noqa: E402
from dice_core.errors import DiceError  # noqa: E402
from dice_core.network.checkpoint import convert, read  # noqa: E402

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
    with pytest.raises(DiceError, match="not a converted checkpoint of DICE"):
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
    with pytest.raises(DiceError, match="cut short|damaged|not in the safetensors"):
        content = (tmp_path / NETWORK_FILE).read_bytes()
        read(written_to(tmp_path / "x", content[: int(len(content) * keep)]))


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
