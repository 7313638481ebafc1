# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the bundled sample picture: a rendered person (nobody's likeness) who holds the right hand against the cheek.

A developer's script in two steps, because Anny and Blender want different environments:

    python tools/make_sample.py figure FOLDER            # where anny, scipy, libigl and opencv are (see bake_body.py)
    python tools/make_sample.py render FOLDER OUT.jpg    # where bpy 4.5 and pillow are; six minutes on two cores

The tests keep OUT.jpg as tests/data/sample.jpg and FOLDER/truth.npz as tests/data/sample_truth.npz.
The picture is made of CC0 data only (dice_core/body/assets/PROVENANCE.md) and is itself offered under CC0 1.0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SEED, TEXTURE_SIZE = 3, 4096
SAMPLES, SIZE, QUALITY = 128, 768, 92
EYE_PARTS = ("eye_front.L", "eye_back.L", "eye_front.R", "eye_back.R")


def make_figure(folder: Path) -> None:
    """figure.npz (what `sample.scene.render` reads), skin.png, and truth.npz: what an engine should find."""
    import cv2

    from tools.bake_body import load_body
    from tools.sample import clothes, figure, hair, paint

    body = load_body()
    posed = figure.make_figure(body)
    rng = np.random.default_rng(SEED)
    head = posed.vertices[posed.head]
    faces, rest = figure.baked_head()
    scalp = hair.Scalp(head, faces[(posed.part[posed.head][faces] == 0).all(1)], rest, figure.turn_of(head))
    marks = figure.landmarks(head)
    arrays = {
        "hair": hair.hair(scalp, rng),
        "brows": hair.brows(scalp, rng),
        "lashes": hair.lashes(marks, scalp.turn, rng),
        "target": marks[[1, 205, 425]].mean(0),
        **clothes.skin(body, posed),
        **clothes.sweater(body, posed),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "figure.npz", **arrays)
    truth = {"head": head - posed.dent, "deformation": posed.dent, "hand": posed.hand, "joints": posed.hand_joints}
    np.savez_compressed(folder / "truth.npz", **{key: value.astype(np.float32) for key, value in truth.items()})
    skin = paint.texture(posed.rest, body.faces, body.uv, body.faces_uv, posed.part, TEXTURE_SIZE)
    cv2.imwrite(str(folder / "skin.png"), skin[..., ::-1])


def render(folder: Path, output: Path) -> None:
    """The finished JPEG, which says with which lens it was taken."""
    from PIL import Image

    from tools.sample import scene

    scene.render(folder / "figure.npz", folder / "skin.png", folder / "sample.png", SAMPLES, SIZE)
    picture = Image.open(folder / "sample.png").convert("RGB")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = round(scene.LENS)
    picture.save(output, quality=QUALITY, exif=exif)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["figure", folder]:
            make_figure(Path(folder))
        case ["render", folder, output]:
            render(Path(folder), Path(output))
        case _:
            raise SystemExit(__doc__)
