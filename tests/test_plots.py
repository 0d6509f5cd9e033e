"""The figures' style: colours and text that everybody can read, also from the back of a room or in a dark notebook."""
import base64
import functools
import inspect
import io
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from PIL import Image

from helpers import anatomy, animation, calibration, evidence, figures, mistakes, networks
from helpers.images import ImageSplit
from helpers.inference import Evaluation
from helpers.intervals import Difference, Interval
from helpers.lesson_01 import plots as plots_01
from helpers.lesson_02 import plots as plots_02
from helpers.lesson_03 import plots as plots_03
from helpers.lesson_04 import plots as plots_04
from helpers.lesson_05 import plots as plots_05
from helpers.lesson_06 import plots as plots_06
from helpers.pocket import CLASSES
from helpers.training import History
from tests.drawn import cut_off, drawn

ROOT = Path(__file__).resolve().parent.parent
PALETTE = {name: getattr(figures, name) for name in ("BLUE", "ORANGE", "GREEN", "PINK", "SKY", "GREY")}
SMALLEST_TEXT = 11  # points
MODULES = (figures, mistakes, plots_01, plots_02, plots_03, plots_04, plots_05, plots_06)


# --- small inputs, of the kind that the notebooks hand over ---

def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def history(epochs: int = 4) -> History:
    return History([{f"{part}_{what}": 0.2 + 0.15 * k for part in ("train", "val") for what in ("loss", "accuracy")}
                    | {"seconds": 1.0, "memory": None, "lr": 0.1} for k in range(epochs)])


IMAGE, LABELS = noise(3, 96, 96), torch.arange(20) % 10
SPLIT = ImageSplit(noise(20, 3, 96, 96), LABELS, CLASSES)
EVALUATION = Evaluation(1.0, 0.5, 3.0 * torch.eye(10)[(LABELS + (torch.arange(20) < 11)) % 10], LABELS)
MAPS = torch.rand((8, 12, 12), generator=torch.Generator().manual_seed(0))
TABLE = anatomy.layer_table(networks.build("pocket_vgg", device="meta"), 96)
BLOCKS = anatomy.last_of_blocks(TABLE, "Conv2d")
ROWS = [evidence.Row(target, labels, method, Interval(0.1 + k / 9, k / 9, 0.2 + k / 9), (), ())
        for target in evidence.TARGETS for labels in (None, 1, 20) for k, method in enumerate(evidence.METHODS)]
WEIGHTED = [layer for layer in TABLE if layer.parameters]
MEMORY = {depth + 1: dict.fromkeys(plots_05.PART_COLOURS, 1e5 * (depth + 1)) for depth in range(len(WEIGHTED))}
GAP = [Interval(0.4, 0.33, 0.48), Interval(0.8, 0.76, 0.84), Interval(0.92, 0.9, 0.95)]
TWO = {"frozen": [history(), history()], "full": [history(), history()]}
CONTENDERS = ("frozen", "full", "LP-FT")

