package baseline

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ml-intern/internal/llm"
)

// flowers writes a table of n rows in which three species can be told apart.
func flowers(n int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("sepal_length,petal_length,petal_width,species\n")
	for i := range n {
		k := i % 3
		fmt.Fprintf(&b, "%.2f,%.2f,%.2f,%s\n", 5+rng.Float64()+0.5*float64(k), 1.5+2*float64(k)+rng.NormFloat64()*0.4, 0.2+float64(k)*0.8+rng.NormFloat64()*0.2,
			[]string{"setosa", "versicolor", "virginica"}[k])
	}
	return b.String()
}

// tables are odd in one way each; all can be learned.
func tables() map[string]struct{ file, content, target string } {
	rng := rand.New(rand.NewPCG(3, 4))
	line := func(n int, header string, row func(i int) string) string {
		var b strings.Builder
		b.WriteString(header)
		for i := range n {
			b.WriteString(row(i))
		}
		return b.String()
	}
	type table = struct{ file, content, target string }
	return map[string]table{
		"classes": {"iris.csv", flowers(150), "species"},
		"imbalance and a blank in the name": {"fraud cases.csv", line(300, "amount,hour,kind,fraud\n", func(i int) string {
			fraud := i%12 == 0
			return fmt.Sprintf("%.1f,%d,%s,%s\n", map[bool]float64{true: 900, false: 100}[fraud]+rng.NormFloat64()*60, i%24, []string{"web", "shop", "phone"}[i%3], map[bool]string{true: "yes", false: "no"}[fraud])
		}), "fraud"},
		"regression with decimal commas": {"houses.csv", line(200, "area;rooms;built;price\n", func(i int) string {
			area := 40 + rng.Float64()*100
			return strings.ReplaceAll(fmt.Sprintf("%.1f;%d;%d-%02d-01;%.2f\n", area, 1+i%6, 1990+i%30, 1+i%12, 2000*area+5000*float64(i%6)+rng.NormFloat64()*3000), ".", ",")
		}), "price"},
		"text in JSON lines": {"reviews.jsonl", line(240, "", func(i int) string {
			good := i%2 == 0
			word := map[bool][]string{true: {"great", "lovely", "superb"}, false: {"awful", "broken", "boring"}}[good][i%3]
			return fmt.Sprintf("{\"review\": \"I bought this %d days ago and it is a really %s thing, my dog says \\\"so\\\" as well\", \"stars\": %d, \"mood\": \"%s\"}\n",
				i, word, 1+i%5, map[bool]string{true: "good", false: "bad"}[good])
		}), "mood"},
		"quirky header, missing values, copies": {"odd's.tsv", "\ufeff id\t x \tx\t\tconst\tmaybe\tclass\n" + line(160, "", func(i int) string {
			k := i % 2
			if i > 150 {
				i = 150 // exact copies but for the id
			}
			x := fmt.Sprintf("%d", (i*7)%50+60*k)
			if i%9 == 0 {
				x = "N/A"
			}
			return fmt.Sprintf("r%d\t%s\t%s\t%d\tsame\t%s\t%s\n", i, x, []string{"red", "blue", "?"}[i%3], (i*13)%50+60*k, []string{"yes", "no", ""}[i%3], []string{"A", "B"}[k])
		}), "class"},
		"classes that are numbers, one of them rare": {"grades.json", "[" + strings.TrimSuffix(line(121, "", func(i int) string {
			grade := 1 + i%3
			if i == 7 {
				grade = 4
			}
			return fmt.Sprintf("{\"points\": %v, \"late\": %v, \"grade\": %d},\n", float64(30*grade)+math.Round(rng.NormFloat64()*50)/10, i%5 == 0, grade)
		}), ",\n") + "]", "grade"},
	}
}

func TestWholeJobWithoutPackages(t *testing.T) {
	t.Parallel()
	for name, table := range tables() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "")
			b.put(table.file, table.content)
			answer := b.say(fmt.Sprintf("predict %s from \"%s\" and publish it as test-model", table.target, table.file))
			t.Log(answer)
			if b.reason != llm.EndStop || !strings.Contains(answer, "http://hub.test/me/test-model") || !strings.Contains(answer, "the card's number holds") {
				t.Errorf("ended as %s:\n%s", b.reason, answer)
			}
			if !strings.Contains(answer, "uv is not on the PATH") {
				t.Error("it does not say that it went without packages")
			}
			repeated(t, b)
		})
	}
}

