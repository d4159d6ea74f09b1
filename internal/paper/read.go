package paper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/pdftext"
)

// A shelf keeps the documents read last, so that a section is there at once.
type shelf struct {
	mu   sync.Mutex
	docs []*shelved
}

type shelved struct {
	id   ID
	doc  *Document
	time time.Time
}

const (
	mostShelved = 8
	shelfSize   = 16 << 20 // bytes of text
)

func (s *shelf) get(id ID) *Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.docs, func(d *shelved) bool { return d.id == id && time.Since(d.time) < keeping })
	if i < 0 {
		return nil
	}
	d := s.docs[i]
	s.docs = append(slices.Delete(s.docs, i, i+1), d)
	return d.doc
}

func (s *shelf) put(id ID, doc *Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs = append(s.docs, &shelved{id, doc, time.Now()})
	size := 0
	for i := len(s.docs) - 1; i >= 0; i-- {
		if size += len(s.docs[i].doc.Text); i < len(s.docs)-1 && (size > shelfSize || len(s.docs)-i > mostShelved) {
			s.docs = slices.Delete(s.docs, 0, i+1)
			return
		}
	}
}

// Read gets a paper whole: as HTML of arXiv, of ar5iv, or as text of its PDF,
// whichever is there first. Notes tell what was not.
func (c *Client) Read(ctx context.Context, id ID) (*Document, error) {
	if doc := c.read.get(id); doc != nil {
		return doc, nil
	}
	type source struct {
		name, address string
		parse         func([]byte) (*Document, error)
	}
	sources := []source{{"HTML of arXiv", c.arxiv() + "/html/" + id.String(), ParseHTML}}
	if ar5iv := c.ar5iv(); ar5iv != "" {
		sources = append(sources, source{"HTML of ar5iv", ar5iv + "/html/" + id.Number, ParseHTML})
	}
	sources = append(sources, source{"PDF of arXiv", c.arxiv() + "/pdf/" + id.String(), ParsePDF})
	var notes []string
	var errs []error
	for _, s := range sources {
		doc, err := c.document(ctx, s.address, s.parse)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			notes = append(notes, fmt.Sprintf("there is no %s (%s)", s.name, why(err)))
			continue
		}
		doc.ID, doc.Source = id, s.address
		if s.name == "HTML of ar5iv" && id.Version != "" {
			notes = append(notes, "ar5iv has one version of each paper, perhaps not "+id.Version)
		}
		doc.Notes = append(notes, doc.Notes...)
		c.read.put(id, doc)
		return doc, nil
	}
	return nil, c.unreadable(ctx, id, errs)
}

func (c *Client) document(ctx context.Context, address string, parse func([]byte) (*Document, error)) (*Document, error) {
	resp, err := c.Fetch.Get(ctx, fetch.Request{URL: address, MaxAge: keeping})
	if err != nil {
		return nil, err
	}
	if strings.Contains(resp.Type, "html") {
		return parse([]byte(resp.Text()))
	}
	return parse(resp.Body)
}

// unreadable says why a paper cannot be read, and what to do then.
func (c *Client) unreadable(ctx context.Context, id ID, errs []error) error {
	p, err := c.arxivEntry(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("read paper %s: %w on arXiv; check the id, or search by words of the title", id, ErrNotFound)
	case err == nil && p.Withdrawn:
		advice := ""
		if p.Version != "" && p.Version != "v1" {
			advice = "; an earlier version may be there, such as " + id.Number + "v1"
		}
		return fmt.Errorf("read paper %s: it was %w by its authors: %s%s", id, ErrWithdrawn, short(p.Comment, 300), advice)
	}
	return fmt.Errorf("read paper %s: no source has its text; details gives the abstract: %w", id, errors.Join(errs...))
}

// ParsePDF reads a paper from the text of its PDF. Formulas and tables are lost
// to some degree, which the document's notes say.
func ParsePDF(file []byte) (*Document, error) {
	pages, err := pdftext.Read(file)
	if err != nil {
		if errors.Is(err, pdftext.ErrNotPDF) {
			err = fmt.Errorf("%w but perhaps a page that asks for patience", err)
		}
		return nil, err
	}
	return outlinePDF(pages), nil
}
