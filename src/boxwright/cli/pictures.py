"""What commands share that make one picture of each picture: where results go, and what cannot be taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.regular import real_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxwright.images import RGB8
    from boxwright.runtime.sources import Item

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A run's best.safetensors, or an exported .onnx.")
]
Images = Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Pictures, folders or patterns.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="A folder; for one picture also a .png, .jpg, .webp or .tif.")
]
Threads = Annotated[int | None, typer.Option(help="Of ONNX Runtime; all cores by default.", min=1)]


def is_one_file(images: Sequence[str], out: Path) -> bool:
    """Whether the one picture that is given goes into the one file that is named; a folder is meant otherwise.

    Raises:
        InputError: a file is named for several pictures.
    """
    from boxwright.draw import PICTURES
    from boxwright.errors import InputError

    if out.suffix.lower() not in PICTURES or out.is_dir():
        return False
    if len(images) > 1 or not Path(images[0]).is_file():
        raise InputError("is one file, for several pictures", path=out, hint="name a folder")
    return True


def pictures(count: int) -> str:
    """So many of them, in words.

    >>> pictures(1), pictures(0)
    ('1 picture', '0 pictures')
    """
    return f"{count} picture{'s' * (count != 1)}"


def writable(name: Path) -> Path:
    """The name itself, or one more ending where pictures of its kind are only read.

    >>> writable(Path("a.jpg")).name, writable(Path("a.gif")).name
    ('a.jpg', 'a.gif.png')
    """
    from boxwright.draw import PICTURES

    return name if name.suffix.lower() in PICTURES else name.with_name(f"{name.name}.png")


def read_item(item: Item, target: Path) -> RGB8:
    """The picture of an item whose result goes to a file.

    Raises:
        InputError: unreadable, a video, or its own target.
    """
    from boxwright.errors import InputError
    from boxwright.images import read_image

    if isinstance(item.image, InputError):
        raise item.image
    if not isinstance(item.image, Path):
        raise InputError("is a video", path=item.path, hint="give pictures")
    if real_path(target) == real_path(item.path):
        raise InputError("the result would replace it", path=item.path, hint="choose another --out")
    return read_image(item.image)
