"""What a set of labelled images may be, and the sentence that whoever brings something else is told."""
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder

from helpers.images import ImageSplit, check_data, same_classes, whole_number


def pixels(count: int, size: int = 8) -> torch.Tensor:
    """Images that say in each pixel which one they are."""
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 3, size, size)


def split_of(*labels: int, classes=("cat", "dog"), origin=()) -> ImageSplit:
    return ImageSplit(pixels(len(labels)), torch.tensor(labels), classes, origin)


# --- ImageSplit --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("images", [
    torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.uint8),
    np.zeros((2, 3, 8, 8), np.uint8),
], ids=["float", "one channel", "one image", "numpy"])
def test_images_of_the_wrong_kind_are_refused(images):
    with pytest.raises(ValueError, match=r"uint8 tensor of shape \(n, 3, height, width\), not (torch|a value of type)"):
        ImageSplit(images, torch.zeros(2, dtype=torch.int64), ("a", "b"))


@pytest.mark.parametrize("labels", [
    torch.zeros(3, dtype=torch.int64), torch.zeros(2, dtype=torch.int32), torch.zeros(2, 1, dtype=torch.int64), [0, 1],
    np.zeros(2, np.int64)], ids=["three", "int32", "a column", "list", "numpy"])
def test_labels_of_the_wrong_kind_are_refused(labels):
    with pytest.raises(ValueError, match=r"^Labels must be int64 of shape \(2,\), not (torch.int|a value of type)"):
        ImageSplit(pixels(2), labels, ("a", "b"))


@pytest.mark.parametrize("label", [-1, 2, 10**12])
def test_labels_that_no_class_has_are_refused(label):
    with pytest.raises(ValueError, match=f"^Labels are positions in `classes`, here 0 to 1; {label} is none of them.$"):
        split_of(0, label, 1)


def test_an_origin_of_another_length_is_refused():
    with pytest.raises(ValueError, match="^`origin` must have one entry for each of the 2 images, .* not 3.$"):
        split_of(0, 1, origin=("x", "y", "z"))


def test_pick_keeps_images_labels_and_origin_together():
    split = split_of(0, 1, 0, 1, origin=tuple("wxyz"))
    mask = torch.tensor([True, False, False, True])
    for indices, expected in ((torch.tensor([3, 0]), [3, 0]), ([3, 0], [3, 0]), (np.array([3, 0]), [3, 0]),
                              (mask, [0, 3]), (mask.numpy(), [0, 3]), (torch.tensor([-1]), [3]), ([], [])):
        picked = split.pick(indices)
        assert picked.images[:, 0, 0, 0].tolist() == expected and picked.classes == split.classes
        assert picked.labels.tolist() == [k % 2 for k in expected]
        assert picked.origin == tuple("wxyz"[k] for k in expected)


@pytest.mark.parametrize("indices", [
    [4], torch.tensor([0.0, 1.0]), 2, (3, 0), torch.ones(3, dtype=torch.bool), torch.zeros(2, 2).long()],
    ids=["beyond", "float", "one", "tuple", "short mask", "table"])
def test_pick_of_what_is_not_there(indices):
    with pytest.raises(ValueError, match="^Pick images by a list or tensor of positions from 0 to 3, or by a mask"):
        split_of(0, 1, 0, 1).pick(indices)


def test_at_most_takes_all_that_a_scarce_class_has():
    split = split_of(*[0] * 9, *[1] * 2)
    assert torch.bincount(split.at_most(5).labels).tolist() == [5, 2]
    assert torch.bincount(split.at_most(11).labels).tolist() == [9, 2]
    assert torch.bincount(split.at_most(100).labels).tolist() == [9, 2], "a small exam is all there is"
    assert split.few(2, seed=3).labels.tolist() == split.at_most(2, seed=3).labels.tolist()
    for count in (0, 1.0):
        with pytest.raises(ValueError, match="^per_class must be a whole number of 1 or more, not "):
            split.at_most(count)


def test_few_is_balanced_and_its_seed_decides(pocket):
    few = pocket["train"].few(5, seed=1)
    assert torch.bincount(few.labels).tolist() == [5] * 10
    assert torch.equal(few.images, pocket["train"].few(np.int64(5), seed=np.int64(1)).images)
    assert not torch.equal(few.images, pocket["train"].few(5, seed=2).images)
    assert len({few.images[k].numpy().tobytes() for k in range(50)}) == 50  # no image twice


@pytest.mark.parametrize("count", [0, 3, -1, True, 1.0, "2", None])
def test_few_says_how_many_there_are(count):
    with pytest.raises(ValueError, match=r"^per_class must be a whole number from 1 to 2 \('dog' has no more images\)"):
        split_of(0, 0, 0, 1, 1).few(count)


def test_few_where_a_class_has_no_image():
    with pytest.raises(ValueError, match="^There is no image of 'dog' here, so no subset .* leave that name out"):
        split_of(0, 0).few(1)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None, True])
def test_few_with_a_seed_that_is_none(seed):
    with pytest.raises(ValueError, match="^seed must be a whole number from 0 to 4294967295, not "):
        split_of(0, 1).few(1, seed)


def test_a_subset_is_a_copy():
    split = split_of(0, 1)
    few = split.few(1)
    few.images.fill_(77), few.labels.fill_(1)
    assert split.images[:, 0, 0, 0].tolist() == [0, 1] and split.labels.tolist() == [0, 1]


