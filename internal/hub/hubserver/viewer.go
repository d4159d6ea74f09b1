package hubserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/rows"
)

const (
	viewerTime  = time.Minute // for one answer
	viewerFiles = 100_000     // of a repository that are looked at
)

const (
	strangerText = "The dataset does not exist, or is not accessible without authentication (private or gated). Please check the spelling of the dataset name or retry with authentication."
	accountText  = "The dataset does not exist, or is not accessible with the current credentials (private or gated). Please check the spelling of the dataset name or retry with other authentication credentials."
	notReadyText = "The server is busier than usual and the response is not ready yet. Please retry later."
)

// viewerQuestions are what the dataset viewer is asked.
var viewerQuestions = []string{"is-valid", "splits", "info", "size", "parquet", "first-rows", "rows", "search", "filter", "statistics"}

// isViewer recognises the dataset viewer by the name that the server is called
// by, or by the path. It returns the question.
func isViewer(x *exchange, seg []string) (string, bool) {
	if len(seg) == 2 && seg[0] == "datasets-server" {
		return seg[1], true
	}
	named := strings.HasPrefix(strings.ToLower(x.Host), "datasets-server.")
	return seg[0], named && len(seg) == 1 && slices.Contains(viewerQuestions, seg[0])
}

// A viewerCall is a question about the tables of a dataset at a commit.
type viewerCall struct {
	*exchange
	repo    *gitstore.Repo
	commit  gitstore.Commit
	configs []rows.Config
}

// viewer answers a question to the dataset viewer.
func (s *Server) viewer(x *exchange, what string) error {
	answers := map[string]func(*viewerCall) error{
		"splits": s.viewerSplits, "info": s.viewerInfo, "size": s.viewerSize, "parquet": s.viewerParquet,
		"first-rows": s.viewerFirst, "rows": s.viewerRows, "search": s.viewerSearch, "filter": s.viewerFilter, "statistics": s.viewerStatistics,
	}
	answer, known := answers[what]
	if !known && what != "is-valid" || x.Method != http.MethodGet && x.Method != http.MethodHead {
		return noRoute(x)
	}
	caller := x.Context()
	ctx, cancel := context.WithTimeout(caller, viewerTime)
	defer cancel()
	x.Request = x.WithContext(ctx)
	c := &viewerCall{exchange: x}
	err := s.openViewer(c)
	if what == "is-valid" && c.repo != nil {
		can := err == nil
		return s.ok(x, map[string]bool{"preview": can, "viewer": can, "search": can, "filter": can, "statistics": can})
	}
	if err == nil {
		err = answer(c)
	}
	if errors.Is(err, context.DeadlineExceeded) && caller.Err() == nil {
		return refuse(http.StatusInternalServerError, "ResponseNotReadyError", notReadyText)
	}
	return viewerError(err)
}

// viewerError says no in the viewer's way.
func viewerError(err error) error {
	if e, ok := errors.AsType[*rows.Error](err); ok {
		r := refuse(e.Status, e.Code, e.Text)
		if e.Cause != "" {
			r.more = map[string]any{"cause_message": e.Cause}
		}
		return r
	}
	return err
}

// openViewer finds the dataset and its configurations.
func (s *Server) openViewer(c *viewerCall) error {
	name := c.URL.Query().Get("dataset")
	if name == "" {
		return refuse(http.StatusUnprocessableEntity, "MissingRequiredParameter", "Parameter 'dataset' is required")
	}
	repo, err := s.viewerRepo(c.exchange, name)
	if err != nil {
		return err
	}
	c.repo = repo
	if c.commit, err = s.store.Resolve(repo, "main"); err != nil {
		return err
	}
	c.Header().Set("X-Revision", c.commit.ID)
	c.configs, err = s.layout(c.commit)
	return err
}

// viewerRepo opens a dataset for one who may read it. To others it does not
// say whether it is there.
func (s *Server) viewerRepo(x *exchange, name string) (*gitstore.Repo, error) {
	id, err := hub.ParseRepo(hub.Dataset, name)
	var repo *gitstore.Repo
	if err == nil {
		repo, err = s.open(x, id)
	}
	if moved, ok := errors.AsType[*gitstore.MovedError](err); ok {
		repo, err = s.open(x, moved.To)
	}
	if err == nil {
		err = s.mayRead(x, repo)
	}
	_, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil && repo.Type == hub.Dataset:
		return repo, nil
	case err != nil && !refused && !errors.Is(err, gitstore.ErrNoRepo) && !errors.Is(err, gitstore.ErrInvalid) && id.Name != "":
		return nil, err
	case x.who == nil:
		return nil, refuse(http.StatusUnauthorized, "ExternalUnauthenticatedError", strangerText)
	}
	return nil, refuse(http.StatusNotFound, "ExternalAuthenticatedError", accountText)
}

