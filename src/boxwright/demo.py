"""The demo: make scenes, train on them, evaluate, detect. Everything a person would do with their own images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from boxwright.cli.console import say
from boxwright.data import open_dataset
from boxwright.data.augment import AUGMENT_NO_FLIP
from boxwright.data.scenes import write_scenes
from boxwright.draw import encode_picture, grid
from boxwright.evaluate import Report
from boxwright.files import write_bytes
from boxwright.model import create
from boxwright.outputs import Outputs
from boxwright.recipes import find
from boxwright.stopping import AGAIN, if_stopped
from boxwright.training import train
from boxwright.training.folder import is_ours

MODEL = "ssd320-efficientnet-lite0"
PICTURES = 12


@dataclass(frozen=True)
class Scale:
    """How much the demo does."""

    train: int
    val: int
    test: int
    epochs: int
    batch: int
    lr: float


# Iterations, and no time limit: a slow or busy machine takes longer and reaches the same. 350 are five to nine minutes
# on two idle cores. The quick form shows the way, and detects next to nothing.
FULL = Scale(train=800, val=100, test=200, epochs=7, batch=16, lr=2e-3)
QUICK = Scale(train=32, val=8, test=8, epochs=2, batch=8, lr=2e-3)


def run(out: Path, *, quick: bool, seed: int) -> Report:
    """Make scenes in `out/scenes`, train to `out`, report on the test scenes, save pictures.

    Args:
        out: a new folder, or one with the same scenes from an earlier demo.
        quick: a short run that only shows the way.
        seed: of scenes and training.

    Returns:
        The report on scenes of digits and photographs that training never saw.
    """
    scale = QUICK if quick else FULL
    if_stopped(lambda _: f"scenes that are complete stay in {out}; {AGAIN}")
    started = time.monotonic()
    # One data set per seed and size, so that a second demo finds the scenes of the first.
    scenes = out / f"scenes-{scale.train}-{seed}"
    if not scenes.exists():
        say(f"making {scale.train + scale.val + scale.test} scenes in {scenes}")
        write_scenes(scenes, train=scale.train, val=scale.val, test=scale.test, seed=seed)
    splits = {split: open_dataset(scenes, split) for split in ("train", "val", "test")}
    made = time.monotonic()

    model = create(MODEL, classes=splits["train"].classes, ids=splits["train"].ids, say=say)
    settings = replace(
        find(MODEL).train,
        epochs=scale.epochs,
        batch=scale.batch,
        lr=scale.lr,
        warmup=30,
        ema=0.99,
        ema_ramp=50,
        freeze=4,  # stem and three stages: what they know of edges and textures serves here too
        seed=seed,
    )
    with Outputs(out) as outputs:
        outputs.claim_all("report.html", "report.json", "detections.jpg")
        # No flip: a mirrored digit is another sign.
        result = train(
            model,
            splits["train"],
            val=splits["val"],
            out=out / "model",
            settings=settings,
            augment=AUGMENT_NO_FLIP,
            overwrite=is_ours(out / "model"),
        )
        trained = time.monotonic()

        report = result.model.evaluate(splits["test"])
        report.save(out)
        examples = splits["test"].samples[:PICTURES]
        results = result.model.predict([sample.path for sample in examples])
        write_bytes(out / "detections.jpg", encode_picture(grid([r.plot() for r in results], 4), ".jpg"))
    say(
        f"mAP50 {report.coco.ap50:.3f} on {len(splits['test'])} held-out scenes; "
        f"scenes {made - started:.0f} s, {result.iterations} iterations of training {trained - made:.0f} s, "
        f"report and pictures {time.monotonic() - trained:.0f} s"
    )
    say(f"look at {out / 'report.html'} and {out / 'detections.jpg'}")
    say(f"use it: boxwright detect {result.best} YOUR-PICTURES")
    return report
