from dataclasses import dataclass
@dataclass
class LoraConfig:
    r: int = 8
    lora_alpha: int = 8
    target_modules: list = None
    lora_dropout: float = 0.0
    bias: str = "none"
    task_type: str = None
def get_peft_model(model, peft_config, adapter_name="default"): pass
