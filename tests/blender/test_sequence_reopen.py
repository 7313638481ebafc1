# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence's .blend in a Blender that never heard of the extension."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from dice_capture.dice_blender import compat
from dice_capture.dice_blender.scene import build
from dice_capture.dice_blender.scene.sequence import build_sequence
from sequences import AXES, LEAST, cached, curve, expected, ground

from tools.made_up_sequence import ASSETS, write

COUNT, FRAMES, GAP = 300, (1, 40, 150, 300), (100, 200)

LOOK = """
import sys
import bpy
import numpy as np

bpy.ops.wm.read_factory_settings()
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert not hasattr(bpy.types.Scene, "dice")
scene, found = bpy.context.scene, {}
for frame in map(int, sys.argv[3:]):
    scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    for name in ("Head", "Hand.R"):
        item = bpy.data.objects[name]
        found[f"{name} {frame} hidden"] = item.hide_render
        if item.hide_viewport:
            continue
        mesh = item.evaluated_get(graph).data
        points = np.zeros(3 * len(mesh.vertices), np.float32)
        mesh.attributes["position"].data.foreach_get("vector", points)
        group = item.vertex_groups["Contact"].index
        matrix = np.array(item.matrix_world)
        found[f"{name} {frame}"] = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        found[f"{name} {frame} contact"] = [
            sum(g.weight for g in vertex.groups if g.group == group) for vertex in mesh.vertices
        ]
    found[f"jaw {frame}"] = bpy.data.objects["Head"]["jawOpen"]
    rig = bpy.data.objects["Hand Rig.R"].evaluated_get(graph)
    found[f"bone {frame}"] = rig.matrix_world @ rig.pose.bones["f_index.03.R"].head
np.savez(sys.argv[2], camera=scene.camera.name, **found)
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["caches", "shape_keys"])
def test_it_plays_without_the_extension(layout: str, tmp_path: Path, blender: Callable[..., str]) -> None:
    count = COUNT if layout == "caches" else 60
    frames = [frame for frame in FRAMES if frame <= count]
    folder = tmp_path / "cache" / "clip"
    write(folder, count, gaps={"hand_right": GAP if layout == "caches" else (0, 0)})
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    head = build.parts(build_sequence(folder, bpy.context.scene, layout=layout))["head"]
    path = '["Deformation"]'
    if layout == "caches":
        path = compat.node_input(head.modifiers["DICE Sequence"], "Deformation").whole
    factor = compat.channels(head).fcurves.new(path)
    for frame, value in ((1, 0.0), (41, 2.0)):
        factor.keyframe_points.insert(frame, value).interpolation = "LINEAR"
    bpy.ops.wm.save_mainfile()
    assert (tmp_path / "scene.blend").stat().st_size < 2_000_000

    blender(LOOK, tmp_path / "scene.blend", tmp_path / "seen.npz", *frames)
    seen = np.load(tmp_path / "seen.npz")
    assert str(seen["camera"]) == "Camera"
    expression = curve(folder, "params_head_expression")
    names = list(np.load(ASSETS / "head.npz")["expression_names"])
    for frame in frames:
        k, amount = frame - 1, min((frame - 1) / 20, 2.0)
        wanted = expected(folder, "head", k, amount)
        np.testing.assert_allclose(seen[f"Head {frame}"], wanted, atol=1e-6)
        assert seen[f"jaw {frame}"] == pytest.approx(expression[k, names.index("jawOpen")], abs=0.0051)
        gone = layout == "caches" and GAP[0] <= k < GAP[1]
        assert bool(seen[f"Hand.R {frame} hidden"]) == gone
        if not gone:  # what is hidden is not moved either
            joint = np.append(np.load(folder / "static.npz")["hand_right_bone_joints"][10], 1)
            bone = (curve(folder, "hand_right_bone_transforms")[k, 10] @ joint)[:3]
            np.testing.assert_allclose(seen[f"bone {frame}"], (bone - ground(folder)) @ AXES.T, atol=1e-3)
            np.testing.assert_allclose(seen[f"Hand.R {frame}"], expected(folder, "hand_right", k), atol=1e-6)
        if layout == "caches":
            probable = np.float32(cached(folder, "head_contact", k)[:, 0])
            np.testing.assert_array_equal(
                np.float32(seen[f"Head {frame} contact"]), np.where(probable >= LEAST, probable, 0)
            )
