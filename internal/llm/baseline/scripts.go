package baseline

import (
	_ "embed"
	"strings"
)

// The scripts, as they are published with a model. Those of the two trainers
// share a part, which is put in here.
var (
	//go:embed py/split.py
	splitScript string
	//go:embed py/evaluate.py
	evaluateScript string
	//go:embed py/fetch_data.py
	fetchScript string
	//go:embed py/from_parquet.py
	parquetScript string
	//go:embed py/train_sklearn.py
	sklearnTrainer string
	//go:embed py/train_stdlib.py
	stdlibTrainer string
	//go:embed py/shared.py
	sharedPart string
)

// trainScript is train.py, with scikit-learn or, plain, without any package.
func trainScript(plain bool) string {
	script := sklearnTrainer
	if plain {
		script = stdlibTrainer
	}
	return strings.Replace(script, "#include shared.py\n", sharedPart, 1)
}

// evaluationScript is evaluate.py, which needs what train.py needs.
func evaluationScript(plain bool) string {
	if !plain {
		return evaluateScript
	}
	_, body, _ := strings.Cut(evaluateScript, "# ///\n")
	return "# /// script\n# requires-python = \">=3.9\"\n# dependencies = []\n# ///\n" + body
}

// quote writes a word so that the shell passes it on unchanged.
func quote(word string) string {
	plain := strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./=:,+", r))
	}) < 0
	if word != "" && plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// shell writes a command line of the words.
func shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}
