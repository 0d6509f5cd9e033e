"""Intervals: do they cover the truth as often as they say, and do they count things and not images?"""
import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.utils.data import TensorDataset

from helpers import intervals
from helpers.drawings import split_things
from helpers.images import ImageSplit
from helpers.intervals import (
    Difference,
    Interval,
    accuracy_interval,
    balanced_accuracy,
    both_kinds,
    enough_things,
    of_folds,
    paired_difference,
    things_of,
)
from helpers.pocket import pocket


def exam(rng: np.random.RandomState, classes: int, things: int, renderings: int, mean: float = 0.7):
    """Right or wrong, labels and things of one exam, drawn from a world whose class-balanced accuracy is `mean`.

    Classes are of different difficulty, and so are the things of a class: their accuracies follow a beta distribution.
    """
    level = np.repeat(mean + np.linspace(-0.15, 0.15, classes), things)
    known = np.repeat(rng.beta(2 * level, 2 * (1 - level)), renderings)
    labels = np.repeat(np.arange(classes), things * renderings)
    return rng.uniform(size=len(known)) < known, labels, np.repeat(np.arange(classes * things), renderings)


def covered(classes: int, things: int, renderings: int, by_thing: bool = True, exams: int = 600) -> float:
    """The share of exams, 0 to 1, whose interval holds the true accuracy."""
    rng, hits = np.random.RandomState(1), 0
    for seed in range(exams):
        right, labels, shown = exam(rng, classes, things, renderings)
        found = accuracy_interval(right, labels, shown if by_thing else None, resamples=500, seed=seed)
        hits += found.low <= 0.7 <= found.high
    return hits / exams


def width(interval: Interval) -> float:
    return interval.high - interval.low


# --- what 95 % means -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("classes", "things", "renderings"), [(10, 30, 5), (10, 40, 1), (2, 40, 5)])
def test_intervals_cover_the_truth_as_often_as_they_say(classes, things, renderings):
    assert 0.93 <= covered(classes, things, renderings) <= 0.97


def test_ten_classes_of_few_things_are_enough():
    """Drawing n - 1 of n things makes up for it: with n of n, five things a class cover the truth 90 times in 100."""
    assert 0.93 <= covered(10, 5, 5) <= 0.97


def test_an_exam_of_few_things_covers_less_as_the_module_says():
    assert 0.88 <= covered(10, 2, 20) <= 0.92
    assert 0.82 <= covered(2, 3, 10) <= 0.87


def test_renderings_taken_for_things_promise_too_much():
    assert covered(10, 10, 20, by_thing=False, exams=200) < 0.6


def test_one_thing_of_two_classes_joins_these_two_alone():
    """Two photographs that look the same, in two classes of forty: the other classes are drawn by themselves."""
    labels = np.repeat(np.arange(40), 6)
    things = np.arange(len(labels))
    shared = np.where(np.arange(len(labels)) == 7 * 6, 0, things)
    right = np.random.RandomState(0).rand(len(labels)) < 0.5
    alone, joined = (accuracy_interval(right, labels, own) for own in (things, shared))
    assert joined.estimate == alone.estimate and 0.8 < width(joined) / width(alone) < 1.25
    pots = intervals._pots(intervals._per_thing(np.ones(len(labels)), labels, shared))
    assert sorted(map(len, pots)) == [6] * 38 + [11]


def test_a_resample_that_misses_a_class_is_no_error():
    """Two classes that share a thing, one of them with two things among thirty: most resamples have one, a few none."""
    labels, things = [0] * 30 + [1] * 2, [*range(30), 0, 30]
    found = accuracy_interval([1, 0] * 16, labels, things)
    assert found.low < found.estimate < found.high


def test_things_with_images_of_several_classes_are_drawn_whole():
    """Thirty typefaces of eight letters each: an ornate one is hard to read in every letter."""
    rng, faces, letters, hits, apart = np.random.RandomState(2), 30, 8, 0, 0
    labels, things = np.tile(np.arange(letters), faces), np.repeat(np.arange(faces), letters)
    for seed in range(400):
        right = rng.uniform(size=faces * letters) < np.repeat(rng.beta(1.4, 0.6, size=faces), letters)
        found = accuracy_interval(right, labels, things, resamples=500, seed=seed)
        hits += found.low <= 0.7 <= found.high
        found = accuracy_interval(right, labels, resamples=500, seed=seed)
        apart += found.low <= 0.7 <= found.high
    assert 0.92 <= hits / 400 <= 0.97 and apart / 400 < 0.8


