# SPDX-License-Identifier: GPL-3.0-or-later
"""Three close-ups of where a captured hand presses the skin: with `make demo`'s scene,

    .venv/blender/bin/python tools/closeups.py out/demo.blend docs/images/closeups.png

Grey clay, so that nothing but shape is seen: from the photograph's side, and from 55 degrees to either side of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

SIDE, SAMPLES, LENS = 480, 32, 70.0
DISTANCE = 0.34  # metres from the contact
TURNS = (0, -55, 55)  # degrees about the vertical
COLOURS = {"Head": (0.62, 0.60, 0.58, 1), "Hand": (0.75, 0.52, 0.40, 1)}


def contact_middle(head: bpy.types.Object) -> Vector:
    """The weighted middle of the vertices that touch, in the world."""
    group = head.vertex_groups["Contact"].index
    weights = np.zeros(len(head.data.vertices))
    for vertex in head.data.vertices:
        for element in vertex.groups:
            if element.group == group:
                weights[vertex.index] = element.weight
    places = np.zeros(3 * len(weights))
    head.data.vertices.foreach_get("co", places)
    middle = np.average(places.reshape(-1, 3), axis=0, weights=weights)
    return head.matrix_world @ Vector(middle.tolist())


def clay() -> None:
    """Head and hands in plain colours; everything else hidden."""
    for thing in bpy.context.scene.objects:
        name = thing.name.partition(".")[0]
        if name not in COLOURS:
            thing.hide_render = thing.type != "CAMERA"
            continue
        material = bpy.data.materials.new(f"Clay {name}")
        material.use_nodes = True
        shader = material.node_tree.nodes["Principled BSDF"]
        shader.inputs["Base Color"].default_value, shader.inputs["Roughness"].default_value = COLOURS[name], 0.6
        thing.data.materials.clear()
        thing.data.materials.append(material)


def view(middle: Vector, turn: float) -> None:
    """A camera that looks at the contact, and a lamp at its shoulder that rakes over the skin."""
    scene = bpy.context.scene
    toward = (scene.camera.matrix_world.translation - middle).normalized()
    around = Matrix.Rotation(np.radians(turn), 4, "Z")
    direction = around @ toward
    for name, data, place in (
        ("Close", bpy.data.cameras.new("Close"), middle + DISTANCE * direction),
        ("Rake", bpy.data.lights.new("Rake", "AREA"),
         middle + 0.5 * (Matrix.Rotation(np.radians(70), 4, "Z") @ direction) + Vector((0, 0, 0.35))),
    ):  # fmt: skip
        thing = bpy.data.objects.new(name, data)
        thing.matrix_world = Matrix.Translation(place) @ (middle - place).to_track_quat("-Z", "Y").to_matrix().to_4x4()
        scene.collection.objects.link(thing)
        if name == "Close":
            data.lens, data.clip_start, camera = LENS, 0.01, thing
        else:
            data.energy, data.size = 9.0, 0.25
    scene.camera = camera


def render(blend: Path, turn: float, output: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    head = next(thing for thing in scene.objects if thing.name.partition(".")[0] == "Head")
    middle = contact_middle(head)
    clay()
    view(middle, turn)
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.5, 0.53, 0.58, 1)
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.5
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", SAMPLES, True
    scene.render.resolution_x = scene.render.resolution_y = SIDE
    scene.render.resolution_percentage, scene.render.film_transparent = 100, False
    scene.render.image_settings.file_format, scene.render.filepath = "PNG", str(output)
    bpy.ops.render.render(write_still=True)


def main(blend: Path, output: Path) -> None:
    strip = np.zeros((SIDE, SIDE * len(TURNS), 4), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for index, turn in enumerate(TURNS):
            path = Path(folder) / f"{index}.png"
            render(blend, turn, path)
            image = bpy.data.images.load(str(path))
            pixels = np.zeros(SIDE * SIDE * 4, np.float32)
            image.pixels.foreach_get(pixels)
            strip[:, index * SIDE : (index + 1) * SIDE] = pixels.reshape(SIDE, SIDE, 4)
    result = bpy.data.images.new("Closeups", strip.shape[1], SIDE)
    result.pixels.foreach_set(strip.ravel())
    result.filepath_raw, result.file_format = str(output), "PNG"
    result.save()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
