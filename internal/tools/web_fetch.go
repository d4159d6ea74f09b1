package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/tool"
)

type webFetchInput struct {
	URL    string `json:"url"`
	Cursor string `json:"cursor,omitempty"`
	Bytes  int    `json:"max_bytes,omitempty"`
}

// address is where the page is; a name alone is meant as one.
func (in webFetchInput) address() string {
	address := strings.TrimSpace(in.URL)
	if host, _, _ := strings.Cut(address, "/"); !strings.Contains(address, ":") && strings.Contains(host, ".") {
		return "https://" + address
	}
	return address
}

// The sizes of a part, in bytes.
const (
	usualPart = 16_000
	mostPart  = 40_000
	leastPart = 500
)

const (
	pageAge     = time.Hour      // up to which a page in the cache is taken as it is
	pageAgeOn   = 24 * time.Hour // the same for its later parts, which should fit the earlier ones
	fetchLimit  = 2 * time.Minute
	acceptPages = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, application/pdf;q=0.8, */*;q=0.5"
	pageReader  = "Mozilla/5.0 (compatible; ml-intern)"
)

// getter is the part of a client of the web that reads documents.
type getter interface {
	Get(ctx context.Context, in fetch.Request) (*fetch.Response, error)
}

// pdfReader takes the text out of a PDF, page by page.
type pdfReader func(pdf []byte) (pages []string, err error)

// WebFetch reads a page of the web. Without pdf it reads no PDF.
func WebFetch(web getter, pdf pdfReader) tool.Tool {
	shelf := &documents{pdf: pdf, large: make(chan struct{}, 1)}
	s := spec("web_fetch", tool.Reads)
	s.Impact = impact(tool.Reads, func(in webFetchInput, i *tool.Impact) {
		if u, err := url.Parse(in.address()); err == nil && u.Host != "" {
			i.Hosts = []string{u.Host}
		}
	})
	return tool.New(s, func(ctx context.Context, in webFetchInput, _ tool.Call) (tool.Output, error) {
		address := in.address()
		if what := secretWords(address); what != "" {
			return badArgs("the address holds %s, which must not leave this machine", what), nil
		}
		at, err := parseCursor(in.Cursor)
		if err != nil {
			return badArgs("%v", err), nil
		}
		ctx, cancel := context.WithTimeoutCause(ctx, fetchLimit, errors.New("the page took too long"))
		defer cancel()
		resp, err := web.Get(ctx, fetch.Request{
			URL: address, MaxAge: map[bool]time.Duration{true: pageAge, false: pageAgeOn}[at.offset == 0],
			Header: http.Header{"Accept": {acceptPages}, "Accept-Language": {"en, *;q=0.5"}, "User-Agent": {pageReader}},
		})
		if err != nil {
			return failedOutside(address, err, fetchHint(err)), nil
		}
		doc, err := shelf.read(ctx, resp)
		if err != nil {
			return failedOutside(resp.URL, err, ""), nil
		}
		size := usualPart
		if in.Bytes > 0 {
			size = min(max(in.Bytes, leastPart), mostPart)
		}
		text, err := doc.part(at, size)
		if err != nil {
			return badArgs("%v", err), nil
		}
		return tool.Output{Text: fromOutside(resp.URL, text), Summary: fmt.Sprintf("%s (%s, %s)", cmp.Or(oneLine(doc.title), resp.URL), doc.kind, bytesOf(int64(len(doc.text))))}, nil
	})
}

// fetchHint says what to try after a failure.
func fetchHint(err error) string {
	switch {
	case errors.Is(err, fetch.ErrNotFound):
		return "check the address, or find the page with web_search"
	case errors.Is(err, fetch.ErrRateLimited):
		return "wait a while, or use another source"
	case errors.Is(err, fetch.ErrForbidden):
		return "the site lets nobody in without an account, or no program: use another source"
	case errors.Is(err, fetch.ErrTooLarge):
		return "this is more than a page to read: look for a smaller one about the same"
	case errors.Is(err, fetch.ErrBadAddress):
		return "check the address, or find the page with web_search"
	case errors.Is(err, fetch.ErrUnreachable):
		return "check the address, try again later, or use another source"
	case errors.Is(err, fetch.ErrPrivate):
		return "" // the error says it
	}
	return "try again later, or use another source"
}
