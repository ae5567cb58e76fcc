"""Data sets: records, readers and writers of four formats, the doctor, augmentation embedded scenes."""

from __future__ import annotations

from boxwright.data.open import open_dataset, splits
from boxwright.data.records import Dataset, Finding, Sample

__all__ = ["Dataset", "Finding", "Sample", "open_dataset", "splits"]
