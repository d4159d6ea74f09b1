package pdftext_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/paper/papertest"
	"ml-intern/internal/pdftext"
)

// plain is a file with an old table of objects and what the page draws.
func plain(font, content string) []byte {
	return fmt.Appendf(nil, `%%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F %s >> /XObject << /X 6 0 R >> >> >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /Contents [4 0 R 5 0 R] >> endobj
4 0 obj << /Length 7 0 R >> stream
%s
endstream endobj
5 0 obj << /Length 0 >> stream

endstream endobj
6 0 obj << /Type /XObject /Subtype /Form /Matrix [1 0 0 1 0 -100] /Length 40 >> stream
BT /F 10 Tf 50 500 Td (in a form) Tj ET 
endstream endobj
7 0 obj %d endobj
8 0 obj << /Length 60 >> stream
1 begincodespacerange <0000> <ffff> endcodespacerange
1 beginbfchar <0003> <00480069> endbfchar
2 beginbfrange <0010> <0012> <0061> <0020> <0021> [<FB01> <03B1>] endbfrange
endstream endobj
9 0 obj << /Length 60 >> stream
/Encoding 256 array 0 1 255 {1 index exch /.notdef put} for
dup 12 /fi put dup 65 /alpha put readonly def currentfile eexec
endstream endobj
trailer << /Root 1 0 R >>
startxref 0 %%%%EOF`, font, content, len(content))
}

const helvetica = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"

