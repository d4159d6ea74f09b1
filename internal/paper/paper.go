// Package paper finds papers and reads them whole: the Hub's paper pages,
// arXiv, ar5iv and Semantic Scholar, behind one Client.
//
// Its one rule: an answer is never quietly less than what was asked for. What a
// source could not do, which source stood in for another, and what a document
// lost on the way is said in Notes, and nothing found is an error. Nothing here
// trusts a document: its text is data. A Client owns a few documents that
// it has read.
package paper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ml-intern/internal/fetch"
)

// What callers tell apart.
var (
	ErrNotFound  = errors.New("no such paper")
	ErrWithdrawn = errors.New("withdrawn")
	ErrNothing   = errors.New("nothing found")
	errBusy      = errors.New("Semantic Scholar is busy")
)

// A Client finds and reads papers. Fields must not be changed once it is used.
type Client struct {
	Fetch *fetch.Client // must be set; shared with others
	Hub   string        // https://huggingface.co if empty

	// HubToken gives what is sent to the Hub alone; nil or "" for nothing.
	HubToken func(context.Context) string

	// ArXiv serves HTML and PDF, https://arxiv.org if empty. ArXivAPI and Ar5iv
	// are other hosts of the public arXiv. If ArXiv is set and they are not, it
	// serves the API too and there is no ar5iv.
	ArXiv, ArXivAPI, Ar5iv string

	Scholar    string // https://api.semanticscholar.org if empty
	ScholarKey string // sent to Semantic Scholar alone; may be empty

	ScholarKeyName string // variable with the key, S2_API_KEY if empty

	read shelf
}

// A Paper is what sources say about one. What no source said is empty.
type Paper struct {
	ID          string // of arXiv, without version; "" if it is not there
	ScholarID   string
	Title       string
	Authors     []string
	Abstract    string
	Summary     string // by a model or, from Semantic Scholar, TLDR
	Published   string // YYYY-MM-DD, or a year
	Updated     string
	Categories  []string
	Keywords    []string
	Venue       string
	DOI         string
	Comment     string // by the authors on arXiv
	Version     string // newest on arXiv
	Withdrawn   bool
	Citations   *int
	Influential int
	Upvotes     int
	Code        string // repository, with its stars
	Stars       int
	Project     string
	Models      int // linked on the Hub
	Datasets    int
	Spaces      int
}

// Found are the papers that a source found, in its order.
type Found struct {
	Papers []Paper
	Source string // name of the source that answered
	Total  int    // that match, if the source says; 0 if not
	Notes  []string
}

// Pace is how politely each of the public services is to be asked, for a
// fetch.Client. arXiv asks for three seconds between requests.
func Pace() map[string]time.Duration {
	return map[string]time.Duration{"export.arxiv.org": 3 * time.Second, "arxiv.org": 3 * time.Second, "ar5iv.labs.arxiv.org": time.Second, "api.semanticscholar.org": scholarGap}
}

func (c *Client) hub() string { return strings.TrimRight(cmp.Or(c.Hub, "https://huggingface.co"), "/") }

func (c *Client) arxiv() string {
	return strings.TrimRight(cmp.Or(c.ArXiv, "https://arxiv.org"), "/")
}

func (c *Client) arxivAPI() string {
	return strings.TrimRight(cmp.Or(c.ArXivAPI, c.ArXiv, "https://export.arxiv.org"), "/")
}

// ar5iv is "" if there is none.
func (c *Client) ar5iv() string {
	if c.Ar5iv == "" && c.ArXiv != "" {
		return ""
	}
	return strings.TrimRight(cmp.Or(c.Ar5iv, "https://ar5iv.labs.arxiv.org"), "/")
}

func (c *Client) scholar() string {
	return strings.TrimRight(cmp.Or(c.Scholar, "https://api.semanticscholar.org"), "/")
}

// How long answers are good: what people search, and what was published.
const (
	freshness = time.Hour
	keeping   = 7 * 24 * time.Hour
)

// json gets an address and decodes the answer.
func (c *Client) json(ctx context.Context, in fetch.Request, out any) error {
	if in.Header == nil {
		in.Header = http.Header{}
	}
	in.Header.Set("Accept", "application/json")
	resp, err := c.Fetch.Get(ctx, in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(resp.Body, out); err != nil {
		return fmt.Errorf("read the answer of %s: it is not the JSON that was expected (%s, %d bytes): %w", host(in.URL), cmp.Or(resp.Type, "no type"), len(resp.Body), err)
	}
	return nil
}

// hubJSON asks the Hub.
func (c *Client) hubJSON(ctx context.Context, path string, query url.Values, out any) error {
	address := c.hub() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	in := fetch.Request{URL: address, MaxAge: 10 * time.Minute}
	if c.HubToken != nil {
		in.Token = c.HubToken(ctx)
	}
	err := c.json(ctx, in, out)
	if in.Token != "" && errors.Is(err, fetch.ErrForbidden) { // papers are for everybody, whatever became of the token
		in.Token = ""
		if again := c.json(ctx, in, out); again == nil || !errors.Is(again, fetch.ErrForbidden) {
			return again
		}
	}
	return err
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// why is an error in a few words, for a note.
func why(err error) string {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && !errors.Is(err, errBusy) {
		return strings.TrimRight(fmt.Sprintf("status %d %s: %s", status.Status, http.StatusText(status.Status), short(status.Message, 150)), ": ")
	}
	return short(err.Error(), 300)
}
