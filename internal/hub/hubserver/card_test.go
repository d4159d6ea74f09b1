package hubserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/hub"
)

func TestCards(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, readme string
		data         string // as JSON
		wrong        string // a part of what is wrong
	}{
		{"no data", "# Hi\n---\na: 1\n---\n", "null", ""},
		{"empty data", "---\n---\n# Hi", "{}", ""},
		{"data", "---\r\nlicense: mit\r\ntags: [a, b]\r\n---\r\n# Hi", `{"license":"mit","tags":["a","b"]}`, ""},
		{"never closed", "---\nlicense: mit\n", "null", ""},
		{"odd keys and values", "---\n1: .nan\ntrue: 2024-01-02\n? x\n: null\n---\n", `{"1":"NaN","true":"2024-01-02","x":null}`, ""},
		{"a broken list", "---\ntags: [a\n---\n", "null", "Invalid YAML"},
		{"not a mapping", "---\n- a\n---\n", "null", "must be a mapping"},
		{"an alias", "---\na: &x [1]\nb: *x\n---\n", "null", "anchors"},
		{"deep", "---\na: " + strings.Repeat("[", 5000) + "\n---\n", "null", "too deep"},
		{"deep over lines", "---\na: \n" + strings.Repeat("[\n", 5000) + "\n---\n", "null", "too deep"},
		{"deep by dashes", "---\n" + strings.Repeat("- ", 5000) + "\n---\n", "null", "too deep"},
		{"long", "---\na: " + strings.Repeat("x", 64<<10) + "\n---\n", "null", "more than"},
		{"a license that is a list", "---\nlicense: [mit, apache-2.0]\n---\n", `{"license":["mit","apache-2.0"]}`, ""},
		{"a license that is a mapping", "---\nlicense: {a: 1}\n---\n", `{"license":{"a":1}}`, `"license" must be`},
		{"tags with a number", "---\ntags: [1]\n---\n", `{"tags":[1]}`, `"tags" must be`},
		{"Norwegian", "---\nlanguage: [no, en]\n---\n", ``, ""},
		{"twice the same", "---\na: 1\na: 2\n---\n", "null", "Invalid YAML"},
		{"a Space of no kind", "---\nsdk: cobol\n---\n", `{"sdk":"cobol"}`, `"sdk" must be`},
	}
	for _, c := range cases {
		got := parseCard([]byte(c.readme))
		data, err := json.Marshal(got.data)
		if err != nil || c.data != "" && string(data) != c.data {
			t.Errorf("%s: the data are %s, %v; want %s", c.name, data, err, c.data)
		}
		errs, _ := cardProblems(hub.Space, got)
		wrong := strings.Join(errs, "; ")
		if (wrong == "") != (c.wrong == "") || !strings.Contains(wrong, c.wrong) {
			t.Errorf("%s: wrong is %q, want %q", c.name, wrong, c.wrong)
		}
	}
	if text := string(parseCard([]byte("---\na: 1\n---\n# Hi\n")).text); text != "# Hi\n" {
		t.Errorf("the text is %q", text)
	}
}

// Whatever a card says, it can be read and shown.
func FuzzCard(f *testing.F) {
	for _, seed := range []string{"---\na: 1\n---\nx", "---\n? [a]: {b: c}\n---\n", "---\n!!binary x: |\n  y\n---\n", "---\n<<: {a: 1}\n---\n", "---\n- - - ? : -\n---\n", "---\na: 'b\n\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, readme []byte) {
		c := parseCard(readme)
		if _, err := json.Marshal(c.data); err != nil {
			t.Errorf("%q: %v", readme, err)
		}
		_ = fmt.Sprint(tags(hub.Model, c.data), tags(hub.Dataset, c.data))
		cardProblems(hub.Model, c)
	})
}