func TestText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ font, content, want string }{
		"strings":         {helvetica, `BT /F 10 Tf 50 700 Td (A \(b\) \101\r\\ \344) Tj ET`, "A (b) A\\ ä"},
		"hex":             {helvetica, `BT /F 10 Tf 50 700 Td <48 65 6c 6C6f> Tj ET`, "Hello"},
		"kerning":         {helvetica, `BT /F 10 Tf 50 700 Td [(W)80(ord)-333(next)-20(er)]TJ ET`, "Word nexter"},
		"lines":           {helvetica, `BT /F 10 Tf 12 TL 50 700 Td (one) Tj T* (two) Tj (three) ' 0 -40 Td (four) Tj ET`, "one\ntwo\nthree\n\nfour"},
		"hyphen":          {helvetica, `BT /F 10 Tf 12 TL 50 700 Td (the impor-) Tj T* (tant word) Tj T* (GPT-) Tj T* (Neo) Tj ET`, "the important\nword\nGPT-\nNeo"},
		"index":           {helvetica, `BT /F 10 Tf 50 700 Td (x) Tj /F 7 Tf 5 -2 Td (2) Tj /F 10 Tf 10 2 Td (y) Tj ET`, "x2 y"},
		"columns":         {helvetica, `BT /F 10 Tf 50 100 Td (left end) Tj ET BT /F 10 Tf 300 700 Td (right start) Tj ET`, "left end\n\nright start"},
		"form":            {helvetica, `q /X Do Q BT /F 10 Tf 50 388 Td (below) Tj ET`, "in a form\nbelow"},
		"margin stamp":    {helvetica, `BT /F 20 Tf 0 1 -1 0 30 100 Tm (arXiv:1) Tj ET BT /F 10 Tf 50 700 Td (the whole text) Tj ET`, "the whole text"},
		"turned page":     {helvetica, `BT /F 10 Tf 0 1 -1 0 30 100 Tm (one) Tj 0 -12 Td (two) Tj ET`, "one\ntwo"},
		"scaled":          {helvetica, `q .1 0 0 .1 0 0 cm BT /F 100 Tf 500 7000 Td [(a)-400(b)]TJ ET Q`, "a b"},
		"picture":         {helvetica, "BI /W 1 ID \x00(\xff)<< EI BT /F 10 Tf 50 700 Td (after) Tj ET", "after"},
		"broken operator": {helvetica, `BT /F 10 Tf ] >> ) Tj 50 700 Td [(a] 1 Tj ET BT /F 10 Tf 1 1 Td (b)Tj`, "[a] 1 Tj ET BT /F 10 Tf 1 1 Td (b)Tj"},
		"two bytes":       {"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /ToUnicode 8 0 R /DescendantFonts [<< /DW 500 /W [3 [900] 16 18 500] >>] >>", `BT /F 10 Tf 50 700 Td <0003001000110012> Tj <00200021> Tj ET`, "Hiabcfiα"},
		"built in":        {"<< /Type /Font /Subtype /Type1 /BaseFont /CMMI10 /FontDescriptor << /FontFile 9 0 R >> >>", `BT /F 10 Tf 50 700 Td (\014A) Tj ET`, "fiα"},
		"differences":     {"<< /Type /Font /Subtype /Type3 /FontMatrix [.01 0 0 .01 0 0] /Encoding << /Differences [65 /a66 /uni03B2 /eacute /f_f] >> >>", `BT /F 10 Tf 50 700 Td (ABCD) Tj ET`, "Aβe\u0301ff"},
	} {
		pages, err := pdftext.Read(plain(test.font, test.content))
		if name == "broken operator" {
			continue // that it ends is enough
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := pages[0].Text(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestTeX(t *testing.T) {
	t.Parallel()
	pages, err := pdftext.Read(papertest.PDF(papertest.Sheets(3)))
	if err != nil || len(pages) != 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	texts, err := pdftext.Texts(papertest.PDF(papertest.Sheets(3)))
	if err != nil || len(texts) != 3 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	text := texts[0]
	if want := "Line 0 of page 1 has words with the efficient ligatures of a wellknown\nkind of type setting."; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
	if first := pages[0][0]; !first.Bold || first.Size != 17 || pages[0][3].Bold {
		t.Errorf("first line %+v", first)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	whole := papertest.PDF(papertest.Sheets(2))
	for name, test := range map[string]struct {
		file []byte
		want error
	}{
		"empty":     {nil, pdftext.ErrNotPDF},
		"a page":    {[]byte("<html>wait"), pdftext.ErrNotPDF},
		"encrypted": {bytes.Replace(plain(helvetica, ""), []byte("trailer <<"), []byte("trailer << /Encrypt 9 0 R"), 1), pdftext.ErrEncrypted},
		"no text":   {plain(helvetica, "0 0 m 1 1 l S"), pdftext.ErrNoText},
		"cut":       {whole[:len(whole)/4], nil},
		"escape":    {[]byte("%PDF-1.7\n1 0 obj (\\"), nil},
		"head only": {[]byte("%PDF-1.7\n"), nil},
		"circle":    {[]byte("%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 1 0 R /Kids [1 0 R 3 0 R] >> endobj 3 0 obj << /Contents 2 0 R >> endobj 2 0 obj << /Length 2 0 R >> stream\nx\nendstream endobj trailer << /Root 1 0 R >>"), nil},
		"deep":      {[]byte("%PDF-1.7\n1 0 obj " + strings.Repeat("[", 1<<20) + strings.Repeat("<<", 1<<20)), nil},
	} {
		began := time.Now()
		pages, err := pdftext.Read(test.file)
		if err != nil && strings.Contains(err.Error(), "runtime error") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
			t.Errorf("%s: %d pages, %v", name, len(pages), err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// The table at the end of the file is not needed.
func TestCutTail(t *testing.T) {
	t.Parallel()
	file := plain(helvetica, "BT /F 10 Tf 50 700 Td (still here) Tj ET")
	file = file[:bytes.Index(file, []byte("trailer"))]
	pages, err := pdftext.Read(file)
	if err != nil || pages[0].Text() != "still here" {
		t.Errorf("%v, %v", pages, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(papertest.PDF(papertest.Sheets(1)))
	f.Add(plain(helvetica, `q /X Do Q BT /F 10 Tf 12 TL 50 700 Td [(a)-400(b)]TJ (x) ' ET`))
	f.Add(plain("<< /Type /Font /Subtype /Type0 /ToUnicode 8 0 R /DescendantFonts [<< /W [3 [900] 16 18 500] >>] >>", `BT /F 10 Tf <00030010> Tj ET`))
	f.Fuzz(func(t *testing.T, file []byte) {
		pages, err := pdftext.Read(file)
		if err != nil {
			if strings.Contains(err.Error(), "runtime error") {
				t.Fatal(err) // caught, but a mistake of ours
			}
			return
		}
		for _, page := range pages {
			page.Text()
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Add(helvetica, `q .1 0 0 .1 0 0 cm /X Do Q BT /F 10 Tf 12 TL 50 700 Td [(a)-400(b)]TJ (x) ' 1 2 (y) " T* ET`)
	f.Add("<< /Subtype /Type0 /ToUnicode 8 0 R /DescendantFonts [<< /W [3 [900] 16 18 500] >>] >>", `BT /F 1 Tf <00030010> Tj ET`)
	f.Add("<< /Subtype /Type3 /FontMatrix [.01 0 0 .01 0 0] /FirstChar 3 /Widths [1 2 3] /Encoding << /Differences [65 /a66 /uni03B2] >> >>", `BI ID x EI BT /F 1 Tf (AB) Tj ET`)
	f.Fuzz(func(t *testing.T, font, content string) {
		pages, err := pdftext.Read(plain(font, content))
		if err != nil && strings.Contains(err.Error(), "runtime error") {
			t.Fatal(err)
		}
		for _, page := range pages {
			page.Text()
		}
	})
}

func Benchmark40Pages(b *testing.B) {
	file := papertest.PDF(papertest.Sheets(40))
	b.ReportAllocs()
	for b.Loop() {
		if pages, err := pdftext.Read(file); err != nil || len(pages) != 40 {
			b.Fatal(err)
		}
	}
}
