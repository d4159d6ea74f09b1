package card_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ml-intern/internal/hub/card"
)

const readme = `---
# what it is
license: mit  # ours
tags:
- a
- 'b: c'   # odd
  # inner

unknown_key: {x: [1, 2]}
text: |
  # not a comment

  more
# about the languages
language: [en, fr]
---

# Title
---
not: metadata
---
`

func variants() map[string]string {
	return map[string]string{
		"plain": readme,
		"crlf":  strings.ReplaceAll(readme, "\n", "\r\n"),
		"bom":   "\ufeff" + readme,
		"blank": "\n\n" + readme,
	}
}

func TestWhatIsNotChangedStays(t *testing.T) {
	t.Parallel()
	for name, text := range variants() {
		c := card.Parse([]byte(text))
		if !c.Found() || string(c.Bytes()) != text {
			t.Fatalf("%s: not the same:\n%q", name, c.Bytes())
		}
		same, err := c.Set("language", []string{"en", "fr"})
		if err != nil || string(same.Bytes()) != text {
			t.Errorf("%s: a value that was there already changed the card: %v\n%q", name, err, same.Bytes())
		}
		end := "\n"
		if name == "crlf" {
			end = "\r\n"
		}
		out, err := c.Set("license", "apache-2.0")
		want := strings.Replace(text, "license: mit  # ours", "license: apache-2.0  # ours", 1)
		if err != nil || string(out.Bytes()) != want {
			t.Errorf("%s: set license: %v\n%q", name, err, out.Bytes())
		}
		out, err = c.Set("tags", []string{"x"})
		want = strings.Replace(text, "tags:"+end+"- a"+end+"- 'b: c'   # odd"+end+"  # inner"+end, "tags:"+end+"- x"+end, 1)
		if err != nil || string(out.Bytes()) != want {
			t.Errorf("%s: set tags: %v\n%q", name, err, out.Bytes())
		}
		out, err = c.Set("base_model", "org/x")
		want = strings.Replace(text, "language: [en, fr]"+end, "language: [en, fr]"+end+"base_model: org/x"+end, 1)
		if err != nil || string(out.Bytes()) != want {
			t.Errorf("%s: add base_model: %v\n%q", name, err, out.Bytes())
		}
		out, err = c.Delete("text")
		want = strings.Replace(text, "text: |"+end+"  # not a comment"+end+end+"  more"+end, "", 1)
		if err != nil || string(out.Bytes()) != want {
			t.Errorf("%s: delete text: %v\n%q", name, err, out.Bytes())
		}
	}
}

func TestCardsWithoutMetadata(t *testing.T) {
	t.Parallel()
	cases := []struct{ in, want string }{
		{"", "---\na: 1\n---\n"},
		{"# Hi\r\nthere", "---\r\na: 1\r\n---\r\n# Hi\r\nthere"},
		{"\ufeff# Hi\n", "\ufeff---\na: 1\n---\n# Hi\n"},
		{"---\n---\n# Hi", "---\na: 1\n---\n# Hi"},
		{"--- \n---", "--- \na: 1\n---"},
		{"# Hi\n---\nb: 1\n---\n", "---\na: 1\n---\n# Hi\n---\nb: 1\n---\n"},
		{"---\nb: 1\n", "---\na: 1\n---\n---\nb: 1\n"},
	}
	for _, c := range cases {
		out, err := card.Parse([]byte(c.in)).Set("a", 1)
		if err != nil || string(out.Bytes()) != c.want {
			t.Errorf("%q becomes %q, %v; want %q", c.in, out.Bytes(), err, c.want)
		}
	}
}

func TestCardsThatCannotBeChangedAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, meta := range []string{"{a: 1, b: 2}\n", "a: [1\n", "- a\n", "a: &x 1\nb: *x\n", "a: 1\na: 2\n", "a: 1\rb: 2\n"} {
		in := "---\n" + meta + "---\n"
		out, err := card.Parse([]byte(in)).Set("c", "d")
		if err == nil || string(out.Bytes()) != in {
			t.Errorf("%q becomes %q, %v", in, out.Bytes(), err)
		}
	}
	// Lines that look like comments and are not.
	for _, meta := range []string{"a: \"x\n# y\"\nb: 1\n", "a: 'x\n\n# y'\nb: 1\n"} {
		in := "---\n" + meta + "---\n"
		c := card.Parse([]byte(in))
		if out, err := c.Set("a", "z"); err != nil && string(out.Bytes()) != in {
			t.Errorf("%q becomes %q, %v", in, out.Bytes(), err)
		} else if b, _ := out.Get("b"); err == nil && fmt.Sprint(b) != "1" {
			t.Errorf("%q becomes %q", in, out.Bytes())
		}
	}
	if _, err := card.Parse([]byte("---\na: [1\n---\n")).Data(); !errors.Is(err, card.ErrUnreadable) {
		t.Errorf("the error is %v", err)
	}
}

