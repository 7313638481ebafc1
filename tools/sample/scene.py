# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample's scene in Blender: skin, hair, sweater, light and camera, rendered with Cycles. Needs bpy."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

Triple = tuple[float, float, float]
TO_BLENDER = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)  # camera axes -> z up, looking along +y
SENSOR, LENS = 36.0, 45.0  # mm
RINGS_OUT = 0.012  # metres from the line of sight; the rings of the eye with their linear colours
RINGS = [(0.0001, (0.004, 0.004, 0.004)), (0.0021, (0.004, 0.004, 0.004)), (0.0025, (0.20, 0.12, 0.05)),
         (0.0043, (0.13, 0.075, 0.03)), (0.0054, (0.035, 0.02, 0.01)), (0.0063, (0.55, 0.52, 0.50)),
         (0.0075, (0.66, 0.61, 0.58)), (0.0119, (0.55, 0.38, 0.34))]  # fmt: skip


def mesh(name: str, vertices: NDArray, faces: NDArray, uv: NDArray | None = None) -> bpy.types.Object:
    """A smooth object from camera-space vertices; `uv` (F, 3, 2) for each corner."""
    data = bpy.data.meshes.new(name)
    data.from_pydata((vertices @ TO_BLENDER.T).tolist(), [], faces.tolist())
    if uv is not None:
        data.uv_layers.new(name="UVMap").data.foreach_set("uv", uv.astype(np.float32).ravel())
    data.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    data.validate()
    thing = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(thing)
    return thing


def strands(name: str, points: NDArray, radius: float, material: bpy.types.Material) -> None:
    """Hair curves from (S, P, 3) camera-space points, thinning to the tips."""
    count, length, _ = points.shape
    data = bpy.data.hair_curves.new(name)
    data.add_curves([length] * count)
    data.position_data.foreach_set("vector", (points @ TO_BLENDER.T).astype(np.float32).ravel())
    taper = radius * np.sqrt(np.linspace(1, 0.06, length))
    sizes = data.attributes.get("radius") or data.attributes.new("radius", "FLOAT", "POINT")
    sizes.data.foreach_set("value", np.tile(taper, count).astype(np.float32))
    data.materials.append(material)
    bpy.context.collection.objects.link(bpy.data.objects.new(name, data))


