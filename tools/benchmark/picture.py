# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the people of `appearance` with Cycles. Needs bpy; `render_many` pays for Blender's start once."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..sample import scene as studio
from ..sample.scene import bump, material, mesh, node

Figure = dict[str, NDArray]
THREADS = 2
EXPOSURES = (-8.0, 8.0)  # stops
Job = tuple[Path, Path, tuple[int, int], float, int]


def render(figure: Path, output: Path, size: tuple[int, int], focal: float, samples: int = 20) -> None:
    """Render figure.npz to a PNG.

    Parameters
    ----------
    size, focal
        Width and height in pixels; focal length in pixels, the principal point in the middle.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with np.load(figure) as loaded:
        data = {key: loaded[key] for key in loaded.files}
    _person(data)
    _garment(data)
    _room(data)
    _camera(size, focal, samples, "surroundings" in data)
    _exposed(data, size, focal, output)
    if "surroundings" in data:
        _behind(data["surroundings"], output, size)


def render_many(jobs: Iterable[Job]) -> None:
    """`render` for each (figure, output, size, focal, samples)."""
    for job in jobs:
        render(*job)


def _image(name: str, pixels: NDArray[np.uint8]) -> bpy.types.Image:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels[::-1] / np.float32(255)
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


def _skin(data: Figure, name: str) -> bpy.types.Material:
    """Painted skin that lets a little light through, with pores."""
    made, tree, shader = material(
        f"Skin {name}", Roughness=float(data["skin_roughness"]), Subsurface_Weight=0.55, Subsurface_Scale=0.004,
        Subsurface_Radius=(1.0, 0.35, 0.18), Specular_IOR_Level=0.40,
    )  # fmt: skip
    texture = node(tree, "ShaderNodeTexImage")
    texture.image = _image(name, data[f"{name}_texture"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    bump(tree, shader, 1300.0, float(data["skin_relief"]), 3.0)
    return made


def _rings(iris: NDArray) -> list[tuple[float, studio.Triple]]:
    """The eye's rings in this iris colour."""
    inner, limbus = tuple((1.3 * iris).tolist()), tuple((0.25 * iris).tolist())
    dark = (0.004, 0.004, 0.004)
    return [(0.0001, dark), (0.0019, dark), (0.0023, inner), (0.0045, tuple(iris.tolist())), (0.0056, limbus),
            (0.0063, (0.56, 0.53, 0.51)), (0.0078, (0.64, 0.60, 0.57)), (0.0119, (0.55, 0.40, 0.36))]  # fmt: skip


def _person(data: Figure) -> None:
    """Skin, eyes, hair and glasses."""
    eye = studio.eye_material(_rings(data["iris_colour"]))
    looks = {"head": _skin(data, "head"), "hand": _skin(data, "hand")}
    for name in [key[: -len("_uv")] for key in data if key.endswith("_uv")]:
        thing = mesh(name, data[f"{name}_vertices"], data[f"{name}_faces"], data[f"{name}_uv"])
        thing.data.materials.append(looks[name[:4]])
        if f"{name}_eye" in data:
            thing.data.materials.append(eye)
            thing.data.polygons.foreach_set("material_index", data[f"{name}_eye"].astype(np.int32))
            gaze = thing.data.attributes.new("gaze", "FLOAT_VECTOR", "POINT")
            gaze.data.foreach_set("vector", data[f"{name}_gaze"].astype(np.float32).ravel())
        _smooth(thing, 2)
    for name, radius, colour in (("hair_strands", 0.00011, "hair"), ("brows", 0.00006, "brow"),
                                 ("lashes", 0.00008, "brow"), ("beard", 0.00006, "brow")):  # fmt: skip
        if name in data and len(data[name]):
            dim = 0.35 if name == "lashes" else 1.0
            studio.strands(name, data[name], radius, _hair(name, dim * data[f"{colour}_colour"], False))
    if "hair_vertices" in data:
        thing = mesh("hair", data["hair_vertices"], data["hair_faces"])
        flow = thing.data.attributes.new("flow", "FLOAT_VECTOR", "POINT")
        flow.data.foreach_set("vector", data["hair_flow"].astype(np.float32).ravel())
        thing.data.materials.append(_hair("shell", data["hair_colour"], True))
    if "glasses_radius" in data:
        frame = material("Frame", Base_Color=(0.02, 0.02, 0.02, 1), Roughness=0.25)[0]
        for name in [key for key in data if key.startswith("glasses") and key != "glasses_radius"]:
            thing = mesh(name, *studio.tube(data[name], np.full(len(data[name]), float(data["glasses_radius"])), 12))
            thing.data.materials.append(frame)


