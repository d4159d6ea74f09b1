package ray

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	defaultURL = "http://127.0.0.1:8265"

	answerTime = 30 * time.Second // until an answer is there, once it was asked for
	slowest    = 128 << 10        // bytes a second that a request may take
	stallTime  = time.Minute      // without a byte of a long one
	maxAnswer  = 64 << 20
	tries      = 4
)

// errNoJob means that Ray knows no such job.
var errNoJob = errors.New("Ray knows no such job")

// A statusError is an answer other than 200.
type statusError struct {
	Code int
	Text string
}

func (e *statusError) Error() string {
	if e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden {
		return fmt.Sprintf("Ray wants the right token (%d): %s", e.Code, e.Text)
	}
	return fmt.Sprintf("Ray answered %d: %s", e.Code, e.Text)
}

func (b Backend) address() string {
	return strings.TrimRight(cmp.Or(b.URL, defaultURL), "/")
}

// client does not follow to other hosts, for the token is for this one, nor
// where a POST would become a GET.
func client() *http.Client {
	return &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method || len(via) > 5 {
			return fmt.Errorf("Ray's address leads to %s://%s: give that one", req.URL.Scheme, req.URL.Host)
		}
		return nil
	}}
}

// send makes one request. The answer's body is the caller's to close; it ends
// with an error if nothing comes for stallTime.
func (b Backend) send(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	ctx, stop := context.WithCancelCause(ctx)
	timer := time.AfterFunc(answerTime+time.Duration(len(body)/slowest)*time.Second, func() { stop(errors.New("no answer in time")) })
	end := func() { timer.Stop(); stop(context.Canceled) }
	req, err := http.NewRequestWithContext(ctx, method, b.address()+path, bytes.NewReader(body))
	if err != nil {
		end()
		return nil, fmt.Errorf("ask Ray at %s: %w", b.URL, err)
	}
	if b.Token != "" {
		req.Header.Set("Authorization", "Bearer "+b.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client().Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s %s: %w", method, path, cause)
		}
		end()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the code says enough
		resp.Body.Close()
		end()
		return nil, &statusError{resp.StatusCode, lastLine(string(text))}
	}
	timer.Reset(stallTime)
	return &answer{resp.Body, timer, end}, nil
}

// An answer is a body that comes in time.
type answer struct {
	io.ReadCloser
	timer *time.Timer
	end   func()
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.timer.Reset(stallTime)
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.end()
	return err
}

// lastLine is what a traceback comes to.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(strings.TrimSpace(text), ".\n "), "\n")
	line := strings.ToValidUTF8(strings.TrimSpace(lines[len(lines)-1]), "\uFFFD")
	return clip(line, 500)
}

// clip shortens a text to about so many bytes.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// repeat does what may be done twice until it works, with pauses.
func repeat(ctx context.Context, do func() error) error {
	for try, pause := 1, 200*time.Millisecond; ; try, pause = try+1, pause*3 {
		err := do()
		if err == nil || try == tries || ctx.Err() != nil || !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	var status *statusError
	if errors.As(err, &status) && !gone(err) {
		return status.Code == http.StatusTooManyRequests || status.Code == http.StatusRequestTimeout || status.Code >= 500
	}
	return !gone(err) && !errors.Is(err, errTooMuch)
}

var errTooMuch = errors.New("the answer is too large")

// ask makes a request that may be repeated, and decodes its answer.
func (b Backend) ask(ctx context.Context, method, path string, body []byte, out any) error {
	return repeat(ctx, func() error { return b.once(ctx, method, path, body, out) })
}

// once makes a request, and decodes its answer.
func (b Backend) once(ctx context.Context, method, path string, body []byte, out any) error {
	answer, err := b.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	data, err := io.ReadAll(io.LimitReader(answer, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("read the answer to %s: %w", path, errTooMuch)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("what answers at %s is not Ray: %w", b.address(), err)
	}
	return nil
}

// A version is what a head says of itself. Session changes when it is restarted
// without a memory.
type version struct {
	Ray     string `json:"ray_version"`
	Session string `json:"session_name"`
}

// oldest is the first version whose API has all that is used here.
var oldest = [2]int{2, 9}

func (b Backend) version(ctx context.Context) (version, error) {
	var v version
	err := b.ask(ctx, http.MethodGet, "/api/version", nil, &v)
	var status *statusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound || err == nil && v.Ray == "" {
		return v, fmt.Errorf("there is no Ray dashboard at %s", b.address())
	}
	if err != nil {
		return v, err
	}
	if older(v.Ray, oldest) {
		return v, fmt.Errorf("Ray %s at %s is too old: %d.%d is the first that can be used", v.Ray, b.address(), oldest[0], oldest[1])
	}
	if v.Session == "" {
		v.Session, err = b.headNode(ctx)
	}
	return v, err
}

// headNode stands for the session in versions that do not tell it: a head that
// is restarted is a new node.
func (b Backend) headNode(ctx context.Context) (string, error) {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.Head {
			return n.ID, nil
		}
	}
	return "", fmt.Errorf("the Ray head at %s is still starting", b.address())
}

// older compares the first two numbers of a version. One that has none, as a
// build of one's own, is new.
func older(version string, than [2]int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major < than[0] || major == than[0] && minor < than[1]
}

// A jobInfo is what Ray knows of a job.
type jobInfo struct {
	Type      string            `json:"type"`
	ID        string            `json:"submission_id"`
	Status    string            `json:"status"`
	Message   string            `json:"message"`
	ErrorType string            `json:"error_type"`
	Start     int64             `json:"start_time"` // when it was submitted
	End       int64             `json:"end_time"`
	Metadata  map[string]string `json:"metadata"`
	Node      string            `json:"driver_node_id"`
	ExitCode  *int              `json:"driver_exit_code"`
}

// job asks for a job. errNoJob is Ray's word, not that of something before it.
func (b Backend) job(ctx context.Context, ref string) (jobInfo, error) {
	var info jobInfo
	err := b.ask(ctx, http.MethodGet, "/api/jobs/"+ref, nil, &info)
	return info, noJob(err, ref)
}

func noJob(err error, ref string) error {
	var status *statusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound && strings.Contains(status.Text, ref+" does not exist") {
		return errNoJob
	}
	return err
}

// jobs asks for all jobs, by id.
func (b Backend) jobs(ctx context.Context) (map[string]jobInfo, error) {
	var all []jobInfo
	if err := b.ask(ctx, http.MethodGet, "/api/jobs/", nil, &all); err != nil {
		return nil, err
	}
	known := make(map[string]jobInfo, len(all))
	for _, info := range all {
		if info.Type == "SUBMISSION" {
			known[info.ID] = info
		}
	}
	return known, nil
}

// stop tells Ray to end a job; telling it twice does nothing.
func (b Backend) stop(ctx context.Context, ref string) error {
	return noJob(b.ask(ctx, http.MethodPost, "/api/jobs/"+ref+"/stop", nil, nil), ref)
}
