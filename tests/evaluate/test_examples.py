from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.evaluate import evaluate
from boxwright.evaluate.examples import MOST

from .cases import dataset, random_case, result, sample

A, B, C = [0, 0, 100, 100], [200, 0, 300, 100], [400, 0, 500, 100]


def examples(boxes, labels, found, threshold=0.5, kind="missed"):
    data = dataset([sample(boxes, labels)], ["cat", "dog"])
    return [one for one in evaluate(data, [found], threshold=threshold).examples if one.kind == kind]


def test_each_false_positive_says_why():
    found = result(
        [A, [0, 0, 100, 90], [200, 0, 300, 40], B, [900, 0, 950, 50], [400, 0, 500, 30], C],
        [0.99, 0.9, 0.8, 0.7, 0.65, 0.6, 0.3],
        [0, 0, 0, 1, 1, 1, 1],
    )
    data = dataset([sample([A, B, C], [0, 0, 0])] * 3, ["cat", "dog"])
    wrong = [
        one
        for one in evaluate(data, [found, result(), result()], threshold=0.5).examples
        if one.kind == "false positive"
    ]
    # Three of one image at most, of each kind the surest, kinds in turn; nothing below the threshold.
    assert [(one.title, one.error) for one in wrong] == [
        ("dog 0.70", "classification"),
        ("cat 0.80", "localisation"),
        ("dog 0.60", "both"),
    ]
    assert wrong[0].reason == "this is annotated as cat"
    assert wrong[1].reason == "the box fits its object badly (IoU 0.40)"


def test_each_miss_says_why():
    weak = examples([A], [0], result([A], [0.2], [0]))
    assert weak[0].reason == "found, but only with score 0.20"
    assert weak[0].title == "cat"
    named = examples([A], [0], result([A], [0.9], [1]))
    assert named[0].reason == "detected as dog"
    loose = examples([A], [0], result([[0, 0, 100, 40]], [0.9], [0]))
    assert loose[0].reason == "the nearest box (cat) fits badly (IoU 0.40)"
    crowded = examples([A, [10, 0, 110, 100]], [0, 0], result([A], [0.9], [0]))
    assert crowded[0].reason == "its box counts for a neighbour"
    alone = examples([A], [0], result([C], [0.9], [0]))
    assert alone[0].reason == "nothing above the threshold comes near"


def test_the_largest_misses_of_each_class_come_first():
    missed = examples([A, [0, 0, 300, 300], [0, 0, 20, 20]], [0, 0, 1], result())
    assert [(one.title, one.focus[2]) for one in missed] == [("cat", 300), ("dog", 20), ("cat", 100)]


def test_typical_images_run_from_the_worst_to_the_best():
    samples = [
        sample([[0, 0, 100, 100]] + [[0, 200 + i, 50, 260 + i] for i in range(k)], [0] * (k + 1))
        for k in range(12)
    ]
    data = dataset([*samples, sample()], ["cat"])
    report = evaluate(data, [*[result([A], [0.9], [0])] * 12, result()], threshold=0.5)
    typical = [one for one in report.examples if one.kind == "typical"]
    share = [int(one.title.split()[0]) / int(one.title.split()[2]) for one in typical]
    assert len(typical) == 6
    assert share == sorted(share)


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1))
@settings(max_examples=8, deadline=None)
def test_there_are_never_too_many(seed, threshold):
    report = evaluate(*random_case(seed, images=25), threshold=threshold)
    kinds = Counter(one.kind for one in report.examples)
    assert max(kinds["false positive"], kinds["missed"]) <= MOST
    assert kinds["typical"] <= 6
    for one in report.examples:
        if one.kind == "false positive":
            assert one.error
            assert one.detections[0].score >= round(threshold, 4) - 1e-4
            assert not one.detections[0].right


def test_files_are_named_within_the_data_set(tmp_path):
    from dataclasses import replace

    data = dataset(
        [sample([A], [0], path=tmp_path / "deep" / "a.jpg"), sample([A], [0], path=Path("/else/b.jpg"))]
    )
    report = evaluate(replace(data, root=tmp_path), [result(), result()])
    assert {one.image for one in report.examples} == {"deep/a.jpg", "/else/b.jpg"}
