# SPDX-License-Identifier: GPL-3.0-or-later
"""The saved .blend in a Blender that never heard of the extension."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import api
from dice_capture.dice_blender.scene import axes
from synthetic import LANDSCAPE, capture, gradient, write_picture

LOOK = """
import sys
import bpy
import numpy as np

bpy.ops.wm.read_factory_settings()
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert not hasattr(bpy.types.Scene, "dice")
head = bpy.data.objects["Head"]
head.data.shape_keys.key_blocks["Deformation"].value = 2
scene = bpy.context.scene
mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
group = head.vertex_groups["Contact"].index
image = scene.camera.data.background_images[0].image
pixels = np.zeros(image.size[0] * image.size[1] * 4, np.float32)
image.pixels.foreach_get(pixels)
values = {name: np.zeros(len(mesh.vertices), np.float32) for name in ("dice_contact", "dice_deformation")}
for name, array in values.items():
    head.data.attributes[name].data.foreach_get("value", array)
np.savez(
    sys.argv[2],
    vertices=[vertex.co[:] for vertex in mesh.vertices],
    weights=[sum(g.weight for g in vertex.groups if g.group == group) for vertex in head.data.vertices],
    pixels=pixels.reshape(image.size[1], image.size[0], 4),
    size=[scene.render.resolution_x, scene.render.resolution_y],
    state=bpy.data.collections["DICE portrait"]["dice_contact_state"],
    materials=[slot.material.name for slot in head.material_slots],
    lens=scene.camera.data.lens,
    **values,
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("given", ["a file", "pixels"])
def test_everything_is_in_the_file(given: str, tmp_path: Path, blender: Callable[..., str]) -> None:
    made, pixels = capture(), gradient(LANDSCAPE.image_size)
    picture: object = write_picture(tmp_path / "portrait.png", pixels)
    if given == "pixels":
        picture = bpy.data.images.load(str(picture))
        picture.pack()
    api.import_capture(made, picture)
    (tmp_path / "elsewhere").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere" / "scene.blend"))
    (tmp_path / "portrait.png").unlink()

    blender(LOOK, tmp_path / "elsewhere" / "scene.blend", tmp_path / "seen.npz")
    seen = np.load(tmp_path / "seen.npz")
    expected = axes.to_world(made.head.vertices + 2 * made.head.deformation, axes.ground(made))
    np.testing.assert_allclose(seen["vertices"], expected, atol=1e-6)
    contact = made.head.contact
    np.testing.assert_array_equal(np.float32(seen["weights"]), np.where(contact >= 0.05, contact, 0))
    np.testing.assert_array_equal(seen["dice_contact"], made.head.contact)
    np.testing.assert_allclose(seen["dice_deformation"], np.linalg.norm(made.head.deformation, axis=1), atol=1e-8)
    np.testing.assert_allclose(seen["pixels"][::-1, :, :3] * 255, pixels, atol=1)
    assert tuple(seen["size"]) == LANDSCAPE.image_size
    assert str(seen["state"]) == "touch"
    assert list(seen["materials"]) == ["DICE Skin"]
    assert seen["lens"] == pytest.approx(36 * 410 / 320)