func TestValuesAreReadAsTheyWereSet(t *testing.T) {
	t.Parallel()
	values := []any{
		"no", "1.0", "2024-01-01", "a: b", "# x", "", " a ", "it's \"so\"", "zwei\nZeilen\t", "ü € 😀", "-", "null", "1e5", "~", "0x1f", "@a", "a #b", "[", "\u2028",
		true, 1, -3.5, 1e-05, 1e300,
		[]string{},
		[]string{"a", "no"},
		map[string]any{},
		map[string]any{"b": []any{1, map[string]any{"c": nil}}},
		[]any{[]any{"x"}, map[string]any{"k": "v", "l": []string{"m"}}},
	}
	for _, v := range values {
		out, err := card.Parse([]byte(readme)).Set("key: odd", v)
		if err != nil {
			t.Errorf("%#v: %v", v, err)
			continue
		}
		got, err := out.Get("key: odd")
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(v)
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is read as %s, %v", b, a, err)
		}
	}
	if _, err := card.Parse(nil).Set("a", struct{}{}); err == nil {
		t.Error("a struct was written")
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	results := []card.Result{
		{Model: "m", Task: "text-classification", Dataset: card.Reference{Type: "imdb", Name: "IMDb", Config: "plain", Split: "test", Revision: "abc"}, Metric: card.Metric{Type: "accuracy", Name: "Accuracy", Value: 0.91}},
		{Model: "m", Task: "text-classification", Dataset: card.Reference{Type: "imdb", Name: "IMDb", Config: "plain", Split: "test", Revision: "abc"}, Metric: card.Metric{Type: "f1", Value: 0.9}},
		{Model: "m", Task: "text-classification", Dataset: card.Reference{Type: "sst2", Name: "sst2"}, Metric: card.Metric{Type: "f1", Value: 0.5}, Source: card.Source{URL: "https://x"}},
	}
	c, err := card.Parse([]byte(readme)).SetResults(results)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Results()
	if err != nil || !reflect.DeepEqual(got, results) {
		t.Errorf("read %+v, %v\nfrom %s", got, err, c.Bytes())
	}
	if strings.Count(string(c.Bytes()), "metrics:") != 2 {
		t.Errorf("what was measured the same way is not together:\n%s", c.Bytes())
	}
	if c, err = c.SetResults(nil); err != nil || string(c.Bytes()) != readme {
		t.Errorf("the results went with a trace: %v\n%s", err, c.Bytes())
	}
}