def test_paired_intervals_cover_the_true_difference():
    rng, hits, decided = np.random.RandomState(3), 0, 0
    for seed in range(400):
        a, labels, things = exam(rng, 10, 30, 4)
        b = a ^ (rng.uniform(size=len(a)) < 0.1)  # one answer in ten is turned round
        found = paired_difference(a, b, labels, things, resamples=500, seed=seed)
        hits += found.low <= 0.7 - (0.9 * 0.7 + 0.1 * 0.3) <= found.high
        decided += found.word == "higher"
    assert 0.93 <= hits / 400 <= 0.97 and decided / 400 > 0.8


# --- the textbook --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("things", [5, 40])
def test_it_agrees_with_the_formula_for_means_of_samples(things):
    """Equal things, many renderings: 1.96 standard errors of a mean of class means, each with its own n - 1."""
    right, labels, shown = exam(np.random.RandomState(4), 10, things, 20)
    means = right.reshape(10, things, 20).mean(2)
    half = 1.96 * np.sqrt((means.var(1, ddof=1) / things).sum()) / 10
    found = accuracy_interval(right, labels, shown, resamples=20_000)
    assert found.estimate == pytest.approx(means.mean())
    assert (found.high - found.estimate, found.estimate - found.low) == pytest.approx((half, half), rel=0.05)


def test_it_agrees_with_resampling_images_one_by_one():
    """The recipe as one would write it down, for things and classes of unequal sizes, image by image."""
    rng = np.random.RandomState(5)
    sizes = rng.randint(1, 9, size=60) * (1 + 9 * (np.arange(60) % 3 == 0))
    things, labels = np.repeat(np.arange(60), sizes), np.repeat(np.arange(60) % 3, sizes)
    right = rng.uniform(size=len(things)) < np.repeat(rng.beta([4, 1, 1] * 20, 1), sizes)
    images, scores = [np.flatnonzero(things == k) for k in range(60)], []
    for _ in range(2_000):
        drawn = [rng.choice(np.arange(label, 60, 3), size=19) for label in range(3)]
        chosen = np.concatenate([images[k] for k in np.concatenate(drawn)])
        scores.append(np.mean([right[chosen][labels[chosen] == label].mean() for label in range(3)]))
    found = accuracy_interval(right, labels, things, resamples=20_000)
    assert (found.low, found.high) == pytest.approx(np.quantile(scores, (0.025, 0.975)), abs=0.01)


def test_every_class_counts_the_same():
    labels = torch.tensor([0] * 90 + [1] * 10)
    right = torch.cat([torch.ones(90), torch.zeros(10)]).bool()
    assert balanced_accuracy(right, labels) == accuracy_interval(right, labels).estimate == 0.5
    right, labels, _ = exam(np.random.RandomState(6), 4, 10, 3)
    some = np.random.RandomState(0).uniform(size=len(labels)) < 0.5
    predicted = np.where(right, labels, (labels + 1) % 4)[some]
    assert balanced_accuracy(right[some], labels[some]) == pytest.approx(balanced_accuracy_score(labels[some],
                                                                                                 predicted))


def test_a_class_without_images_does_not_count():
    assert balanced_accuracy([1, 0, 1, 1], [0, 0, 5, 5]) == 0.75
    assert accuracy_interval([1, 0, 1, 1], [0, 0, 5, 5]) == accuracy_interval([1, 0, 1, 1], [0, 0, 1, 1])


# --- what counts ---------------------------------------------------------------------------------------------------

def test_more_renderings_of_the_same_things_shrink_nothing():
    right, labels, things = exam(np.random.RandomState(7), 10, 12, 1)
    once = accuracy_interval(right, labels, things)
    often = [np.repeat(part, 10) for part in (right, labels, things)]
    ends = [(found.low, found.high) for found in (once, accuracy_interval(*often))]
    assert ends[0] == pytest.approx(ends[1])
    assert width(accuracy_interval(*often[:2])) < 0.5 * width(once)


