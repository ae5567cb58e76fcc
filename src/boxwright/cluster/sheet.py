"""The contact sheet: one page with the pictures in it, to browse clusters offline."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8

from boxwright.cluster.choice_plot import choice_plot
from boxwright.cluster.results import Clustered
from boxwright.cluster.sheet_style import CSS
from boxwright.draw import class_colour, encode_picture
from boxwright.errors import InputError
from boxwright.evaluate.shell import shell
from boxwright.images import image_size, read_thumbnail
from boxwright.markup import escape

HEIGHT, WIDEST, CARD = 144, 400, 96
"""Of a picture in a row, its largest width, and the side of a quarter of a cluster's card; in pixels."""
FEWEST, GROUPS, IN_GROUP = 6, 60, 6
"""Pictures of a cluster in any case; groups of near-duplicates shown, and pictures of each."""
FARTHEST = 4
"""One picture in so many is one of the farthest from the centre, where not all can be shown."""


@dataclass
class _Album:
    """The pictures of a page, each decoded once for each size it is shown in."""

    clustered: Clustered
    out: Path
    gone: set[int] = field(default_factory=set)

    def file(self, image: int) -> Path:
        return self.clustered.root / self.clustered.paths[image]

    def shown(self, image: int, title: str) -> str:
        """A picture that opens its file."""
        path = self.clustered.paths[image]
        content = self._thumbnail(image)
        if content is None:
            self.gone.add(image)
            return f'<span class="gone">{escape(path)}</span>'
        where = quote(Path(os.path.relpath(self.file(image), self.out)).as_posix())
        width = content.shape[1] * HEIGHT // content.shape[0]
        return (
            f'<a href="{where}" title="{escape(path)}&#10;{escape(title)}">'
            f'<img src="{_uri(content, 78)}" width="{width}" height="{HEIGHT}" alt="{escape(path)}" '
            'loading="lazy" decoding="async"></a>'
        )

    def card(self, images: Sequence[int]) -> str:
        """The first four that can be read, as one square."""
        sheet = np.full((2 * CARD, 2 * CARD, 3), 128, np.uint8)
        for place, image in enumerate(images[:4]):
            try:
                height, width = image_size(self.file(image))
                scale = CARD / min(height, width)
                size = (max(CARD, round(height * scale)), max(CARD, round(width * scale)))
                content = read_thumbnail(self.file(image), size)
            except InputError:
                continue
            top, left = ((size[0] - CARD) // 2, (size[1] - CARD) // 2)
            row, column = (place // 2) * CARD, (place % 2) * CARD
            sheet[row : row + CARD, column : column + CARD] = content[top : top + CARD, left : left + CARD]
        return _uri(sheet, 75)

    def _thumbnail(self, image: int) -> UInt8[np.ndarray, "height width 3"] | None:
        try:
            height, width = image_size(self.file(image))
            tall = min(height, HEIGHT)
            size = (tall, max(1, min(WIDEST, round(width * tall / height))))
            return read_thumbnail(self.file(image), size)
        except InputError:
            return None


def contact_sheet(clustered: Clustered, out: Path, most: int = 600) -> str:
    """The page.

    Args:
        clustered: what was found.
        out: the folder that the page will be in; links to the pictures' files start there.
        most: pictures of clusters on the page; each cluster has its share.
    """
    album = _Album(clustered, out.absolute())
    names = _names(clustered)
    share = max(FEWEST, most // max(1, len(names)))
    sections = [("overview", "Overview", _overview(album, names))]
    for cluster, name in enumerate(names):
        sections.append((f"cluster-{cluster}", escape(name), _cluster(album, cluster, share)))
    lost = np.flatnonzero(clustered.clustering.labels < 0)
    sections.append(("none", "In no cluster", _lost(album, lost, share)))
    sections.append(("duplicates", "Near-duplicates", _duplicates(album)))
    sections.append(("choice", "Number of clusters", _choice(clustered)))
    sections.append(("how", "How it was made", _how(clustered)))
    title = f"{len(clustered.paths):,} pictures in {len(names)} clusters"
    return shell(title, CSS, _header(clustered, title, album), sections, "Made by boxwright cluster.")


def _names(clustered: Clustered) -> list[str]:
    """Cluster and number as in the tables, and the commonest label of more than half, if labels are known."""
    names = []
    for cluster, count in enumerate(clustered.clustering.counts):
        name = f"Cluster {cluster}"
        if clustered.labels is not None and count:
            ((label, many),) = _labels(clustered, cluster).most_common(1)
            name += f": {label}" if 2 * many > count else ""
        names.append(name)
    return names


def _labels(clustered: Clustered, cluster: int) -> Counter[str]:
    assert clustered.labels is not None
    return Counter(clustered.labels[image] for image in clustered.members(cluster))


def _header(clustered: Clustered, title: str, album: _Album) -> str:
    source = clustered.source
    facts = [(f"{len(clustered.paths):,}", "pictures"), (str(len(clustered.clustering.centres)), "clusters")]
    if lost := int((clustered.clustering.labels < 0).sum()):
        facts.append((f"{lost:,}", "in no cluster"))
    facts.append((f"{clustered.duplicates.total:,}", "pairs nearly alike"))
    if (agreed := clustered.agreement) is not None:
        facts.append((f"{agreed.nmi:.3f}", "NMI with the folders"))
        facts.append((f"{agreed.purity:.1%}", "purity"))
    shown = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for value, name in facts)
    gone = f" {len(album.gone)} pictures are no longer where they were." if album.gone else ""
    return (
        f'<h1>{title}</h1><p class="soft">{escape(str(clustered.root))}, as {escape(str(source["backbone"]))} sees '
        f"them at {escape(str(source['tap']))} ({escape(str(source['pool']))}).{gone}</p>"
        f'<div class="facts">{shown}</div>'
    )


def _overview(album: _Album, names: Sequence[str]) -> str:
    counts = album.clustered.clustering.counts
    total = len(album.clustered.paths)
    cards = ""
    for cluster, name in enumerate(names):
        picture = album.card(album.clustered.members(cluster).tolist())
        cards += (
            f'<a class="card" href="#cluster-{cluster}">'
            f'<img src="{picture}" alt="" width="{2 * CARD}" height="{2 * CARD}"><b>{escape(name)}</b>'
            f"<span>{counts[cluster]:,} pictures, {counts[cluster] / total:.0%}</span></a>"
        )
    return f'<div class="cards">{cards}</div>' if cards else ""


def _cluster(album: _Album, cluster: int, share: int) -> str:
    clustered = album.clustered
    members = clustered.members(cluster)
    count = len(members)
    if not count:
        return '<p class="soft">No pictures.</p>'
    margin = float(clustered.clustering.margins[members].mean())
    text = f'<p class="soft">{_many(count)}; mean margin {margin:.2f}.</p>'
    if clustered.labels is not None:
        text += _mix(clustered, cluster)
    if count <= share:
        return text + _row(album, members)
    far = max(1, share // FARTHEST)
    return (
        f"{text}<h3>Nearest to the centre</h3>{_row(album, members[: share - far])}"
        f"<h3>Farthest from it</h3>{_row(album, members[::-1][:far])}"
        f'<p class="soft">{count - share:,} more are in assignments.csv.</p>'
    )


def _many(count: int) -> str:
    return f"{count:,} pictures" if count != 1 else "1 picture"


def _row(album: _Album, images: np.ndarray) -> str:
    away = album.clustered.clustering.distances
    shown = "".join(album.shown(int(image), f"{away[image]:.3f} from the centre") for image in images)
    return f'<div class="row">{shown}</div>'


def _mix(clustered: Clustered, cluster: int) -> str:
    """The labels of a cluster as one bar, the commonest first; what is behind the sixth is one part."""
    assert clustered.labels is not None
    order = {label: place for place, label in enumerate(sorted(set(clustered.labels)))}
    counts = _labels(clustered, cluster).most_common()
    total = sum(many for _, many in counts)
    parts = [(label, many, "rgb({},{},{})".format(*class_colour(order[label]))) for label, many in counts[:6]]
    if rest := total - sum(many for _, many, _ in parts):
        parts.append(("others", rest, "#888"))
    bars, keys, left = "", "", 0.0
    for label, many, colour in parts:
        width = 100 * many / total
        bars += f'<rect x="{left:.2f}" width="{width:.2f}" height="9" fill="{colour}"/>'
        square = f'<svg viewBox="0 0 1 1"><rect width="1" height="1" fill="{colour}"/></svg>'
        keys += f'<span class="key">{square}{escape(label)} {many / total:.0%}</span>'
        left += width
    return f'<svg class="mix" viewBox="0 0 100 9" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>{keys}'


def _lost(album: _Album, images: np.ndarray, share: int) -> str:
    if not len(images):
        return ""
    rest = f'<p class="soft">{len(images) - share:,} more are in assignments.csv.</p>'
    return f'<p class="soft">{_many(len(images))}.</p>{_row(album, images[:share])}' + (
        rest if len(images) > share else ""
    )


def _duplicates(album: _Album) -> str:
    found = album.clustered.duplicates
    groups = found.groups()
    if not groups:
        return ""
    member = {image: number for number, group in enumerate(groups) for image in group}
    nearest: dict[int, float] = {}
    for (first, _), away in zip(found.pairs.tolist(), found.distances.tolist(), strict=True):
        nearest.setdefault(member[first], away)
    figures = ""
    for number, group in enumerate(groups[:GROUPS]):
        shown = "".join(album.shown(image, "") for image in group[:IN_GROUP])
        more = f" and {len(group) - IN_GROUP} more" if len(group) > IN_GROUP else ""
        listed = ", ".join(escape(album.clustered.paths[image]) for image in group[:IN_GROUP])
        figures += (
            f'<figure><div class="row">{shown}</div><figcaption>{listed}{more}; '
            f"nearest pair {nearest[number]:.4f}</figcaption></figure>"
        )
    more = f" The first {GROUPS} are here." if len(groups) > GROUPS else ""
    return (
        f'<p class="soft">{found.total:,} pairs with a cosine distance below {found.below:.3g}, in '
        f"{len(groups):,} groups; the nearest {len(found.pairs):,} are in duplicates.csv.{more}</p>"
        f'<div class="pairs">{figures}</div>'
    )


def _choice(clustered: Clustered) -> str:
    choice = clustered.clustering.choice
    if choice is None:
        return ""
    return (
        f'<p class="soft">The mean silhouette of {choice.sample:,} pictures, by the number of clusters; it is greatest '
        f"at {choice.k}. A flat curve means that the pictures do not fall apart by themselves.</p>{choice_plot(choice)}"
    )


def _how(clustered: Clustered) -> str:
    settings, reduction = clustered.settings, clustered.clustering.reduction
    space = (
        "features" if reduction.components is None else f"{len(reduction.components)} principal components"
    )
    kept = "" if reduction.components is None else f", {reduction.explained:.0%} of the variance"
    facts = {
        "features": ", ".join(
            f"{key} {value}" for key, value in clustered.source.items() if key != "weights"
        ),
        "weights": str(clustered.source.get("weights", "")),
        "points": f"{space}{kept}{', whitened' if settings.whiten else ''}"
        f"{', of features of length one' if settings.normalise else ''}",
        "method": f"{settings.method}, seed {settings.seed}",
        "inertia": f"{clustered.clustering.inertia:.6g}",
    }
    return (
        "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()) + "</dl>"
    )


def _uri(content: UInt8[np.ndarray, "height width 3"], quality: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode_picture(content, ".jpg", quality)).decode()
