"""Preparers that fail, for workers to run: without torch, as workers are."""

from __future__ import annotations

import os

from boxwright.data.prepare import Broken, Job, Prepared, Preparer


class Deadly(Preparer):
    """Ends its process at one image, as a decoder that crashes would."""

    def __call__(self, job: Job) -> Prepared | Broken:
        if job.path.endswith("picture05.png"):
            os._exit(9)
        return super().__call__(job)


class Faulty(Preparer):
    """Has a defect."""

    def __call__(self, job: Job) -> Prepared | Broken:
        raise ZeroDivisionError("a defect")
