from dataclasses import dataclass
from transformers import Trainer, TrainingArguments
@dataclass
class SFTConfig(TrainingArguments):
    max_length: int = 1024
    packing: bool = False
    dataset_text_field: str = "text"
    dataset_kwargs: dict = None
    assistant_only_loss: bool = False
    gradient_checkpointing: bool = True
class SFTTrainer(Trainer):
    def __init__(self, model, args=None, data_collator=None, train_dataset=None, eval_dataset=None, processing_class=None, peft_config=None, formatting_func=None, compute_metrics=None, callbacks=None): pass
