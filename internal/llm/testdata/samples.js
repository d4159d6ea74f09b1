// Counts the texts of samples.py with the o200k_base table of npm's js-tiktoken:
// node samples.js texts.json >samples.json
const { getEncoding } = require("js-tiktoken");
const o200k = getEncoding("o200k_base");
const texts = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));
for (const t of texts) t.o200k = o200k.encode(t.text, [], []).length;
console.log("[\n" + texts.map((t) => JSON.stringify(t)).join(",\n") + "\n]");