def test_whole_numbers_of_every_make():
    for value in (7, np.int64(7), np.uint8(7), torch.tensor(7)):
        number = whole_number(value, "n", 0, 7)
        assert number == 7 and type(number) is int


# --- data for training and examining -----------------------------------------------------------------------------

class Strange(Dataset):
    """Has nothing but what torch asks of a data set."""

    def __len__(self):
        return 2

    def __getitem__(self, k):
        return torch.zeros(3, 8, 8), k


INPUTS, LABELS = torch.zeros(2, 5), torch.tensor([0, 1])


def test_data_that_can_be_used():
    for data in (split_of(0, 1), TensorDataset(INPUTS, LABELS), TensorDataset(INPUTS.half(), LABELS)):
        check_data(data)


def test_a_folder_of_torchvision_is_answered_with_our_own(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "a.png")
    for data in (ImageFolder(str(tmp_path)), tmp_path, str(tmp_path)):
        with pytest.raises(ValueError) as error:
            check_data(data, "train")
        assert str(error.value).startswith("train can't be ")
        assert str(error.value).endswith(f" folder with `datasets.folder({str(tmp_path)!r})`.")


@pytest.mark.parametrize("data, told", [
    (DataLoader(TensorDataset(INPUTS, LABELS)), "a value of type DataLoader: batches are made from the data itself, "),
    (Subset(split_of(0, 1), [0]), r"a value of type Subset: take a part of an `ImageSplit` with `split.pick"),
    (Strange(), r"a value of type Strange: give an `ImageSplit\(images, labels, classes\)`, or two tensors as "),
    (Subset(Strange(), [0]), r"a value of type Subset: give .*`TensorDataset\(inputs, labels\)`"),
    ((INPUTS, LABELS), r"a value of type tuple: give .*`TensorDataset\(inputs, labels\)`"),
    ([INPUTS, LABELS], "a value of type list: give"),
    (INPUTS, r"torch.float32 of shape \(2, 5\): give"),
    (None, "a value of type NoneType: give"),
    (TensorDataset(INPUTS), "a value of type TensorDataset: give .* two tensors"),
    (TensorDataset(INPUTS, INPUTS, LABELS), "a value of type TensorDataset: give .* two tensors"),
], ids=lambda value: type(value).__name__ if not isinstance(value, str) else "")
def test_data_of_another_kind_is_answered_with_what_to_use(data, told):
    with pytest.raises(ValueError, match=rf"^val can't be {told}") as error:
        check_data(data, "val")
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize("inputs, labels, told", [
    (INPUTS, LABELS.int(), r"The labels of val must be int64 of shape \(2,\), not torch.int32 of shape \(2,\)."),
    (INPUTS, LABELS[:, None], r"The labels of val must be int64 of shape \(2,\), not torch.int64 of shape \(2, 1\)."),
    (INPUTS, LABELS - 1, "The labels of val must count the classes from 0 on; -1 is below that."),
    (INPUTS.long(), LABELS, r"The inputs of val must be uint8 images or float features, not torch.int64"),
    (INPUTS[:0], LABELS[:0], "val is empty: it needs one image at least."),
], ids=["int32", "a column", "from -1 on", "whole numbers", "empty"])
def test_tensors_that_are_no_data(inputs, labels, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        check_data(TensorDataset(inputs, labels), "val")


def test_tensors_of_different_lengths():
    data = split_of(0, 1)
    object.__setattr__(data, "labels", torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match=r"^The labels of data must be int64 of shape \(2,\), not .* shape \(3,\).$"):
        check_data(data)


# --- class names -------------------------------------------------------------------------------------------------

def named(*classes: str) -> ImageSplit:
    return split_of(0, classes=classes)


def test_the_same_classes_pass_and_so_does_data_without_names():
    same_classes(named("cat", "dog"), named("cat", "dog"))
    same_classes(named("cat", "dog"), TensorDataset(INPUTS, LABELS))
    same_classes(None, named("cat"))


def test_lists_of_names_count_as_well():
    same_classes(ImageSplit(pixels(1), torch.tensor([0]), ["cat", "dog"]), named("cat", "dog"))


@pytest.mark.parametrize("ours, theirs, told", [
    (("cat", "dog"), ("cat",), "val lacks 'dog'"),
    (("cat",), ("cat", "dog"), "train lacks 'dog'"),
    (("cat", "dog"), ("cat", "fox"), "val lacks 'dog' and train lacks 'fox'"),
    (tuple("abcdef"), ("a",), "val lacks 'b', 'c', 'd' and 2 more"),
    (("ape", "cat", "dog"), ("ape", "dog", "cat"), "number 1 is 'cat' in train and 'dog' in val"),
    (("cat", "cat"), ("cat",), "number 1 is 'cat' in train and None in val"),
], ids=["missing", "extra", "another", "many", "order", "twice"])
def test_other_classes_are_named(ours, theirs, told):
    with pytest.raises(ValueError) as error:
        same_classes(named(*ours), named(*theirs))
    assert str(error.value) == f"train and val must have the same classes in the same order, but {told}."


def test_who_is_compared_is_named():
    with pytest.raises(ValueError, match="^the network and the data must .* but the network lacks 'dog'.$"):
        same_classes(named("cat"), named("cat", "dog"), "the network", "the data")
