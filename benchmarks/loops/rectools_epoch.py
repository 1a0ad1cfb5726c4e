"""RecTools' SASRec on our data, a number of its batches. Run by ``benchmarks.training_speed`` in RecTools' environment.

python rectools_epoch.py DATA.npz SASRec DIM BATCHES
"""

import json
import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

warnings.simplefilter("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
data, dim, batches = np.load(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
LENGTH = 200


ENDS = []  # of its batches; the model copies its trainer, so a callback cannot keep them itself


class Clock(Callback):
    def on_train_batch_end(self, *_):
        ENDS.append(time.perf_counter())


def main():
    offsets = data["offsets"]
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    log = pd.DataFrame(
        {
            Columns.User: users,
            Columns.Item: data["values"],
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(np.arange(len(users)), unit="s"),
        }
    )

    def trainer():
        return Trainer(
            max_epochs=1,
            limit_train_batches=batches + 1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Clock()],
        )

    model = SASRecModel(
        n_blocks=2,
        n_heads=1,
        n_factors=dim,
        session_max_len=LENGTH,
        loss="softmax",
        batch_size=128,
        get_trainer_func=trainer,
    )
    model.fit(Dataset.construct(log))
    lengths = np.diff(offsets)
    targets = int(np.minimum(np.maximum(lengths - 1, 0), LENGTH).sum())
    whole = -(-int((lengths > 1).sum()) // 128)
    print(json.dumps({"seconds": (ENDS[-1] - ENDS[0]) / (len(ENDS) - 1) * whole, "targets": targets}))


if __name__ == "__main__":
    main()
