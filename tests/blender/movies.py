# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that carry a number, movies of them that Blender writes, and what Blender's own renders show of them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from dice_capture.dice_blender import compat
from synthetic import write_picture

SIZE = (128, 64)
BITS, WIDE = 7, 16  # columns of pixels


def drawn(number: int) -> np.ndarray:
    """(h, w, 3) uint8; black and white columns are its binary digits, and there is a bright edge."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 160, np.uint8)
    for bit in range(BITS):
        pixels[12:-12, 8 + WIDE * bit : 8 + WIDE * (bit + 1)] = 235 if number >> bit & 1 else 15
    return pixels


def number(image: bpy.types.Image) -> int | None:
    """The number that is drawn on it; None where it shows none."""
    width, height = image.size
    values = np.zeros(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, -1)[..., :3].mean(2)
    if pixels[2].mean() < 0.3:  # no edge
        return None
    return sum(1 << bit for bit in range(BITS) if pixels[height // 2, 8 + WIDE * bit + WIDE // 2] > 0.5)


def write_pictures(folder: Path, count: int, name: str = "img_{:03}.png") -> list[Path]:
    """Of the numbers from 0 on."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_picture(folder / name.format(one), drawn(one)) for one in range(count)]


def image_strip(scene: bpy.types.Scene, paths: list[Path], start: int = 1, channel: int = 1) -> compat.Strip:
    strip = strips(scene).new_image("pictures", str(paths[0]), channel, start)
    for path in paths[1:]:
        strip.elements.append(path.name)
    return strip


def movie_strip(scene: bpy.types.Scene, path: Path, start: int = 1, channel: int = 1) -> compat.Strip:
    return strips(scene).new_movie("movie", str(path), channel, start)


def strips(scene: bpy.types.Scene) -> object:
    """Of its sequencer; `sequences` became `strips` in 4.4."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def plain(scene: bpy.types.Scene, rate: float = 24.0, size: tuple[int, int] = SIZE) -> None:
    """Render pixels as they are."""
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.fps, scene.render.fps_base = round(rate), round(rate) / rate
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"


def shown(scene: bpy.types.Scene, frame: int, folder: Path) -> int | None:
    """The number that a render of the scene shows at a frame."""
    scene.frame_set(frame)
    scene.render.filepath = str(folder / "render.png")
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    try:
        return number(image)
    finally:
        bpy.data.images.remove(image)


def write_movie(path: Path, pictures: list[Path], rate: float = 24.0, size: tuple[int, int] = SIZE) -> Path:
    """H.264 whose frames depend on later ones (B), few of which can be begun with. The file that is open is lost."""
    scene = bpy.context.scene
    image_strip(scene, pictures)
    plain(scene, rate, size)
    settings, movie = scene.render.image_settings, scene.render.ffmpeg
    if hasattr(settings, "media_type"):  # since 5.0
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    movie.format, movie.codec, movie.constant_rate_factor = "MKV" if path.suffix == ".mkv" else "MPEG4", "H264", "HIGH"
    movie.gopsize, movie.use_max_b_frames, movie.max_b_frames = 40, True, 3
    scene.frame_start, scene.frame_end = 1, len(pictures)
    scene.render.use_file_extension = False
    scene.render.filepath = str(path)
    bpy.ops.render.render(animation=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return path
