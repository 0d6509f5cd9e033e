"""Calibration, temperature and threshold, where the answer is known."""
import math

import pytest
import torch

from helpers import calibration
from helpers.calibration import calibration_error, fit_temperature, reliability, separation, share_of, threshold

SURE = torch.tensor([0.9] * 60 + [0.5] * 40)
RIGHT = torch.arange(100) < 45  # 45 of the first sixty
RIGHT[60:80] = True  # and 20 of the other forty


def test_answers_are_sorted_into_bins_of_equal_width():
    bins = reliability(SURE.double(), RIGHT, 5)
    assert [(round(one.low, 9), round(one.high, 9)) for one in bins] == [(0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8),
                                                                         (0.8, 1)]
    assert [one.images for one in bins] == [0, 0, 40, 0, 60]
    assert bins[4].confidence == pytest.approx(0.9) and bins[4].right == pytest.approx(0.75)
    assert math.isnan(bins[0].confidence) and math.isnan(bins[0].right)
    ends = reliability(torch.tensor([0.0, 1.0]), torch.tensor([False, True]), 5)
    assert [one.images for one in ends] == [1, 0, 0, 0, 1]


def test_the_calibration_error_weighs_bins_by_their_images():
    assert calibration_error(SURE.double(), RIGHT, 5) == pytest.approx(0.6 * 0.15)
    assert calibration_error(SURE.double(), RIGHT, 1) == pytest.approx(0.74 - 0.65), "it depends on the bins"
    assert calibration_error(torch.tensor([1.0, 1.0]), torch.tensor([True, True])) == 0
    assert calibration_error(torch.tensor([1.0, 1.0]), torch.tensor([False, False])) == 1


def test_with_few_images_chance_alone_makes_an_error_and_with_many_hardly_any():
    few, many = (calibration.error_by_chance(torch.full((n,), 0.7), 5, draws=300)[0] for n in (20, 2000))
    # of one bin: the mean distance of a share of n from 0.7, which is sqrt(2/pi) standard errors
    assert few == pytest.approx(math.sqrt(2 / math.pi * 0.21 / 20), rel=0.15)
    assert many == pytest.approx(math.sqrt(2 / math.pi * 0.21 / 2000), rel=0.15)
    assert calibration.error_by_chance(torch.ones(5)) == (0, 0)


def test_a_calibrated_network_exceeds_the_mean_often_and_the_second_number_in_five_exams_of_100():
    """Of one bin: the 0.95 quantile of a share's distance from 0.7 is 1.96 standard errors, its mean 0.8."""
    mean, most = calibration.error_by_chance(torch.full((2000,), 0.7), 5)
    assert most / mean == pytest.approx(1.96 / math.sqrt(2 / math.pi), rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_the_logits_were_multiplied_with(factor):
    logits = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(1)).flatten()
    found = fit_temperature(factor * logits, labels)
    assert found == pytest.approx(factor, rel=0.05)
    loss = lambda t: torch.nn.functional.cross_entropy(factor * logits / t, labels).item()
    assert loss(found) <= min(loss(0.98 * found), loss(1.02 * found))


def test_the_temperature_of_two_classes_by_hand():
    """Three of four answers are right, each with a logit 2 ahead: 1 / (1 + exp(-2 / t)) = 3/4, so t = 2 / log 3."""
    logits = torch.tensor([[2.0, 0.0]] * 4)
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(2 / math.log(3))


def test_where_nothing_is_wrong_or_everything_the_temperature_stops_at_an_end():
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert fit_temperature(logits, torch.tensor([0, 1])) == pytest.approx(calibration.COLDEST)
    assert fit_temperature(logits, torch.tensor([1, 0])) == pytest.approx(calibration.HOTTEST)


def test_the_threshold_loses_no_more_than_it_may():
    confidences = torch.tensor([0.5, 0.9, 0.6, 0.8, 0.7])
    for cost, lost in ((0, 0), (0.19, 0), (0.2, 1), (0.5, 2), (1, 4)):
        assert (confidences < threshold(confidences, cost)).sum() == lost


def test_separation():
    assert separation(torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.7])).estimate == 1
    assert separation(torch.tensor([0.1]), torch.tensor([0.9, 0.8])).estimate == 0
    mixed = separation(torch.tensor([0.5, 0.9]), torch.tensor([0.5, 0.7]))
    assert mixed.estimate == pytest.approx((0.5 + 0 + 1 + 1) / 4)


@pytest.mark.parametrize("ahead, known, other", [(0.0, 90, 150), (0.5, 90, 150), (2.0, 30, 30), (0.5, 8, 15)])
def test_the_interval_of_a_separation_holds_the_truth_about_95_times_in_100(ahead, known, other):
    """Confidences that are spread like a bell, the known ones `ahead` of the others by so many of its widths."""
    generator = torch.Generator().manual_seed(0)
    truth = 0.5 * (1 + math.erf(ahead / 2))
    found = [separation(torch.randn(known, generator=generator) + ahead, torch.randn(other, generator=generator))
             for _ in range(2000)]
    assert 0.93 <= sum(one.low <= truth <= one.high for one in found) / len(found) <= 0.98


def test_few_images_that_are_all_told_apart_are_no_certainty():
    few, many = (separation(torch.ones(n), torch.zeros(n)) for n in (3, 300))
    assert few.high == many.high == 1 and few.low < 0.7 and 0.95 < many.low < 1


def test_the_interval_of_a_share_is_wilsons():
    found = share_of(torch.arange(10) < 3)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.3, 0.1078, 0.6032), abs=1e-4)
    none, every = share_of(torch.zeros(20)), share_of(torch.ones(20))
    assert none.low == 0 and every.high == 1
    assert none.high == pytest.approx(1 - every.low) == pytest.approx(0.161, abs=1e-3)
    assert share_of(torch.zeros(0)) is None


@pytest.mark.parametrize("call, told", [
    (lambda: reliability(torch.ones(3), torch.ones(2)), "one confidence for each answer"),
    (lambda: reliability(torch.ones(0), torch.ones(0)), "one answer at least"),
    (lambda: reliability(torch.tensor([1.5]), torch.ones(1)), "from 0 to 1"),
    (lambda: reliability(torch.tensor([math.nan]), torch.ones(1)), "from 0 to 1"),
    (lambda: reliability(torch.ones(1), torch.ones(1), 0), "number of bins"),
    (lambda: fit_temperature(torch.ones(3), torch.zeros(3).long()), r"\(n, classes\)"),
    (lambda: fit_temperature(torch.full((2, 2), math.nan), torch.zeros(2).long()), "finite"),
    (lambda: fit_temperature(torch.ones(3, 2), torch.zeros(2).long()), "Labels must be int64"),
    (lambda: threshold(torch.ones(3), 1.1), "from 0 to 1"),
    (lambda: separation(torch.ones(0), torch.ones(1)), "an image of each kind")])
def test_what_makes_no_sense_is_told_in_a_sentence(call, told):
    with pytest.raises(ValueError, match=told):
        call()
