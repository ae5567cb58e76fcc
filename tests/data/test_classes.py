from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.data.classes import ClassChoice, Names, choose_classes, match_classes, plainly, with_classes
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError


def sample(labels: list[int], name: str = "a.jpg") -> Sample:
    count = len(labels)
    no = np.zeros(count, np.bool_)
    boxes = np.arange(4 * count, dtype=np.float64).reshape(count, 4)
    return Sample(
        Path(name),
        None,
        boxes,
        np.array(labels, np.int64),
        no,
        no,
        np.ones(count),
        masks=tuple(range(count)),
        object_ids=tuple(range(count)),
    )


def labelled(*labels: int, classes: tuple[str, ...] = ("cat", "dog", "owl")) -> Dataset:
    return Dataset((sample(list(labels)),), classes, (7, 3, 90)[: len(classes)], Path())


def test_names_decide() -> None:
    got = with_classes(labelled(2, 0, 2), ("owl", "bee", "cat"), (1, 2, 3))
    assert got[0].labels.tolist() == [0, 2, 0]
    assert (got.classes, got.ids) == (("owl", "bee", "cat"), (1, 2, 3))


def test_a_class_that_no_object_has_may_be_missing() -> None:
    assert with_classes(labelled(0), ("cat",), (1,))[0].labels.tolist() == [0]


def test_an_object_of_a_missing_class_is_named_with_the_ways_out() -> None:
    with pytest.raises(InputError, match=r"a\.jpg: 1 object .*dog.*--map 'dog'=.*did you mean dogs.*shared"):
        with_classes(labelled(0, 1), ("cat", "dogs"), (1, 2))


@pytest.mark.parametrize("written", ["Traffic light", "traffic_light", "TRAFFIC-LIGHT", " traffic  light "])
def test_names_are_compared_without_case_and_separators(written: str) -> None:
    data = labelled(0, classes=(written,))
    got = match_classes(data, ("car", "traffic light"), (1, 2))
    assert got.dataset[0].labels.tolist() == [1]
    assert got.notes == (f"The model writes these classes differently: {written} (traffic light).",)


def test_an_exact_name_goes_before_a_similar_one_and_two_similar_ones_are_none() -> None:
    names = Names(["Car", "car"])
    assert (names.find("Car"), names.find("car"), names.find("CAR")) == (0, 1, None)
    with pytest.raises(InputError, match="CAR"):
        match_classes(labelled(0, classes=("CAR",)), ("Car", "car"), (1, 2))


@given(st.text(max_size=20))
def test_a_plain_name_is_its_own_plain_name(name: str) -> None:
    assert plainly(plainly(name)) == plainly(name) == plainly(name.upper().lower())


def test_classes_that_both_have() -> None:
    data = labelled(0, 1, 2, 1)
    got = match_classes(data, ("bee", "owl", "cat"), (5, 6, 7), ClassChoice("shared"))
    assert (got.dataset.classes, got.dataset.ids, got.columns.tolist()) == (("owl", "cat"), (6, 7), [1, 2])
    kept = got.dataset[0]
    assert (kept.labels.tolist(), kept.object_ids, kept.masks) == ([1, 0], (0, 2), (0, 2))
    assert kept.boxes.tolist() == data[0].boxes[[0, 2]].tolist()
    assert "2 of 4 objects are left out (dog 2)" in got.notes[0]


def test_classes_by_name_and_new_names() -> None:
    data = labelled(0, 1, 2, 1)
    choice = ClassChoice("CAT, bee", ("dog=cat", "owl=bird"))
    got = match_classes(data, ("bee", "bird", "cat"), (5, 6, 7), choice)
    assert got.dataset.classes == ("bee", "cat")
    assert got.dataset[0].labels.tolist() == [1, 1, 1]
    assert "1 of 4 objects are left out (owl 1)" in got.notes[0]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (ClassChoice("bird"), "the model has no class 'bird'"),
        (ClassChoice(" , "), "names no class"),
        (ClassChoice(None, ("dog",)), "OLD=NEW"),
        (ClassChoice(None, ("=dog",)), "OLD=NEW"),
        (ClassChoice(None, ("dgo=cat",)), "the data set has no class 'dgo'; did you mean dog"),
        (ClassChoice(None, ("dog=cta",)), "the model has no class 'cta'; did you mean cat"),
        (ClassChoice(None, ("dog=cat", "dog=bee")), "two names"),
    ],
)
def test_a_choice_of_what_is_not_there(choice: ClassChoice, message: str) -> None:
    with pytest.raises(InputError, match=message):
        match_classes(labelled(1), ("bee", "cat"), (1, 2), choice)


def test_nothing_in_common() -> None:
    with pytest.raises(InputError, match=r"none in common.*--map"):
        match_classes(labelled(1), ("bee", "wasp"), (1, 2), ClassChoice("shared"))


def test_labelled_images_of_other_classes_go_altogether() -> None:
    data = Dataset(
        (sample([0], "a.jpg"), sample([1], "b.jpg")), ("cat", "dog"), (0, 1), Path(), format="folders"
    )
    got = match_classes(data, ("cat", "bee"), (0, 1), ClassChoice("shared"))
    assert [one.path.name for one in got.dataset] == ["a.jpg"]
    assert "1 of 2 images are left out" in got.notes[0]


def test_a_data_set_of_its_own_with_other_names() -> None:
    data = labelled(0, 1, 2, 1)
    same, lines = choose_classes(data, ClassChoice())
    assert same is data
    assert lines == ()
    # dog joins cat, which keeps its id; a new name takes the id of the first that has it.
    merged, lines = choose_classes(data, ClassChoice(None, ("dog=Cat", "owl=bird")))
    assert (merged.classes, merged.ids, lines) == (("cat", "bird"), (7, 90), ())
    assert merged[0].labels.tolist() == [0, 0, 1, 0]
    swapped, _ = choose_classes(data, ClassChoice(None, ("dog=cat", "cat=dog")))
    assert (swapped.classes, swapped[0].labels.tolist()) == (("dog", "cat", "owl"), [0, 1, 2, 1])
    some, lines = choose_classes(data, ClassChoice("owl,cat"))
    assert (some.classes, some.ids, some[0].labels.tolist()) == (("owl", "cat"), (90, 7), [1, 0])
    assert "2 of 4 objects are left out (dog 2); 0 of 1 images have no object any more" in lines[0]
    with pytest.raises(InputError, match="needs a model"):
        choose_classes(data, ClassChoice("shared"))
    with pytest.raises(InputError, match="the data set has no class 'bee'"):
        choose_classes(data, ClassChoice("bee"))


def test_names_with_signs_of_their_own() -> None:
    data = labelled(0, 1, classes=("fish, raw", "a=b"))
    assert choose_classes(data, ClassChoice("fish, raw"))[0].classes == ("fish, raw",)
    assert choose_classes(data, ClassChoice(None, ("a=b=c",)))[0].classes == ("fish, raw", "c")


def test_training_and_validation_get_the_same_classes(capsys: pytest.CaptureFixture[str]) -> None:
    from boxwright.cli.data import chosen_classes

    train, val = labelled(0, 1, 2), labelled(1)
    assert chosen_classes(train, val, None, None) == (train, val)
    train, val = chosen_classes(train, val, "cat,owl", ["dog=owl"])
    assert (train.classes, val.classes) == (("cat", "owl"), ("cat", "owl"))
    assert (train[0].labels.tolist(), val[0].labels.tolist()) == ([0, 1, 1], [1])
    assert capsys.readouterr().out.startswith(
        "train: Classes that count: cat, owl. Nothing is left out.\nval: "
    )
