import ast
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mnist_core.tensorflow_nn  # noqa: F401 (Keras would start TensorFlow before threads are set, which is done once)
from benchmarks.__main__ import main
from benchmarks.contenders import keras_model, torch_model
from benchmarks.document import BEGIN, END, machine_name, missed_limits, replace_section, section
from benchmarks.measure import Group, worker_environment
from benchmarks.summary import ratios, summarise, training_flops
from mnist_core.errors import UserError
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.registry import build_classifier
from tests.weights import drawn

ROOT = Path(__file__).parents[1]
CNN = (Conv2D(16, 3, activation="relu"), MaxPool2D(2, 2)) * 3 + (Dense(10),)


def test_make_bench_has_the_images_prepared_first():
    command = ["make", "--dry-run", "bench"]
    script = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert script.index("dvc repro prepare") < script.rindex("python -m benchmarks")


def test_useful_operations_of_a_linear_layer_leave_out_the_gradient_of_the_images():
    assert training_flops((Dense(10),)) == 31_360  # 2 x (2 x 784 x 10)


def test_useful_operations_of_a_small_convolutional_network():
    network = (Conv2D(2, 3, activation="relu"), MaxPool2D(2, 2), Dense(10))
    # 4x4 image: convolution 16 positions x 9 taps x 1 x 2 = 288 multiply-adds, dense 8 x 10 = 80
    assert training_flops(network, (4, 4, 1)) == 4 * 288 + 6 * 80


def test_useful_operations_of_the_cnn():
    assert training_flops(CNN) == 4 * 112_896 + 6 * (451_584 + 112_896 + 2_560)


def test_ratios_divide_by_the_baseline_and_leave_out_what_it_lacks():
    medians = {"numpy": {"a": 0.5, "d": 3.0}, "tensorflow": {"a": 2.0}}
    assert ratios(medians, "tensorflow") == {"numpy": {"a": 0.25}, "tensorflow": {"a": 1.0}}


def example_groups():
    return {
        "a": Group(
            train_seconds={"numpy": [0.2, 0.1, 0.4], "tensorflow": [0.5, 0.4, 0.3], "gemm": [0.5, 0.5, 0.5]},
            predict_seconds={"numpy": [0.05, 0.1, 0.2], "tensorflow": [0.2, 0.2, 0.4]},
            peak_rss_mb={"numpy": 430.4, "tensorflow": 900.0},
            skipped={"sklearn": "no hidden layers"},
        )
    }


def test_summary_of_timings():
    summary = summarise(example_groups(), {"a": (Dense(10),)}, images=1000)
    assert summary == {
        "epoch_seconds": {"numpy": {"a": 0.2}, "tensorflow": {"a": 0.4}},
        "epoch_seconds_spread": {"numpy": {"a": [0.1, 0.4]}, "tensorflow": {"a": [0.3, 0.5]}},
        "ratio_to_tensorflow": {"numpy": {"a": 0.5}, "tensorflow": {"a": 1.0}},
        "gemm_fraction": {"a": 0.0009127},  # 0.1568 GFLOP/s of 171.8
        "gemm_gflops": {"a": 171.8},  # 5 products of 2 x 2048^3 operations in half a second
        "epoch_gflop": {"a": 0.03136},
        "peak_rss_mb": {"numpy": {"a": 430}, "tensorflow": {"a": 900}},
        "forward_images_per_second": {"numpy": {"a": 10_000}, "tensorflow": {"a": 5_000}},
        "repeats": {"a": 3},
        "skipped": {"sklearn": {"a": "no hidden layers"}},
    }


def example_results(cpu="Abacus 3"):
    figures = summarise(example_groups(), {"a": (Dense(10),)}, images=1000)
    machine = {"cpu": cpu, "cores": 2, "blas_kernel": "Zen", "versions": {"numpy": "2.4.6"}}
    settings = {"images": 55_000, "batch_size": 200, "data": "random images"}
    return {**figures, "one_thread": figures, "machine": machine, "settings": settings}


