from typing import TYPE_CHECKING
from .utils import _LazyModule
_import_structure = {"training_args": ["TrainingArguments"], "trainer": ["Trainer"], "auto": ["AutoModelForCausalLM", "AutoTokenizer", "AutoModelForSequenceClassification"],
                     "quant": ["BitsAndBytesConfig"], "data": ["DataCollatorWithPadding", "DataCollatorForLanguageModeling"], "hf_argparser": ["HfArgumentParser"], "pipelines": ["pipeline"]}