def test_without_things_each_image_is_a_thing():
    right, labels, _ = exam(np.random.RandomState(8), 3, 20, 2)
    assert accuracy_interval(right, labels) == accuracy_interval(right, labels, range(len(right)))


def test_things_may_have_names_or_numbers_and_images_any_order():
    right, labels, things = exam(np.random.RandomState(9), 3, 10, 4)
    names = [f"thing {k:02}" for k in things]
    order = np.random.RandomState(0).permutation(len(right))
    found = accuracy_interval(right, labels, things)
    assert accuracy_interval(right, labels, names) == found
    mixed = accuracy_interval(torch.tensor(right)[order], torch.tensor(labels)[order], [names[k] for k in order])
    assert mixed == found


def test_shares_of_several_networks_are_a_score_too():
    first, labels, things = exam(np.random.RandomState(10), 4, 20, 2)
    second = np.random.RandomState(0).permutation(first)
    mean = accuracy_interval((first.astype(float) + second) / 2, labels, things)
    assert mean.estimate == pytest.approx((balanced_accuracy(first, labels) + balanced_accuracy(second, labels)) / 2)
    assert width(mean) < width(accuracy_interval(first, labels, things))


def test_networks_that_know_the_same_things_are_told_apart():
    rng = np.random.RandomState(11)
    b, labels, things = exam(rng, 10, 20, 3)
    a = b | (rng.uniform(size=len(b)) < 0.1)  # knows all that b knows, and some more
    each = [accuracy_interval(right, labels, things) for right in (a, b)]
    found = paired_difference(a, b, labels, things)
    assert each[0].low < each[1].high and found.word == "higher"
    assert width(found) < 0.5 * np.hypot(width(each[0]), width(each[1]))
    back = paired_difference(b, a, labels, things)
    assert back.word == "lower"
    assert (back.estimate, back.low, back.high) == pytest.approx((-found.estimate, -found.high, -found.low))


def test_a_network_does_not_differ_from_itself():
    right, labels, things = exam(np.random.RandomState(12), 3, 10, 2)
    assert paired_difference(right, right, labels, things) == Difference(0.0, 0.0, 0.0)


def test_it_reads_well():
    assert str(Interval(0.712, 0.6791, 0.744)) == "71.2 % (67.9 to 74.4)"
    assert str(Difference(0.023, -0.011, 0.056)) == "+2.3 points (-1.1 to +5.6): undecided"
    assert str(Difference(-0.1, -0.2, -0.05)) == "-10.0 points (-20.0 to -5.0): lower"
    assert str(Difference(-0.0001, -0.0002, 0.0)) == "+0.0 points (+0.0 to +0.0): undecided"
    with pytest.raises(FrozenInstanceError):
        Interval(0.5, 0.4, 0.6).low = 0.5


# --- draws and time ------------------------------------------------------------------------------------------------

def test_the_same_seed_gives_the_same_interval_and_the_global_generators_stay_as_they_are():
    right, labels, things = exam(np.random.RandomState(13), 5, 20, 2)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    found = accuracy_interval(right, labels, things)
    assert accuracy_interval(right, labels, things, seed=0) == found != accuracy_interval(right, labels, things, seed=1)
    assert found.low == pytest.approx(accuracy_interval(right, labels, things, seed=1).low, abs=0.01)
    assert (np.random.get_state()[1] == numpy_state).all() and (torch.random.get_rng_state() == torch_state).all()


def test_the_draws_are_the_same_on_every_machine():
    number = np.arange(90)
    found = accuracy_interval(number * 7 % 10 < 6, number % 3, number // 6 * 3 + number % 3, resamples=100, seed=3)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.6, 0.5, 31 / 42))


def test_it_takes_well_below_a_second():
    right, labels, things = exam(np.random.RandomState(14), 10, 30, 7)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        accuracy_interval(right, labels, things)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


# --- things of a split ---------------------------------------------------------------------------------------------

def split_with(*origin: str, count: int = 2) -> ImageSplit:
    return ImageSplit(torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64), ("a",),
                      origin)


