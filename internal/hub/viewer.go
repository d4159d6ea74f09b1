package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const publicViewer = "https://datasets-server.huggingface.co"

// What the dataset viewer cannot do, for errors.Is on an error of a Viewer.
var (
	ErrNotReady = errors.New("the dataset viewer has not finished with the dataset")
	ErrNoViewer = errors.New("the dataset viewer cannot show the dataset")
)

const (
	viewerPatience = 45 * time.Second // how long an answer may keep us waiting that is not ready
	viewerLimit    = 2 * time.Minute  // one call, waits included
)

// A Viewer asks the dataset viewer about one dataset, as it is on its main
// branch. Which commit that was comes with the answers.
type Viewer struct {
	client  *Client
	dataset RepoID
}

// Viewer returns the dataset's viewer.
func (c *Client) Viewer(dataset RepoID) Viewer { return Viewer{c, dataset} }

// viewer is where the dataset viewer of the Hub answers.
func (c *Client) viewer() string {
	switch {
	case c.ViewerURL != "":
		return strings.TrimRight(c.ViewerURL, "/")
	case c.base() == publicHub:
		return publicViewer
	}
	return c.base() + "/datasets-server"
}

// get asks one question and waits for an answer that is not ready yet. It
// returns the commit that the answer is about, if the viewer says so.
func (v Viewer) get(ctx context.Context, what string, q url.Values, out any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, viewerLimit)
	defer cancel()
	if q == nil {
		q = url.Values{}
	}
	q.Set("dataset", v.dataset.String())
	in := call{method: "GET", path: v.client.viewer() + "/" + what + "?" + q.Encode(), once: true}
	started := time.Now()
	for attempt := 2; ; attempt++ {
		header, err := v.client.api(ctx, in, nil, out)
		if err == nil {
			return header.Get("X-Revision"), nil
		}
		wait := backoff(attempt)
		if e, ok := errors.AsType[*Error](err); ok {
			wait = max(wait, e.Wait)
		}
		if !mayBeReady(err) || ctx.Err() != nil || time.Since(started)+wait > viewerPatience {
			return "", fmt.Errorf("ask the dataset viewer for %s of %s: %w", what, v.dataset, v.explain(ctx, err))
		}
		if err := sleep(ctx, wait); err != nil {
			return "", fmt.Errorf("wait for the dataset viewer: %w", err)
		}
	}
}

// mayBeReady reports whether the same question may be answered soon. What the
// viewer found out about a dataset stays true, though it answers 500.
func mayBeReady(err error) bool {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return worthAnother(err)
	case errors.Is(e, ErrNotReady):
		return true
	case e.Status == http.StatusInternalServerError:
		return e.Code == "" || e.Code == "UnexpectedApiError"
	}
	return e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
}

// explain asks the Hub why: the viewer does not tell a dataset that is gated
// from one that is not there.
func (v Viewer) explain(ctx context.Context, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.HasPrefix(e.Code, "External") && (e.Code != "" || e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden) {
		return err
	}
	_, why := v.client.api(ctx, call{method: "GET", path: v.dataset.api() + "/auth-check"}, nil, nil)
	if _, refused := errors.AsType[*Error](why); refused {
		return why
	}
	return err
}

// Valid is what the viewer can do for a dataset.
type Valid struct {
	Preview    bool   `json:"preview"` // only first rows
	Viewer     bool   `json:"viewer"`
	Search     bool   `json:"search"`
	Filter     bool   `json:"filter"`
	Statistics bool   `json:"statistics"`
	Revision   string `json:"-"` // the commit that it is about, "" if the viewer does not say
}

// Valid asks what the viewer can do.
func (v Viewer) Valid(ctx context.Context) (out Valid, err error) {
	out.Revision, err = v.get(ctx, "is-valid", nil, &out)
	return out, err
}

// A Split is a part of a dataset whose rows are of one kind.
type Split struct {
	Config string `json:"config"`
	Split  string `json:"split"`
}

// A Failure is a part of a dataset that the viewer could not read.
type Failure struct {
	Config string
	Split  string
	Reason string
}

// UnmarshalJSON reads a failure, whose reason may have several shapes.
func (f *Failure) UnmarshalJSON(data []byte) error {
	var v struct {
		Config string `json:"config"`
		Split  string `json:"split"`
		Error  raw    `json:"error"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*f = Failure{v.Config, v.Split, bodyMessage(v.Error)}
	if f.Reason == "" {
		f.Reason = strings.Join(nonEmpty(errorTexts(v.Error)), "; ")
	}
	return nil
}

// Splits are the configurations and splits of a dataset.
type Splits struct {
	Splits   []Split   `json:"splits"`
	Pending  []Split   `json:"pending"`
	Failed   []Failure `json:"failed"`
	Revision string    `json:"-"`
}

// Splits lists the configurations and splits.
func (v Viewer) Splits(ctx context.Context) (out Splits, err error) {
	out.Revision, err = v.get(ctx, "splits", nil, &out)
	return out, err
}

// A ParquetFile is a part of a split in Parquet.
type ParquetFile struct {
	Split
	URL      string `json:"url"`
	Filename string `json:"filename"`
	Size     int64  `json:"size"`
}

// Parquet are a dataset's files in Parquet, its own or converted by the Hub.
type Parquet struct {
	Files    []ParquetFile `json:"parquet_files"`
	Partial  bool          `json:"partial"` // only the first part was converted
	Revision string        `json:"-"`
}

// Parquet lists the files in Parquet, of all configurations if config is "".
func (v Viewer) Parquet(ctx context.Context, config string) (out Parquet, err error) {
	out.Revision, err = v.get(ctx, "parquet", configQuery(config), &out)
	return out, err
}

func configQuery(config string) url.Values {
	q := url.Values{}
	if config != "" {
		q.Set("config", config)
	}
	return q
}

func (s Split) query() url.Values { return url.Values{"config": {s.Config}, "split": {s.Split}} }

func (s Split) page(offset int64, length int) url.Values {
	q := s.query()
	q.Set("offset", strconv.FormatInt(offset, 10))
	q.Set("length", strconv.Itoa(max(1, min(length, MaxRows))))
	return q
}

// raw keeps JSON that may have any shape.
type raw = json.RawMessage
