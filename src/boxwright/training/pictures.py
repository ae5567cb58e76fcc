"""Pictures of a run: its first batch with the priors that answer for its objects, and its curves."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from boxwright.draw import draw_priors, grid, write_picture
from boxwright.files import write_bytes
from boxwright.preprocess import Preprocess
from boxwright.training.validate import to_device

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from boxwright.training.setup import Run

SHOWN = 8


def first_batch(run: Run, path: Path) -> None:
    """The first images as the network will see them, each object with the priors that answer for it.

    Most faults of data and settings can be seen here: boxes that are off, varied out of the picture or too
    small for any prior. It runs the network once, in evaluation mode, and changes nothing.
    """
    plan = run.plan
    loaded = run.first_images(min(SHOWN, plan.settings.batch, len(plan.train)))
    if loaded.batch is None:
        return
    batch = to_device(loaded.batch, run.team.device, channels_last=plan.settings.channels_last)
    net, device = run.moving.net.eval(), run.team.device
    # Networks that sample regions draw; what is drawn for a picture must not be missing in the run.
    forked = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with forked, torch.no_grad():
        priors, assignment = plan.model.objective.assigned(net.taught(batch), batch.targets)
    pictures = []
    for row in range(len(loaded.batch.paths)):
        height, width = (int(side) for side in batch.sizes[row])
        count = int(batch.targets.valid[row].sum())
        matched = torch.where(assignment.state[row] == 1, assignment.gt[row], -1)
        pictures.append(
            draw_priors(
                as_picture(loaded.batch.images[row].numpy(), plan.model.preprocess)[:height, :width],
                priors.boxes[row if len(priors.boxes) > 1 else 0].cpu().numpy(),
                batch.targets.boxes[row, :count].cpu().numpy(),
                matched.cpu().numpy(),
                [plan.model.classes[label] for label in batch.targets.labels[row, :count].tolist()],
            )
        )
    write_picture(path, grid(pictures, columns=4))


def as_picture(
    image: Float32[np.ndarray, "3 height width"], preprocess: Preprocess
) -> UInt8[np.ndarray, "height width 3"]:
    """A normalised image as a person can look at it."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (preprocess.mean, preprocess.std))
    pixels = np.clip((image * std + mean) * 255, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def curves(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Losses and average precision over a run, from the rows of `metrics.csv`."""
    from matplotlib.figure import Figure  # an extra that only this needs

    figure = Figure(figsize=(9, 3.2))
    losses, precision = figure.subplots(1, 2, gridspec_kw={"left": 0.06, "right": 0.98, "bottom": 0.15})
    _lines(losses, rows, {"loss": "training", "val_loss": "validation"}, "loss")
    labelled = any("accuracy" in row for row in rows)
    shown = {"accuracy": "accuracy", "top-5": "top 5"} if labelled else {"AP50": "AP50", "AP": "AP"}
    _lines(precision, rows, shown, "on validation images")
    precision.set_ylim(0, 1)
    _save(figure, path)


def _lines(axes: Axes, rows: Sequence[dict[str, float]], shown: dict[str, str], title: str) -> None:
    for name, label in shown.items():
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        axes.plot([x for x, _ in points], [y for _, y in points], label=label)
    axes.set_xlabel("epoch")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()


def _save(figure: Figure, path: Path) -> None:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110)
    write_bytes(path, file.getvalue())