def test_the_thing_stands_first_in_the_origin():
    assert things_of(split_with("poodle; noto; Apache-2.0", "cat, black; noto; Apache-2.0")) == ("poodle", "cat, black")
    assert things_of(split_with("cat, black.png", "cat, white.png")) == ("cat, black.png", "cat, white.png")


def test_images_without_an_origin_are_things_of_their_own():
    assert things_of(split_with()) == (0, 1)
    assert things_of(TensorDataset(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))) == (0, 1, 2)


@pytest.mark.parametrize("split", ["val", "test"])
def test_things_of_the_pocket_exams_have_one_class_each(split):
    data = pocket(split)
    things = things_of(data)
    assert set(things) == set(split_things()[split]) and len(set(things)) < len(data)
    assert len(set(things)) == len(set(zip(things, data.labels.tolist(), strict=True)))


# --- two kinds of luck ---------------------------------------------------------------------------------------------

def two_recipes(rng: np.random.RandomState, draws: int, lead: float = 0.1, luck: float = 0.06):
    """Right or wrong of two recipes, (draws, n) each, labels and things: each draw moves the lead by its own luck."""
    known, labels, things = np.full(400, 0.5), np.repeat(np.arange(4), 100), np.repeat(np.arange(80), 5)
    known += np.repeat(rng.normal(0, 0.1, 80), 5)
    a = np.stack([rng.uniform(size=400) < known + lead + rng.normal(0, luck) for _ in range(draws)])
    return a, np.stack([rng.uniform(size=400) < known for _ in range(draws)]), labels, things


def test_the_luck_of_the_training_images_is_counted_as_well():
    rng, hits = np.random.RandomState(3), {both_kinds: 0, paired_difference: 0}
    for _ in range(200):
        a, b, labels, things = two_recipes(rng, 4)
        both, one = both_kinds(a, b, labels, things, resamples=300), paired_difference(
            a.mean(0), b.mean(0), labels, things, resamples=300)
        assert both.estimate == one.estimate and both.low < one.low and both.high > one.high
        for how, found in ((both_kinds, both), (paired_difference, one)):
            hits[how] += found.low <= 0.1 <= found.high
    assert hits[both_kinds] >= 188 and hits[paired_difference] < 170, "of 200"


def test_draws_that_agree_add_nothing_to_the_luck_of_the_exam():
    a, b, labels, things = two_recipes(np.random.RandomState(0), 1)
    both = both_kinds(a.repeat(3, 0), b.repeat(3, 0), labels, things)
    one = paired_difference(a[0], b[0], labels, things)
    assert (both.low, both.high) == pytest.approx((one.low, one.high)) and both.estimate == one.estimate


@pytest.mark.parametrize("draws", [(1, 1), (11, 11), (3, 2)])
def test_two_kinds_of_luck_need_several_draws_of_both(draws):
    with pytest.raises(ValueError, match=rf"in 2 to 10 draws of them.*these are {draws[0]} and {draws[1]}"):
        both_kinds(*([[1, 0]] * count for count in draws), [0, 0])


def five_folds(rng: np.random.RandomState, luck: float) -> tuple[list, list, np.ndarray]:
    """Each fold's answers of two networks, (things,), and the labels; the first has 0.1 more, and each fold luck."""
    labels = np.repeat(np.arange(3), 10)
    shift = 0.1 + rng.normal(0, luck, 5)
    hard = rng.uniform(size=(5, 30))
    return [list(hard[k] < 0.6 + shift[k]) for k in range(5)], [list(hard[k] < 0.6) for k in range(5)], labels


def test_the_luck_of_each_folds_training_is_counted_as_well():
    """The interval over pooled things alone takes five trainings for as many as there are things."""
    rng, hits = np.random.RandomState(4), {"of folds": 0, "over things": 0}
    for _ in range(600):
        a, b, labels = five_folds(rng, 0.1)
        things = paired_difference(sum(a, []), sum(b, []), np.tile(labels, 5), resamples=200)
        leads = [balanced_accuracy(x, labels) - balanced_accuracy(y, labels) for x, y in zip(a, b, strict=True)]
        both = of_folds(things, leads)
        assert both.estimate == things.estimate and both.low <= things.low and both.high >= things.high
        for how, found in (("of folds", both), ("over things", things)):
            hits[how] += found.low <= 0.1 <= found.high
    assert hits["of folds"] >= 560 and hits["over things"] < 450, f"{hits} of 600"