func TestAddResults(t *testing.T) {
	t.Parallel()
	const before = `---
license: mit
model-index:
- name: m
  extra: kept
  results:
  - task:
      type: t
      name: T
    dataset:
      type: d
      name: D
      args:
        x: 1
    metrics:
    - type: f1
      value: 0.1
  - task:
      type: t
    dataset:
      name: D
      type: d
    metrics:
    - type: f1
      value: 0.2
      verified: true
tags: [a]
---
text
`
	r := card.Result{Model: "m", Task: "t", Dataset: card.Reference{Type: "d"}, Metric: card.Metric{Type: "f1", Value: 0.3}}
	acc, other := r, r
	acc.Metric = card.Metric{Type: "acc", Name: "Acc", Value: 1}
	other.Model = "two"
	c, err := card.Parse([]byte(before)).AddResults(r, acc, other)
	want := strings.Replace(before, "      value: 0.2\n      verified: true\n", `      value: 0.3
      verified: true
    - type: acc
      value: 1
      name: Acc
- name: two
  results:
  - task:
      type: t
    dataset:
      name: d
      type: d
    metrics:
    - type: f1
      value: 0.3
`, 1)
	if err != nil || string(c.Bytes()) != want {
		t.Errorf("%v\n%s", err, c.Bytes())
	}
	if again, err := c.AddResults(acc); err != nil || string(again.Bytes()) != want {
		t.Errorf("once more: %v\n%s", err, again.Bytes())
	}
	if c, err = card.Parse([]byte("# Hi")).AddResults(r); err != nil || len(c.Check("model")) != 0 {
		t.Errorf("a new card: %v %v\n%s", err, c.Check("model"), c.Bytes())
	}
	for _, bad := range []string{"model-index: 3", "model-index: {a: b}"} {
		if _, err := card.Parse([]byte("---\n" + bad + "\n---\n")).AddResults(r); err == nil {
			t.Errorf("%s was changed", bad)
		}
	}
	if _, err := c.AddResults(card.Result{}); err == nil {
		t.Error("an empty result was added")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	cases := []struct{ typ, meta, problem string }{
		{"model", "license: mit\nlanguage: en\npipeline_tag: text-generation", ""},
		{"model", "license: Apache 2.0", "did you mean apache-2.0?"},
		{"model", "license: apache2", "did you mean apache-2.0?"},
		{"model", "license: my-own", "write other"},
		{"model", "license: other", "! a license that is"},
		{"model", "license: {a: 1}", `"license" must be a string`},
		{"model", "language: [en, English]", "write en"},
		{"model", "language: EN", "lowercase"},
		{"model", "language: [zh-Hant, code, gsw]", ""},
		{"model", "language: no", ""},
		{"model", "base_model: ./out/checkpoint-3", "a path on a disk"},
		{"model", "base_model: https://huggingface.co/Qwen/Qwen3-0.6B", "write Qwen/Qwen3-0.6B"},
		{"model", "base_model: [gpt2, a/b]", ""},
		{"model", "datasets: a/b/c", `Use a dataset id`},
		{"model", "pipeline_tag: text_generation", "! the pipeline tag"},
		{"model", "pipeline_tag: 3", `"pipeline_tag" must be a string`},
		{"model", "tags: [1]", `"tags" must be`},
		{"model", "licence: mit", "! the Hub does not read"},
		{"model", "base-model: gpt2", "did you mean base_model?"},
		{"model", "model-index: {}", "must be a list"},
		{"model", "model-index: [{name: x, results: [{task: {type: t}, dataset: {name: d}, metrics: [{type: a, value: 1}]}]}]", "results[0].dataset.type"},
		{"model", "model-index: [{name: x, results: [{task: {type: t}, dataset: {name: d, type: e}, metrics: []}]}]", "metrics"},
		{"model", "", "! empty or missing"},
		{"model", "a: [", "Invalid YAML"},
		{"dataset", "task_categories: [text-classificaton]\nsize_categories: [10K<n<100K]", "did you mean text-classification?"},
		{"dataset", "configs: {a: b}", `"configs" must be a list`},
		{"dataset", "configs: [{config_name: a, data_files: [{split: train}]}]", "data_files"},
		{"dataset", "configs: [{config_name: a}, {config_name: a}]", "two of the name"},
		{"dataset", "configs: [{config_name: a, data_files: x/*.csv}, {config_name: b, data_files: {train: [a, b]}}]", ""},
		{"dataset", "dataset_info: [{features: []}, {config_name: b}]", "config_name"},
		{"dataset", "dataset_info: {features: [{dtype: string}]}", "features[0].name"},
		{"space", "sdk: gradoi", "did you mean gradio?"},
		{"space", "sdk: docker\ncolorFrom: mauve", "colorFrom"},
	}
	for _, c := range cases {
		text := ""
		for _, p := range card.Parse([]byte("---\n" + c.meta + "\n---\n")).Check(c.typ) {
			if p.Warning {
				text += "! "
			}
			text += p.String() + "\n"
		}
		if (text == "") != (c.problem == "") || !strings.Contains(text, c.problem) {
			t.Errorf("%s %q: %q, want %q", c.typ, c.meta, text, c.problem)
		}
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	meta := `dataset_info:
- config_name: a
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
  - name: messages
    list:
    - name: role
      dtype: string
    - name: content
      dtype: string
  - name: ids
    sequence: int32
  - name: answers
    sequence:
    - name: start
      dtype: int32
  - name: image
    dtype: image
  - name: meta
    struct:
    - name: url
      dtype: string
`
	data, err := card.Parse([]byte("---\n" + meta + "---\n")).Data()
	if err != nil {
		t.Fatal(err)
	}
	want := "text: string\nlabel: label<neg=0, pos=1>\nmessages: list of struct\n  role: string\n  content: string\n" +
		"ids: list<int32>\nanswers: struct\n  start: list<int32>\nimage: image\nmeta: struct\n  url: string\n"
	if got := card.Features(data, "a").Tree(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if card.Features(data, "b") != nil {
		t.Error("there are columns of what is not there")
	}
}

func FuzzCard(f *testing.F) {
	for _, text := range variants() {
		f.Add([]byte(text), "license", "mit")
	}
	for _, seed := range []string{"---\na: 'b\n\n---\n", "---\n? [a]: {b: c}\n---\n", "---\n<<: {a: 1}\n---\n", "---\na: |+\n\n  x\n\n\nb: 1\n---\n", "---\n\"a\": [\n1]\n---", "---\na:\n- b\n# c\nd: e # f\n---\n", "---\nx: >-\n   a\n  #b\n---\n"} {
		f.Add([]byte(seed), "a", "no")
	}
	f.Fuzz(func(t *testing.T, in []byte, key, value string) {
		c := card.Parse(in)
		if !bytes.Equal(c.Bytes(), in) {
			t.Fatalf("%q becomes %q", in, c.Bytes())
		}
		c.Check("model")
		c.Check("dataset")
		before, err := c.Data()
		if err != nil {
			return
		}
		out, err := c.Set(key, value)
		if err != nil {
			if !bytes.Equal(out.Bytes(), in) {
				t.Fatalf("%v, and yet %q becomes %q", err, in, out.Bytes())
			}
			return
		}
		after, err := out.Data()
		if err != nil || after[key] != value {
			t.Fatalf("%q has %q = %v (%v), not %q", out.Bytes(), key, after[key], err, value)
		}
		if !bytes.Equal(out.Body(), c.Body()) {
			t.Fatalf("%q lost its text: %q", in, out.Bytes())
		}
		delete(before, key)
		delete(after, key)
		if len(before) != len(after) {
			t.Fatalf("%q became %q", in, out.Bytes())
		}
	})
}

// TestDropResults takes our numbers out of an index that a person wrote into.
func TestDropResults(t *testing.T) {
	r := card.Result{Model: "m", Task: "t", Dataset: card.Reference{Type: "d", Split: "holdout"}, Metric: card.Metric{Type: "acc", Name: "acc (holdout)", Value: 0.9}}
	theirs, other, elsewhere := r, r, r
	theirs.Metric = card.Metric{Type: "acc", Name: "measured by hand", Value: 0.8}
	other.Dataset.Type = "older"
	elsewhere.Model = "two"
	ours := func(r card.Result) bool {
		return r.Model == "m" && r.Metric.Name == r.Metric.Type+" ("+r.Dataset.Split+")"
	}
	person, err := card.Parse([]byte("---\ntags: [a]\n---\ntext\n")).AddResults(theirs, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	c, err := card.Parse([]byte("---\ntags: [a]\n---\ntext\n")).AddResults(other, theirs, r, elsewhere)
	if err == nil {
		c, err = c.DropResults(ours)
	}
	if err != nil || string(c.Bytes()) != string(person.Bytes()) {
		t.Errorf("%v\n%s\nwant\n%s", err, c.Bytes(), person.Bytes())
	}
	c, err = card.Parse([]byte("---\ntags: [a]\n---\ntext\n")).AddResults(r)
	if err == nil {
		c, err = c.DropResults(ours)
	}
	if err != nil || string(c.Bytes()) != "---\ntags: [a]\n---\ntext\n" {
		t.Errorf("nothing is left: %v\n%s", err, c.Bytes())
	}
	odd := "---\nmodel-index: [3, {name: m, results: [4, {metrics: [5]}]}]\n---\n"
	if c, err := card.Parse([]byte(odd)).DropResults(ours); err != nil || string(c.Bytes()) != odd {
		t.Errorf("what cannot be read: %v\n%s", err, c.Bytes())
	}
}
