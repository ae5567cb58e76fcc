"""One case: damaged inputs in a folder of its own, and the command that is given them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import typer

from benchmarks.fuzz.forged import forge
from benchmarks.fuzz.mutations import NUMBERS, TEXTS, mutate_bytes, mutate_text
from benchmarks.fuzz.seeds import RUN

IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".jp2", ".avif")
_LONG = (
    "demo",
    "style paint",
    "style train",
    "vae train",
    "upscale train",
    "segment train",
    "train",
    "compare",
)
"""Commands that may rightly take long: their arguments are tried on what is no data set."""

Words = list[str]


def annotations(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A data set whose annotation files are damaged."""
    data = _copy(rng.choice(sorted((seeds / "layouts").iterdir())), here / "data")
    texts = [file for file in sorted(data.rglob("*")) if file.is_file() and file.suffix.lower() not in IMAGES]
    for file in rng.sample(texts, min(len(texts), rng.choice((1, 1, 2)))):
        file.write_bytes(mutate_text(file.read_bytes(), rng))
    if rng.random() < 0.15:
        _damage_tree(data, rng)
    name = "data"
    if texts and rng.random() < 0.15:
        name = str(rng.choice(texts).relative_to(here))
    return [
        *rng.choice(
            (
                ["check", name],
                ["check", name, "--json"],
                ["check", name, "--fix", "out/fixed"],
                [
                    "convert",
                    name,
                    "out/made",
                    "--to",
                    rng.choice(("coco", "voc", "yolo", "csv")),
                    "--skip-bad",
                ],
                ["convert", name, "out/made", "--to", rng.choice(("coco", "voc", "yolo", "csv"))],
                ["anchors", name],
                ["eval", "blood-cells", name, "--out", "out/e", "--skip"]
                if rng.random() < 0.3
                else ["check", name],
            )
        )
    ]


def images(seeds: Path, here: Path, rng: random.Random) -> Words:
    """Some damaged image files."""
    folder = here / "images"
    folder.mkdir()
    for file in rng.sample(sorted((seeds / "images").iterdir()), rng.choice((1, 2, 4))):
        (folder / file.name).write_bytes(mutate_bytes(file.read_bytes(), rng))
    models, first = seeds / "models", sorted(folder.iterdir())[0]
    return rng.choice(
        (
            ["detect", "blood-cells", "images", "--out", "out/d"],
            ["detect", "blood-cells", "images", "--json", "--out", "out/d"],
            ["check", "images"],
            ["propose", f"images/{first.name}", "--out", "out/p.png", "--count", "20", "--side", "64"],
            ["upscale", "apply", str(models / "upscale.onnx"), "images", "-o", "out/large"],
            ["segment", "apply", str(models / "segment.onnx"), "images", "-o", "out/masks", "--overlay"],
            ["style", "apply", str(models / "style.onnx"), "images", "-o", "out/styled"],
        )
    )


def masks(seeds: Path, here: Path, rng: random.Random) -> Words:
    """Pairs of images and masks of which some are damaged."""
    data = _copy(seeds / "masks", here / "data")
    for file in rng.sample(sorted((data / "masks").iterdir()), rng.choice((1, 1, 2))):
        file.write_bytes(mutate_bytes(file.read_bytes(), rng))
    if rng.random() < 0.2:
        _damage_tree(data, rng)
    only = here / "only.txt"
    only.write_bytes(mutate_text(b"0\n1\n2\n3\n", rng) if rng.random() < 0.3 else b"0\n1\n2\n3\n")
    model = str(seeds / "models/segment.onnx")
    return ["segment", "eval", model, "data", "--only", "only.txt", "--out", "out/e", "--threads", "1"]


