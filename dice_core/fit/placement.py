# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand against the face: one picture does not tell how far away a hand is, the face that it touches does.

Every part of the hand that can touch faces makes a hypothesis: that it lies on the skin, and nothing else is pressed
in farther than skin allows. All hypotheses are fitted to the landmarks at once; the one that bends the evidence least
and touches as people do is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..body.hand_motion import hand_motion
from ..interaction.distance import Nearest, Surface
from ..interaction.parts import FINGERS, patches
from ..types import ContactState
from .glance import PARTS as GLANCED
from .glance import Glance
from .hand import SHAPE_MEAN, SHAPE_SIGMA, HandFit, HandProblem, finish, limits, moved
from .least_squares import minimise

SEARCH, STEPS = 0.25, 31  # of the distance, either way
SURE_GAP, FAR_GAP = 0.006, 0.015  # metres between the surfaces: touching below, apart above
SURE_SIZE, FAR_SIZE = 2.5, 4.0  # standard deviations of a hand's size that touching would need
SURFACE_NOISE, PULL_NOISE, SLIDE_NOISE = 0.002, 0.002, 0.012  # metres
PRESS = 0.0015  # metres that the part is pressed in
PULLED = 3  # vertices of a part that are drawn to the skin
RESTING, REST_STRENGTH = 0.008, 0.5  # metres from the skin at which other fingertips are drawn, too, but less
REACH = 0.05  # metres from the skin at which its nearest point still says something
SAMPLES, FINE = 90, 260  # vertices that stand for the hand while hypotheses compete, and for the one that won
ROUNDS, SOLVES, PROMISING = 3, 3, 3
BACK_OFF_MM = 12  # at most
LIGHT_TOUCH, GRAZE = 0.002, 0.0005  # metres
CLEARINGS = 60  # steps out of the head
LOOKS_LIKE = {"fist": "knuckles", "side": "index"}  # parts that a glance does not tell apart
# Metres before the skin: where a hand's place leaves the odds of touching as they look, set so that a half parts the
# tune half; and in which they fall by e. And which of the vertices are measured.
USUAL, FLOATING, FREE = 0.0124, 0.02, 4
SURE, APART = 0.5, 0.32  # probabilities: touching from, apart below


@dataclass(frozen=True)
class Placement:
    """Where a hand belongs.

    Attributes
    ----------
    state
        `touch`, `no-touch` or `unsure`.
    probability
        0..1, that it touches.
    part
        Of `interaction.parts.PARTS`, what touches; empty when nothing does.
    gap
        Metres between the surfaces at the best distance along the line of sight; 0 when they meet.
    shift
        Relative change of distance between the free fit and touching.
    """

    fit: HandFit
    state: ContactState
    probability: float
    part: str
    gap: float
    shift: float


def place_hand(problem: HandProblem, fit: HandFit, head: Surface, allowed: NDArray, glance: Glance) -> Placement:
    """Decide whether a hand touches the head and, unless it does not, bring it to the skin.

    Parameters
    ----------
    problem, fit
        The hand's landmarks, and the free fit.
    head
        The head's surface.
    allowed
        (F,) metres that each face of the head may be pressed in.
    glance
        Which part touches, and whether any does, as far as one sees.
    """
    offsets, gap = reaches(problem, fit, head)
    distance = float(np.linalg.norm(fit.joints.mean(0)))
    if not offsets:
        return Placement(cleared(problem, fit, head, 0.0), "no-touch", 0.05, "", gap, SEARCH)
    names, parts = list(offsets), patches(problem.model.side)
    starts = np.repeat(fit.parameters[None], len(names), axis=0)
    starts[:, 3:6] += np.stack([offsets[name] for name in names])
    found, cost = settled(problem, head, allowed, [parts[name] for name in names], starts)
    best = int(np.argmin(cost + [unlikely(name, glance) for name in names]))
    touching = [parts[names[best]], *resting(problem, found[best], head, names[best])]
    (parameters,), (cost_best,) = Contact(problem, head, allowed, [touching], FINE).settle(found[best][None], 1)
    close = finish(problem, parameters, float(cost_best))
    shift = abs(float(np.linalg.norm(close.joints.mean(0))) / distance - 1)
    probability = _seen_to_touch(glance, fit, head) * (1 - float(doubt(gap, parameters[6])))
    state: ContactState = "touch" if probability >= SURE else "no-touch" if probability < APART else "unsure"
    if state == "no-touch":
        return Placement(cleared(problem, fit, head, 0.0), state, probability, "", gap, shift)
    if state == "touch":
        close = moved(close, problem, backed_off(close.vertices, head, allowed))
    else:
        close = cleared(problem, close, head, GRAZE)  # no skin gives way: only the lightest touch
    return Placement(close, state, probability, names[best], gap, shift)


