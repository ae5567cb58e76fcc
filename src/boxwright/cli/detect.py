"""`boxwright detect`: run a model on pictures and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright.cli.console import Overwrite
from boxwright.cli.passed_over import tell_passed_over

MODELS = (".safetensors", ".onnx", ".xml", ".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of files that were meant as models, though not all of them can be."""
DEFAULT = "everyday"


def command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] SOURCE...",
            help="A .safetensors checkpoint, an exported .onnx or a packaged name (everyday, blood-cells), everyday "
            "if left out; then files, folders, patterns, videos; - reads a list from standard input.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures with boxes.")] = Path("runs/detect"),
    score: Annotated[
        float | None, typer.Option(help="Show detections from this score on; the model knows its own.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per image on standard output.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="A table, one row per detection.")] = None,
    coco: Annotated[Path | None, typer.Option(metavar="FILE", help="A list of COCO results.")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Write pictures with boxes.")] = True,
    batch: Annotated[int, typer.Option(min=1, help="Images that the network sees at once.")] = 1,
    overwrite: Overwrite = False,
    spark: Annotated[
        str | None,
        typer.Option(
            metavar="MASTER",
            help="Run on Spark (local[4], spark://host:7077, yarn, ...); --out is then a folder of Parquet.",
        ),
    ] = None,
) -> None:
    """Detect on pictures and videos; unreadable files are named, skipped and counted.

    Exit 0: all done. 1: some files could not be read, or their pictures not be written. 2: none could.

    **Examples**

    `boxwright detect photo.jpg`  people, animals, vehicles, furniture, by the packaged model `everyday`

    `boxwright detect runs/cells/best.safetensors photo.jpg`

    `boxwright detect blood-cells slides/ --csv cells.csv --no-images`

    `find . -name "*.png" | boxwright detect model.onnx - --json --no-images`

    `boxwright detect blood-cells hdfs:///slides --spark spark://host:7077 --out hdfs:///cells`
    """
    import sys
    from collections import deque
    from collections.abc import Iterator
    from contextlib import ExitStack

    from boxwright.cli.console import progress, say
    from boxwright.loading import load
    from boxwright.results import Result
    from boxwright.runtime import sinks
    from boxwright.runtime.sources import Item, Sources
    from boxwright.stopping import AGAIN, if_stopped

    # A packaged model is opened as a graph: it needs no torch, starts at once and is the faster one on a CPU.
    model, source = model_and_sources(arguments)
    if spark is not None:
        from boxwright.cli import on_spark

        on_spark.refuse(as_json=as_json, csv=csv, coco=coco, sources=source)
        raise typer.Exit(on_spark.detect(spark, model, source[0], out, score, batch))
    predictor = load(model, engine="onnx").predictor()
    tell_passed_over(source)
    sources = Sources(source, sys.stdin, without=out)
    waiting: deque[Item] = deque()

    def feed() -> Iterator[object]:
        for item in sources:
            waiting.append(item)
            yield item.image

    done = failed = detections = 0
    tables = "".join(f"{path} is not written; " for path in (csv, coco) if path is not None)
    pictures = sinks.Pictures(out, overwrite=overwrite)
    unwritten = pictures.unwritten.errors
    if_stopped(
        lambda _: (f"pictures of {done - len(unwritten)} are in {out}; " if images else "") + tables + AGAIN
    )
    with ExitStack() as files:
        targets: list[sinks.Sink] = []
        if as_json:
            targets.append(sinks.JsonLines(typer.echo))
        if csv is not None:
            targets.append(files.enter_context(sinks.table_file(csv, overwrite=overwrite)))
        if coco is not None:
            targets.append(files.enter_context(sinks.coco_file(coco, overwrite=overwrite)))
        if images:
            targets.append(files.enter_context(pictures))
        results = predictor.stream(feed(), score, batch=batch, keep_images=images, on_error="skip")
        for found in progress(results, "detecting", sources.total):
            item = waiting.popleft()
            if isinstance(found, Result):
                for target in targets:
                    target.take(item, found)
                done, detections = done + 1, detections + len(found)
            else:
                failed += 1
                say(f"boxwright: skipped {found[1]}")
                for target in targets:
                    target.skip(item, found[1])
    wrote = "; ".join(f"see {path}" for path in (out if images else None, csv, coco) if path is not None)
    say(
        f"{detections} detection{'s' * (detections != 1)} on {done} image{'s' * (done != 1)}"
        + (f"; {wrote}" if wrote and done else "")
    )
    if pictures.unwritten.tell(say) | bool(failed):
        if failed:
            say(f"{failed} of {done + failed} could not be read")
        raise typer.Exit(1 if done > len(unwritten) else 2)
    if not done:
        say("boxwright: nothing to detect on; name files, folders or patterns")
        raise typer.Exit(2)


def model_and_sources(arguments: list[str]) -> tuple[str, list[str]]:
    """The model that comes first, or else the packaged one, and what to detect on.

    >>> model_and_sources(["photo.jpg", "more"])
    ('everyday', ['photo.jpg', 'more'])
    >>> model_and_sources(["cells.onnx", "slide.png"])
    ('cells.onnx', ['slide.png'])
    """
    first, *others = arguments
    # A bare word that is no file is taken for a model's name, so that a misspelt one is told the names there are.
    word = first != "-" and not Path(first).suffix and not set(first) & set("*?[/\\")
    if Path(first).suffix in MODELS or (word and not Path(first).exists()):
        return first, others
    return DEFAULT, arguments