def material(name: str, **inputs: object) -> tuple[bpy.types.Material, bpy.types.NodeTree, bpy.types.Node]:
    """A Principled material with these inputs (underscores for spaces)."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    for key, value in inputs.items():
        shader.inputs[key.replace("_", " ")].default_value = value
    return made, made.node_tree, shader


def node(tree: bpy.types.NodeTree, kind: str, **inputs: object) -> bpy.types.Node:
    made = tree.nodes.new(kind)
    for key, value in inputs.items():
        made.inputs[key].default_value = value
    return made


def bump(tree: bpy.types.NodeTree, shader: bpy.types.Node, scale: float, distance: float, detail: float = 3.0) -> None:
    """Fine relief by noise; `scale` in 1/m, `distance` in metres."""
    place = node(tree, "ShaderNodeTexCoord")
    noise = node(tree, "ShaderNodeTexNoise", Scale=scale, Detail=detail)
    relief = node(tree, "ShaderNodeBump", Distance=distance, Strength=1.0)
    tree.links.new(place.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], relief.inputs["Height"])
    tree.links.new(relief.outputs["Normal"], shader.inputs["Normal"])


def skin_material(image: Path) -> bpy.types.Material:
    """Painted skin that lets light through, blotchy on a large scale and porous on a small one."""
    made, tree, shader = material("Skin", Roughness=0.46, Subsurface_Weight=1.0, Subsurface_Scale=0.006,
                                  Subsurface_Radius=(1.0, 0.35, 0.18), Specular_IOR_Level=0.42)  # fmt: skip
    texture = node(tree, "ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(image))
    place = node(tree, "ShaderNodeTexCoord")
    blotch = node(tree, "ShaderNodeTexNoise", Scale=70.0, Detail=6.0, Roughness=0.65)
    tint = node(tree, "ShaderNodeMix", Factor=0.5)
    tint.data_type, tint.blend_type = "RGBA", "OVERLAY"
    ramp = node(tree, "ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (0.60, 0.40, 0.38, 1), (0.42, 0.55, 0.56, 1)
    tree.links.new(place.outputs["Object"], blotch.inputs["Vector"])
    tree.links.new(blotch.outputs[0], ramp.inputs[0])
    tree.links.new(texture.outputs["Color"], tint.inputs["A"])
    tree.links.new(ramp.outputs[0], tint.inputs["B"])
    tree.links.new(tint.outputs["Result"], shader.inputs["Base Color"])
    bump(tree, shader, 1500.0, 0.00016, 4.0)
    return made


def eye_material(rings: list[tuple[float, Triple]] = RINGS) -> bpy.types.Material:
    """Pupil, iris, limbus and white as rings about the line of sight (attribute `gaze`, metres), under a wet coat."""
    made, tree, shader = material("Eye", Roughness=0.3, Coat_Weight=1.0, Coat_Roughness=0.01,
                                  Subsurface_Weight=0.1, Subsurface_Scale=0.002)  # fmt: skip
    gaze = node(tree, "ShaderNodeAttribute")
    gaze.attribute_name = "gaze"
    radius = node(tree, "ShaderNodeVectorMath")
    radius.operation = "LENGTH"
    part = node(tree, "ShaderNodeMath")
    part.operation, part.inputs[1].default_value = "DIVIDE", RINGS_OUT
    ramp = node(tree, "ShaderNodeValToRGB").color_ramp
    for place, colour in rings:
        stop = ramp.elements.new(place / RINGS_OUT)
        stop.color = (*colour, 1)
    ramp.elements.remove(ramp.elements[-1])
    ramp.elements.remove(ramp.elements[0])
    tree.links.new(gaze.outputs["Vector"], radius.inputs[0])
    tree.links.new(radius.outputs["Value"], part.inputs[0])
    tree.links.new(part.outputs[0], tree.nodes["Color Ramp"].inputs[0])
    tree.links.new(tree.nodes["Color Ramp"].outputs[0], shader.inputs["Base Color"])
    return made


def hair_material(melanin: float, name: str) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    tree = made.node_tree
    shader = tree.nodes.new("ShaderNodeBsdfHairPrincipled")
    shader.parametrization = "MELANIN"
    for key, value in {"Melanin": melanin, "Melanin Redness": 0.55, "Roughness": 0.32, "Radial Roughness": 0.4,
                       "Random Color": 0.35, "Random Roughness": 0.3}.items():  # fmt: skip
        shader.inputs[key].default_value = value
    tree.links.new(shader.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return made


def person(data: dict[str, NDArray], image: Path) -> None:
    """Skin, eyes and hair."""
    skin, eye = skin_material(image), eye_material()
    for name in ("body", "hand"):
        thing = mesh(name, data[f"{name}_vertices"], data[f"{name}_faces"], data[f"{name}_uv"])
        thing.data.materials.append(skin)
        thing.data.materials.append(eye)
        thing.data.polygons.foreach_set("material_index", data[f"{name}_material"].astype(np.int32))
        gaze = thing.data.attributes.new("gaze", "FLOAT_VECTOR", "POINT")
        gaze.data.foreach_set("vector", data[f"{name}_gaze"].astype(np.float32).ravel())
        smooth = thing.modifiers.new("Smooth", "SUBSURF")
        smooth.levels = smooth.render_levels = 2
    strands("Hair", data["hair"], 0.00006, hair_material(0.95, "Hair"))
    strands("Brows", data["brows"], 0.00005, hair_material(0.75, "Brows"))
    strands("Lashes", data["lashes"], 0.00009, hair_material(0.97, "Lashes"))


def tube(path: NDArray, radius: NDArray, sides: int = 24) -> tuple[NDArray, NDArray]:
    """A closed tube along (n, 3) points with radii (n,)."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(tangent, [0.2, 0.1, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    ring = cos * across[:, None] + sin * np.cross(tangent, across)[:, None]
    vertices = (path[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    faces = []
    for i in range(len(path) - 1):
        for k in range(sides):
            a, b = i * sides + k, i * sides + (k + 1) % sides
            faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    return vertices, np.array(faces)


def closed_parts(data: dict[str, NDArray]) -> bpy.types.Object:
    """Torso and sleeves in one object, every hole filled, so that a remesh can melt them together."""
    import bmesh  # exists once bpy does

    parts = [(data["torso_vertices"], data["torso_faces"])]
    parts += [tube(data[f"{arm}_path"], data[f"{arm}_radius"]) for arm in ("right", "left")]
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    faces = np.concatenate([faces + offset for (_, faces), offset in zip(parts, offsets, strict=True)])
    thing = mesh("Sweater", np.concatenate([vertices for vertices, _ in parts]), faces)
    shape = bmesh.new()
    shape.from_mesh(thing.data)
    bmesh.ops.holes_fill(shape, edges=shape.edges, sides=0)
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    shape.to_mesh(thing.data)
    shape.free()
    return thing


def sweater(data: dict[str, NDArray], colour: Triple) -> None:
    """A knitted sweater: torso and sleeves melted into one surface, puffed up and wrinkled."""
    thing = closed_parts(data)
    puff = thing.modifiers.new("Puff", "DISPLACE")
    puff.strength, puff.mid_level = 0.007, 0.0
    melt = thing.modifiers.new("Melt", "REMESH")
    melt.mode, melt.voxel_size, melt.use_smooth_shade = "VOXEL", 0.0045, True
    smooth = thing.modifiers.new("Smooth", "SMOOTH")
    smooth.iterations, smooth.factor = 24, 0.5
    folds = thing.modifiers.new("Folds", "DISPLACE")
    folds.texture = bpy.data.textures.new("Folds", "CLOUDS")
    folds.texture.noise_scale, folds.texture.noise_depth = 0.055, 1
    folds.strength, folds.texture_coords = 0.010, "LOCAL"
    made, tree, shader = material("Wool", Base_Color=(*colour, 1), Roughness=0.9, Specular_IOR_Level=0.15,
                                  Sheen_Weight=0.35, Sheen_Roughness=0.4)  # fmt: skip
    bump(tree, shader, 900.0, 0.0016, 2.0)
    thing.data.materials.append(made)


def light(name: str, place: Triple, target: NDArray, watts: float, size: float, colour: Triple) -> None:
    """A square lamp at a camera-space place, aimed at a target."""
    lamp = bpy.data.lights.new(name, "AREA")
    lamp.energy, lamp.size, lamp.color = watts, size, colour
    thing = bpy.data.objects.new(name, lamp)
    start, end = Vector((TO_BLENDER @ place).tolist()), Vector((TO_BLENDER @ target).tolist())
    thing.matrix_world = Matrix.Translation(start) @ (end - start).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    bpy.context.collection.objects.link(thing)


def studio(target: NDArray) -> None:
    """Camera at the origin, a lit wall behind, a soft key from the left, a fill, a rim, and a glint for the eyes."""
    camera = bpy.data.cameras.new("Camera")
    camera.sensor_width, camera.lens, camera.clip_start = SENSOR, LENS, 0.01
    camera.dof.use_dof, camera.dof.focus_distance, camera.dof.aperture_fstop = True, float(target[2]), 11.0
    thing = bpy.data.objects.new("Camera", camera)
    thing.rotation_euler = (np.pi / 2, 0, 0)
    bpy.context.collection.objects.link(thing)
    scene = bpy.context.scene
    scene.camera = thing
    corners = np.array([[-4, -4, 2.6], [4, -4, 2.6], [4, 4, 2.6], [-4, 4, 2.6]], float)
    wall = mesh("Wall", corners, np.array([[0, 1, 2], [0, 2, 3]]))
    wall.data.materials.append(material("Wall", Base_Color=(0.42, 0.40, 0.37, 1), Roughness=0.9)[0])
    light("Key", (-0.75, -0.65, -0.05), target, 13.0, 0.7, (1.0, 0.95, 0.89))
    light("Fill", (1.1, -0.1, 0.0), target, 4.5, 1.2, (0.86, 0.93, 1.0))
    light("Rim", (0.8, -0.8, 1.4), target, 2.5, 0.4, (1.0, 0.97, 0.93))
    light("Eyes", (-0.17, -0.24, -0.05), target, 0.5, 0.1, (1.0, 1.0, 1.0))
    light("Wall", (0.1, 1.0, 1.7), np.array([0.1, 0.0, 2.6]), 14.0, 1.0, (1.0, 0.96, 0.90))
    world = bpy.data.worlds.new("World")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.75, 0.82, 0.9, 1)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.22
    scene.world = world


def render(figure: Path, image: Path, output: Path, samples: int, size: int) -> None:
    """Build the scene from figure.npz and the painted texture, and render it to a PNG."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with np.load(figure) as loaded:
        data = {key: loaded[key] for key in loaded.files}
    person(data, image)
    sweater(data, (0.05, 0.115, 0.135))
    studio(data["target"])
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = samples, True, 8
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.exposure = 0.2
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.render.filepath = str(output)
    bpy.ops.render.render(write_still=True)
