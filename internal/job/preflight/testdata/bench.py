# /// script
# dependencies = ["trl", "peft"]
# ///
import argparse
import os

from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--model", default="Qwen/Qwen2.5-0.5B")
    p.add_argument("--lr", type=float, default=1e-4)
    return p.parse_args()


def to_messages(row):
    return {"messages": [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]}


def main():
    args = parse()
    tok = AutoTokenizer.from_pretrained(args.model)
    ds = load_dataset("openai/gsm8k", "main")
    ds = ds.map(to_messages, remove_columns=ds["train"].column_names)
    config = SFTConfig(output_dir=os.environ.get("OUTPUT_DIR", "out"), learning_rate=args.lr, push_to_hub=True, hub_model_id="me/gsm8k", eval_strategy="steps", max_length=1024)
    trainer = SFTTrainer(args.model, args=config, train_dataset=ds["train"], eval_dataset=ds["test"], processing_class=tok, peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
