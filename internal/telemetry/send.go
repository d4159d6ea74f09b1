package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A sender sends one kind of telemetry to its target.
type sender struct {
	target Target
	client *http.Client
	sick   atomic.Bool // the latest request failed
}

// newSender returns nil for a target that is nowhere.
func newSender(t Target) (*sender, error) {
	if t.URL == "" {
		return nil, nil
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true}
	if t.certificate+t.clientCertificate != "" {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.certificate != "" {
		data, err := os.ReadFile(t.certificate)
		if err != nil {
			return nil, fmt.Errorf("read the collector's certificate: %w; nothing is sent", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("the collector's certificate %s holds none in PEM form; nothing is sent", t.certificate)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	if t.clientCertificate != "" {
		pair, err := tls.LoadX509KeyPair(t.clientCertificate, t.clientKey)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for the collector: %w; nothing is sent", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // another host must not get the headers
	return &sender{target: t, client: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// hangUp ends the connections that nothing is sent by any more.
func (s *sender) hangUp() {
	if s != nil {
		s.client.CloseIdleConnections()
	}
}

// healthy reports whether nothing speaks against asking it.
func (s *sender) healthy() bool { return s == nil || !s.sick.Load() }

// work sends what there is from time to time, until the Reader is closed, and
// then what is left.
func (r *Reader) work(ctx context.Context) {
	defer close(r.ended)
	spans, sums := time.NewTicker(r.opts.spanDelay), time.NewTicker(r.opts.metricDelay)
	defer spans.Stop()
	defer sums.Stop()
	for {
		select {
		case <-spans.C:
			r.sendSpans(ctx, false)
		case <-r.full:
			r.sendSpans(ctx, false)
		case <-sums.C:
			r.sendMetrics(ctx)
		case <-r.closing:
			r.sendSpans(ctx, true)
			r.sendMetrics(ctx)
			return
		}
	}
}

// maxRequest is how much one request has about at most, in bytes: collectors
// refuse more than some megabytes.
const maxRequest = 3 << 20

// sendSpans sends the spans that wait.
func (r *Reader) sendSpans(ctx context.Context, all bool) {
	for ctx.Err() == nil {
		batch := r.batch()
		if len(batch) == 0 {
			return
		}
		var wire []json.RawMessage
		size, failed := 0, false
		for i, s := range batch {
			data, err := r.opts.span(s)
			if err == nil {
				wire, size = append(wire, data), size+len(data)
			}
			if len(wire) > 0 && (size > maxRequest || i == len(batch)-1) {
				if failed = !r.deliverSpans(ctx, wire); failed {
					r.lose(len(wire) + len(batch) - i - 1)
					break
				}
				wire, size = nil, 0
			}
		}
		if failed && !all || failed && !r.traces.healthy() {
			return
		}
	}
}

func (r *Reader) deliverSpans(ctx context.Context, wire []json.RawMessage) bool {
	body, err := r.spans(wire)
	return err == nil && r.deliver(ctx, r.traces, body, "spans")
}

func (r *Reader) sendMetrics(ctx context.Context) {
	if r.sums == nil || ctx.Err() != nil {
		return
	}
	all, since := r.metrics.take()
	if len(all) == 0 {
		return
	}
	if body, err := r.measures(all, since, time.Now()); err == nil {
		r.deliver(ctx, r.sums, body, "metrics")
	}
}

// Limits of tries for one request.
const (
	leastWait = 100 * time.Millisecond
	firstWait = time.Second
	maxWait   = 30 * time.Second
	allWaits  = time.Minute
	lastWaits = 2 * time.Second // once the Reader is closed
)

// deliver sends a request until it is taken, refused, or not worth another try.
func (r *Reader) deliver(ctx context.Context, s *sender, body []byte, what string) bool {
	wait, waited, closedFor := firstWait, time.Duration(0), time.Duration(0)
	for {
		again, err := r.post(ctx, s, body, what)
		s.sick.Store(err != nil)
		if err == nil {
			return true
		}
		if again == 0 {
			again = time.Duration(float64(wait) * (0.75 + rand.Float64()/2))
			wait = min(2*wait, maxWait)
		}
		waited += again
		if r.closed() {
			closedFor += again
		}
		if again < 0 || waited > allWaits || closedFor > lastWaits || !r.pause(ctx, again) {
			r.failed(s.target, fmt.Sprintf("send %s to %s: %s", what, s.target.Place(), r.opts.text(cause(err))))
			return false
		}
	}
}

func (r *Reader) closed() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// pause waits before the next try. When the Reader is closed meanwhile there is
// one at once.
func (r *Reader) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	closing := r.closing
	if r.closed() {
		closing = nil
	}
	select {
	case <-timer.C:
	case <-closing:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// post makes one request. Again says after how long another may help: 0 if the
// collector names no time, less if none does.
func (r *Reader) post(ctx context.Context, s *sender, body []byte, what string) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.target.Timeout)
	defer cancel()
	headers := s.target.Headers.Clone()
	if s.target.Gzip {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(body); err != nil {
			return -1, fmt.Errorf("compress: %w", err)
		}
		if err := z.Close(); err != nil {
			return -1, fmt.Errorf("compress: %w", err)
		}
		body = packed.Bytes()
		headers.Set("Content-Encoding", "gzip")
	}
	headers.Set("Content-Type", "application/json")
	headers.Set("User-Agent", "OTel-OTLP-Exporter-ml-intern/"+r.opts.Version)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.URL, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	req.Header = headers
	resp, err := s.client.Do(req)
	if err != nil {
		if r.closed() {
			return -1, err // whoever does not answer now will not in a second
		}
		return 0, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) //nolint:errcheck // the status says what counts
	if resp.StatusCode/100 == 2 {
		r.partly(answer, what)
		return 0, nil
	}
	return retryAfter(resp), refusal{resp.StatusCode, s.target.URL}
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// retryAfter is when the collector may be asked again, as OTLP has it.
func retryAfter(resp *http.Response) time.Duration {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return -1
	}
	text := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return max(min(time.Duration(n), 3600)*time.Second, leastWait)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), leastWait)
	}
	return 0
}

// partly notes what of a request the collector did not take.
func (r *Reader) partly(answer []byte, what string) {
	var told struct {
		Partial struct {
			Spans  json.RawMessage `json:"rejectedSpans"`
			Points json.RawMessage `json:"rejectedDataPoints"`
			Text   string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &told) != nil {
		return
	}
	rejected := strings.Trim(string(told.Partial.Spans)+string(told.Partial.Points), `"`)
	if n, err := strconv.Atoi(rejected); err == nil && n > 0 {
		r.problem("partly "+what, fmt.Sprintf("the collector refused %d %s: %.200q", n, what, r.opts.text(told.Partial.Text)))
	}
}

// A refusal is an answer with another status than success. What the collector
// says beside it is not repeated: it may be of anybody.
type refusal struct {
	status int
	url    string
}

func (e refusal) Error() string {
	text := fmt.Sprintf("it answers %d %s", e.status, http.StatusText(e.status))
	switch {
	case e.status == http.StatusUnsupportedMediaType:
		text += ": it takes no JSON"
	case e.status/100 == 3:
		text += ": it sends us elsewhere, where headers would go along; set the address itself"
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		text += ": look at OTEL_EXPORTER_OTLP_HEADERS"
	case e.status == http.StatusNotFound:
		text += ": look at the path of the address"
	}
	return text
}

// cause is an error in few words, without the address of the request.
func cause(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "it does not answer in time"
	}
	text := err.Error()
	if strings.Contains(text, "malformed HTTP") {
		text = "it does not speak HTTP/1.1; the port for it is usually 4318"
	}
	return text
}

// Place is the address without what may be secret in it.
func (t Target) Place() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "the collector"
	}
	parts := strings.Split(u.Path, "/")
	for i, part := range parts {
		if mayBeKey(part) {
			parts[i] = "…"
		}
	}
	return u.Scheme + "://" + u.Host + strings.Join(parts, "/")
}
