"""Transformers' Trainer with tuitrain's callback; at first one that fails: HOME EPOCHS [fails]"""

import sys
import tempfile

import torch
from hf_trainer import Reporting, report_of, trainer_in

import tuitrain

home, epochs, *fails = sys.argv[2:]
torch.manual_seed(0)
with tempfile.TemporaryDirectory() as folder:
    trainer = tuitrain.hf(trainer_in(folder, int(epochs), logging_strategy="epoch"), "a", home=home)
    if fails:
        step, Reporting.training_step = Reporting.training_step, None
        try:
            trainer.train()
        except TypeError as error:
            print(f"failed: {error}")
        Reporting.training_step = step
    trainer.train()
print("after train", flush=True)
report_of(trainer, history=trainer.state.log_history)