def unlikely(name: str, glance: Glance) -> float:
    """What speaks against a part, in half squared sigmas: how little it looks as if it touched."""
    seen = glance.parts[GLANCED.index(LOOKS_LIKE.get(name, name))]
    return -float(np.log(np.clip(seen, 0.02, 1)))


def settled(problem: HandProblem, head: Surface, allowed: NDArray, parts: list[NDArray], starts: NDArray,
            betas: NDArray | None = None) -> tuple[NDArray, NDArray]:  # fmt: skip
    """Parameters and costs of all hypotheses; only those that are promising after one round are brought to rest."""
    found, cost = Contact(problem, head, allowed, [[part] for part in parts], SAMPLES, betas).settle(starts, 1)
    promising = np.argsort(cost)[:PROMISING]
    group = [[parts[index]] for index in promising]
    final = Contact(problem, head, allowed, group, SAMPLES, betas).settle(found[promising], ROUNDS - 1)
    cost[:] = np.inf
    found[promising], cost[promising] = final
    return found, cost


def _seen_to_touch(glance: Glance, fit: HandFit, head: Surface) -> float:
    """The probability that a hand touches by its looks, and by how far before the skin it would be by itself."""
    odds = float(np.exp(touch_odds(glance.touch, before_skin(fit, head))))
    return odds / (1 + odds)


def before_skin(fit: HandFit, head: Surface) -> float:
    """Metres that a hand is before the skin, no more than REACH; negative inside."""
    nearest = head.nearest(fit.vertices[::FREE])
    return float(nearest.distance[~nearest.on_cap].min(initial=REACH))


def touch_odds(looks: NDArray | float, before: NDArray | float) -> NDArray:
    """Logarithm of the odds that a hand touches, by how likely it looks and how far it is before the skin."""
    looks = np.clip(looks, 1e-6, 1 - 1e-6)
    return np.log(looks / (1 - looks)) + (USUAL - np.maximum(before, 0.0)) / FLOATING


def doubt(gap: NDArray | float, size: NDArray | float) -> NDArray:
    """0..1, how much less likely a touch is: the surfaces do not meet, or only if the hand's size (the first of betas)
    is unusual."""
    unusual = np.abs(np.subtract(size, SHAPE_MEAN[0])) / SHAPE_SIGMA[0]
    return np.maximum(_ramp(gap, SURE_GAP, FAR_GAP), _ramp(unusual, SURE_SIZE, FAR_SIZE))


def _ramp(value: NDArray | float, low: float, high: float) -> NDArray:
    return np.clip((np.asarray(value) - low) / (high - low), 0, 1)


