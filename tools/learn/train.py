# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the network on what `make` kept, for so many minutes: `python -m tools.learn.train --minutes 25`.

The other half (other heads, skins, hands, backgrounds) measures it and sets how far its answers are to be trusted.
`--blind` trains one that sees landmarks only, to compare with. `--together N` shares the work among N processes of one
thread each, which on a busy machine is far quicker than one with N threads: they wait for each other once a step only.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import distributed, nn
from torch.nn import functional as F

from dice_core.fit import glance

from .bank import FOLDER
from .data import Batch, Rows, batches, load
from .net import Eye, Head

BATCH, RATE, DECAY = 64, 2e-3, 0.02
SHARES = {"touch": 1.0, "gap": 0.4, "near": 0.5, "depth": 0.4, "parts": 0.7, "pose": 0.2}


class Whole(nn.Module):
    """Eye and head."""

    def __init__(self, seeing: bool) -> None:
        super().__init__()
        self.eye, self.head = Eye(), Head(seeing)
        self.register_buffer("mean", torch.zeros(glance.FEATURES))
        self.register_buffer("deviation", torch.ones(glance.FEATURES))

    def forward(self, planes: torch.Tensor, weights: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        numbers = ((numbers - self.mean) / self.deviation).clamp(-6, 6)
        if self.head.seeing:
            grid, overall = self.eye((planes.float() - 128) / 64)
        else:
            grid, overall = numbers, numbers
        return self.head(grid, overall, weights, numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--data", type=Path, default=FOLDER / "data")
    parser.add_argument("--out", type=Path, default=FOLDER / "model.pt")
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--rank", type=int, default=0, help="set by --together")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--start", type=Path, help="a model to go on from")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    if options.together > 1:
        _meet(options.rank, options.together, options.out)
    rows, kept_back = load(options.data, "train"), load(options.data, "check")
    print(
        f"{len(rows)} rows to learn from, {rows.numbers['touch'].mean():.2f} touch; {len(kept_back)} to check with",
        flush=True,
    )
    model = Whole(not options.blind)
    _standardise(model, rows)
    if options.start:
        model.load_state_dict(torch.load(options.start, weights_only=True)["model"])  # noqa: TID251 (our own file)
    average = fit(model, rows, 60 * options.minutes, options.data)
    if options.rank:
        return
    answers, truth = answers_of(average, kept_back)
    calibration = calibrated(answers, truth)
    report(answers, truth, calibration)
    torch.save({"model": average.state_dict(), "calibration": torch.tensor(calibration)}, options.out)


def _meet(rank: int, count: int, out: Path) -> None:
    """Start the other processes, if this is the first, and wait for them."""
    meeting = out.with_suffix(".meeting").absolute()
    if not rank:
        meeting.unlink(missing_ok=True)
        for other in range(1, count):
            subprocess.Popen([sys.executable, "-m", "tools.learn.train", *sys.argv[1:], "--rank", str(other)])
    distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=count)