def test_folds_that_agree_leave_the_luck_of_the_exam():
    things = Difference(0.2, 0.1, 0.3)
    assert of_folds(things, [0.2] * 5) == things and isinstance(of_folds(things, [0.2] * 5), Difference)
    # 2.78 standard errors of 0.1 / sqrt(5) = 0.0447 are 0.124
    wider = of_folds(Interval(0.5, 0.3, 0.55), [0.4, 0.4, 0.5, 0.6, 0.6])
    assert (wider.low, wider.high) == pytest.approx((0.3, 0.6243), abs=1e-3)


@pytest.mark.parametrize("folds", [[], [0.5], [0.5] * 11])
def test_one_fold_tells_nothing_of_the_luck_of_training(folds):
    with pytest.raises(ValueError, match=f"^The luck of the training shows in 2 to 10 folds; these are {len(folds)}.$"):
        of_folds(Interval(0.5, 0.4, 0.6), folds)


def showing(*classes: str) -> ImageSplit:
    """An exam in which each letter is the thing that an image shows, of the class with that number."""
    labels = [k for k, things in enumerate(classes) for _ in things]
    return ImageSplit(torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8), torch.tensor(labels),
                      tuple(str(k) for k in range(len(classes))), tuple(f"{label}{thing}; x" for label, thing in zip(
                          labels, "".join(classes), strict=True)))


def test_a_class_of_few_things_is_left_out():
    """Two images of one thing are one thing."""
    assert enough_things(showing("pqr", "ssst", "uvw"), 3).labels.tolist() == [0, 0, 0, 2, 2, 2]
    assert enough_things(showing("pqr", "ssst", "uvw"), 2).labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("things, stay", [
    (("pqrstuv", "abc", "xy"), {0, 1}), (("pqrstuv", "xy", "ab"), {0, 1, 2}), (("pqrstuv", "x", "a"), {0, 1, 2}),
    (("pqrstuv", "", "ab"), {0, 2}), (("pqr", "", ""), {0}), (("pqrstuv", "abcde", "xyzu"), {0, 1})])
def test_two_classes_stay_in_an_exam_however_small_they_are(things, stay):
    """An exam of one class is passed by whoever always names it."""
    assert set(enough_things(showing(*things)).labels.tolist()) == stay


# --- what does not fit ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "sentence"), [
    (([1, 0, 1], [0, 0]), r"one entry per image .* shapes \(3,\), \(2,\) and \(3,\)"),
    (([1, 0], [0, 0], ["x"]), r"one entry per image .* and \(1,\)"),
    (([], []), "one image at least"),
    (([[1, 0]], [[0, 0]]), "one entry per image"),
    (([3, 0], [0, 0]), "`right` says of each answer"),
    (([float("nan"), 0], [0, 0]), "`right` says of each answer"),
    ((object(), [0, 0]), "`right` says of each answer"),
    (([1, 0, 1], [0, 0, 4]), "too few things of class 4 for an interval, namely one: examine more of them"),
    (([1, 0, 1, 0], [0, 0, 4, 4], ["x", "y", "z", "z"]), "too few things of class 4"),
    (([1, 0, 1, 0], [0, 0, 0, 4], ["x", "y", "z", "z"]), "too few things of class 4"),
], ids=["labels", "things", "empty", "a table", "predictions", "nan", "an object", "one image", "one thing",
        "one thing of two classes"])
def test_one_sentence_for_what_does_not_fit(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        accuracy_interval(*arguments)


def test_both_networks_must_have_sat_the_same_exam():
    for a, b in [([1, 0, 1], [1, 0]), ([1, 0], [1, 0, 1])]:
        with pytest.raises(ValueError, match="one entry per image"):
            paired_difference(a, b, [0, 0])


@pytest.mark.parametrize("option", [{"seed": -1}, {"resamples": 50}, {"resamples": 1.5}], ids=str)
def test_draws_and_seed_are_whole_numbers(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be a whole number"):
        accuracy_interval([1, 0], [0, 0], **option)
