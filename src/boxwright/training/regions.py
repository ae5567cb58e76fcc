"""The regions that a run's images are judged by, found once before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float32, UInt8
from numpy import ndarray

from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.regions.dataset import Watch, propose
from boxwright.regions.proposals import Proposals
from boxwright.regions.source import RegionSource, Windows

FILE = "proposals.npz"


@dataclass(frozen=True)
class Known:
    """Regions that a file holds.

    Attributes:
        proposals: the file.
    """

    proposals: Proposals

    def __call__(
        self, image: UInt8[ndarray, "height width 3"], path: Path | None
    ) -> Float32[ndarray, "roi 4"]:
        """The regions of an image of the data set.

        Raises:
            InputError: the file has none, or the image had another size.
        """
        return self.proposals.boxes(path or "", (image.shape[0], image.shape[1]))

    def fingerprint(self, parts: tuple[Dataset, ...]) -> str:
        """A hash over the regions of these images."""
        return self.proposals.fingerprint(sample.path for part in parts for sample in part)


@dataclass(frozen=True)
class Laid:
    """Regions that the image's size alone decides.

    Attributes:
        windows: which.
    """

    windows: Windows

    def __call__(
        self, image: UInt8[ndarray, "height width 3"], path: Path | None
    ) -> Float32[ndarray, "roi 4"]:
        """The windows that fit into an image."""
        return self.windows(image)


def known(
    source: RegionSource | None,
    parts: tuple[Dataset, ...],
    file: Path,
    *,
    search: bool,
    share: Callable[[Path], Path],
    say: Callable[[str], None],
    watch: Watch | None = None,
    policy: str = "skip",
) -> Known | Laid | None:
    """What knows the regions of these images.

    Args:
        source: the model's; None for a network that finds its own.
        parts: the images.
        file: where regions are, or will be; images that are in it are not searched again.
        search: whether this process is the one that does.
        share: gives all processes a file that the first one has; see `Team.shared`.
        say: receives a line before a search that takes a while.
        watch: passes each image on as it is done.
        policy: what an unreadable image does: "error" ends the run once the others are done, "skip" leaves it out.

    Raises:
        InputError: the file is damaged or was made in another way, the disk is full, or an image cannot be read
            under "error".
    """
    if source is None:
        return None
    if isinstance(source, Windows):
        return Laid(source)
    if search:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            say(f"finding the regions of {sum(len(part) for part in parts)} images, once, for {file}")
        for part in parts:
            _, troubles = propose(part, source, file, watch=watch)
            if troubles and policy == "error":
                raise InputError(
                    troubles[0],
                    hint="or leave such images out with --set train.bad_images=skip; then --resume",
                )
    return Known(Proposals.open(share(file)))