// TestOddFiles reads files that are written in odd ways, with the profile of
// the real package dataset and the split of the real script.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	latin := func(s string) string {
		var b []byte
		for _, r := range s {
			b = append(b, byte(r))
		}
		return string(b)
	}
	zipped := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	}
	rows := func(format string) string {
		var b strings.Builder
		for i := range 40 {
			fmt.Fprintf(&b, format, i, i*i%17, []string{"a", "b"}[i%2])
		}
		return b.String()
	}
	var wide strings.Builder
	for i := range 90 {
		fmt.Fprintf(&wide, "column number %d of a table that is wide,", i)
	}
	wide.WriteString("kind\n")
	for i := range 40 {
		for j := range 90 {
			fmt.Fprintf(&wide, "%d,", (i*j)%23)
		}
		fmt.Fprintf(&wide, "%s\n", []string{"a", "b"}[i%2])
	}
	for name, tt := range map[string]struct {
		file, content, target string
		features              int
	}{
		"latin-1 in gzip":    {"t.csv.gz", zipped(latin("n\xe4me;v\xe4lue;kind\n" + rows("%d;%d,5;%s\n"))), "kind", 1},
		"no header":          {"t.csv", strings.TrimPrefix(rows("%d,%d,%s\n"), "0,0,a\n"), "column_3", 1},
		"row names as R":     {"t.csv", "\"x\",\"kind\"\n" + rows("\"r%d\",%d,\"%s\"\n"), "kind", 1},
		"separator at end":   {"t.csv", "w,x,kind,\n" + rows("%d.5,%d,%s,\n"), "kind", 2},
		"title above":        {"t.csv", "# exported today\n#\nw,x,kind\n" + rows("%d.5,%d,%s\n"), "kind", 2},
		"a JSON array":       {"t.json", "[" + strings.TrimSuffix(rows("{\"w\": %d.5, \"x\": %d, \"kind\": \"%s\", \"n\": {\"y\": [1]}},\n"), ",\n") + "]", "kind", 2},
		"more than is shown": {"t.csv", wide.String(), "kind", 86},
		"quotes and lines":   {"t.csv", "w,\"a \"\"b\"\"\",kind\n" + rows("%d.5,\"%d\",\"%s\"\n"), "kind", 2},
		"a folder called so": {"data set/t.tsv", "w\tx\tkind\n" + rows("%d.5\t%d\t%s\n"), "kind", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "")
			b.put(tt.file, tt.content)
			b.noJobs = true
			b.say(fmt.Sprintf("predict \"%s\" from \"%s\"", tt.target, tt.file))
			var made split
			for _, m := range b.messages {
				for _, p := range m.Parts {
					if p.Result != nil && strings.Contains(p.Result.Text, "rows_read") {
						lastObject(p.Result.Text, &made)
					}
				}
			}
			if total := made.Train.Rows + made.Holdout.Rows; made.Features != tt.features || total < 35 || total > 40 {
				t.Errorf("%d features, %d rows of 40, want %d features\n%s", made.Features, total, tt.features, b.messages[len(b.messages)-1].Text())
			}
			if strings.Contains(b.text(holdoutCSV), "\ufffd") {
				t.Error("the text was decoded wrongly")
			}
		})
	}
}