FIGURES = {
    "images": lambda: figures.images(SPLIT.images[:8], CLASSES[:8], columns=8, alt="Eight images of eight classes."),
    "class_examples": lambda: figures.class_examples(SPLIT, each=2),
    "transfer_curves": lambda: figures.transfer_curves(ROWS),
    "two_opinions": lambda: plots_01.two_opinions(SPLIT.pick(torch.arange(10)), (LABELS[:10], LABELS[1:11]),
                                               ("from scratch", "pre-trained")),
    "source_examples": lambda: plots_01.source_examples({"Noto": noise(4, 3, 48, 48), "Twemoji": noise(4, 3, 48, 48)}),
    "transfer_diagram": lambda: plots_01.transfer_diagram(91, 10),
    "film_strip": lambda: plots_01.film_strip({"Noto": noise(6, 3, 64, 64), "Twemoji": noise(6, 3, 64, 64)}, [],
                                              SPLIT.pick(torch.arange(10))),
    "film_strip of words": lambda: plots_01.film_strip({}, ["tench", "hook", "slot"], SPLIT.pick(torch.arange(10))),
    "feature_maps": lambda: plots_01.feature_maps(SPLIT, {"random": noise(20, 2), "pre-trained": noise(20, 2)}),
    "label_efficiency": lambda: plots_01.label_efficiency(
        {name: {1: Interval(0.2, 0.1, 0.3), 12: Interval(0.4, 0.3, 0.5)} for name in ("pre-trained", "random")}),
    "probes": lambda: plots_01.probes({target: {kind: Interval(0.5, 0.4, 0.6) for kind in "abc"} for target in "xyz"},
                                      0.1),
    "image_and_maps": lambda: plots_02.image_and_maps(IMAGE, MAPS, [f"channel {k}" for k in range(8)], "features.0"),
    "parameters_and_work": lambda: plots_02.parameters_and_work(TABLE, "pocket_vgg, image of 96 x 96 pixels"),
    "receptive_fields": lambda: plots_02.receptive_fields(IMAGE, BLOCKS, TABLE),
    "blocks_beside": lambda: plots_02.blocks_beside({"one": TABLE, "other": [*TABLE, BLOCKS[0]]}),
    "filters": lambda: plots_02.filters({"pre-trained": torch.rand(16, 3, 3, 3), "untrained": torch.rand(16, 3, 3, 3)},
                                        "Half of them are colourful."),
    "colour_shares": lambda: plots_02.colour_shares({"one": torch.rand(64), "other": torch.rand(16)}),
    "filters_and_answers": lambda: plots_02.filters_and_answers(
        IMAGE, {name: (torch.rand(8, 3, 3, 3), MAPS) for name in ("VGG-16 of 2014", "pocket_vgg")}),
    "favourites": lambda: plots_02.favourites(SPLIT, BLOCKS[2], 5, torch.tensor([[k, 3, k] for k in range(9)])),
    "maps_by_block": lambda: plots_02.maps_by_block({"block 1\n12 x 12": MAPS, "block 2\n12 x 12": MAPS}),
    "stretching": lambda: plots_02.stretching(torch.rand(3, 3), torch.rand(7, 7)),
    "layer_view": lambda: plots_02.layer_view(IMAGE, BLOCKS[2], MAPS, list(range(8)), (6, 6)),
    "learning_rate": lambda: plots_04.learning_rate([0.0, 0.001, 0.0005, 0.0], 2),
    "training_curves": lambda: plots_04.training_curves(TWO),
    "learning_rate_search": lambda: plots_04.learning_rate_search(
        {m: {0.001: [0.4, 0.5], 0.003: [0.6, 0.7], 0.01: [0.6, 0.5]} for m in CONTENDERS}),
    "contest": lambda: plots_04.contest({m: [0.3, 0.42, 0.35] for m in CONTENDERS},
                                        dict.fromkeys(CONTENDERS, Interval(0.36, 0.3, 0.41))),
    "confusion": lambda: mistakes.confusion(1 + np.diag(range(0, 50, 5)), CLASSES),
    "gallery": lambda: mistakes.gallery(SPLIT, EVALUATION, EVALUATION.mistakes()[:8], torch.rand(8, 96, 96)),
    "freeze_depth": lambda: plots_05.freeze_depth(WEIGHTED, MEMORY, depth=3),
    "live_curves": lambda: plots_05.live_curves({"frozen, seed 1": history(), "depth 3, rate 0.003": history(3)}, 16),
    "by_depth": lambda: plots_05.by_depth(
        {1: "head", 3: "+ classifier", 11: "all"}, {d: Interval(0.4, 0.3, 0.5) for d in (1, 3, 11)},
        {"in every epoch": {1: 0.5, 3: 0.6, 11: 1.4}, "once, and kept": {1: 0.01, 3: 0.02, 11: 1.4}}, MEMORY),
    "backbones": lambda: plots_05.backbones(
        {name: Interval(0.4, 0.3, 0.5) for name in ("vgg16", "convnext_tiny", "vit_b_16")},
        dict.fromkeys(("vgg16", "convnext_tiny", "vit_b_16"), 0.012),
        {"vgg16": 134e6, "convnext_tiny": 28e6, "vit_b_16": 86e6}),
    "moved": lambda: plots_05.moved({f"classifier.{k}": [0.1 * k, 0.2] for k in range(8)}, {
        pair: {f"block {k}": 0.9 for k in range(5)} for pair in ("before and after", "control: random weights")}),
    "effects of passes": lambda: figures.effects(
        {"dark images": Difference(-0.1, -0.15, -0.05), "cured": Difference(0.0, 0.0, 0.0)}, "after minus before"),
    "effects of draws": lambda: figures.effects(
        {"rates that fall": Difference(0.02, -0.01, 0.04)}, "a minus b", single={"rates that fall": [-0.01, 0.05]}),
    "picture_answers": lambda: plots_06.picture_answers(IMAGE, {
        "before: 91 classes": [("animal-mammal", 0.6), ("x", 0.1)], "after: 10 classes": [("cat", 0.5), ("dog", 0.3)]}),
    "by_class": lambda: plots_06.by_class({"without weights": [0.2, 0.9, 0.5], "with weights": [0.6, 0.8, 0.5]},
                                          [5, 50, 20], ("deer", "a class_with $signs$", "猫")),
    "by_class of many": lambda: plots_06.by_class({"a": [k / 40 for k in range(40)], "b": [0.5] * 40}, range(40),
                                                  [f"class {k}" for k in range(40)]),
    "reliability": lambda: plots_06.reliability({
        name: calibration.reliability(torch.rand(40), torch.rand(40) < 0.5, 5) for name in ("before", "after")}),
    "refusals": lambda: plots_06.refusals(
        {"own classes, right": torch.rand(90), "own classes, wrong": torch.zeros(0), "other": torch.rand(50)}, 0.4),
    "draws": lambda: plots_03.draws(IMAGE, noise(12, 3, 96, 96)),
    "value_histograms": lambda: plots_03.value_histograms({"after ToTensor": torch.rand(9, 3, 8, 8),
                                                        "after Normalize": torch.randn(9, 3, 8, 8)}),
    "crop_windows": lambda: plots_03.crop_windows(noise(3, 104, 104), [(0, 0), (2, 7), (8, 5)], 96),
    "before_and_after": lambda: plots_03.before_and_after({"hue + 120°": ("red light", IMAGE, IMAGE),
                                                        "upside down": ("car", IMAGE, IMAGE)}, "The same label?"),
    "effects": lambda: figures.effects({
        "mine, from the start": Difference(0.02, -0.01, 0.04), "none at all": Difference(-0.2, -0.31, -0.11),
        "quarter turns": Difference(0.1, 0.05, 0.14)}, "accuracy minus that with the backbone's own"),
    "gap_in_parts": lambda: plots_03.gap_in_parts({"without": GAP, "with": [GAP[0], GAP[2], GAP[2]]}),
}
# the tools, and a table:
NO_FIGURES = {"show", "bars", "mark_break", "opaque", "rendered", "ink", "page", "outline", "picture",
              "comparison_table", "decision_sheet",
              "class_name", "first_of", "most_confused", "browser", "division_table"}


