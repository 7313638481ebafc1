# SPDX-License-Identifier: GPL-3.0-or-later
"""Paint and grow what many pictures share: `python -m tools.learn.bank`. Heads, hair, skins and backgrounds.

Every fifth of each is for checking only.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dice_core.body.openbody import SKIN, head_model
from dice_core.paths import ROOT

from ..benchmark import appearance_hair as hair
from ..benchmark import appearance_room as room
from ..benchmark import appearance_skin as skin
from ..benchmark.people import face

FOLDER = ROOT / "out" / "learn"
HEADS, SKINS, ROOMS = 150, 60, 250
SEED = 5_000_000  # far from the benchmark's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER / "bank")
    parser.add_argument("--share", type=float, default=1.0, help="of everything, for trying out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    for index in range(round(HEADS * options.share)):
        np.savez(options.out / f"head{index:03}.npz", **head(np.random.default_rng([SEED, 1, index])))
    print(f"heads {time.perf_counter() - start:.0f} s", flush=True)
    for index in range(round(SKINS * options.share)):
        np.savez(options.out / f"skin{index:03}.npz", **skins(np.random.default_rng([SEED, 2, index])))
    print(f"skins {time.perf_counter() - start:.0f} s", flush=True)
    rng = np.random.default_rng([SEED, 3])
    np.save(options.out / "rooms.npy", np.stack([room.surroundings(rng) for _ in range(round(ROOMS * options.share))]))
    print(f"all {time.perf_counter() - start:.0f} s", flush=True)


def head(rng: np.random.Generator) -> dict[str, NDArray]:
    """A head that looks straight ahead, and hair as places on the scalp with the way out from there."""
    made = face(rng, 0.0)
    vertices = made.vertices @ made.rotation
    style = hair.random_style(rng)
    data = {"vertices": vertices, "lift": np.array(style.lift), "style": np.array(style.name)}
    if style.name not in hair.STRANDS:
        return data
    model = head_model()
    grown = hair.refined(vertices, model.faces[(model.part[model.faces] == SKIN).all(1)], 1)
    seed = int(rng.integers(1 << 30))
    full = hair.shell(grown, style, np.zeros((0, 3)), np.random.default_rng(seed))
    none = hair.shell(grown, style, grown.vertices, np.random.default_rng(seed))  # hands everywhere
    base, out, faces, flow = none["hair_vertices"], full["hair_vertices"], full["hair_faces"], full["hair_flow"]
    if style.name == "long":
        points, sheet, streaks = hair.curtain(vertices[model.part == SKIN], style, np.zeros((0, 3)), rng)
        faces = np.concatenate([faces, sheet + len(base)])
        base, out, flow = (np.concatenate(pair) for pair in ((base, points), (out, points), (flow, streaks)))
    return data | {"hair_base": base, "hair_out": out, "hair_faces": faces, "hair_flow": flow}


def skins(rng: np.random.Generator) -> dict[str, NDArray]:
    """The textures of a person without and with painted hair, at half size, and the colours of what is modelled."""
    colours = skin.random_colours(rng)
    painted = skin.paint_head(colours, float(rng.choice([0.15, 0.65, 0.9])), np.zeros(3), rng)
    hand = skin.paint_hand(colours, rng)
    return {"head": cv2.resize(painted, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            "hand": cv2.resize(hand, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            "hair": colours.hair, "iris": colours.iris, "skin": colours.skin}  # fmt: skip


if __name__ == "__main__":
    main()
