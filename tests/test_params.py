from pathlib import Path

import pytest

from mnist_core.class_names import ten_names
from mnist_core.data.params import DataParams
from mnist_core.errors import UserError
from mnist_core.models import framework_and_letter
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.params import GridSearch, ProbeSearch, load_params

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(tmp_path):
    """Load the real params.yaml with one text replaced by another."""

    def load_edited(old="", new=""):
        text = (ROOT / "params.yaml").read_text()
        assert old in text
        (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
        return load_params(tmp_path / "params.yaml")

    return load_edited


def test_the_protocol_of_the_paper_profile(load):
    params = load()
    assert params.profile == "paper"
    assert params.active.data.model_dump() == {"train": 55000, "validation": 5000, "test": 10000}
    assert len(params.active.train.seeds) == 5
    search = params.active.framework("1b").search
    assert isinstance(search, GridSearch)
    assert search.learning_rates == (0.1, 0.01, 0.001, 0.0001)
    assert params.active.search_epochs("1b") == 100
    numpy = params.active.framework("2d")
    assert isinstance(numpy.search, ProbeSearch)
    assert numpy.batch_size == 200
    epochs = {name: params.active.search_epochs(name) for name in ("2a", "2b", "2c", "2d")}
    assert epochs == {"2a": 150, "2b": 300, "2c": 500, "2d": 100}


def test_twins_share_an_architecture(load):
    params = load()
    assert params.architecture("1a") == params.architecture("2a") == (Dense(10),)
    assert params.architecture("2b") == (Dense(128, "relu"), Dense(10))
    assert params.architecture("1d") == (Conv2D(16, 3, 1, "same", "relu"), MaxPool2D(2, 2, "same")) * 3 + (Dense(10),)


def test_another_profile(load):
    assert load("profile: paper", "profile: quick").active.data.train == 4000


@pytest.mark.parametrize("text", ["1e-3", "0.001"])
def test_numbers_are_read_as_dvc_reads_them(load, text):
    search = load("[0.1, 0.01, 0.001, 0.0001]", f"[{text}]").active.framework("1a").search
    assert isinstance(search, GridSearch)
    assert search.learning_rates == (0.001,)


FIRST_LAYER_B = "- {type: dense, units: 128, activation: relu}"
FIRST_LAYER_D = "- {type: conv2d, filters: 16, kernel_size: 3, stride: 1, padding: same, activation: relu}"

FAULTS = {
    "unknown key": ("dataset: mnist", "dataset: mnist\n  datset: x", "data.datset: unknown key"),
    "misspelt key": ("  directory:", "  directroy:", "data.directroy: unknown key"),
    "unknown key at the top": ("profile: paper", "profile: paper\nepochs: 3", "epochs: unknown key"),
    "unknown key in a layer": (
        FIRST_LAYER_B,
        "- {type: dense, units: 128, bias: 1}",
        "architectures.b.0.bias: unknown",
    ),
    "missing key": ("dataset: mnist", "", "data.dataset: missing"),
    "unknown data set": ("dataset: mnist", "dataset: cifar", "data.dataset: "),
    "number for a text": ('directory: ""', "directory: 3", "data.directory: "),
    "text for a number": ("train: 55000", "train: many", "profiles.paper.data.train: "),
    "quoted number": ("train: 55000", 'train: "55000"', "profiles.paper.data.train: "),
    "fraction for a count": ("batch_size: 200", "batch_size: 2.5", "profiles.paper.tensorflow.batch_size: "),
    "zero": ("batch_size: 200", "batch_size: 0", "profiles.paper.tensorflow.batch_size: "),
    "negative rate": ("[0.1, ", "[-0.1, ", "profiles.paper.tensorflow.search.learning_rates.0: "),
    "infinite rate": ("[0.1, ", "[.inf, ", "profiles.paper.tensorflow.search.learning_rates.0: "),
    "quoted rate": ("[0.1, ", '["0.1", ', "profiles.paper.tensorflow.search.learning_rates.0: "),
    "truth for a rate": ("tolerance: 0.000001", "tolerance: true", "profiles.paper.gradcheck.tolerance: "),
    "quoted units": ("units: 128", 'units: "128"', "architectures.b.0: units must be a whole number, not '128'"),
    "truth for a stride": ("stride: 1", "stride: true", "architectures.d.0: stride must be a whole number, not True"),
    "fraction of a pool": ("pool_size: 2", "pool_size: 2.0", "architectures.d.1: pool_size must be a whole number"),
    "no list of layers": ("a:\n    - {type: dense, units: 10}", "a: dense", "architectures.a: "),
    "a layer that is no mapping": (FIRST_LAYER_B, "- dense", "architectures.b.0: "),
    "a list of lists for a size": (
        "units: 128",
        "units: &x [l, [l]]",
        "architectures.b.0: units must be a whole number, not a list",
    ),
    "a seed that nobody can spell": ("[1, 2, 3, 4, 5]", f"[0x{'F' * 6000}]", "profiles.paper.train.seeds.0: "),
    "a hundred layers too many": (
        FIRST_LAYER_D,
        "- {type: max_pool2d, pool_size: 1, stride: 1}\n    " * 101 + "- {type: conv2d, filters: 1, kernel_size: 1}",
        "architectures.d: Tuple should have at most 100 items",
    ),
    "a step that TensorFlow cannot count": (
        FIRST_LAYER_D,
        "- {type: max_pool2d, pool_size: 1, stride: 3000000000}",
        "architectures.d.0: stride must be from 1 to 2147483647, not 3000000000",
    ),
    "a rate twice": (
        "[0.1, 0.01, 0.001, 0.0001]",
        "[0.1, 0.1]",
        "profiles.paper.tensorflow.search: learning_rates must differ",
    ),
    "a rate beyond all reason": (
        "largest_learning_rate: 10,",
        "largest_learning_rate: 1e308,",
        "profiles.paper.numpy.search.",
    ),
    "a range beyond all reason": (
        "high: 0.3}",
        "high: 1.797e308}",
        "profiles.paper.tuned.space.b.learning_rate.high: ",
    ),
    "a class that no file can name": (
        "class_names: []",
        'class_names: ["\\uD800"]',
        "data.class_names.0: should be printable",
    ),
    "a class that a terminal obeys": (
        "class_names: []",
        'class_names: ["a\\e[31mx"]',
        "data.class_names.0: should be printable",
    ),
    "a profile that no file can name": (
        "  quick:\n",
        '  "\\uD800":\n',
        "profiles: '\\ud800' is no name that can be printed",
    ),
    "no rate": ("[0.1, 0.01, 0.001, 0.0001]", "[]", "profiles.paper.tensorflow.search.learning_rates: "),
    "unknown strategy": ("strategy: probe", "strategy: random", "profiles.paper.numpy.search"),
    "eleven classes": ("class_names: []", "class_names: [a, b, c, d, e, f, g, h, i, j, k]", "data.class_names: "),
    "a class named twice": ("class_names: []", "class_names: [a, b, a]", "data.class_names: two classes have one name"),
    "a class without a name": ("class_names: []", 'class_names: [a, ""]', "data.class_names.1: "),
    "a number for a class name": ("class_names: []", "class_names: [1, 2]", "data.class_names.0: "),
    "seed twice": ("[1, 2, 3, 4, 5]", "[1, 1]", "profiles.paper.train: seeds must differ"),
    "no seed": ("[1, 2, 3, 4, 5]", "[]", "profiles.paper.train.seeds: "),
    "seed too large": ("[1, 2, 3, 4, 5]", "[4294967296]", "profiles.paper.train.seeds.0: "),
    "too many tenths": ("num_learning_rates: 3", "num_learning_rates: 11", "profiles.paper.numpy.search."),
    "more trials than anybody waits for": (
        "trials_per_batch: 8",
        "trials_per_batch: 1000000000000",
        "profiles.paper.tuned.search.trials_per_batch: ",
    ),
    "more rungs than a tower has": ("num_rungs: 2", "num_rungs: 1000000000", "profiles.paper.tuned.search.num_rungs: "),
    "a reduction of 400 digits": (
        "reduction: 8",
        f"reduction: {10**400}",
        "profiles.paper.tuned.search.reduction: ",
    ),
    "an epoch too many for a grid": (
        "d: 100}",
        "d: 1251}",
        "profiles.paper.tensorflow: the trials of network d would train 5004 epochs in all, and at most 5000 are"
        " allowed; lower epochs.d or the number of trials",
    ),
    "an epoch too many for a probe": ("c: 500", "c: 1667", "profiles.paper.numpy: the trials of network c would train"),
    "a search that trains on and on": (
        "num_batches: 1",
        "num_batches: 90",  # of 8 trials of 4 epochs, and one of them for 28 more
        "profiles.paper.tuned: the trials of network b would train 5040 epochs in all",
    ),
    "epochs of 400 digits": ("d: 100}", f"d: {10**400}}}", "profiles.paper.tensorflow.epochs.d: "),
    "more images than there are numbers": ("train: 55000", f"train: {10**400}", "profiles.paper.data.train: "),
    "a tolerance that lets all pass": ("tolerance: 0.000001}", "tolerance: 1}", "profiles.paper.gradcheck.tolerance: "),
    "epochs of parity": ("epochs: 5}", "epochs: 1000000000}", "profiles.paper.parity.epochs: "),
    "not yes or no": ("fast: true", "fast: 1", "fast: "),
    "more units than memory": (
        FIRST_LAYER_B,
        "- {type: dense, units: 1000000000000}",
        "architectures.b: training with batches of 200 would take 7.95PB, most of it for dense_1; this machine has ",
    ),
    "more filters than memory": (
        FIRST_LAYER_D,
        "- {type: conv2d, filters: 100000000, kernel_size: 1}",
        "architectures.d: training with batches of 200 would take ",
    ),
    "more padding than memory": (
        FIRST_LAYER_D,
        "- {type: max_pool2d, pool_size: 1000000000, stride: 1}",
        "architectures.d: training with batches of 200 would take ",
    ),
    "negative seed": ("[1, 2, 3, 4, 5]", "[-1]", "profiles.paper.train.seeds.0: "),
    "unknown profile": ("profile: paper", "profile: papper", "profile: 'papper' is none of paper, quick"),
    "unknown layer": (FIRST_LAYER_B, "- {type: lstm, units: 1}", "architectures.b.0"),
    "no units": (FIRST_LAYER_B, "- {type: dense, units: 0}", "architectures.b.0"),
    "unknown activation": (FIRST_LAYER_B, "- {type: dense, units: 9, activation: x}", "architectures.b.0.activation: "),
    "not ten outputs": (
        "a:\n    - {type: dense, units: 10}",
        "a:\n    - {type: dense, units: 9}",
        "architectures.a: the",
    ),
    "image layer after dense": (FIRST_LAYER_D, "- {type: dense, units: 9}", "architectures.d: max_pool2d_1 needs an"),
    "window larger than image": (
        FIRST_LAYER_D,
        "- {type: conv2d, filters: 1, kernel_size: 29, padding: valid}",
        "architectures.d: conv2d_1: a window of 29 does not fit into 28x28",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_key(load, fault):
    old, new, message = FAULTS[fault]
    with pytest.raises(UserError) as caught:
        load(old, new)
    text = str(caught.value)
    assert f"params.yaml: {message}" in text
    assert "\n" not in text


@pytest.mark.parametrize("content", ["profile: [", "a: b: c", "\t- x", "a: 1\na: 2\n", b"\xff\xfe\xfa"])
def test_what_is_not_yaml(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"params\.yaml: not valid YAML \(") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "just text", "- 1\n- 2\n"])
def test_yaml_that_is_no_mapping(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml: ") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"params\.yaml: no such file; run from the project's root"):
        load_params(tmp_path / "params.yaml")


def test_model_names():
    assert framework_and_letter("1a") == ("tensorflow", "a")
    assert framework_and_letter("2d") == ("numpy", "d")


@pytest.mark.parametrize("name", ["3a", "1e", "d2", ""])
def test_an_unknown_model_is_named(name):
    with pytest.raises(UserError, match=f"unknown model '{name}': use one of 1a, 1b, 1c, 1d, 2a, 2b, 2c, 2d"):
        framework_and_letter(name)


@pytest.mark.parametrize(
    ("dataset", "own", "expected"),
    [
        ("mnist", (), tuple("0123456789")),
        ("custom", (), tuple("0123456789")),
        ("custom", ("ma", "ta"), ("ma", "ta", *"23456789")),
    ],
)
def test_every_output_of_a_network_has_a_name(dataset, own, expected):
    assert ten_names(DataParams(dataset=dataset, directory="x", class_names=own).names) == expected


def test_clothes_have_their_names():
    names = ten_names(DataParams(dataset="fashion_mnist", directory="", class_names=()).names)
    assert (names[0], names[9], len(set(names))) == ("T-shirt/top", "Ankle boot", 10)