def _smooth(thing: bpy.types.Object, levels: int) -> None:
    smooth = thing.modifiers.new("Smooth", "SUBSURF")
    smooth.levels = smooth.render_levels = levels


def _hair(name: str, colour: NDArray, streaked: bool) -> bpy.types.Material:
    """Hair of a colour; streaked along the attribute `flow` when it stands for many."""
    made, tree, shader = material(f"Hair {name}", Base_Color=(*colour.tolist(), 1), Roughness=0.42,
                                  Specular_IOR_Level=0.35)  # fmt: skip
    if not streaked:
        return made
    flow = node(tree, "ShaderNodeAttribute")
    flow.attribute_name = "flow"
    noise = node(tree, "ShaderNodeTexNoise", Scale=700.0, Detail=3.0, Roughness=0.6)
    ramp = node(tree, "ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.3, 0.7
    ramp.color_ramp.elements[0].color = (*(0.35 * colour).tolist(), 1)
    ramp.color_ramp.elements[1].color = (*(1.35 * colour).tolist(), 1)
    relief = node(tree, "ShaderNodeBump", Distance=0.0016, Strength=1.0)
    tree.links.new(flow.outputs["Vector"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], shader.inputs["Base Color"])
    tree.links.new(noise.outputs[0], relief.inputs["Height"])
    tree.links.new(relief.outputs["Normal"], shader.inputs["Normal"])
    return made


def _garment(data: Figure) -> None:
    """The cloth, plain or striped."""
    thing = mesh("cloth", data["cloth_vertices"], data["cloth_faces"])
    first, second = data["cloth_colours"]
    made, tree, shader = material("Cloth", Base_Color=(*first.tolist(), 1), Roughness=float(data["cloth_roughness"]),
                                  Specular_IOR_Level=0.2, Sheen_Weight=0.15)  # fmt: skip
    width, direction = data["cloth_stripes"]
    if width > 0:
        place = node(tree, "ShaderNodeTexCoord")
        wave = node(tree, "ShaderNodeTexWave", Scale=0.314 / float(width), Distortion=0.3)
        wave.bands_direction = "Z" if direction else "X"
        ramp = node(tree, "ShaderNodeValToRGB")
        ramp.color_ramp.interpolation = "CONSTANT"
        ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*first, 1), (*second, 1)
        ramp.color_ramp.elements[1].position = 0.5
        tree.links.new(place.outputs["Object"], wave.inputs["Vector"])
        tree.links.new(wave.outputs["Fac"], ramp.inputs[0])
        tree.links.new(ramp.outputs[0], shader.inputs["Base Color"])
    size, depth = data["cloth_weave"]
    bump(tree, shader, 1 / float(size), float(depth), 2.0)
    thing.data.materials.append(made)
    _smooth(thing, 1)


def _room(data: Figure) -> None:
    """Lamps, world and wall."""
    for index, place in enumerate(data["lamp_places"]):
        studio.light(f"Lamp {index}", tuple(place.tolist()), data["lamp_target"], float(data["lamp_watts"][index]),
                     float(data["lamp_sizes"][index]), tuple(data["lamp_colours"][index].tolist()))  # fmt: skip
    world = bpy.data.worlds.new("World")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*data["world"][:3].tolist(), 1)
    background.inputs["Strength"].default_value = float(data["world"][3])
    bpy.context.scene.world = world
    distance, *colour = data["wall"].tolist()
    if distance:
        corners = np.array([[-9, -9, distance], [9, -9, distance], [9, 9, distance], [-9, 9, distance]], float)
        wall = mesh("Wall", corners, np.array([[0, 1, 2], [0, 2, 3]]))
        wall.data.materials.append(material("Wall", Base_Color=(*colour, 1), Roughness=0.9)[0])


