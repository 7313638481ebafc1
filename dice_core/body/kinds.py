# SPDX-License-Identifier: GPL-3.0-or-later
"""The official files that the dice engine needs: what they are, where one gets them, and on what terms.

Standard library only: `doctor` speaks of them on any Python.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..files import UNREADABLE


@dataclass(frozen=True)
class Source:
    """Where files come from, and on what terms, as far as we know them; the page itself is what counts."""

    name: str
    page: str
    licence: str


MANO = Source(
    "MANO", "https://mano.is.tue.mpg.de", "MANO licence (Max Planck Society): non-commercial research, no passing on"
)
FLAME = Source(
    "FLAME", "https://flame.is.tue.mpg.de", "FLAME licence (Max Planck Society): non-commercial research, no passing on"
)
DICE = Source(
    "DICE",
    "https://github.com/Qingxuan-Wu/DICE",
    "code under MIT; its data are made with MANO, FLAME and Decaf: non-commercial research like them",
)


@dataclass(frozen=True)
class Kind:
    """A file that is needed: what it is, its name and whereabouts at its source."""

    title: str
    file: str
    source: Source
    where: str
    needed: bool = True


KINDS = {
    "mano_right": Kind("the right hand of MANO", "MANO_RIGHT.pkl", MANO, "in mano_v1_2.zip (Models & Code)"),
    "flame": Kind("the head of FLAME 2020", "generic_model.pkl", FLAME, "in FLAME2020.zip (FLAME 2020)"),
    "landmark_embedding": Kind("FLAME's 68 landmarks", "landmark_embedding.npy", DICE, "with its data"),
    "head_mesh_transforms": Kind("the head's coarser meshes", "head_mesh_transforms.pt", DICE, "with its data"),
    "hand_mesh_transforms": Kind("the hand's coarser meshes", "hand_mesh_transforms.pt", DICE, "with its data"),
    "head_ref_vs": Kind("the head's reference vertices", "head_ref_vs.pt", DICE, "with its data"),
    "rh_ref_vs": Kind("the hand's reference vertices", "rh_ref_vs.pt", DICE, "with its data"),
    "neck_idx": Kind("the vertices that never deform", "neck_idx.npy", DICE, "with its data"),
    "stiffness_final": Kind("how stiff the face is", "stiffness_final.npy", DICE, "with its data", needed=False),
    "network": Kind("the network's weights", "model.bin", DICE, "as its page says"),
}
NETWORK = "network"
BARE = ("head_ref_vs", "rh_ref_vs", "neck_idx", "stiffness_final")  # one array: many an unrelated file looks the same
LONGEST_HEADER = 2 << 20  # bytes; the network's has 0.4 million
NETWORK_FILE = "dice_network.safetensors"  # what `network.checkpoint` makes of it


def converted(folder: Path, key: str) -> Path:
    """Where the converted file of a key in KINDS lies in a models folder."""
    return Path(folder) / (NETWORK_FILE if key == NETWORK else f"{key}.npz")


def where_from(key: str) -> str:
    """What to do to have a file, as a sentence."""
    kind = KINDS[key]
    return (
        f"Get {kind.file} from the {kind.source.name} page ({kind.source.page}; {kind.source.licence}), "
        "then run `python -m dice_core convert FILE`."
    )


def missing(folder: Path) -> list[str]:
    """The keys of what is needed and not in a models folder."""
    return [key for key, kind in KINDS.items() if kind.needed and not os.path.isfile(converted(folder, key))]


def intact(folder: Path, key: str) -> bool:
    """Whether a converted file is whole and what its name says, as far as its container tells."""
    path = converted(folder, key)
    try:
        if key == NETWORK:
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(min(length, LONGEST_HEADER)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max(ends) == path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                return False  # which is not how we write
            named = key.encode("utf-32-le") in archive.read("kind.npy")
            return named and len(archive.namelist()) > 1 and archive.testzip() is None
    except (*UNREADABLE, AttributeError):
        return False
