package papertest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// A Row is a line of a page: words, which the file sets apart by position
// alone, as TeX does.
type Row struct {
	Text string
	Size float64
	Bold bool
}

// Sheets are pages of a paper, four of its sections on the first ones.
func Sheets(n int) [][]Row {
	var pages [][]Row
	for i := range n {
		var rows []Row
		if i == 0 {
			rows = append(rows, Row{"An Old Paper", 17, true}, Row{"Ada Byron", 11, false}, Row{"Abstract", 12, true}, Row{"We did it long ago.", 10, false})
		}
		if i < 3 {
			rows = append(rows, Row{fmt.Sprintf("%d %s", i+1, []string{"Introduction", "Method", "Results"}[i]), 12, true})
		}
		for r := range 40 {
			rows = append(rows, Row{fmt.Sprintf("Line %d of page %d has words with the eﬃcient ligatures of a well-", r, i+1), 10, false}, Row{"known kind of type setting.", 10, false})
		}
		pages = append(pages, rows)
	}
	return pages
}

// PDF makes a file as pdfTeX does: objects in compressed streams, fonts with
// differences, and words apart by kerning.
func PDF(pages [][]Row) []byte {
	f := &pdfFile{}
	f.b.WriteString("%PDF-1.5\n%\xd0\xd4\xc5\xd8\n")
	inner := map[int]string{
		1: "<< /Type /Catalog /Pages 2 0 R >>",
		3: "<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+CMR10 /FirstChar 0 /Widths 6 0 R /Encoding 5 0 R >>",
		4: "<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+CMBX12 /FirstChar 0 /Widths 6 0 R /Encoding 5 0 R >>",
		5: "<< /Type /Encoding /Differences [14 /ffi 33 /exclam 40 /parenleft /parenright 44 /comma /hyphen /period 48 /zero /one /two /three /four /five /six /seven /eight /nine" + letters() + "] >>",
		6: "[" + strings.Repeat("500 ", 128) + "]",
	}
	var kids []string
	for i, rows := range pages {
		content, page := 1000+i, 100+i
		f.stream(content, "", drawn(rows))
		inner[page] = fmt.Sprintf("<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>", content)
		kids = append(kids, fmt.Sprintf("%d 0 R", page))
	}
	inner[2] = fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", len(kids), strings.Join(kids, " "))
	var heads, bodies strings.Builder
	for number, text := range inner {
		fmt.Fprintf(&heads, "%d %d ", number, bodies.Len())
		bodies.WriteString(text + "\n")
	}
	f.stream(5000, fmt.Sprintf("/Type /ObjStm /N %d /First %d", len(inner), heads.Len()), heads.String()+bodies.String())
	f.stream(5001, "/Type /XRef /Root 1 0 R /Size 6000 /W [1 2 1]", "\x00\x00\x00\x00")
	f.b.WriteString("startxref\n0\n%%EOF\n")
	return f.b.Bytes()
}

func letters() string {
	var b strings.Builder
	for _, first := range "Aa" {
		fmt.Fprintf(&b, " %d", first)
		for c := first; c < first+26; c++ {
			fmt.Fprintf(&b, " /%c", c)
		}
	}
	return b.String()
}

type pdfFile struct{ b bytes.Buffer }

func (f *pdfFile) stream(number int, dict, text string) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte(text))
	w.Close()
	fmt.Fprintf(&f.b, "%d 0 obj\n<< %s /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n", number, dict, z.Len(), z.Bytes())
}

// drawn is a page's stream. Each letter is half its size wide, a space a third
// of it, and no space is drawn.
func drawn(rows []Row) string {
	var b strings.Builder
	b.WriteString("BT\n")
	y := 780.0
	for _, row := range rows {
		font := "F1"
		if row.Bold {
			font = "F2"
		}
		words := strings.Fields(strings.ReplaceAll(row.Text, "ﬃ", "\x0e"))
		for i, w := range words {
			words[i] = "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(w) + ")"
		}
		fmt.Fprintf(&b, "/%s %g Tf 1 0 0 1 72 %g Tm [%s]TJ\n", font, row.Size, y, strings.Join(words, "-333"))
		y -= row.Size * 1.2
	}
	b.WriteString("ET\n")
	return b.String()
}