// layout is how the files of a commit are a dataset.
func (s *Server) layout(commit gitstore.Commit) ([]rows.Config, error) {
	return s.layouts.get(commit.ID, func() ([]rows.Config, error) {
		var files []rows.File
		for e, err := range s.store.Entries(commit, "", true) {
			if err != nil {
				return nil, err
			}
			if len(files) == viewerFiles {
				break
			}
			if e.Dir || !rows.IsTable(e.Path) {
				continue
			}
			f, err := s.store.File(e.OID)
			if err != nil {
				return nil, err
			}
			files = append(files, rows.File{Path: e.Path, Size: f.Size, Open: func() (rows.Content, error) { return s.openFile(f) }})
		}
		text, err := s.readFile(commit, "README.md")
		if err != nil {
			return nil, err
		}
		return rows.Layout(files, parseCard(text).data)
	})
}

// memory is a small file, held whole.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// openFile opens the content of a file, wherever it is.
func (s *Server) openFile(f gitstore.File) (rows.Content, error) {
	if f.Large != nil {
		return s.store.OpenLarge(f.Large.OID)
	}
	data, err := s.store.Blob(f.OID)
	if err != nil {
		return nil, err
	}
	return memory{bytes.NewReader(data)}, nil
}

// chosen are the configurations that a question is about: the one that it
// names, or all.
func (c *viewerCall) chosen() ([]rows.Config, error) {
	name := c.URL.Query().Get("config")
	if name == "" {
		return c.configs, nil
	}
	for _, config := range c.configs {
		if config.Name == name {
			return []rows.Config{config}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "ResponseNotFound", fmt.Sprintf("Not found: config %s.", name))
}

// table opens the split that a question names.
func (s *Server) table(c *viewerCall) (*rows.Table, error) {
	for _, name := range []string{"config", "split"} {
		if c.URL.Query().Get(name) == "" {
			return nil, refuse(http.StatusUnprocessableEntity, "MissingRequiredParameter", "Parameter '"+name+"' is required")
		}
	}
	configs, err := c.chosen()
	if err != nil {
		return nil, err
	}
	split, ok := configs[0].Split(c.URL.Query().Get("split"))
	if !ok {
		return nil, refuse(http.StatusNotFound, "ResponseNotFound", fmt.Sprintf("Not found: split %s.", c.URL.Query().Get("split")))
	}
	return s.tables.Table(c.Context(), c.commit.ID, configs[0], split)
}

// span reads which rows are wanted.
func (c *viewerCall) span() (offset int64, length int, err error) {
	length = rows.MaxRows
	q := c.URL.Query()
	if v := q.Get("offset"); v != "" {
		if offset, err = strconv.ParseInt(v, 10, 64); err != nil || offset < 0 {
			return 0, 0, invalidParameter("Parameter 'offset' must be a number that is not negative")
		}
	}
	if v := q.Get("length"); v != "" {
		if length, err = strconv.Atoi(v); err != nil || length < 0 {
			return 0, 0, invalidParameter("Parameter 'length' must be a number that is not negative")
		}
	}
	if length > rows.MaxRows {
		return 0, 0, invalidParameter("Parameter 'length' must not be greater than " + strconv.Itoa(rows.MaxRows))
	}
	return offset, length, nil
}

func invalidParameter(text string) error {
	return refuse(http.StatusUnprocessableEntity, "InvalidParameter", text)
}

func (s *Server) viewerFirst(c *viewerCall) error {
	t, err := s.table(c)
	if err != nil {
		return err
	}
	p, err := t.First(c.Context())
	if err != nil {
		return err
	}
	q := c.URL.Query()
	return s.ok(c.exchange, map[string]any{
		"dataset": c.repo.String(), "config": q.Get("config"), "split": q.Get("split"),
		"features": t.Features.Indexed(), "rows": p.Rows, "truncated": p.Cut,
	})
}

func (s *Server) viewerRows(c *viewerCall) error {
	return s.page(c, func(t *rows.Table, offset int64, length int) (rows.Page, error) {
		return t.At(c.Context(), offset, length)
	})
}

func (s *Server) viewerSearch(c *viewerCall) error {
	words := c.URL.Query().Get("query")
	if strings.TrimSpace(words) == "" {
		return refuse(http.StatusUnprocessableEntity, "MissingRequiredParameter", "Parameter 'query' is required")
	}
	return s.page(c, func(t *rows.Table, offset int64, length int) (rows.Page, error) {
		return t.Find(c.Context(), rows.Query{Words: words}, offset, length)
	})
}

func (s *Server) viewerFilter(c *viewerCall) error {
	q := c.URL.Query()
	query := rows.Query{Where: q.Get("where"), Order: q.Get("orderby")}
	return s.page(c, func(t *rows.Table, offset int64, length int) (rows.Page, error) {
		return t.Find(c.Context(), query, offset, length)
	})
}

// page answers with some rows of a table.
func (s *Server) page(c *viewerCall, find func(t *rows.Table, offset int64, length int) (rows.Page, error)) error {
	offset, length, err := c.span()
	if err != nil {
		return err
	}
	t, err := s.table(c)
	if err != nil {
		return err
	}
	p, err := find(t, offset, length)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{
		"features": t.Features.Indexed(), "rows": p.Rows,
		"num_rows_total": p.Total, "num_rows_per_page": rows.MaxRows, "partial": p.Partial,
	})
}

func (s *Server) viewerStatistics(c *viewerCall) error {
	t, err := s.table(c)
	if err != nil {
		return err
	}
	out, err := t.Statistics(c.Context())
	if err != nil {
		return err
	}
	return s.ok(c.exchange, out)
}
