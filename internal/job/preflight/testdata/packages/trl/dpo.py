from dataclasses import dataclass
from transformers import Trainer, TrainingArguments
@dataclass
class DPOConfig(TrainingArguments):
    beta: float = 0.1
    max_length: int = 1024
class DPOTrainer(Trainer):
    def __init__(self, model, ref_model=None, args=None, data_collator=None, train_dataset=None, eval_dataset=None, processing_class=None, peft_config=None): pass