def test_every_machine_has_a_table_with_its_kernel_figures_and_ratios():
    lines = section([example_results(), example_results("Abacus 4")]).splitlines()
    assert lines[0] == "### Abacus 3, OpenBLAS kernel Zen"
    assert lines[2] == "numpy 2.4.6; 55,000 images (random images)."
    assert "| NumPy (ours), 2 cores | 0.2 (0.50) |" in lines
    assert "| NumPy (ours), one thread | 0.2 (0.50) |" in lines
    assert "| forward only, images/s: TensorFlow (ours), one thread | 5,000 |" in lines
    assert "| peak memory: NumPy, MiB | 430 |" in lines
    assert "### Abacus 4, OpenBLAS kernel Zen" in lines
    assert lines.count("Every limit is kept.") == 2


def test_a_limit_that_is_missed_is_named_with_both_numbers():
    results = example_results()
    results["epoch_seconds"] = {"numpy": {"d": 1.2}, "tensorflow": {"d": 1.0}}
    results["one_thread"] = {**results["one_thread"], "epoch_seconds": {"numpy": {"d": 1.3}, "tensorflow": {"d": 1.0}}}
    results["forward_images_per_second"] = {"numpy": {"d": 100}, "tensorflow": {"d": 100}}
    results["machine"]["cpu"] = "Intel Abacus"
    assert missed_limits(results) == [
        "NumPy (ours) / TensorFlow (ours), d, one thread: 1.30, at most 1.25",
        "forward only, d, all cores: 1.00 of TensorFlow's images/s, at least 1.1",
    ]


def test_results_are_kept_by_processor_and_kernel():
    assert (
        machine_name({"cpu": "Intel(R) Xeon(R) @ 2.6GHz", "blas_kernel": "SkylakeX"})
        == "intel-r-xeon-r-2-6ghz-skylakex"
    )


def test_only_the_text_between_the_markers_is_replaced():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_section(page, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["", BEGIN, END + BEGIN, BEGIN + BEGIN + END])
def test_page_without_its_markers_is_an_error(page):
    with pytest.raises(UserError, match="must hold the line"):
        replace_section(page, "new")


def test_the_page_in_the_repository_has_its_markers():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "old figures gone" in replace_section(page, "old figures gone")


def test_workers_get_their_threads_and_no_forced_kernel():
    environment = worker_environment(
        {"PATH": "/bin", "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512", "OMP_NUM_THREADS": "7"}, 1
    )
    assert "OPENBLAS_CORETYPE" not in environment
    assert "OPENBLAS_L2_SIZE" not in environment
    assert environment["PATH"] == "/bin"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        assert environment[name] == "1", name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "nowhere/manifest.json: no such file"),
        (["--page", "nowhere.md"], "nowhere.md: no such file"),
    ],
)
def test_users_errors_are_one_line(monkeypatch, options, message):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_nothing_imports_the_benchmarks():
    modules = [*ROOT.glob("mnist_core/**/*.py"), *ROOT.glob("stages/**/*.py")]
    assert len(modules) > 20
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "benchmarks"], module


def test_no_stage_of_the_pipeline_reads_the_results():
    assert "benchmarks" not in (ROOT / "dvc.yaml").read_text(encoding="utf-8")


@pytest.fixture
def network_and_images():
    network = build_classifier("numpy", CNN, drawn(CNN, 1))
    return network, np.random.default_rng(2).random((3, 28, 28, 1), np.float32)


def test_keras_contender_is_the_same_network(network_and_images):
    network, images = network_and_images
    model = keras_model(CNN)
    model.set_weights(list(network.get_weights().values()))
    # float32 sums of up to 256 products of size 1, in different orders
    np.testing.assert_allclose(model(images).numpy(), network.predict_logits(images), rtol=0, atol=1e-4)


def test_pytorch_contender_is_the_same_network(network_and_images):
    torch = pytest.importorskip("torch")
    network, images = network_and_images
    weights = network.get_weights()
    # HWIO to OIHW; the flattened features are in (channel, row, column) order there, (row, column, channel) here.
    state = [weights[f"conv2d_{number}.{kind}"] for number in (1, 2, 3) for kind in ("kernel", "bias")]
    state = [array.transpose(3, 2, 0, 1) if array.ndim == 4 else array for array in state]
    dense = weights["dense_1.kernel"].reshape(4, 4, 16, 10).transpose(3, 2, 0, 1).reshape(10, 256)
    model = torch_model(CNN)
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), [*state, dense, weights["dense_1.bias"]], strict=True):
            parameter.copy_(torch.tensor(array))
        logits = model(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(logits, network.predict_logits(images), rtol=0, atol=1e-4)
