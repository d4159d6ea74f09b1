from typing import TYPE_CHECKING
from .utils import _LazyModule
_import_structure = {"training_args": ["TrainingArguments"], "trainer": ["Trainer", "EarlyStoppingCallback"], "trainer_utils": ["get_last_checkpoint"], "auto": ["AutoModelForCausalLM", "AutoTokenizer", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"],
                     "quant": ["BitsAndBytesConfig"], "data": ["DataCollatorWithPadding", "DataCollatorForLanguageModeling", "DataCollatorForTokenClassification"], "hf_argparser": ["HfArgumentParser"], "pipelines": ["pipeline"]}
