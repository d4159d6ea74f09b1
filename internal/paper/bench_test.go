package paper_test

import (
	"runtime"
	"testing"
	"time"

	"ml-intern/internal/paper"
	"ml-intern/internal/paper/papertest"
)

func BenchmarkHTMLContents(b *testing.B) {
	page := []byte(papertest.BigPage())
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := paper.ParseHTML(page); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSection(b *testing.B) {
	doc, err := paper.ParseHTML([]byte(papertest.BigPage()))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, _ := doc.Find("3")
		doc.SectionText(s)
	}
}

// A paper of 2 MB takes little memory, and no time that grows faster than it.
// What it takes exactly is measured by make bench.
func TestBigHTML(t *testing.T) {
	page := []byte(papertest.BigPage())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	doc, err := paper.ParseHTML(page)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 60 {
		t.Errorf("allocated %d MB in all, more than 60", used)
	}
	if took > 30*time.Second { // 60 ms without the race detector and nine neighbours
		t.Errorf("took %v", took)
	}
	t.Logf("%d KB, %d sections, %d KB of text in %v", len(page)>>10, len(doc.Sections), len(doc.Text)>>10, took)
}
