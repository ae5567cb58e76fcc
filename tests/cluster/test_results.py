"""What a clustering leaves: tables that agree, centres that place new images, a page that needs nothing beside it."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from boxwright.cluster.duplicates import near_duplicates
from boxwright.cluster.local import ClusterSettings, cluster_table, distances
from boxwright.cluster.reduce import Reduction
from boxwright.cluster.results import Clustered, write_results
from boxwright.cluster.sheet import contact_sheet
from boxwright.cluster.truth import folder_labels
from cluster.conftest import picture
from cluster.test_local import blobs

SETTINGS = ClusterSettings(pca=2, whiten=True, most=6)
TWINS = tuple(np.flatnonzero(blobs(0, 3, each=8)[1] == 1)[:2])
"""Two images of one kind, of which the second is made a near-duplicate of the first."""
SOURCE = {"backbone": "vgg16", "tap": "conv4", "pool": "mean", "weights": "vgg16 from a <b> file"}


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    points, _ = blobs(0, 3, each=8)
    first, second = TWINS
    points[second] = points[first] * 2
    return points


@pytest.fixture(scope="module")
def clustered(features: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Clustered:
    root = tmp_path_factory.mktemp("root & <x>")
    _, group = blobs(0, 3, each=8)
    paths = tuple(f"kind{kind}/a&b <{number}> #.png" for number, kind in enumerate(group))
    for number, path in enumerate(paths):
        picture(root / path, number, (40, 60))
    found = cluster_table(features, SETTINGS)
    return Clustered(
        root, paths, found, near_duplicates(features, 1e-4), folder_labels(paths), SETTINGS, dict(SOURCE)
    )


def test_tables_agree(clustered: Clustered, tmp_path: Path) -> None:
    write_results(clustered, tmp_path)
    table = pq.read_table(tmp_path / "assignments.parquet").to_pydict()
    assert table["path"] == list(clustered.paths)
    assert table["cluster"] == clustered.clustering.labels.tolist()
    with (tmp_path / "assignments.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["path"] for line in lines] == table["path"]
    assert [int(line["cluster"]) for line in lines] == table["cluster"]
    assert [float(line["distance"]) for line in lines] == pytest.approx(table["distance"], rel=1e-4)
    assert [float(line["margin"]) for line in lines] == pytest.approx(table["margin"], rel=1e-4)
    with (tmp_path / "nearest.csv").open(newline="") as file:
        nearest = list(csv.DictReader(file))
    for cluster in range(3):
        own = [line for line in nearest if int(line["cluster"]) == cluster]
        assert [int(line["rank"]) for line in own] == list(range(1, 9))
        away = [float(line["distance"]) for line in own]
        assert away == sorted(away)
    with (tmp_path / "duplicates.csv").open(newline="") as file:
        (pair,) = csv.DictReader(file)
    assert (pair["first"], pair["second"]) == tuple(clustered.paths[one] for one in TWINS)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["counts"] == [8, 8, 8]
    assert summary["choice"]["ks"] == [2, 3, 4, 5, 6]
    assert summary["labels"]["nmi"] == pytest.approx(1)
    assert summary["inertia"] == pytest.approx(sum(d**2 for d in table["distance"]), rel=1e-4)


@pytest.mark.parametrize("chosen", [SETTINGS, ClusterSettings(k=3), ClusterSettings(k=3, normalise=False)])
def test_centres_place_new_images(
    clustered: Clustered, features: np.ndarray, tmp_path: Path, chosen: ClusterSettings
) -> None:
    found = cluster_table(features, chosen)
    write_results(replace(clustered, clustering=found, settings=chosen), tmp_path)
    with np.load(tmp_path / "centres.npz", allow_pickle=False) as stored:
        values = {name: stored[name] for name in stored.files}
    centres = values.pop("centres")
    reduction = Reduction(bool(values.pop("normalise")), **values)
    np.testing.assert_array_equal(distances(reduction(features), centres).argmin(1), found.labels)


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_nothing_beside_it(clustered: Clustered, tmp_path: Path) -> None:
    page = contact_sheet(clustered, tmp_path)
    seen = Seen(page)
    assert not seen.all("script")
    assert not seen.all("link")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "url(" not in page
    pictures = seen.all("img")
    for one in pictures:
        head, _, content = str(one["src"]).partition(",")
        assert head == "data:image/jpeg;base64"
        Image.open(io.BytesIO(base64.b64decode(content))).load()
    # A card each, every picture once in its cluster, and the pair of near-duplicates.
    assert len(pictures) == 3 + 24 + 2
    anchors = {one["id"] for one in seen.all("section")}
    jumps = {str(one["href"])[1:] for one in seen.all("a") if str(one["href"]).startswith("#")}
    assert jumps == anchors
    assert {"overview", "cluster-0", "cluster-1", "cluster-2", "duplicates", "choice", "how"} == anchors


def test_pictures_open_their_files_and_names_are_text(clustered: Clustered, tmp_path: Path) -> None:
    page = contact_sheet(clustered, tmp_path / "out")
    seen = Seen(page)
    links = [str(one["href"]) for one in seen.all("a") if not str(one["href"]).startswith("#")]
    assert {(tmp_path / "out" / unquote(link)).resolve() for link in links} == {
        clustered.root.resolve() / path for path in clustered.paths
    }
    assert {str(one["alt"]) for one in seen.all("img") if one["alt"]} == set(clustered.paths)
    assert not seen.all("b") or all(text != "file" for text in seen.texts)
    assert "vgg16 from a <b> file" in seen.texts
    assert all(re.fullmatch(r"rgb\(\d+,\d+,\d+\)|#888", str(one["fill"])) for one in seen.all("rect"))


def test_what_is_shown_is_capped_and_the_rest_counted(clustered: Clustered, tmp_path: Path) -> None:
    page = contact_sheet(clustered, tmp_path, most=0)
    seen = Seen(page)
    assert len(seen.all("img")) == 3 + 3 * 6 + 2
    assert seen.texts.count("2 more are in assignments.csv.") == 3
    assert "Farthest from it" in seen.texts
    farthest = {clustered.paths[clustered.members(cluster)[-1]] for cluster in range(3)}
    assert farthest <= {str(one["alt"]) for one in seen.all("img")}


def test_pictures_that_are_gone_are_said_to_be(clustered: Clustered, tmp_path: Path) -> None:
    lost = contact_sheet(replace(clustered, root=tmp_path), tmp_path)
    seen = Seen(lost)
    assert len([one for one in seen.all("span") if one.get("class") == "gone"]) == 24 + 2
    assert any("24 pictures are no longer where they were" in text for text in seen.texts)


def test_images_in_no_cluster_have_a_section(
    clustered: Clustered, features: np.ndarray, tmp_path: Path
) -> None:
    chosen = ClusterSettings(method="hdbscan", smallest=6)
    far = features.copy()
    far[0] = -50
    found = cluster_table(far, replace(chosen, normalise=False))
    assert found.labels[0] == -1
    page = contact_sheet(replace(clustered, clustering=found, labels=None), tmp_path)
    assert 'id="none"' in page
    assert "in no cluster" in Seen(page).texts
    assert "purity" not in Seen(page).texts
