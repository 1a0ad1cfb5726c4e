"""The state of a training after each epoch, so that a killed run goes on where it was. No pickle."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shortlist.errors import TrainingError

if TYPE_CHECKING:
    from shortlist.training.averaging import WeightAverage
    from shortlist.training.trainer import TrainingRun


class Checkpoint:
    """One folder: weights, best weights and optimizer as safetensors, the course of the run as JSON.

    Args:
        folder: where; made when first saved.
        fingerprint: of settings and data; another run's checkpoint is refused.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint

    def exists(self) -> bool:
        """Whether there is something to resume from."""
        return (self.folder / "run.json").is_file()

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        run: TrainingRun,
        best: dict[str, Tensor],
    ) -> None:
        """Write the state; a kill at any moment leaves the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in average.state().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        name = f"state-{len(run.epochs)}.safetensors"
        save_file(
            {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()},
            self.folder / name,
        )
        record = {"fingerprint": self.fingerprint, "state": name, "run": asdict(run)}
        part = self.folder / "run.json.part"
        part.write_text(json.dumps(record))
        os.replace(part, self.folder / "run.json")
        for old in self.folder.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink()

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage
    ) -> tuple[TrainingRun, dict[str, Tensor]]:
        """Put the state back; returns the run so far and the best weights.

        Raises:
            TrainingError: the checkpoint is of other settings or data, or cannot be read.
        """
        from shortlist.training.trainer import EpochRecord, TrainingRun

        try:
            record = json.loads((self.folder / "run.json").read_text())
            tensors = load_file(self.folder / record["state"])
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(
                f"The checkpoint {self.folder} cannot be read ({error}). Delete the folder to start anew."
            ) from None
        if record["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"The checkpoint {self.folder} belongs to other settings or data. Delete the folder to start anew, or use "
                "the settings it was made with."
            )
        values = record["run"]
        run = TrainingRun(**{**values, "epochs": [EpochRecord(**epoch) for epoch in values["epochs"]]})
        model.load_state_dict(_under("model.", tensors))
        average.load_state(_under("average.", tensors))
        states: dict[int, dict[str, Any]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            states.setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        return run, _under("best.", tensors)

    def delete(self) -> None:
        """Remove it; the artifact has been written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