def _shared(model: Whole, done: float) -> float:
    """Average the gradients over all processes; gives how much of the time is over on average."""
    if not distributed.is_initialized():
        return done
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients] + [torch.tensor([done])])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, mean in zip(gradients, flat[:-1].split([one.numel() for one in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return float(flat[-1])


def _standardise(model: Whole, rows: Rows) -> None:
    few = Rows(rows.crops[:2000], {key: values[:2000] for key, values in rows.numbers.items()}, rows.files)
    said = np.concatenate([batch["numbers"] for batch in batches(few, 100, None, None, False)])
    model.mean[:] = torch.from_numpy(said.mean(0))
    model.deviation[:] = torch.from_numpy(said.std(0) + 0.02)


def fit(model: Whole, rows: Rows, seconds: float, folder: Path) -> Whole:
    """Train for a time; gives the running average of the weights."""
    model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    start, sums, step, done = time.perf_counter(), dict.fromkeys(SHARES, 0.0), 0, 0.0
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    for batch in batches(rows, BATCH, 1 + rank, folder, model.head.seeing):
        if done >= 1:
            break
        rate = RATE * min(1, (step + 1) / 200) * (0.5 + 0.5 * np.cos(np.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        model.train()
        out, truth = _run(model, batch)
        terms = losses(out, truth)
        total = sum(SHARES[name] * term for name, term in terms.items())
        optimiser.zero_grad()
        total.backward()
        done = _shared(model, (time.perf_counter() - start) / seconds)
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        step += 1
        _averaged(average, model, min(0.998, step / (step + 10)))
        for name, term in terms.items():
            sums[name] += float(term.detach())
        if step % 100 == 0 and not rank:
            told = " ".join(f"{name} {value / 100:.3f}" for name, value in sums.items())
            print(
                f"{step} ({step * BATCH} seen, {time.perf_counter() - start:.0f} s) {told}",
                flush=True,
            )
            sums = dict.fromkeys(SHARES, 0.0)
    print(f"{step} steps of {BATCH} in {time.perf_counter() - start:.0f} s", flush=True)
    return average


def _run(model: Whole, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    given = {key: torch.from_numpy(values) for key, values in batch.items()}
    planes = given.pop("planes")
    planes = planes.contiguous(memory_format=torch.channels_last) if model.head.seeing else planes
    with torch.autocast("cpu", torch.bfloat16, enabled=model.training):
        out = model(planes, given["weights"], given["numbers"])
    return out.float(), given


def losses(out: torch.Tensor, truth: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The mean of each term over a batch."""
    touch = truth["touch"]
    spread = out[:, glance.DEPTH.start + 1].clamp(-5, 2)
    depth = 0.5 * ((out[:, glance.DEPTH.start] - truth["depth"]) * torch.exp(-spread)) ** 2 + spread
    part = F.binary_cross_entropy_with_logits(out[:, glance.PART], truth["parts"], reduction="none").mean(1)
    wide = out[:, glance.POSE_SIGMA].clamp(-4, 2)
    off = ((out[:, glance.POSE].reshape(-1, 21, 3) - truth["pose"]) ** 2).sum(2)
    pose = (0.5 * off * torch.exp(-2 * wide) + 3 * wide).mean(1)
    return {
        "touch": F.binary_cross_entropy_with_logits(out[:, 0], 0.96 * touch + 0.02),
        "gap": F.smooth_l1_loss(out[:, glance.GAP.start], truth["gap"]),
        "near": F.smooth_l1_loss(out[:, glance.GAPS], truth["near"]),
        "depth": depth.clamp(max=20).mean(),
        "parts": (part * touch).sum() / touch.sum().clamp(min=1),
        "pose": pose.mean(),
    }


def _averaged(average: Whole, model: Whole, keep: float) -> None:
    with torch.no_grad():
        for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            old.mul_(keep).add_(new, alpha=1 - keep) if old.is_floating_point() else old.copy_(new)


def answers_of(model: Whole, rows: Rows) -> tuple[NDArray, Batch]:
    """(n, OUTPUTS) and what would have been right."""
    model.eval()
    outs, truths = [], []
    with torch.no_grad():
        for batch in batches(rows, 100, None, None, model.head.seeing):
            outs.append(_run(model, batch)[0].numpy())
            truths.append({key: batch[key] for key in (*SHARES, "numbers")})
    return np.concatenate(outs), {key: np.concatenate([one[key] for one in truths]) for key in truths[0]}


def calibrated(out: NDArray, truth: Batch) -> list[float]:
    """See `glance.answer`."""

    def cross(logits: NDArray, wanted: NDArray) -> float:
        return float(np.logaddexp(0, np.where(wanted > 0.5, -logits, logits)).mean())

    touch, touching = out[:, 0].astype(float), truth["touch"] > 0.5
    scale, shift = minimize(lambda x: cross(x[0] * touch + x[1], truth["touch"]), [1.0, 0.0], method="Nelder-Mead").x
    parts, wanted = out[touching][:, glance.PART].astype(float), truth["parts"][touching]
    part = minimize(lambda x: cross(x[0] * parts, wanted), [1.0], method="Nelder-Mead").x[0]
    depth = (out[:, 1] - truth["depth"]) / np.exp(np.clip(out[:, 2], -5, 2))
    off = ((out[:, glance.POSE].reshape(-1, 21, 3) - truth["pose"]) ** 2).mean(2)
    pose = off / np.exp(2 * np.clip(out[:, glance.POSE_SIGMA], -4, 2))
    # medians: a few hands that the detector took for something else would make all others seem unsure
    return [float(scale), float(shift), float(part), float(np.median(np.abs(depth)) / 0.6745),
            float(np.sqrt(np.median(pose) / 0.789))]  # fmt: skip


def auc(scores: NDArray, labels: NDArray) -> float:
    """Chance that one that is scores higher than one that is not."""
    order = np.argsort(np.argsort(scores)) + 1
    yes = labels > 0.5
    return float((order[yes].sum() - yes.sum() * (yes.sum() + 1) / 2) / max(yes.sum() * (~yes).sum(), 1))


def report(out: NDArray, truth: Batch, calibration: list[float]) -> None:
    """Figures on the half that was kept back."""
    touch, gap = truth["touch"], np.exp(truth["gap"]) * 0.02 - 0.005
    chance = 1 / (1 + np.exp(-(calibration[0] * out[:, 0] + calibration[1])))
    near = np.abs(np.exp(out[:, glance.GAPS]) - np.exp(truth["near"])) * 1000 * glance.GAP_UNIT
    plain_near = np.abs(np.exp(np.median(truth["near"], 0)) - np.exp(truth["near"])) * 1000 * glance.GAP_UNIT
    print(f"joints to face: {near.mean():.1f} mm mean {np.median(near):.1f} median; constant {plain_near.mean():.1f}")
    print(f"calibration {np.round(calibration, 3).tolist()}")
    print(f"touch: AUC {auc(chance, touch):.3f}, right {((chance > 0.5) == (touch > 0.5)).mean():.3f}")
    for low, high in ((0.007, 0.015), (0.015, 0.03), (0.03, 0.06), (0.06, 0.12), (0.12, 0.5)):
        some = (touch > 0.5) | ((gap >= low) & (gap < high))
        print(
            f"  against {100 * low:.1f}-{100 * high:.1f} cm: AUC {auc(chance[some], touch[some]):.3f} "
            f"({(some & (touch < 0.5)).sum()})"
        )
    for low in np.arange(0, 1, 0.2):
        some = (chance >= low) & (chance < low + 0.2)
        print(f"  said {low:.1f}-{low + 0.2:.1f}: {touch[some].mean() if some.any() else np.nan:.2f} of {some.sum()}")
    off = np.abs(out[:, 1] - truth["depth"])
    plain = np.abs(truth["depth"] - np.median(truth["depth"]))
    for name, some in (("touching", touch > 0.5), ("away", touch < 0.5)):
        print(
            f"depth, {name}: {off[some].mean():.3f} mean {np.median(off[some]):.3f} median; "
            f"constant {plain[some].mean():.3f}"
        )
    yes = touch > 0.5
    for number, name in enumerate(glance.PARTS):
        is_so = truth["parts"][yes, number]
        print(f"  part {name}: AUC {auc(out[yes, 3 + number], is_so):.3f}, {is_so.mean():.2f}")
    said, wanted = out[yes][:, glance.PART] > 0, truth["parts"][yes] > 0.5
    print(
        f"parts: F1 {2 * (said & wanted).sum() / max(said.sum() + wanted.sum(), 1):.3f}, best named is right "
        f"{wanted[np.arange(len(wanted)), out[yes][:, glance.PART].argmax(1)].mean():.3f}"
    )
    before = np.linalg.norm(truth["pose"], axis=2).mean(1)
    after = np.linalg.norm(truth["pose"] - out[:, glance.POSE].reshape(-1, 21, 3), axis=2).mean(1)
    print(
        f"joints, units: {before.mean():.3f} mean {np.median(before):.3f} median -> "
        f"{after.mean():.3f} {np.median(after):.3f}"
    )


if __name__ == "__main__":
    main()
