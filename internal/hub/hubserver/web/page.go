// Package web makes the web pages of a Hub server: cards, files, commits,
// discussions and lists of repositories.
//
// Its one rule: what people published is shown, and never obeyed. Pages have
// no script, load nothing from elsewhere and link only to http, https and
// their own server; all text goes through internal/markup or the renderer of
// Markdown here. The values come from the caller, who has decided what may be
// seen.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/markup"
)

//go:embed style.css *.html
var files embed.FS

// A View is one kind of page: a struct of this package.
type View interface{ template() string }

// A Frame is what every page has around its view.
type Frame struct {
	Title string
	Repo  *Repo // nil on pages that are not of a repository
	Tab   string
	View  View
	Person
}

// A Person is who looks at a page: by name, or with the way to say who one is.
// Where there are no users it is empty.
type Person struct{ Name, Login string }

// A Repo is the head of a repository's pages.
type Repo struct {
	Owner, Name string
	Type        string // model, dataset or space
	Path        string // /datasets/me/x
	Private     bool
	Gated       bool
	Rev         string   // that the page is of, as it was asked for
	Label       string   // the revision for people
	Switch      []Switch // other revisions
	Tabs        []Tab
}

// A Tab is a link to another page of the repository. Who adds a kind of page,
// such as settings, adds its tab.
type Tab struct{ Name, URL, Count string }

// A Switch is a link to the same page at another revision.
type Switch struct {
	Name, URL string
	Tag       bool
}

// Policy is the Content-Security-Policy of all pages.
const Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// A Maker makes pages. It holds nothing that changes.
type Maker struct {
	templates *markup.Set
	style     markup.CSS
}

// NewMaker reads the templates.
func NewMaker() (*Maker, error) {
	css, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("read style: %w", err)
	}
	m := &Maker{style: markup.CSS(css)}
	funcs := markup.Funcs{"size": Size, "when": when, "day": day, "short": short, "plural": plural}
	if m.templates, err = markup.Read(files, "*.html", funcs); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	return m, nil
}

// Write answers a request with a page.
func (m *Maker) Write(w http.ResponseWriter, r *http.Request, status int, f Frame) error {
	var view, out bytes.Buffer
	if err := m.templates.Write(&view, f.View.template(), f); err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	err := m.templates.Write(&out, "frame.html", struct {
		Frame
		Style markup.CSS
		Body  markup.HTML
	}{f, m.style, markup.HTML(view.String())}) // made by a template just now
	if err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "same-origin") // with none a form has no origin to check
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // a client that is gone cannot be told
	}
	return nil
}

// Size is a number of bytes for people.
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/1000, "kB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, next
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

func short(oid string) string { return oid[:min(8, len(oid))] }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// Escape makes a path of a repository fit for an address.
func Escape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
