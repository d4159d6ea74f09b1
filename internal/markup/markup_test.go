package markup_test

import (
	"bytes"
	"html/template"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/markup"
)

// data is what the templates of these tests show.
type data struct {
	Text, Other string
	Empty       string
	N           int
	Big         int64
	Yes, No     bool
	List        []item
	None        []item
	Rows        [][]string
	At          *item
	Nil         *item
	View        any
	When        time.Time
	item
}

type item struct {
	Name, URL string
	Down      *item
}

var funcs = map[string]any{
	"upper": strings.ToUpper,
	"times": func(s string, n int) string { return strings.Repeat(s, n) },
	"year":  func(t time.Time) string { return t.Format("2006") },
}

// templates are all that ours use of the syntax, and all places.
var templates = []string{
	`<p>{{.Text}}</p>`,
	`<!doctype html><html lang="en"><title>{{.Text}} - x</title><h1>{{.Text}}</h1>`,
	`<textarea name="a">{{.Text}}</textarea>{{.Text}}`,
	`<a href="{{.Text}}">x</a><a class="b" href="{{.Text}}#a">y</a>`,
	`<a href="/a/{{.Text}}/{{.Other}}">x</a><a href="https://x.example/{{.Text}}">y</a>`,
	`<a href="/a?b={{.Text}}&amp;c={{.Other}}">x</a><a href="#{{.Text}}">y</a>`,
	`<img data-src="{{.Text}}" longdesc="{{.Text}}" data-base-url="{{.Text}}" title="{{.Text}}">`,
	`<img src="{{.Text}}" alt="{{.Text}}"><form method="post" action="{{.Text}}"><button formaction="{{.Text}}">go</button></form>`,
	`<p class="a {{.Text}} b" title="{{.Other}}" data-x="{{.N}}">{{.N}} {{.Big}} {{.Yes}}</p>`,
	`<tr{{if .Yes}} class="add"{{else if .No}} class="del"{{end}}><td class="{{if .Yes}}{{.Text}}{{else}}b{{end}}">`,
	`<input type="checkbox" required> <input value="{{.Text}}" disabled/>`,
	`{{if .Text}}a{{else}}b{{end}}{{if .Empty}}a{{else if .Yes}}c{{else}}b{{end}}{{if not .No}}d{{end}}`,
	`{{with .At}}{{.Name}}{{with .Down}}{{.Name}}{{else}}none{{end}}{{end}}{{with .Nil}}{{.Name}}{{else}}nil{{end}}`,
	`{{range .List}}<i>{{.Name}}</i>{{else}}none{{end}}{{range .None}}x{{else}}none{{end}}`,
	`{{range $i, $x := .List}}{{if $i}}, {{end}}{{$x.Name}}{{$.Text}}{{if lt $i 1}}!{{end}}{{end}}{{range $x := .List}}{{$x.URL}}{{end}}`,
	`{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}`,
	`{{$a := .Text}}{{if .Yes}}{{$a := .Other}}{{$a}}{{end}}{{$a}}`,
	`{{if eq .Text "a"}}1{{end}}{{if eq .N 3}}2{{end}}{{if gt .N (len .List)}}3{{end}}{{if or .Empty .Text}}4{{end}}{{if and .Yes .No}}5{{end}}{{or .Empty .Other}}{{and .Text .Other}}`,
	`{{upper .Text}} {{times "ab" 3}} {{times .Text (len .List)}} {{year .When}}`,
	`{{with .View}}{{.Name}}{{end}} {{.Name}} {{len .Text}} {{len .List}}`,
	`{{define "part"}}<b>{{.}}</b>{{end}}{{template "part" .Text}}{{range .List}}{{template "part" .Name}}{{end}}`,
	" a {{- if .Yes}} b {{- end}} c {{/* nothing */ -}} d",
}

