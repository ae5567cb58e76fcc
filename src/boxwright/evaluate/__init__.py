"""How good a detector is, and why it errs: numpy only, whatever made the detections."""

from __future__ import annotations

from boxwright.evaluate.coco import CocoMetrics, coco_metrics
from boxwright.evaluate.report import Report, evaluate
from boxwright.evaluate.run import evaluate_model
from boxwright.evaluate.voc import VocMetrics, voc_metrics

__all__ = [
    "CocoMetrics",
    "Report",
    "VocMetrics",
    "coco_metrics",
    "evaluate",
    "evaluate_model",
    "voc_metrics",
]