def reaches(problem: HandProblem, fit: HandFit, head: Surface) -> tuple[dict[str, NDArray], float]:
    """For each part that can, the shift along the line of sight at which it first touches; and the least gap.

    A hand whose landmarks are seen is in front of what it covers: the first touch, coming from the camera, is the
    right one.
    """
    parts = {name: vertices[:: max(len(vertices) // 12, 1)] for name, vertices in patches(problem.model.side).items()}
    chosen = np.concatenate(list(parts.values()))
    owner = np.repeat(np.arange(len(parts)), [len(vertices) for vertices in parts.values()])
    steps = np.linspace(-SEARCH, SEARCH, STEPS)
    center = fit.vertices.mean(0)
    nearest = head.nearest((fit.vertices[chosen] + steps[:, None, None] * center).reshape(-1, 3))
    distance = np.where(nearest.on_cap, np.maximum(nearest.distance, FAR_GAP), nearest.distance)
    distance = distance.reshape(STEPS, -1)
    gap = max(float(distance.min()), 0.0)
    offsets = {}
    for index, name in enumerate(parts):
        lowest = distance[:, owner == index].min(1)
        inside = np.flatnonzero(lowest < 0)
        if len(inside):
            at = inside[0]
            share = 0.0 if at == 0 else lowest[at - 1] / (lowest[at - 1] - lowest[at]) - 1
            offsets[name] = (steps[at] + share * (steps[1] - steps[0])) * center
        elif lowest.min() < FAR_GAP:
            offsets[name] = steps[np.argmin(lowest + 0.02 * np.abs(steps))] * center
    return offsets, gap


def resting(problem: HandProblem, parameters: NDArray, head: Surface, touching: str) -> list[NDArray]:
    """The other fingertips so near to the skin that they rest on it too."""
    vertices = problem.model.pose(parameters[None])[0][0]
    tips = {name: part for name, part in patches(problem.model.side).items() if name in FINGERS and name != touching}
    distance = head.nearest(np.concatenate([vertices[part] for part in tips.values()])).distance
    ends = np.cumsum([len(part) for part in tips.values()])[:-1]
    near = [lowest.min() < RESTING for lowest in np.split(distance, ends)]
    return [part for part, rests in zip(tips.values(), near, strict=True) if rests]


class Contact:
    """The skin as one more piece of evidence: planes at the nearest points, found anew in each round.

    Parameters
    ----------
    parts
        For each hypothesis the parts that are to touch, as vertices; the first most of all.
    samples
        How many vertices stand for the hand.
    betas
        Of a hand whose shape is known.
    """

    def __init__(self, problem: HandProblem, head: Surface, allowed: NDArray, parts: list[list[NDArray]], samples: int,
                 betas: NDArray | None = None) -> None:  # fmt: skip
        self.problem, self.head, self.limits, self.shaped = problem, head, limits(betas), betas is None
        self.allowed = np.append(allowed, np.zeros(len(head._faces) - len(allowed)))
        every = np.linspace(0, len(problem.model.mean), samples, endpoint=False).astype(int)
        some = [part[:: max(len(part) // 10, 1)] for group in parts for part in group]
        self.chosen = np.unique(np.concatenate([every, *some]))
        self.touching = np.array([[np.isin(self.chosen, part) for part in group] for group in parts])

    def settle(self, starts: NDArray, rounds: int) -> tuple[NDArray, NDArray]:
        """(n, P) starts, one for each part -> parameters and costs."""
        found, cost = starts, np.zeros(len(starts))
        low, high = self.limits
        for _ in range(rounds):
            vertices = self.problem.model.pose(found, self.chosen)[0]
            nearest = self.head.nearest(vertices.reshape(-1, 3))
            planes = _Planes(nearest, self.allowed, self.touching, vertices.shape[:2])
            found, cost = minimise(lambda x: self._linearised(x, planes), found, low, high, SOLVES)  # noqa: B023
        return found, cost

    def _linearised(self, x: NDArray, planes: _Planes) -> tuple[NDArray, NDArray]:
        motion = hand_motion(self.problem.model, x, self.chosen, self.shaped)
        residuals, by = self.problem.linearised(x, motion)
        more, more_by = planes.residuals(motion.vertices, motion.vertices_by)
        return np.concatenate([residuals, more], axis=1), np.concatenate([by, more_by], axis=1)


class _Planes:
    """The skin at the nearest points of (n, K) vertices."""

    def __init__(self, nearest: Nearest, allowed: NDArray, touching: NDArray, shape: tuple[int, int]) -> None:
        self.point, self.normal = (values.reshape(*shape, 3) for values in (nearest.point, nearest.normal))
        distance = nearest.distance.reshape(shape)
        self.depth = allowed[nearest.face].reshape(shape)
        self.usable = (~nearest.on_cap & (np.abs(nearest.distance) < REACH)).reshape(shape)
        eager = np.where(touching & self.usable[:, None], distance[:, None], np.inf)  # (n, parts, K)
        pulled = np.argsort(eager, axis=2)[:, :, :PULLED]
        strength = np.full(touching.shape[1], REST_STRENGTH)
        strength[0] = 1
        wanted = np.isfinite(np.take_along_axis(eager, pulled, 2)) * strength[:, None]
        self.pulled = pulled.reshape(shape[0], -1)
        self.wanted = wanted.reshape(shape[0], -1) / (PULL_NOISE * np.sqrt(PULLED))

    def residuals(self, vertices: NDArray, vertices_by: NDArray) -> tuple[NDArray, NDArray]:
        """Residuals and derivatives: nothing too deep, the parts that touch at PRESS."""
        height = ((vertices - self.point) * self.normal).sum(2)
        by = np.einsum("nkc,nkcp->nkp", self.normal, vertices_by)
        low = np.minimum(height + self.depth, 0) * self.usable / SURFACE_NOISE
        low_by = by * ((low < 0) / SURFACE_NOISE)[..., None]
        drawn = (np.take_along_axis(height, self.pulled, 1) + PRESS) * self.wanted
        drawn_by = np.take_along_axis(by, self.pulled[..., None], 1) * self.wanted[..., None]
        slid, slid_by = self._slid(vertices, vertices_by)
        return np.c_[low, drawn, slid], np.concatenate([low_by, drawn_by, slid_by], axis=1)

    def _slid(self, vertices: NDArray, vertices_by: NDArray) -> tuple[NDArray, NDArray]:
        """The vertices that are drawn stay near the nearest point: beyond its surroundings the plane is no skin."""
        pick = np.arange(len(vertices))[:, None], self.pulled
        offset, by = vertices[pick] - self.point[pick], vertices_by[pick]
        weight = self.wanted * PULL_NOISE / SLIDE_NOISE
        shape = len(vertices), -1
        return (offset * weight[..., None]).reshape(shape), (by * weight[..., None, None]).reshape(*shape, by.shape[-1])


def backed_off(vertices: NDArray, head: Surface, allowed: NDArray) -> NDArray:
    """The shift towards the camera after which hardly a vertex is pressed in deeper than the skin allows.

    The hand keeps a light touch: a shift that would lift it off the skin is not taken.
    """
    toward = -vertices.mean(0) / np.linalg.norm(vertices.mean(0))
    best = np.zeros(3)
    near = vertices[head.nearest(vertices).distance < 0]
    for millimetres in range(BACK_OFF_MM if len(near) else 0):
        offset = toward * millimetres / 1000
        nearest = head.nearest(near + offset)
        depth = np.where(nearest.on_cap, 0.0, -nearest.distance)
        if depth.max() < LIGHT_TOUCH:
            break
        best = offset
        limit = np.append(allowed, np.zeros(nearest.face.max() + 1))[nearest.face]
        if np.quantile(depth - limit, 0.95) <= 0:
            break
    return best


def cleared(problem: HandProblem, fit: HandFit, head: Surface, most: float) -> HandFit:
    """The hand, so much nearer to the camera that no vertex is deeper than `most` metres in the head."""
    toward = -fit.vertices.mean(0) / np.linalg.norm(fit.vertices.mean(0))
    near = fit.vertices[np.abs(head.nearest(fit.vertices).distance) < REACH]
    offset = 0.0
    for _ in range(CLEARINGS if len(near) else 0):
        nearest = head.nearest(near + offset * toward)
        excess = float(np.where(nearest.on_cap, 0.0, -nearest.distance).max()) - most
        if excess <= 0:
            break
        offset += max(excess, 0.0005)
    return moved(fit, problem, offset * toward) if offset else fit