// TestHonestFailures runs the real scripts into the ground.
func TestHonestFailures(t *testing.T) {
	t.Parallel()
	t.Run("a training script that fails", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "")
		b.put("iris.csv", flowers(60))
		b.script = "import sys\nraise RuntimeError('the script is broken')\n"
		answer := b.say(prompt)
		if b.reason != llm.EndFailed || !strings.Contains(answer, "RuntimeError: the script is broken") || len(b.submits) > 0 {
			t.Errorf("%s after %d jobs: %s", b.reason, len(b.submits), answer)
		}
	})
	t.Run("a training script that fails as a job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "")
		b.put("iris.csv", flowers(60))
		b.script = "import sys\nif '--smoke' in sys.argv: print('{\"smoke\": \"passed\"}')\nelse: raise MemoryError('too much')\n"
		answer := b.say(prompt)
		if b.reason != llm.EndFailed || !strings.Contains(answer, "MemoryError: too much") || b.called("publish ") > 0 {
			t.Errorf("%s: %s", b.reason, answer)
		}
	})
	t.Run("a card that lies", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "")
		b.put("iris.csv", flowers(60))
		b.card = "0.123"
		answer := b.say(prompt)
		if b.reason != llm.EndFailed || !strings.Contains(answer, "VERIFICATION FAILED") || !strings.Contains(answer, "0.1230") {
			t.Errorf("%s: %s", b.reason, answer)
		}
	})
	t.Run("nothing to learn", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "")
		rng := rand.New(rand.NewPCG(5, 6))
		var noise strings.Builder
		noise.WriteString("x,z,side\n")
		for range 120 {
			fmt.Fprintf(&noise, "%.3f,%.3f,%s\n", rng.Float64(), rng.Float64(), []string{"heads", "tails"}[rng.IntN(2)])
		}
		b.put("coins.csv", noise.String())
		answer := b.say("predict side from coins.csv, publish it as coins")
		if b.reason != llm.EndFailed || !strings.Contains(answer, "learned anything useful") || b.called("publish ") > 0 {
			t.Errorf("%s: %s", b.reason, answer)
		}
	})
}

// TestLongProfile reads a profile whose middle was left out.
func TestLongProfile(t *testing.T) {
	t.Parallel()
	var columns []string
	for i := range 400 {
		columns = append(columns, fmt.Sprintf(`{"name":"c%d","kind":"number","missing":0}`, i))
	}
	whole := `{"format":"csv","column_count":401,"columns":[` + strings.Join(columns, ",") + `],"problems":["x"],"target":{"name":"y","task":"binary","metric":"accuracy"}}`
	p, ok := readProfile(whole[:5000] + "\n[… left out; the whole result is in /x …]\n" + whole[len(whole)-200:])
	if !ok || !p.Abbreviated || len(p.Columns) < 50 || p.Target == nil || p.Target.Name != "y" || p.ColumnCount != 401 {
		t.Errorf("%v %+v", ok, p)
	}
}

// repeated minds a job that was submitted twice.
func repeated(t *testing.T, b *bench) {
	t.Helper()
	for args, n := range b.submits {
		if n > 1 {
			t.Errorf("submitted %d times: %s", n, args)
		}
	}
}

// uvForTests finds uv: on the PATH or in ML_INTERN_TEST_UV. On CI it must be there.
func uvForTests(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("ML_INTERN_TEST_UV"); path != "" {
		return path
	}
	path, err := exec.LookPath("uv")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("uv is missing, and on CI the scikit-learn scripts must be tested:", err)
	}
	if err != nil {
		t.Skip("uv is missing: name it in ML_INTERN_TEST_UV to test the scikit-learn scripts")
	}
	return path
}

func TestWholeJobWithScikitLearn(t *testing.T) {
	t.Parallel()
	uv := uvForTests(t)
	// One folder for all: uv keeps an environment for each script's path.
	dir := t.TempDir()
	all := tables()
	for _, name := range []string{"regression with decimal commas", "quirky header, missing values, copies", "classes that are numbers, one of them rare"} {
		table := all[name]
		t.Run(name, func(t *testing.T) {
			b := newBench(t, uv)
			b.dir = dir
			b.put(table.file, table.content)
			answer := b.say(fmt.Sprintf("predict %s from \"%s\" and publish it as test-model", table.target, table.file))
			t.Log(answer)
			if b.reason != llm.EndStop || !strings.Contains(answer, "boosting") || !strings.Contains(answer, "the card's number holds") {
				t.Errorf("ended as %s:\n%s", b.reason, answer)
			}
			repeated(t, b)
		})
	}
	t.Run("a bundled data set", func(t *testing.T) {
		b := newBench(t, uv)
		b.dir = dir
		answer := b.say("train a model that predicts whether a tumour is malignant from sklearn:breast_cancer, publish it as cancer-baseline")
		t.Log(answer)
		if b.reason != llm.EndStop || !strings.Contains(answer, "the card's number holds") {
			t.Errorf("ended as %s:\n%s", b.reason, answer)
		}
	})
}
