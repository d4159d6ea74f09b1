from dataclasses import dataclass
from transformers import Trainer, TrainingArguments
@dataclass
class GRPOConfig(TrainingArguments):
    num_generations: int = 8
    max_completion_length: int = 256
    beta: float = 0.0
    use_vllm: bool = False
class GRPOTrainer(Trainer):
    def __init__(self, model, reward_funcs, args=None, train_dataset=None, eval_dataset=None, processing_class=None, peft_config=None): pass
