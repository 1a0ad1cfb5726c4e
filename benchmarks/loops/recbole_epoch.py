"""RecBole's own training loop on our data, a number of batches of it. Run by ``training_speed`` with RecBole's Python.

    python recbole_epoch.py DATA.npz MODEL DIM BATCHES

The batch, its sampling and the loss are RecBole's; the step is what its ``Trainer._train_epoch`` does with one batch.
"""

import json
import os
import sys
import tempfile
import time
from itertools import islice

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

SETTINGS = {
    "SASRec": {
        "n_heads": 1,
        "hidden_dropout_prob": 0.2,
        "attn_dropout_prob": 0.2,
        "MAX_ITEM_LIST_LENGTH": 200,
        "train_neg_sample_args": None,
        "train_batch_size": 256,
    },
    "BPR": {},
    "NeuMF": {  # mf_embedding_size comes below
        "mlp_embedding_size": 128,
        "mlp_hidden_size": [128, 64],
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 4, "dynamic": False, "candidate_num": 0},
    },
    "MultiVAE": {"train_neg_sample_args": None, "train_batch_size": 256},
}
WIDTH = {"SASRec": "hidden_size", "BPR": "embedding_size", "NeuMF": "mf_embedding_size", "MultiVAE": "latent_dimension"}


def main():
    data, model_name, dim, batches = np.load(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    users = np.repeat(np.arange(len(data["offsets"]) - 1), np.diff(data["offsets"]))
    place = np.arange(len(users)) - data["offsets"][users]
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/log")
        with open(f"{folder}/log/log.inter", "w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            np.savetxt(file, np.column_stack([users, data["values"], place]), fmt="%d", delimiter="\t")
        os.chdir(folder)
        given = {
            "data_path": folder,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "use_gpu": False,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
            "state": "ERROR",
            "show_progress": False,
            WIDTH[model_name]: dim,
            **SETTINGS[model_name],
        }
        sys.argv = sys.argv[:1]
        config = Config(model=model_name, dataset="log", config_dict=given)
        init_seed(0, True)
        train, _, _ = data_preparation(config, create_dataset(config))
        model = get_model(config["model"])(config, train.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        model.train()
        seconds, done, started = 0.0, 0, 0.0
        for number, batch in enumerate(islice(train, batches + 1)):
            if number:  # the first warms up
                seconds, done = seconds + time.perf_counter() - started, done + 1
            started = time.perf_counter()
            trainer.optimizer.zero_grad()
            loss = model.calculate_loss(batch)
            sum(loss if isinstance(loss, tuple) else (loss,)).backward()
            trainer.optimizer.step()
        seconds, done = seconds + time.perf_counter() - started, done + 1
    print(
        json.dumps({"seconds": seconds / done * len(train), "targets": len(train.dataset), "torch": torch.__version__})
    )


if __name__ == "__main__":
    main()
