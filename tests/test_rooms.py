"""Who may know whom (read from the imports), and that serving needs no PyTorch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shortlist

SOURCE = Path(shortlist.__file__).parent
HEAVY = {"torch", "numba", "llvmlite", "onnx", "onnxscript"}
MAY_NOT_KNOW = {
    "data": {
        "shortlist.models",
        "shortlist.training",
        "shortlist.recommender",
        "shortlist.service",
        "shortlist.evaluation",
        *HEAVY,
    },
    "losses": {"shortlist"},
    "negatives": {
        "shortlist.models",
        "shortlist.training",
        "shortlist.recommender",
        "shortlist.settings",
        "shortlist.losses",
        *HEAVY,
    },
    "retrieval": {
        "shortlist.models",
        "shortlist.training",
        "shortlist.recommender",
        "shortlist.settings",
        *HEAVY,
    },
    "reranking": {
        "shortlist.models",
        "shortlist.training",
        "shortlist.recommender",
        "shortlist.evaluation",
        "shortlist.settings",
        *HEAVY,
    },
    "encoders": {"shortlist.models", "shortlist.training", "shortlist.losses", "shortlist.recommender"},
    "models": {"shortlist.losses", "shortlist.training", "shortlist.recommender", "shortlist.service"},
    "evaluation": {"shortlist.training", "shortlist.service", "shortlist.recommender", *HEAVY},
    "training": {"shortlist.service", "shortlist.cli"},
    "recommender": {
        "shortlist.training",
        "shortlist.service",
        "shortlist.cli",
        "shortlist.losses",
        "shortlist.encoders",
        *HEAVY,
    },
    "events": {
        "shortlist.training",
        "shortlist.models",
        "shortlist.recommender",
        "shortlist.experiments",
        "shortlist.service",
        "shortlist.cli",
        "shortlist.losses",
        "shortlist.encoders",
        *HEAVY,
    },
    "experiments": {
        "shortlist.training",
        "shortlist.service",
        "shortlist.cli",
        "shortlist.losses",
        "shortlist.encoders",
        *HEAVY,
    },
    "service": {"shortlist.training", "shortlist.cli", "shortlist.losses", "shortlist.encoders", *HEAVY},
}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("room", MAY_NOT_KNOW)
def test_rooms_keep_apart(room: str) -> None:
    for file in sorted((SOURCE / room).rglob("*.py")):
        for name in imports(file):
            own = name.startswith(f"shortlist.{room}")
            for forbidden in MAY_NOT_KNOW[room]:
                known = name == forbidden or name.startswith(f"{forbidden}.")
                compiled = file.name.startswith("compiled") and name.split(".")[0] in {
                    "numba",
                    "llvmlite",
                }  # the fast road beside a plain one
                compiled = compiled or (file.name.startswith("torch_") and name.split(".")[0] == "torch")  # and a GPU's
                assert own or not known or compiled, f"{file.relative_to(SOURCE)} imports {name}"


def test_nobody_imports_the_command_line() -> None:
    for file in SOURCE.rglob("*.py"):
        if "cli" not in file.parts:
            assert not any(name.startswith("shortlist.cli") for name in imports(file)), file


def test_metrics_know_only_arrays() -> None:
    names = {name for name in imports(SOURCE / "evaluation" / "metrics.py") if name.startswith("shortlist")}
    assert names == {"shortlist.data.ragged", "shortlist.data.ragged.Ragged"}


def test_serving_needs_no_torch(demo_folder: Path, tmp_path: Path) -> None:
    """In an interpreter where the training packages cannot be imported, everything but training works."""
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "numba", "llvmlite", "onnx", "onnxscript", "optuna", "faiss"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import shortlist
from shortlist.recommender.evaluation import evaluate
from shortlist.recommender.precompute import precompute
from shortlist.errors import SettingsError
from shortlist.service.app import create_app
recommender = shortlist.load(sys.argv[1])
assert len(recommender.recommend(shortlist.Query(history=[1, 588])).items) == 10
assert precompute(sys.argv[1], sys.argv[2], shortlist.Query(k=2), device="auto").rows == 2 * recommender.dataset.num_users
try:
    precompute(sys.argv[1], sys.argv[2], device="cuda")
except SettingsError as error:
    assert "needs PyTorch" in str(error) and "pip install 'shortlist[train]'" in str(error), error
else:
    raise AssertionError("no PyTorch is there")
evaluate(recommender)
from shortlist.events import Event, EventStore
store = EventStore(sys.argv[2] + ".db")
store.add([Event.of("somebody", 1, "like")])
app = create_app(recommender, store)
from shortlist.recommender.live import LiveRecommender
assert len(LiveRecommender(recommender, store).recommend(shortlist.Query(user_id="somebody")).items) == 10
store.close()
assert "torch" not in sys.modules
print("fine")
"""
    command = [sys.executable, "-c", code, str(demo_folder), str(tmp_path / "lists.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


def test_public_names_are_a_promise() -> None:
    assert shortlist.__all__ == sorted(shortlist.__all__)
    assert all(getattr(shortlist, name) for name in shortlist.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        shortlist.trian  # type: ignore[attr-defined]  # noqa: B018