def models(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A damaged or forged model file."""
    source = rng.choice(sorted((seeds / "models").iterdir()))
    file = here / source.name
    shutil.copy(source, file)
    (here / "beside.bin").write_bytes(bytes(4096))
    shutil.copy(seeds / "images/a.png", here / "a.png")
    forge(file, rng)
    if file.suffix == ".safetensors" and rng.random() < 0.25:
        return ["export", file.name, "--out", "out/x.onnx"]
    match file.stem:
        case "detector" if rng.random() < 0.1:
            return ["eval", file.name, str(seeds / "layouts/y_other_machine"), "--out", "out/e"]
        case "detector":
            return ["detect", file.name, "a.png", "--out", "out/d"]
        case "vae" if rng.random() < 0.5:
            return ["vae", "sample", file.name, "-o", "out/s.png", "--count", "2"]
        case "vae":
            return ["vae", "reconstruct", file.name, "a.png", "-o", "out/r.png"]
        case task:
            return [task, "apply", file.name, "a.png", "-o", "out/o.png", "--threads", "1"]


def weights(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A damaged checkpoint of others."""
    source = rng.choice(sorted((seeds / "weights").iterdir()))
    file = here / source.name
    shutil.copy(source, file)
    forge(file, rng)
    (here / "names.txt").write_bytes(mutate_text(b"cat\ndog\n", rng))
    more = rng.choice(([], ["--classes", "names.txt"], ["--name", "resnet18"]))
    return ["weights", "import", file.name, "--out", "out/w.safetensors", *more]


def tables(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A damaged table of features, archive of proposals, or record of a comparison."""
    kind = rng.randrange(3)
    if kind == 0:
        shutil.copy(seeds / "tables/features.parquet", here / "f.parquet")
        forge(here / "f.parquet", rng)
        return ["cluster", "f.parquet", "-k", "2", "-o", "out/c", *rng.choice(([], ["--pca", "2"]))]
    if kind == 1:
        # What goes on with a damaged archive must see the damage; the archive is its output.
        (here / "out").mkdir()
        shutil.copy(seeds / "tables/proposals.npz", here / "out/p.npz")
        forge(here / "out/p.npz", rng)
        data = str(seeds / "layouts/y_other_machine")
        return ["propose", data, "--out", "out/p.npz", "--strategy", "fast", "--count", "20", "--side", "100"]
    _copy(seeds / "comparison", here / "out/c")
    texts = [file for file in sorted((here / "out/c").rglob("*")) if file.is_file()]
    file = rng.choice(texts)
    file.write_bytes(mutate_text(file.read_bytes(), rng))
    return ["compare", str(seeds / "layouts/y_other_machine"), "--out", "out/c", "--report-only"]


def runs(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A training whose folder is damaged, to be gone on with."""
    (here / "out").mkdir()
    run = _copy(seeds / "run", here / "out/run")
    files = [run / name for name in ("last.safetensors", "run.json", "metrics.csv", ".boxwright-run")]
    file = rng.choice([file for file in files if file.exists()])
    if file.suffix == ".safetensors":
        forge(file, rng)
    else:
        file.write_bytes(mutate_text(file.read_bytes(), rng))
    words = [
        "upscale",
        "train",
        str(seeds / "photographs"),
        "--out",
        "out/run",
        "--resume",
        "--device",
        "cpu",
    ]
    words += ["--blocks", "1", "--channels", "4"]
    return [*words, *(word for change in RUN for word in ("--set", change))]


def arguments(seeds: Path, here: Path, rng: random.Random) -> Words:
    """A command line that nobody means."""
    shutil.copy(seeds / "images/a.png", here / "a.png")
    _copy(seeds / "layouts/y_other_machine", here / "data")
    (here / "empty").mkdir()
    (here / "a.txt").write_text("0 1 2\n")
    name, command = rng.choice(_commands())
    sound = [
        "a.png",
        "data",
        "blood-cells",
        "data/data.yaml",
        *(str(file) for file in (seeds / "models").iterdir()),
    ]
    odd = [
        "empty",
        "a.txt",
        "no",
        "",
        ".",
        "-",
        "a\udcff.png",
        "x" * 300,
        "http://example.org/a.png",
        "*.png",
        "[a]",
    ]
    given = odd if name in _LONG else sound + odd
    words = name.split()
    for parameter in command.params:
        flag = next((one for one in parameter.opts if one.startswith("-")), None)
        if parameter.name in ("help", "spark", "out", "fix", "target", "csv", "coco", "plot"):
            continue
        if flag is None:
            words += [
                rng.choice(given) for _ in range(rng.choice((1, 1, 1, 2)) if parameter.nargs != 1 else 1)
            ]
        elif rng.random() < 0.2:
            plain = getattr(parameter, "is_flag", False)
            words += (
                [flag]
                if plain
                else [flag, rng.choice((*NUMBERS, *TEXTS, *sound[:4], "cpu", "none", "1", "2"))]
            )
    names = {parameter.name for parameter in command.params}
    if "target" in names:
        words.insert(2, "out/target")
    words += ["--fix", "out/fixed"] if "fix" in names and rng.random() < 0.3 else []
    words += ["--out", "out/o" + rng.choice(("", ".png", ".json", ".onnx"))] if "out" in names else []
    # No system hands a program a word with a zero byte in it.
    return [word.replace("\0", "0") for word in words]


KINDS: dict[str, tuple[Callable[[Path, Path, random.Random], Words], int]] = {
    "annotations": (annotations, 6),
    "images": (images, 3),
    "masks": (masks, 2),
    "models": (models, 5),
    "weights": (weights, 2),
    "tables": (tables, 3),
    "runs": (runs, 1),
    "arguments": (arguments, 5),
}
"""By name how a case is made, and how often."""


def _commands() -> list[tuple[str, typer.core.TyperCommand]]:
    from boxwright.cli import app

    found = []
    whole = typer.main.get_command(app)
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += (
            [(name, command)] if inner is None else [(f"{name} {verb}", one) for verb, one in inner.items()]
        )
    return [(name, command) for name, command in found if name != "demo"]


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def _damage_tree(folder: Path, rng: random.Random) -> None:
    """A file removed, emptied, made a folder, a link to nothing or a link to itself."""
    file = rng.choice([file for file in sorted(folder.rglob("*")) if file.is_file()])
    file.unlink()
    match rng.randrange(5):
        case 0:
            file.write_bytes(b"")
        case 1:
            file.mkdir()
        case 2:
            file.symlink_to("nothing")
        case 3:
            file.symlink_to(file.name)
        case _:
            pass
