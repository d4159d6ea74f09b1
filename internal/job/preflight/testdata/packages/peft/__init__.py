from .lora import LoraConfig, get_peft_model