def _camera(size: tuple[int, int], focal: float, samples: int, transparent: bool) -> None:
    """A pinhole at the origin that looks along the camera's z, and Cycles' settings."""
    camera = bpy.data.cameras.new("Camera")
    camera.sensor_fit, camera.sensor_width = "HORIZONTAL", studio.SENSOR
    camera.lens, camera.clip_start = focal / size[0] * studio.SENSOR, 0.01
    thing = bpy.data.objects.new("Camera", camera)
    thing.rotation_euler = (np.pi / 2, 0, 0)
    bpy.context.collection.objects.link(thing)
    scene = bpy.context.scene
    scene.camera = thing
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = samples, True
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.caustics_reflective = 3, 2, False
    scene.cycles.sample_clamp_indirect = 4.0
    scene.cycles_curves.shape = "RIBBONS"
    scene.render.threads_mode, scene.render.threads = "FIXED", THREADS
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = transparent


def _exposed(data: Figure, size: tuple[int, int], focal: float, output: Path) -> None:
    """Render, and save with the exposure that gives the face its brightness."""
    scene, settings = bpy.context.scene, bpy.context.scene.render.image_settings
    view, _, look = str(data["look"]).partition(" - ")
    scene.view_settings.view_transform = view
    if look:
        scene.view_settings.look = str(data["look"])
    with tempfile.TemporaryDirectory() as folder:
        settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "32", "RGBA"
        scene.render.filepath = str(Path(folder) / "linear.exr")
        bpy.ops.render.render(write_still=True)
        linear = bpy.data.images.load(scene.render.filepath)
        pixels = np.zeros(size[0] * size[1] * 4, np.float32)
        linear.pixels.foreach_get(pixels)
        bpy.data.images.remove(linear)
    seen = pixels.reshape(size[1], size[0], 4)[::-1, :, :3] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    at = (data["meter"][:, :2] / data["meter"][:, 2:] * focal + np.array(size) / 2).astype(int)
    x, y = at[((at >= 0) & (at < size)).all(1)].T
    found = float(np.median(seen[y, x])) if len(x) else float(np.median(seen))
    stops = np.log2(float(data["brightness"]) / max(found, 1e-6))
    scene.view_settings.exposure = float(np.clip(stops, *EXPOSURES))
    settings.file_format, settings.color_depth = "PNG", "8"
    settings.color_mode = "RGBA" if scene.render.film_transparent else "RGB"
    bpy.data.images["Render Result"].save_render(str(output))


def _behind(pixels: NDArray[np.uint8], output: Path, size: tuple[int, int]) -> None:
    """Lay the picture over its surroundings (cut to its shape), in place."""
    image = bpy.data.images.load(str(output))
    over = np.zeros(size[0] * size[1] * 4, np.float32)
    image.pixels.foreach_get(over)
    bpy.data.images.remove(image)
    over = over.reshape(size[1], size[0], 4)[::-1]
    scale = len(pixels) / max(size)
    x, y = ((np.arange(count) + 0.5) * scale for count in size)
    under = _sampled(pixels.astype(np.float32), y, x)
    mixed = over[..., 3:] * over[..., :3] * 255 + (1 - over[..., 3:]) * under
    result = _image("Result", np.clip(mixed + 0.5, 0, 255).astype(np.uint8))
    result.filepath_raw, result.file_format = str(output), "PNG"
    result.save()


def _sampled(pixels: NDArray, y: NDArray, x: NDArray) -> NDArray:
    """Bilinear values at rows y and columns x."""
    y, x = (np.clip(at - 0.5, 0, count - 1.001) for at, count in ((y, len(pixels)), (x, pixels.shape[1])))
    row, column = y.astype(int), x.astype(int)
    v, u = (y - row)[:, None, None], (x - column)[None, :, None]
    top, bottom = (pixels[at][:, column] * (1 - u) + pixels[at][:, column + 1] * u for at in (row, row + 1))
    return top * (1 - v) + bottom * v


if __name__ == "__main__":  # as tools/make_benchmark.py runs it: a JSON list of jobs
    render_many(
        (Path(figure), Path(output), (size[0], size[1]), focal, samples)
        for figure, output, size, focal, samples in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    )