@pytest.fixture(scope="module", params=FIGURES)
def shown(request):
    """The one figure that a plot function shows: its alt text, its size and pixels, and each text that is drawn."""
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            patch.setattr(module, "show", lambda *call: calls.append(call))
        FIGURES[request.param]()
    (figure, alt), = calls
    return drawn(figure, alt)


# --- colours ---

def linear(colour) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other) -> float:
    """WCAG 2.1: (lighter + 0.05) / (darker + 0.05), from 1 to 21."""
    darker, lighter = sorted(linear(colour) @ (0.2126, 0.7152, 0.0722) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
SIGHT = {
    "all cones": np.eye(3),
    "no red cones": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "no green cones": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "no blue cones": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9309, 0.1476], [0.0047, 0.6914, 0.3039]],
}


def seen(colour, sight: str) -> np.ndarray:
    """CIE Lab of a colour as somebody with this sight sees it; a distance of about 2 is just noticeable."""
    rgb = np.clip(np.array(SIGHT[sight]) @ linear(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    x, y, z = (np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in xyz / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def closest(colours: dict, sight: str) -> float:
    return min(np.linalg.norm(seen(a, sight) - seen(b, sight)) for a, b in itertools.combinations(colours.values(), 2))


def test_contrast_is_the_one_of_the_standard():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)


def test_colours_stand_out_from_the_background():
    assert matplotlib.rcParams["figure.facecolor"] == "white"
    assert {name: contrast(colour, "white") for name, colour in PALETTE.items() if contrast(colour, "white") < 3} == {}
    assert [colour for colour in figures.TEXT_COLOURS if contrast(colour, "white") < 4.5] == []


def test_ink_can_be_read_on_any_colour():
    grid = [np.array(rgb) / 8 for rgb in itertools.product(range(9), repeat=3)]
    assert min(contrast(figures.ink(colour), colour) for colour in grid) >= 4.5


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_can_be_told_apart(sight):
    assert closest(figures.METHOD_COLOURS, sight) > 25
    assert closest(figures.WORD_COLOURS, sight) > 20
    assert closest({exam: colour for exam, (colour, _) in plots_03.EXAMS.items()}, sight) > 20
    assert closest(PALETTE, sight) > 14


# --- how a figure gets into a notebook ---

IN_A_KERNEL = """
import sys, torch
from helpers import figures
from helpers.lesson_04 import plots
plots.learning_rate([0.0, 1.0], 1)
figures.images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), columns=2, alt="Two black images.")
print(figures.rendered(plots.learning_rate, [0.0, 1.0], 1).count("<img alt="), "matplotlib.pyplot" in sys.modules)
"""


def test_a_kernel_gets_a_png_with_its_alt_text_and_no_pyplot():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(IN_A_KERNEL)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    one, two, said = notebook.cells[0].outputs
    assert said.text == "1 False\n"
    for output, alt, text in ((one, "The learning rate rises", "<Figure size 700x280 with 1 Axes>"),
                              (two, "Two black images.", "<Figure size 190x98.8 with 2 Axes>")):
        assert output.output_type == "display_data" and set(output.data) == {"image/png", "text/plain"}
        assert output.data["text/plain"] == text and output.metadata["image/png"]["alt"].startswith(alt)
        png = base64.b64decode(output.data["image/png"])
        assert png.startswith(b"\x89PNG") and png[25] == 2  # red, green and blue, no channel for transparency


def test_no_helper_imports_pyplot():
    """It keeps one present figure for the whole process, and panels draw in threads."""
    for path in (ROOT / "helpers").rglob("*.py"):
        assert not re.search(r"\bpyplot\b.*import|import.*\bpyplot\b|\bplt\.", path.read_text("utf-8")), path


def test_outside_a_notebook_a_figure_is_one_line_of_text(capsys):
    plots_04.learning_rate([0.0, 1.0], 1)
    assert capsys.readouterr().out == "<Figure size 700x280 with 1 Axes>\n"


# --- the results that alt texts state ---

def alt_of(monkeypatch, plot, *arguments) -> str:
    alts = []
    monkeypatch.setattr(plots_02, "show", lambda figure, alt: alts.append(alt))
    plot(*arguments)
    return alts[0]


def test_alt_texts_state_the_result(monkeypatch):
    alt = functools.partial(alt_of, monkeypatch)
    assert "one: 1 of 4 filters below 10 %, 2 above 90 %" in alt(plots_02.colour_shares,
                                                                 {"one": torch.tensor([0.05, 0.5, 0.95, 0.99])})
    assert "most parameters are in classifier.0, most work is in features.8, features.13." in alt(
        plots_02.parameters_and_work, TABLE, "")
    assert "From features.16 on they are larger than the image." in alt(plots_02.receptive_fields, IMAGE, BLOCKS, TABLE)
    assert "None is larger" in alt(plots_02.receptive_fields, IMAGE, BLOCKS[:2], TABLE[:6])
    half = torch.stack([torch.full((4, 4), -1.0), torch.ones(4, 4)])
    assert "answers at 50 % of all places" in alt(plots_02.image_and_maps, IMAGE, half, ["a", "b"], "features.0")
    assert "one: the first 1 answer at 0 % of all places, the others at 100 %" in alt(
        plots_02.filters_and_answers, IMAGE, {"one": (torch.rand(2, 3, 3, 3), half)})
    sizes = {"block 1": torch.rand(2, 12, 12), "block 2": torch.rand(2, 6, 6)}
    assert "12 x 12, 6 x 6 places" in alt(plots_02.maps_by_block, sizes)
    assert "channel 3 sees rows 21 to 46 and columns 25 to 50" in alt(
        plots_02.layer_view, IMAGE, BLOCKS[2], MAPS, range(8), (8, 9), 3)
    assert "channel 5: the 2 of 20 images that excite it most: cat, bird;" in alt(
        plots_02.favourites, SPLIT, BLOCKS[2], 5, torch.tensor([[3, 0, 0], [1, 0, 0]]))
    assert "All channels choose among the same 20 images, so a count of classes has no interval." in alt(
        plots_02.favourites, SPLIT, BLOCKS[2], 5, torch.tensor([[3, 0, 0], [1, 0, 0]]))


# --- the moving picture ---

@pytest.fixture
def film(monkeypatch):
    """A filter that slides over 6 x 5 pixels: the frames, all their information, and the output's metadata."""
    shown = []
    monkeypatch.setattr(animation, "display", lambda content, metadata, raw: shown.append((content, metadata, raw)))
    answers = torch.arange(30.0).view(6, 5)
    animation.slide(noise(3, 6, 5), torch.rand(3, 3, 3), answers)
    (content, metadata, raw), = shown
    picture = Image.open(io.BytesIO(base64.b64decode(content["image/png"])))
    frames, times = [], []
    for k in range(picture.n_frames):
        picture.seek(k)
        frames.append(np.asarray(picture.convert("RGB")).copy()), times.append(picture.info.get("duration"))
    return SimpleNamespace(frames=frames, times=times, loop=picture.info["loop"], content=content, metadata=metadata,
                           raw=raw)


def test_a_filter_slides_in_an_endless_loop_of_a_few_seconds(film):
    assert film.loop == 0 and film.raw and set(film.content) == {"image/png", "text/plain"}
    assert "6 x 5 answers" in film.metadata["image/png"]["alt"]
    still, *moving = film.frames
    assert len(moving) == 2 * 5 + 4 + 1 and 2_000 < sum(film.times[1:]) < 12_000


def test_answers_come_one_by_one_and_the_still_picture_has_them_all(film):
    rest = np.array(tuple(bytes.fromhex(animation.REST[1:])))
    cells = np.s_[animation.TOP + 10:animation.TOP + 6 * animation.CELL:animation.CELL,
                  -animation.LEFT - 5 * animation.CELL + 10:-animation.LEFT:animation.CELL]
    known = [int((np.abs(frame[cells].astype(int) - rest).max(2) > 3).sum()) for frame in film.frames]
    assert known == [30, *range(1, 11), 15, 20, 25, 30, 30]
    assert np.abs(film.frames[0].astype(int) - film.frames[-1]).max() < 2


def test_the_window_stands_where_the_answer_is_written(film):
    orange = np.abs(film.frames[8].astype(int) - np.array([0xC0, 0x4E, 0])).max(2) < 24
    rows, columns = orange.nonzero()
    left, right = columns[columns < animation.LEFT + 5 * animation.CELL + 1], columns[columns > 200]
    middle = (left.min() + left.max()) / 2 - animation.LEFT, (right.min() + right.max()) / 2
    start = film.frames[0].shape[1] - animation.LEFT - 5 * animation.CELL
    assert abs(middle[0] / animation.CELL - 2.5) < 0.1 and abs((middle[1] - start) / animation.CELL - 2.5) < 0.1


# --- every figure ---

def test_every_plot_function_is_looked_at():
    own = {name for module in MODULES for name, function in inspect.getmembers(module, inspect.isfunction)
           if function.__module__ == module.__name__ and not name.startswith("_")}
    assert own - NO_FIGURES == {name.split()[0] for name in FIGURES}


def test_text_is_large_enough_and_on_the_canvas(shown):
    assert [(text.string, text.points) for text in shown.texts if text.points < SMALLEST_TEXT] == []
    assert cut_off(shown) == []


def test_text_stands_out_from_what_is_behind_it(shown):
    for text in shown.texts:
        left, bottom, right, top = text.box.clip(0)
        behind = np.median(shown.pixels[bottom:top, left:right, :3].reshape(-1, 3), axis=0)
        assert contrast(text.colour, behind) >= 4.5, f"{text.string!r} in {text.colour} on {behind}"


def test_every_figure_has_an_alt_text(shown):
    assert len(shown.alt.split()) >= 5


def test_the_background_is_opaque_and_light(shown):
    assert (shown.pixels[..., 3] == 1).all() and (shown.pixels[-1, [0, -1]] == 1).all()


def test_an_axis_of_accuracies_begins_at_zero_or_shows_that_it_does_not(shown):
    for axis in shown.axes:
        texts = {"x": axis.get_xlabel(), "y": axis.get_ylabel() or axis.get_title()}
        for name in (name for name, text in texts.items() if "accuracy" in text and "minus" not in text):
            begins_at_zero = getattr(axis, f"get_{name}lim")()[0] <= 0
            assert begins_at_zero or any(line.get_gid() == "break" for line in axis.lines), texts[name]


def test_curves_join_few_labels_to_many_in_whatever_order_the_rows_stand(monkeypatch):
    drawings = []
    monkeypatch.setattr(figures, "show", lambda figure, alt: drawings.append(figure))
    figures.transfer_curves(ROWS)
    for axis in drawings[0].axes:
        assert len(axis.containers) == len(evidence.METHODS)
        for container in axis.containers:
            assert (np.diff(container.lines[0].get_xdata()) > 0).all()


def test_images_need_no_title_for_an_alt_text(monkeypatch):
    alts = []
    monkeypatch.setattr(figures, "show", lambda figure, alt: alts.append(alt))
    figures.images(SPLIT.images[:2], columns=2)
    assert alts[0].strip()


def test_tables_have_headers(monkeypatch):
    shown = []
    monkeypatch.setattr(plots_04, "display", lambda table: shown.append(table.data))
    by_method = lambda value: dict.fromkeys(CONTENDERS, value)
    plots_04.comparison_table(by_method([EVALUATION]), by_method(1.5), by_method(10), by_method({"weights": 1}),
                              by_method(None), by_method(0.1))
    header, line, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in shown[0].splitlines()]
    assert all(header) and len(rows) > 3 and all(all(row) and len(row) == len(header) for row in rows)


def test_the_decision_sheet_is_a_table_with_a_head(monkeypatch):
    shown = []
    monkeypatch.setattr(plots_05, "display", lambda table: shown.append(table.data))
    plots_05.decision_sheet([("few labels", "the head alone", "notebook 5")])
    assert shown == ["| if | then | rests on |\n|:--|:--|:--|\n| few labels | the head alone | notebook 5 |"]
