"""What a person can say about how a data set is to be read; every reader takes the same record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boxwright.data.formats.paths import DataFolder


@dataclass(frozen=True)
class ReadOptions:
    """How a data set is read.

    Attributes:
        images: the folder that holds the images, wherever it is; None to look for them in the data folder.
        follow_links: symbolic links that lead out of the data folder are followed.
        voc_zero_based: Pascal VOC files count pixels from 0, not from 1.
        root: the data folder, where a single file of it is read; the file's own folder if None.
    """

    images: Path | None = None
    follow_links: bool = True
    voc_zero_based: bool = False
    root: Path | None = None

    def folder(self, root: Path) -> DataFolder:
        """The data folder, as safe as these options want it."""
        return DataFolder(self.root or root, follow_links=self.follow_links)


DEFAULT = ReadOptions()
