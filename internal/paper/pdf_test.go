package paper_test

import (
	"strings"
	"testing"
	"time"

	"ml-intern/internal/paper"
	"ml-intern/internal/paper/papertest"
)

// outlineOf is the outline of a PDF whose lines are given, with some text below
// each.
func outlineOf(t *testing.T, rows ...papertest.Row) string {
	t.Helper()
	var page []papertest.Row
	for _, row := range rows {
		page = append(page, row)
		for range 4 {
			page = append(page, papertest.Row{Text: "some words of plain text as they come in papers", Size: 10})
		}
	}
	doc, err := paper.ParsePDF(papertest.PDF([][]papertest.Row{page}))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range doc.Sections {
		if s.ID != "opening" {
			out = append(out, strings.Repeat(">", s.Level-1)+s.ID)
		}
	}
	return strings.Join(out, " ")
}

func TestPDFOutline(t *testing.T) {
	t.Parallel()
	head := func(text string) papertest.Row { return papertest.Row{Text: text, Size: 12, Bold: true} }
	text := func(text string) papertest.Row { return papertest.Row{Text: text, Size: 10} }
	capitals := func(text string) papertest.Row { return papertest.Row{Text: text, Size: 8} }
	for name, test := range map[string]struct {
		rows []papertest.Row
		want string
	}{
		"bold": {
			[]papertest.Row{head("1 Introduction"), head("2 Method"), head("2.1 Data"), head("2.1.1 Splits"), head("3. Results"), head("References"), head("A Details"), head("A.1 More"), head("B Proofs")},
			"1 2 >2.1 >>2.1.1 3 references A >A.1 B",
		},
		"capitals": {
			[]papertest.Row{capitals("I. INTRODUCTION"), capitals("II. METHOD"), capitals("III. RESULTS"), capitals("REFERENCES")}, "I II III references",
		},
		"what is no heading": {
			[]papertest.Row{head("1 Introduction"), text("2 Method"), head("7 Eleven"), capitals("4 CARD32"), head("A Study of Sleep"), head("2 Method"), head("2019 Was a year"), head("3 results"), head("Conclusion"), head("1 Again")},
			"1 2 conclusion",
		},
		"one missed": {[]papertest.Row{head("1 Introduction"), head("3 Method"), head("4 Results")}, "1 3 4"},
		"none":       {[]papertest.Row{text("1 a"), text("2 b"), text("3 c")}, "page-1"},
	} {
		if got := outlineOf(t, test.rows...); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestPDFOf40Pages(t *testing.T) {
	file := papertest.PDF(papertest.Sheets(40))
	began := time.Now()
	doc, err := paper.ParsePDF(file)
	if err != nil || len(doc.Sections) < 4 {
		t.Fatalf("%+v, %v", doc, err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func BenchmarkPDF(b *testing.B) {
	file := papertest.PDF(papertest.Sheets(40))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := paper.ParsePDF(file); err != nil {
			b.Fatal(err)
		}
	}
}
