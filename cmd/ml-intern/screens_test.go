package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/tui/style"
)

// TestScreens makes the pictures in docs/screens from a real run: the built-in
// model trains on a table and asks before it publishes. scripts/screens runs it.
func TestScreens(t *testing.T) {
	dir := os.Getenv("ML_INTERN_SCREENS")
	if dir == "" {
		t.Skip("makes pictures: run scripts/screens")
	}
	p := newPane(t, size{96, 32})
	var rows strings.Builder
	rows.WriteString("sepal_length,sepal_width,petal_length,petal_width,species\n")
	for i := range 150 {
		k := float64(i % 3)
		wave := func(a float64) float64 { return float64((i*int(a))%17)/17 - 0.5 }
		fmt.Fprintf(&rows, "%.1f,%.1f,%.1f,%.1f,%s\n", 5+0.8*k+wave(7), 3.4-0.3*k+wave(5)*0.6, 1.5+1.9*k+wave(11)*1.2, 0.3+0.8*k+wave(13)*0.6,
			[]string{"setosa", "versicolor", "virginica"}[i%3])
	}
	p.file("iris.csv", rows.String())
	p.start()
	p.says("clear; ml-intern --model builtin/baseline")
	p.see(`^❯`)
	p.says("train a model that predicts species from ./iris.csv, publish it as iris-baseline")
	p.see(`allow th`)
	p.picture(dir, "approval")
	for range 20 {
		time.Sleep(time.Second) // keys decide when nobody types
		p.keys("A")
		if got := p.see(`allow th|^❯ *$`); !strings.Contains(got, "allow th") {
			break
		}
	}
	p.gone(`Esc stop|allow th`)
	p.keys("C-o")
	p.see(`jobs`)
	p.picture(dir, "jobs")
}

// picture writes the screen as SVG.
func (p *pane) picture(dir, name string) {
	p.Helper()
	p.see(`.`)
	lines := strings.Split(strings.TrimRight(p.tmux("capture-pane", "-e", "-p"), "\n"), "\n")
	const w, h = 8.4, 18.0
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`+"\n",
		w*float64(p.size.w)+24, h*float64(len(lines))+24)
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#16181d"/>` + "\n")
	var l look
	for y, line := range lines {
		x := 0
		var row strings.Builder
		for text := range l.spans(line) {
			cells := style.Width(text)
			if strings.TrimSpace(text) != "" {
				fmt.Fprintf(&row, `<tspan x="%.1f"%s>%s</tspan>`, 12+w*float64(x), l.attributes(), html.EscapeString(text))
			}
			x += cells
		}
		if row.Len() > 0 {
			fmt.Fprintf(&b, `<text y="%.0f" xml:space="preserve" fill="#d8dbe2">%s</text>`+"\n", 12+h*float64(y)+14, row.String())
		}
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(b.String()), 0o644); err != nil {
		p.Fatal(err)
	}
}

// A look is what the sequences so far made of letters.
type look struct {
	fg                      string
	bold, italic, underline bool
}

var sequence = regexp.MustCompile("\x1b\\[([0-9;]*)m|\x1b\\][^\x1b\x07]*(\x1b\\\\|\x07)|\x0e|\x0f|\x1b\\([A-Z0-9]")

// spans yields the text of a line in pieces of one look.
func (l *look) spans(line string) func(func(string) bool) {
	return func(yield func(string) bool) {
		at := 0
		for _, m := range sequence.FindAllStringSubmatchIndex(line, -1) {
			if m[0] > at && !yield(line[at:m[0]]) {
				return
			}
			if at = m[1]; m[2] >= 0 {
				l.obey(line[m[2]:m[3]])
			}
		}
		if at < len(line) {
			yield(line[at:])
		}
	}
}

func (l *look) obey(codes string) {
	n := strings.Split(codes, ";")
	for i := 0; i < len(n); i++ {
		switch c, _ := strconv.Atoi(n[i]); {
		case c == 0:
			*l = look{}
		case c == 1:
			l.bold = true
		case c == 3:
			l.italic = true
		case c == 4:
			l.underline = true
		case c == 39:
			l.fg = ""
		case c == 38 && i+4 < len(n) && n[i+1] == "2":
			l.fg = "#"
			for _, v := range n[i+2 : i+5] {
				part, _ := strconv.Atoi(v)
				l.fg += fmt.Sprintf("%02x", part)
			}
			i += 4
		case c == 38 && i+2 < len(n):
			v, _ := strconv.Atoi(n[i+2])
			l.fg = indexed(v)
			i += 2
		case c == 48 && i+1 < len(n):
			i += map[string]int{"2": 4, "5": 2}[n[i+1]]
		case c >= 30 && c <= 37:
			l.fg = indexed(c - 30)
		case c >= 90 && c <= 97:
			l.fg = indexed(c - 82)
		}
	}
}

func (l *look) attributes() string {
	s := ""
	if l.fg != "" {
		s += ` fill="` + l.fg + `"`
	}
	if l.bold {
		s += ` font-weight="bold"`
	}
	if l.italic {
		s += ` font-style="italic"`
	}
	if l.underline {
		s += ` text-decoration="underline"`
	}
	return s
}

// indexed is a colour of the palette of 256.
func indexed(n int) string {
	switch {
	case n < 16:
		return []string{
			"#3b4048", "#f28f86", "#8cd69a", "#e8c56b", "#8ab4f8", "#c8a2f0", "#7cc4e0", "#d8dbe2",
			"#8f95a0", "#f28f86", "#8cd69a", "#e8c56b", "#8ab4f8", "#c8a2f0", "#7cc4e0", "#ffffff",
		}[n]
	case n < 232:
		n -= 16
		level := func(k int) int { return []int{0, 95, 135, 175, 215, 255}[k] }
		return fmt.Sprintf("#%02x%02x%02x", level(n/36), level(n/6%6), level(n%6))
	}
	grey := 8 + 10*(n-232)
	return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
}
