from dataclasses import dataclass, field
@dataclass
class TrainingArguments:
    output_dir: str = None
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    num_train_epochs: float = 3.0
    max_steps: int = -1
    eval_strategy: str = "no"
    save_strategy: str = "steps"
    save_steps: int = 500
    logging_steps: int = 500
    optim: str = "adamw_torch"
    bf16: bool = False
    fp16: bool = False
    gradient_checkpointing: bool = False
    report_to: str = None
    push_to_hub: bool = False
    hub_private_repo: bool = None
    trackio_space_id: str = None
    trackio_static_space_id: str = None
    hub_model_id: str = None
    seed: int = 42
    use_cpu: bool = False
    deepspeed: str = None
