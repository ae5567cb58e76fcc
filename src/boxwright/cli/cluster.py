"""`boxwright cluster`: pictures that look alike, together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright.cli.console import Overwrite
from boxwright.cli.features import (
    Backbone,
    Batch,
    Engine,
    Jobs,
    PoolOption,
    Size,
    Split,
    Tap,
    Threads,
    Weights,
    build,
    if_extraction_stops,
)
from boxwright.cli.passed_over import tell_passed_over

if TYPE_CHECKING:
    from boxwright.cluster.local import ClusterSettings
    from boxwright.cluster.results import Clustered


def command(
    source: Annotated[
        Path, typer.Argument(metavar="FEATURES|IMAGES", help="A table of boxwright features, or pictures.")
    ],
    k: Annotated[str, typer.Option("-k", help="How many clusters; auto chooses.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables and the page.")] = Path(
        "clusters"
    ),
    method: Annotated[str, typer.Option(help="kmeans, mini-batch or hdbscan.")] = "kmeans",
    pca: Annotated[
        str, typer.Option(help="Principal components: a count, a part of the variance such as .95, or none.")
    ] = "none",
    whiten: Annotated[bool, typer.Option("--whiten", help="Let every component count alike.")] = False,
    normalise: Annotated[
        bool, typer.Option(help="Compare directions of features, not their lengths.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of every random start.")] = 0,
    most: Annotated[int, typer.Option(min=2, help="The largest k that auto tries.")] = 20,
    smallest: Annotated[
        int | None, typer.Option(min=2, help="Images in a cluster of HDBSCAN's; 5 by default.")
    ] = None,
    duplicates: Annotated[
        str,
        typer.Option(
            help="Cosine distance below which images are near-duplicates; auto is a tenth of the median."
        ),
    ] = "auto",
    pictures: Annotated[int, typer.Option(min=0, help="On the page, at most about so many.")] = 600,
    labels: Annotated[
        str,
        typer.Option(
            help="Compare with known labels: folders, none, or auto (folders that look like labels)."
        ),
    ] = "auto",
    root: Annotated[
        Path | None, typer.Option(help="Where a table's pictures are now, if they were moved.")
    ] = None,
    backbone: Backbone = "efficientnet-lite0",
    tap: Tap = None,
    pool: PoolOption = "mean",
    size: Size = None,
    weights: Weights = "auto",
    split: Split = None,
    batch: Batch = 16,
    jobs: Jobs = None,
    threads: Threads = None,
    engine: Engine = "onnx",
    spark: Annotated[
        str | None,
        typer.Option(
            metavar="MASTER",
            help="Run on Spark: local[4], spark://host:7077, yarn, ... Methods there: kmeans, bisecting.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary on standard output.")] = False,
) -> None:
    """Group pictures by what a backbone sees in them, and make a page to browse them.

    Writes assignments (Parquet and CSV), the images nearest to each centre, near-duplicates, centres, a summary and
    sheet.html, which needs nothing beside it. Exit 0: all done. 1: some pictures could not be read.

    **Examples**

    `boxwright cluster photos -o clusters`

    `boxwright cluster features.parquet -k 10 --pca 64 --whiten`

    `boxwright cluster hdfs:///photos -o hdfs:///clusters -k 100 --spark spark://host:7077`
    """
    from boxwright.cli.boundary import goes_on
    from boxwright.cli.console import say
    from boxwright.cluster.local import ClusterSettings
    from boxwright.cluster.results import RESULTS
    from boxwright.outputs import Outputs
    from boxwright.stopping import if_stopped

    below = _threshold(duplicates)
    if spark is not None:
        from boxwright.cli import on_spark
        from boxwright.spark.cluster import SparkClusterSettings

        on_spark.refuse_options(
            engine=engine != "onnx",
            split=split is not None,
            labels=labels != "auto",
            root=root is not None,
            smallest=smallest is not None,
            jobs=jobs is not None,
            threads=threads is not None,
        )
        on = SparkClusterSettings(_count(k), method, _components(pca), whiten, normalise, seed, most)
        graph = None
        # What has its features already needs no network, and no torch.
        if source.suffix.lower() != ".parquet" and not on_spark.is_table(source):
            from boxwright.backbones.classifiers import find_classifier
            from boxwright.cluster.extractor import build_graph

            graph = build_graph(backbone, tap or find_classifier(backbone).taps[-1], pool, size, weights, say)
        if on_spark.is_address(out):
            summary, _, skipped = on_spark.cluster(spark, source, out, graph, on, batch, below)
        else:
            with Outputs(out, overwrite=overwrite) as outputs:
                outputs.claim_all(*RESULTS, "assignments", "centres")
                summary, whole, skipped = on_spark.cluster(spark, source, out, graph, on, batch, below)
                if whole is not None:
                    _write(whole, out, pictures)
        _end(summary, out, skipped, as_json)
        return
    settings = ClusterSettings(
        k=_count(k),
        method=method,
        pca=_components(pca),
        whiten=whiten,
        normalise=normalise,
        seed=seed,
        most=most,
        **({} if smallest is None else {"smallest": smallest}),
    )
    skipped = 0
    with Outputs(out, overwrite=overwrite) as outputs:
        # Now, and not after hours, is the time to say that something is in the way.
        outputs.claim_all(*RESULTS)
        table = source
        if source.suffix.lower() != ".parquet":
            table = out / "features.parquet"
            from boxwright.cli.console import progress
            from boxwright.cluster.features import Pace, extract
            from boxwright.cluster.pictures import list_pictures

            if_extraction_stops(table)
            tell_passed_over([source])
            found = list_pictures(source, split, without=out)
            network = build(backbone, tap, pool, size, weights, threads, engine)
            done = extract(found, network, table, Pace(batch, jobs), watch=progress)
            for one in done.skipped:
                say(f"boxwright: skipped {one.path}: {one.reason}")
            skipped = len(done.skipped)
        if_stopped(lambda _: goes_on(f"the clusters are not complete; features are in {table}"))
        clustered = _clustered(table, settings, below, labels, root)
        _write(clustered, out, pictures)
    _end(clustered.summary(), out, skipped, as_json)


def _write(clustered: Clustered, out: Path, pictures: int) -> None:
    from boxwright.cluster.choice_plot import alone, choice_plot
    from boxwright.cluster.results import write_results
    from boxwright.cluster.sheet import contact_sheet
    from boxwright.files import write_text

    write_results(clustered, out)
    if clustered.clustering.choice is not None:
        write_text(out / "choice.svg", alone(choice_plot(clustered.clustering.choice)))
    write_text(out / "sheet.html", contact_sheet(clustered, out, pictures))


def _end(summary: dict[str, Any], out: Path, skipped: int, as_json: bool) -> None:
    import json

    from boxwright.cli.console import say

    if as_json:
        typer.echo(json.dumps(summary))
    page = out / "sheet.html"
    say(_line(summary) + f"; see {page if page.exists() else out}")
    if skipped:
        raise typer.Exit(1)


def _clustered(
    file: Path, settings: ClusterSettings, below: float | None, labels: str, root: Path | None
) -> Clustered:
    from boxwright.cluster.duplicates import near_duplicates
    from boxwright.cluster.local import cluster_table
    from boxwright.cluster.results import Clustered
    from boxwright.cluster.table import read_table
    from boxwright.cluster.truth import folder_labels
    from boxwright.errors import InputError, near
    from boxwright.foreign import reading

    table = read_table(file)
    kinds = ("auto", "folders", "none")
    if labels not in kinds:
        raise InputError(f"no labels {labels!r}", hint=near(labels, kinds))
    known = None if labels == "none" else folder_labels(table.paths)
    if labels == "folders" and known is None:
        raise InputError("the images do not lie in folders that could be labels", hint="use --labels none")
    described = table.described
    keys = ("backbone", "tap", "pool", "columns")
    with reading(file, "table of features", again="make it with boxwright features"):
        features = {key: described.settings[key] for key in keys}
        features["size"] = described.settings["preprocess"]["size"][0]
    features["weights"] = str(described.notes.get("weights", ""))
    return Clustered(
        root=Path(described.root) if root is None else root.absolute(),
        paths=table.paths,
        clustering=cluster_table(table.features, settings),
        duplicates=near_duplicates(table.features, below),
        labels=known,
        settings=settings,
        source=features,
    )


def _line(summary: dict[str, Any]) -> str:
    text = f"{summary['images']} images in {summary['clusters']} clusters"
    if summary.get("in_no_cluster"):
        text += f", {summary['in_no_cluster']} in none"
    if "duplicates" in summary:
        pairs = summary["duplicates"]
        text += f", {pairs} pair{'' if pairs == 1 else 's'} nearly alike"
    if (agreed := summary.get("labels")) is not None:
        text += f"; with the folders NMI {agreed['nmi']:.3f}, purity {agreed['purity']:.3f}"
    return text


def _count(text: str) -> int | None:
    from boxwright.errors import InputError

    if text == "auto":
        return None
    if not text.isdecimal():
        raise InputError(f"-k {text}", hint="give a number of clusters, or auto")
    return int(text)


def _components(text: str) -> float | None:
    if text == "none":
        return None
    return _finite(text, "--pca", "give a count, a part of the variance such as .95, or none")


def _threshold(text: str) -> float | None:
    if text == "auto":
        return None
    return _finite(text, "--duplicates", "give a distance such as .01, or auto")


def _finite(text: str, option: str, hint: str) -> float:
    from math import isfinite

    from boxwright.errors import InputError

    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InputError(f"{option} {text}", hint=hint)
    return number
