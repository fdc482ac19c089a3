import sys

import numpy as np
import pytest
from matplotlib.image import imread

from incumbent.evaluation import plots
from tests.evaluation.cases import tagged


def predictions(n, k, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += 2
    odds = np.exp(logits)
    return truth, odds / odds.sum(axis=1, keepdims=True)


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


@pytest.mark.parametrize("k", [2, 5, 60])
def test_every_plot_is_drawn_as_png(tmp_path, k):
    classes = [f"_cost in $ of {i}$" for i in range(k)]
    files = plots.draw(*predictions(200, k), classes, tmp_path / "plots", bins=15)
    assert list(files) == ["confusion_matrix", "roc", "precision_recall", "reliability"]
    for name, path in files.items():
        assert path == tmp_path / "plots" / f"{name}.png"
        height, width = imread(path).shape[:2]
        assert min(height, width) > 500


def test_one_class_and_one_row_can_be_drawn(tmp_path):
    files = plots.draw(np.array([0]), np.array([[0.7, 0.3]]), ["neg", "pos"], tmp_path, bins=10)
    assert all(path.stat().st_size for path in files.values())


def test_a_confusion_matrix_shows_counts_until_there_are_too_many():
    small = plots.confusion_matrix(*predictions(100, 2), ["neg", "pos"])
    assert len(small.axes[0].texts) == 4
    large = plots.confusion_matrix(*predictions(100, 21), [str(i) for i in range(21)])
    assert not large.axes[0].texts


def test_two_classes_share_one_curve():
    assert [label[-3:] for label in legend(plots.roc(*predictions(100, 2), ["neg", "pos"]))] == [
        "pos"
    ]


def test_many_classes_are_averaged():
    labels = legend(plots.precision_recall(*predictions(300, 12), [str(i) for i in range(12)]))
    assert [label.split("  ")[1] for label in labels] == [
        "micro average",
        "macro average of 12 classes",
    ]


def test_reliability_names_the_calibration_error():
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9]])
    figure = plots.reliability(np.array([0, 1, 0, 1]), probabilities, bins=4)
    assert "0.100" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("last", [9.0, float("nan"), float("inf")])
@pytest.mark.parametrize("chosen", [1e-4, 1e-2])
def test_learning_rates_survive_divergence(tmp_path, last, chosen):
    path = plots.learning_rates(
        [1e-5, 1e-4, 1e-3, 1e-2], [0.7, 0.5, 0.4, last], chosen, tmp_path / "a/lr.png"
    )
    assert imread(path).shape[2] == 4


def test_drawing_leaves_no_global_state(tmp_path):
    plots.draw(*predictions(50, 2), ["neg", "pos"], tmp_path, bins=10)
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("k", [2, 50])
def test_plots_of_labels(tmp_path, k):
    truth, [p] = tagged(np.random.default_rng(0), 200, [1.0], k)
    files = plots.draw(truth, p, [f"_cost in $ of {i}$" for i in range(k)], tmp_path, bins=15)
    assert list(files) == ["labels", "roc", "precision_recall", "reliability"]
    assert all(min(imread(path).shape[:2]) > 500 for path in files.values())
    assert len(legend(plots.roc(truth[:, :2], p[:, :2], ["x", "y"]))) == 2


def test_a_bar_for_each_label_is_as_long_as_its_rows():
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], dtype=bool)
    predicted = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], dtype=bool)
    figure = plots.label_counts(truth, predicted * 0.8, ["x", "y"])
    found = [[bar.get_width() for bar in bars] for bars in figure.axes[0].containers]
    assert found == [[1, 1], [1, 0], [1, 2]]