func both(t *testing.T, text string, d data) (ours, theirs string) {
	t.Helper()
	set, err := markup.New(map[string]string{"page": text}, funcs)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var a, b bytes.Buffer
	if err := set.Write(&a, "page", d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := template.Must(template.New("page").Funcs(funcs).Parse(text)).Execute(&b, d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a.String(), b.String()
}

func filled(text, other string, n int) data {
	d := data{Text: text, Other: other, N: n, Big: 1 << 40, Yes: n%2 == 0, Rows: [][]string{{text, other}, {}, {other}}, When: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)}
	d.item = item{Name: other, URL: text}
	for range n % 4 {
		d.List = append(d.List, item{Name: text, URL: other})
	}
	d.At, d.View = &item{Name: text, Down: &item{Name: other}}, &item{Name: text}
	return d
}

// What comes out is what html/template makes of it.
func FuzzAsTheStandardLibrary(f *testing.F) {
	for i, text := range []string{
		"a", "", "</p><script>alert(1)</script>", `" onload="x`, "'&+\x00", "javascript:alert(1)", "JavaScript:x", " javascript:x", "\x01javascript:x", "data:text/html,x",
		"//evil.example", `/\evil`, "https://x.example/?a=1&b=2#c", "mailto:a@b.c", "a/b:c", "%41%zz%", "ä☃\xff", "a b", "{{.Text}}", "#a", "?x", "<!--", "]]>", "http:", ":", "()[]{}*!'\"",
	} {
		f.Add(text, "o<"+text, i)
	}
	f.Fuzz(func(t *testing.T, text, other string, n int) {
		for _, source := range templates {
			if ours, theirs := both(t, source, filled(text, other, n&0xffff)); ours != theirs {
				t.Errorf("%s\nwith %q, %q, %d is\n%s\nand html/template says\n%s", source, text, other, n, ours, theirs)
			}
		}
	})
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	set, err := markup.New(map[string]string{"page": `<style>{{.Style}}</style><title>{{.Body}}</title><p title="{{.Body}}">{{.Body}}</p><img src="{{.Picture}}">{{.Style}}`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	type page struct {
		Style   any
		Body    markup.HTML
		Picture markup.URL
	}
	var out strings.Builder
	if err := set.Write(&out, "page", page{markup.CSS("a > b {}"), `<b>"x"</b>`, "data:image/png;base64,a+/="}); err != nil {
		t.Fatal(err)
	}
	want := `<style>a > b {}</style><title>&lt;b&gt;&#34;x&#34;&lt;/b&gt;</title><p title="&lt;b&gt;&#34;x&#34;&lt;/b&gt;"><b>"x"</b></p><img src="data:image/png;base64,a&#43;/=">a &gt; b {}`
	if out.String() != want {
		t.Errorf("it is\n%s\nwant\n%s", &out, want)
	}
	if err := set.Write(&out, "page", page{Style: "a {}"}); err == nil || !strings.Contains(err.Error(), "CSS alone") {
		t.Errorf("a style sheet from anywhere: %v", err)
	}
}

// What is not known to be safe is refused when the template is read.
func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`<script>{{.}}</script>`:                    "no tag of a page",
		`<ScRiPt>x</ScRiPt>`:                        "no tag of a page",
		`<!-- {{.}} -->`:                            "no tag of a page",
		`<a href={{.}}>`:                            "no double quote",
		`<a href='{{.}}'>`:                          "no double quote",
		`<a {{.}}>`:                                 "not the value of an attribute",
		`<a onclick="{{.}}">`:                       "nothing can be shown",
		`<a style="{{.}}">`:                         "nothing can be shown",
		`<link imagesrcset="{{.}}">`:                "nothing can be shown",
		`<p data-onclick="{{.}}">`:                  "nothing can be shown",
		`<img srcset="{{.}}">`:                      "nothing can be shown",
		`<a ONCLICK="{{.}}">`:                       "no attribute begins",
		`<a href="{{.}}{{.}}">`:                     "is not known",
		`<a href="{{if .}}{{.}}{{else}}/{{end}}x">`: "different places",
		`<{{.}}>`:                                   "no tag of a page",
		`<s{{if .}}cript{{end}}>`:                   "goes on",
		`<b {{if .}}on{{end}}click="x">`:            "goes on",
		`<p title="a`:                               "within a tag",
		`<textarea>`:                                "within a tag",
		`{{if .}}<b {{end}}>`:                       "different places",
		`{{range .}}<p class="{{end}}">`:            "different places",
		`<p title="{{template "page" .}}">`:         "within a tag",
		`{{template "nowhere"}}`:                    "no such template",
		`{{range .}}{{break}}{{end}}`:               "not known here",
		`{{printf "%s" .}}`:                         `"printf" not defined`,
		`{{.`:                                       "illegal number",
		`{{define "b"}}<b {{end}}`:                  "within a tag",
		`{{define "b"}}x{{end}}{{bad .}}`:           `"bad" not defined`,
		`<style>a { color: red }</style><a b`:       "within a tag",
	} {
		if _, err := markup.New(map[string]string{"page": text}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := markup.New(nil, markup.Funcs{"f": func() (int, error) { return 0, nil }}); err == nil {
		t.Error("a function of two results is taken")
	}
}

// Mistakes of a template that show when it is filled are errors, never panics.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{.Nothing}}`:                 "no field Nothing",
		`{{.Text.More}}`:               "no struct",
		`{{.Nil.Name}}`:                "in nothing",
		`{{.item}}`:                    "no field item",
		`{{range .N}}{{end}}`:          "no list",
		`{{len .N}}`:                   "no length",
		`{{if eq .N .Text}}{{end}}`:    "are compared",
		`{{if eq .N}}{{end}}`:          "takes 2 arguments",
		`{{upper .N}}`:                 "argument 1",
		`{{upper}}`:                    "takes 1 arguments",
		`{{.Text | upper}}`:            "pipelines",
		`{{.Text .N}}`:                 "takes no arguments",
		`{{1.5}}`:                      "not known here",
		`{{$a := 1}}{{$a = 2}}`:        "assignments",
		`{{template "page" .}}`:        "without an end",
		`{{with .View}}{{.At}}{{end}}`: "no field At",
	} {
		set, err := markup.New(map[string]string{"page": text}, funcs)
		if err == nil {
			err = set.Write(&bytes.Buffer{}, "page", filled("a", "b", 2))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
