"""Prints the sample texts as JSON, the same each time: samples.py >texts.json; samples.js counts them."""
import base64, hashlib, json, random
R = random.Random(7)
def pick(parts, size):
    out = []
    while sum(map(len, out)) < size: out.append(R.choice(parts))
    return "".join(out)
T = {}
P = ["The model overfits after the third epoch, so I lowered the learning rate and ran it again. ", "We compare both runs over the same folds; the difference lies inside the interval and is called none.\n\n", "If the dataset contains duplicated rows, remove them before splitting, otherwise the validation score is optimistic. ", "She asked whether the tokenizer had been trained on the same corpus, and nobody in the room could remember. ", "Unfortunately, reproducibility requires considerably more discipline than most practitioners anticipate. "]
T["prose"] = pick(P, 3000)
T["markdown"] = pick(["## Results\n\n", "- **accuracy**: 0.91 on the held-out split\n", "| model | f1 | loss |\n|---|---|---|\n| base | 0.81 | 0.442 |\n", "Run `make train` and then `python eval.py --split test`.\n\n", "See [the docs](https://example.org/docs/guide) for details.\n"], 2000)
T["python"] = pick(["def load(path, split='train'):\n    rows = pd.read_csv(path)\n    return rows[rows['split'] == split]\n\n", "class Trainer:\n    def __init__(self, model, lr=3e-4):\n        self.model = model\n        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)\n\n", "    for epoch in range(num_epochs):\n        loss = criterion(model(batch['input_ids']), batch['labels'])\n        loss.backward()\n"], 2500)
T["go"] = pick(["func (c *Client) Do(ctx context.Context, req *Request) (*Response, error) {\n\tif err := ctx.Err(); err != nil {\n\t\treturn nil, fmt.Errorf(\"send request: %w\", err)\n\t}\n", "type Store struct {\n\tmu    sync.Mutex\n\titems map[string][]byte\n}\n\n", "\tfor i := range items {\n\t\ttotal += len(items[i].Name)\n\t}\n\treturn total\n}\n\n"], 2500)
T["json"] = json.dumps([{"id": i, "name": R.choice(["alpha", "beta", "gamma"]), "score": round(R.random(), 4), "tags": ["train", "v2"], "parent_id": None} for i in range(40)])
T["json-indented"] = json.dumps([{"step": i, "lossValue": R.random(), "isBest": i % 2 == 0} for i in range(25)], indent=2)
T["csv"] = "sepal_length,sepal_width,petal_length\n" + "".join("%.1f,%.1f,%.1f\n" % (R.uniform(4, 8), R.uniform(2, 5), R.uniform(1, 7)) for _ in range(180))
T["csv-long-floats"] = "".join(",".join(repr(R.gauss(0, 1)) for _ in range(4)) + "\n" for _ in range(40))
T["integers"] = " ".join(str(R.randrange(10**6)) for _ in range(350))
T["training-log"] = "".join("[2026-11-25 10:%02d:%02d] INFO step=%d loss=%.4f lr=%.2e grad_norm=%.3f\n" % (i % 60, i * 7 % 60, i * 10, 2 / (i + 1), 3e-4 * .98**i, R.random()) for i in range(45))
T["progress"] = "".join("Epoch 1/3:  %d%%|%s| %d/100 [00:%02d<00:%02d, %.2fit/s]\r" % (i, "#" * (i // 5), i, i // 2, 50 - i // 2, R.uniform(1, 3)) for i in range(45))
B = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(60))
T["base64"] = base64.b64encode(B).decode()
T["hex"] = B.hex()
T["hashes"] = "".join(B[i*20:i*20+20].hex() + "  data/part-%05d.parquet\n" % i for i in range(50))
T["uuids"] = "".join("%s-%s-%s\n" % (B[i:i+4].hex(), B[i+4:i+6].hex(), B[i+6:i+12].hex()) for i in range(0, 900, 12))
T["spaces"] = " " * 2000
T["one-letter"] = "a" * 2000
T["dashes"] = "-" * 2000
T["table"] = "".join("%-24s %10d %12.3f\n" % (R.choice(["resnet50", "bert-base", "vit_large"]), R.randrange(10**6), R.random() * 100) for _ in range(50))
T["paths"] = "".join("/home/user/projects/%s/src/%s/%s_test.go\n" % (R.choice(["trainer", "webapp"]), R.choice(["internal", "utils", "models"]), R.choice(["tokenizer", "config", "data_loader"])) for _ in range(50))
T["ls"] = "".join("-rw-r--r-- 1 root root %8d Nov %2d 11:%02d %s\n" % (R.randrange(10**7), R.randrange(1, 30), R.randrange(60), R.choice(["model.safetensors", "config.json", "README.md"])) for _ in range(45))
T["traceback"] = pick(["Traceback (most recent call last):\n", "  File \"/usr/lib/python3.12/site-packages/torch/nn/modules/module.py\", line 1511, in _wrapped_call_impl\n    return self._call_impl(*args, **kwargs)\n", "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 15.78 GiB total capacity)\n"], 2500)
T["diff"] = pick(["@@ -12,7 +12,9 @@ func main() {\n", "-\tlr := 0.001\n+\tlr := 0.0003\n", " \tif err != nil {\n \t\treturn err\n \t}\n", "--- a/train.go\n+++ b/train.go\n"], 1800)
T["html"] = pick(["<div class=\"card\"><h2>Title</h2><p>Some text here.</p></div>\n", "<a href=\"/models/bert-base-uncased\" rel=\"nofollow\">bert</a>\n", "<li data-id=\"42\"><span>item</span></li>\n"], 2000)
T["shell"] = pick(["set -euo pipefail\n", "for f in data/*.csv; do wc -l \"$f\" | awk '{print $1}'; done\n", "export CUDA_VISIBLE_DEVICES=0,1 && torchrun --nproc_per_node=2 train.py --batch-size 32\n"], 2000)
T["chinese"] = pick(["模型在第三个训练周期之后开始过拟合，因此我降低了学习率。", "请先删除数据集中的重复行，然后再划分验证集。", "我们在相同的折上比较两次运行的结果。\n"], 900)
T["japanese"] = pick(["モデルは三回目のエポックの後に過学習しました。", "データセットの重複した行を先に削除してください。", "学習率を下げて、もう一度実行します。\n"], 900)
T["russian"] = pick(["Модель переобучается после третьей эпохи, поэтому я уменьшил скорость обучения. ", "Сначала удалите повторяющиеся строки из набора данных.\n", "Мы сравниваем оба запуска на одних и тех же данных. "], 1500)
T["german"] = pick(["Das Modell überanpasst sich nach der dritten Epoche, deshalb habe ich die Lernrate gesenkt. ", "Bitte entfernen Sie zuerst die doppelten Zeilen des Datensatzes. ", "Größere Veränderungen müssen ausführlich begründet werden.\n"], 1800)
T["korean"] = pick(["모델이 세 번째 에포크 이후에 과적합되었습니다. ", "먼저 데이터에서 중복된 행을 제거하세요.\n"], 900)
T["arabic"] = pick(["يبدأ النموذج في الإفراط في التعلم بعد المرحلة الثالثة. ", "يرجى حذف الصفوف المكررة أولا.\n"], 1000)
T["emoji"] = pick(["🚀", "🎉", "😀", "🔥 ", "✅ ", "🤖"], 500)
print(json.dumps([{"name": k, "text": v} for k, v in T.items()], ensure_ascii=False))
