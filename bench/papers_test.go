package bench_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/paper/papertest"
)

// papers measures the reading of papers through the program: from the reply
// that calls the tool to the next request, transfer included.
func (w *world) papers() []row {
	const n = 7
	library := papertest.New(w)
	page := papertest.BigPage()
	library.Fail("/html/"+papertest.Known, papertest.Text("text/html; charset=utf-8", page))
	library.Fail("/html/"+papertest.PDFOnly, papertest.Status(http.StatusNotFound))
	library.Fail("/pdf/"+papertest.PDFOnly, papertest.Text("application/pdf", string(papertest.PDF(papertest.Sheets(40)))))
	var contents, section, pdf []time.Duration
	var peak, peakPDF []float64
	for range n {
		gaps, mb := w.reads(library.URL, reading{`{"operation":"read","arxiv_id":"` + papertest.Known + `"}`, "read one with section"},
			reading{`{"operation":"read","arxiv_id":"` + papertest.Known + `","section":"3"}`, "Plain words of a sentence"})
		contents, section, peak = append(contents, gaps[0]), append(section, gaps[1]), append(peak, mb)
		gaps, mb = w.reads(library.URL, reading{`{"operation":"read","arxiv_id":"` + papertest.PDFOnly + `"}`, "read from PDF"})
		pdf, peakPDF = append(pdf, gaps[0]), append(peakPDF, mb)
	}
	what := fmt.Sprintf("a paper of %.1f MB of HTML: ", float64(len(page))/1e6)
	return []row{
		{"", what + "contents", fmt.Sprintf("%s; n = %d", ms(median(contents)), n), "300 ms", verdict(median(contents).Seconds(), 0.3)},
		{"", "a section afterwards", fmt.Sprintf("%s; n = %d", ms(median(section)), n), "100 ms", verdict(median(section).Seconds(), 0.1)},
		{"", "peak memory of both, the program's own included", fmt.Sprintf("%.0f MB; n = %d", median(peak), n), "60 MB", verdict(median(peak), 60)},
		{"", "a PDF of 40 pages: contents", fmt.Sprintf("%s, %.0f MB; n = %d", ms(median(pdf)), median(peakPDF), n), "3 s", verdict(median(pdf).Seconds(), 3)},
	}
}

// A reading is a call and what its answer must have.
type reading struct{ args, want string }

// reads lets a new program read, a call in each step, and returns how long
// each took and the most memory.
func (w *world) reads(library string, calls ...reading) ([]time.Duration, float64) {
	w.Helper()
	home := w.home()
	config := filepath.Join(home, "config", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("services: {arxiv: \""+library+"\", requests_per_second: {\"*\": 1000}}\n"), 0o600); err != nil {
		w.Fatal(err)
	}
	var peak float64
	r, _ := w.watch(w.ours, home, func(i int, body []byte) llmtest.Turn {
		if i > 0 && !strings.Contains(string(body), calls[i-1].want) {
			w.Errorf("%s was not read: %.3000s", calls[i-1].args, body)
		}
		if i < len(calls) {
			return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "papers", Args: calls[i].args}}}
		}
		return llmtest.Turn{Text: "done"}
	}, func(pid int) { peak = peakMemory(pid) }, "go")
	return r.gaps(0), peak
}
