# SPDX-License-Identifier: GPL-3.0-or-later
"""The screenshots of docs/guide.md, taken in Blender's window: `blender -P guide.py -- FOLDER PICTURE MOVIE`.

tests/real_blender/test_guide.py plays it; with DICE_WRITE_DOCS=1 the pictures of the guide are written anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
from mathutils import Euler

sys.path.append(str(Path(__file__).parent))
import driver  # noqa: E402

NAME = "bl_ext.user_default.dice_capture"
FOLDER, PICTURE, MOVIE = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
SEEN = 30  # frames until the picture of a running capture
facts: dict = {}


def idle() -> bool:
    return sys.modules[f"{NAME}.dice_blender.jobs"].state.job is None


def shot(name: str) -> driver.Steps:
    yield from driver.screenshot(FOLDER / f"{name}.png")


def part(name: str) -> bpy.types.Object:
    return next(item for item in bpy.context.scene.dice.result.objects if item.get("dice_part") == name)


def press(operator: str, across: float = 0.4) -> driver.Steps:
    yield from driver.find(f"bpy.ops.dice.{operator}(", across=across)
    yield from driver.click()
    yield 0.5


def steps() -> driver.Steps:
    for item in list(bpy.data.objects):  # the start-up file's cube would hide the head
        bpy.data.objects.remove(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "scene.blend"))
    yield 0.5
    yield from driver.open_tab("VIEW_3D", "DICE")
    yield from driver.find("dice.filepath")
    yield from driver.click(times=2)
    yield from driver.write(f"//{PICTURE.name}")
    yield from shot("choose")
    yield from press("capture")
    yield from driver.wait_for(idle)
    facts["objects"] = sorted(bpy.data.objects.keys())
    yield from shot("captured")
    yield from from_the_side()
    yield from press("show", across=0.62)
    yield from shot("contact")
    yield from press("show", across=0.25)
    yield from press("bake_photo")
    yield from shot("texture")
    yield from rigged()
    yield from moving()
    yield from crop()
    yield from preferences()


def from_the_side() -> driver.Steps:
    """Turn the view, without the clutter."""
    space = driver.area_of("VIEW_3D").spaces.active
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for name in ("show_floor", "show_axis_x", "show_axis_y", "show_cursor", "show_text", "show_object_origins"):
        setattr(space.overlay, name, False)
    view = space.region_3d
    view.view_perspective = "PERSP"
    view.view_rotation = Euler((1.45, 0.0, -0.75)).to_quaternion()
    view.view_location, view.view_distance = (0.06, 0.03, 0.08), 0.55
    yield 0.5


def rigged() -> driver.Steps:
    yield from press("rig")
    yield from press("add_expressions")
    rig = part("head_rig")
    rig.pose.bones["jaw"].rotation_euler.x = 0.25
    rig.pose.bones["head"].rotation_euler.x += 0.15
    yield 0.5
    yield from shot("rig")


def moving() -> driver.Steps:
    """Capture a movie clip, watched in the Movie Clip Editor."""
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    driver.area_of("VIEW_3D").type = "CLIP_EDITOR"
    space = driver.area_of("CLIP_EDITOR").spaces.active
    space.clip = bpy.data.movieclips.load(str(MOVIE))
    space.show_region_ui = True
    yield 0.5
    yield from driver.open_tab("CLIP_EDITOR", "DICE")
    yield from driver.find("bpy.ops.dice.capture_sequence(", kind="CLIP_EDITOR")
    yield from driver.click()
    jobs = sys.modules[f"{NAME}.dice_blender.jobs"].state
    yield from driver.wait_for(lambda: getattr(jobs.job, "frame", 0) > SEEN)
    yield from shot("sequence")
    yield from driver.wait_for(idle)
    facts["moving"] = sorted(item.name for item in bpy.context.scene.dice.result.objects)
    driver.area_of("CLIP_EDITOR").type = "VIEW_3D"
    yield 0.5


def crop() -> driver.Steps:
    """Draw the crop in an Image Editor."""
    driver.area_of("VIEW_3D").type = "IMAGE_EDITOR"
    space = driver.area_of("IMAGE_EDITOR").spaces.active
    space.image = bpy.data.images.load(str(PICTURE))
    space.show_region_ui = True
    yield 0.5
    region = driver.region_of("IMAGE_EDITOR", "WINDOW")
    with bpy.context.temp_override(window=driver.window(), area=driver.area_of("IMAGE_EDITOR"), region=region):
        bpy.ops.image.view_all(fit_view=True)
    yield from driver.open_tab("IMAGE_EDITOR", "DICE")
    yield from driver.find("bpy.ops.dice.draw_crop(", kind="IMAGE_EDITOR", across=0.83)
    yield from driver.click()
    middle = region.x + 0.45 * region.width, region.y + 0.5 * region.height
    yield from driver.move(*middle)
    driver.xdotool("mousedown", 1)
    yield 0.3
    for reach in (50, 150, 280):
        yield from driver.move(middle[0] + reach, middle[1])
    driver.xdotool("mouseup", 1)
    yield 0.5
    settings = bpy.context.scene.dice
    facts["crop"] = [settings.use_crop, settings.crop_left, settings.crop_top, settings.crop_side]
    yield from shot("crop")


def preferences() -> driver.Steps:
    area = driver.area_of("IMAGE_EDITOR")
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "DICE"
    with bpy.context.temp_override(window=driver.window(), area=area):
        bpy.ops.preferences.addon_expand(module=NAME)
    yield from driver.over_view("PREFERENCES")
    yield 0.5
    yield from shot("official")
    bpy.context.preferences.addons[NAME].preferences.runtime = "/home/you/.local/share/dice-capture"
    bpy.context.preferences.system.use_online_access = True
    yield from shot("install")


driver.play(steps(), FOLDER / "report.json", facts)
