# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture to what the network was trained on: a square of 224 x 224 pixels with head and hand in it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..landmarks.regions import Region

SIZE = 224
# ImageNet's statistics of red, green and blue; the network was trained with them on blue, green and red.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)

HEAD = 1.45  # height of a head, from chin to crown, of the height of its face mesh, which ends at the hairline
ABOVE = 0.1  # of the face mesh's height: how much higher than its middle a head's middle is
HEAD_SHARE = 0.45  # of the crop's side: the training pictures show a person from the chest up
MARGIN = 1.1  # around what must be inside
LARGE_HEAD = 0.6  # of the crop's side; larger ones were hardly seen in training
LEVEL = np.radians(3)  # a smaller roll is left alone: nothing is resampled without need


def centre_crop(width: int, height: int) -> Region:
    """What the official code shows the network of every picture: the largest square in the middle."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return Region(np.array([left + side / 2, top + side / 2]), side)


def choose_crop(face: NDArray, hands: list[NDArray], width: int, height: int) -> tuple[Region, float]:
    """A square with head and hands inside, as upright and as large as in the training pictures.

    Training never saw a tilted head, nor anything beyond a picture's edge: the roll is straightened, and the square
    kept within the picture where what must be inside lets it.

    Parameters
    ----------
    face, hands
        (478, 2) and (21, 2) each, landmarks in pixels.
    width, height
        Of the picture.

    Returns
    -------
    The square, and the head's share of its side.
    """
    across = face[263] - face[33]  # between the outer eye corners, to the picture's right
    roll = float(np.arctan2(across[1], across[0]))
    angle = roll if abs(roll) > LEVEL else 0.0
    upright = Region(np.zeros(2), 1.0, angle).rotation  # points @ upright: in the axes of the square
    low, high = _extent(face @ upright)
    head = HEAD * float(high[1] - low[1])
    middle = (low + high) / 2 - [0, ABOVE * (high[1] - low[1])]
    points = np.vstack([middle - head / 2, middle + head / 2, *(hand @ upright for hand in hands)])
    low, high = _extent(points)
    inside = MARGIN * float((high - low).max())
    side = max(inside, min(head / HEAD_SHARE, float(min(width, height))))
    centre = upright @ ((low + high) / 2)
    centre = _within(centre, inside, side, upright, (width, height))
    if angle == 0:
        side = round(side)
        centre = np.round(centre - side / 2) + side / 2  # whole pixels, as the official crop's
    return Region(centre, side, angle), head / side


def _extent(points: NDArray) -> tuple[NDArray, NDArray]:
    return points.min(0), points.max(0)


def _within(centre: NDArray, inside: float, side: float, upright: NDArray, size: tuple[int, int]) -> NDArray:
    """The centre moved so that the square sticks out of the picture no more than it must to hold what is inside."""
    limits = np.array(size, float)
    reach = side / 2 * np.abs(upright).sum(1)  # of a turned square, along the picture's axes
    wanted = np.where(2 * reach < limits, np.clip(centre, reach, np.maximum(limits - reach, reach)), limits / 2)
    slack = (side - inside) / 2
    return centre + upright @ np.clip((wanted - centre) @ upright, -slack, slack)


def crop_pixels(pixels: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """(h, w, 3) picture -> (224, 224, 3): the region, black where it sticks out of the picture."""
    side = max(round(region.side), 1)
    corner = region.center - side / 2
    if region.angle == 0 and region.side == side and (corner == np.round(corner)).all():
        left, top = (int(value) for value in corner)
        square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    else:
        matrix = region.to_picture(side)
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from the middle of the first pixel
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        square = Image.fromarray(cv2.warpAffine(pixels, matrix, (side, side), flags=flags))
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def normalise(crops: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """B (224, 224, 3) RGB crops -> (B, 3, 224, 224), channels B, G, R."""
    scaled = np.stack(crops)[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(((scaled - MEAN) / STD).transpose(0, 3, 1, 2))
