from dataclasses import dataclass
from transformers import Trainer, TrainingArguments
@dataclass
class KTOConfig(TrainingArguments):
    beta: float = 0.1
class KTOTrainer(Trainer): pass
@dataclass
class RewardConfig(TrainingArguments):
    max_length: int = 1024
class RewardTrainer(Trainer): pass
@dataclass
class ScriptArguments:
    dataset_name: str = None
@dataclass
class ModelConfig:
    model_name_or_path: str = None
class TrlParser:
    def __init__(self, dataclass_types=None, **kwargs): pass
def get_peft_config(model_args): pass
