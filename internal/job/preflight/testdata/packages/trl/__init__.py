from .sft import SFTConfig, SFTTrainer
from .dpo import DPOConfig, DPOTrainer
from .grpo import GRPOConfig, GRPOTrainer
from .others import KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, ScriptArguments, ModelConfig, TrlParser, get_peft_config
