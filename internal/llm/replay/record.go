// Package replay writes down what a program and its models said to each other,
// and plays it again without them.
//
// Its one rule: what is played is what was recorded, word for word, except
// that no secret is ever written. A recording is JSON lines: a header for each
// run, then each request with what is new in it and its reply.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// format is the version of the file's format.
const format = 1

// A line is one line of a recording: a Header or an exchange.
type line struct {
	Header   *Header   `json:"recording,omitempty"`
	Steer    string    `json:"steer,omitempty"` // what the person said to the turn at work, before the exchange that follows
	Exchange *exchange `json:"exchange,omitempty"`
}

// A Header begins what one run adds to a recording.
type Header struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of ml-intern
	Session string    `json:"session"`
	Prompt  string    `json:"prompt"` // "" for a run that went on
	Time    time.Time `json:"time"`
}

// An exchange is one request and what came of it.
type exchange struct {
	Model     string         `json:"model"`
	Window    int            `json:"window,omitempty"` // of the model, tokens
	Output    int            `json:"output,omitempty"` // tokens of a reply at most
	Images    bool           `json:"images,omitempty"` // the model takes pictures
	System    *string        `json:"system,omitempty"` // when it is not that of the request before
	Tools     []llm.ToolSpec `json:"tools,omitempty"`  // likewise
	Keep      int            `json:"keep"`             // messages that are those of the request before
	Messages  []llm.Message  `json:"messages"`         // the others
	Effort    string         `json:"effort,omitempty"`
	MaxOutput int            `json:"max_output,omitempty"`
	Chunks    []llm.Chunk    `json:"chunks"`
	Error     *failure       `json:"error,omitempty"`
	MS        int64          `json:"ms"`

	session string   // of the header before it
	steers  []string // said before it
}

// A failure is an error that can be played again.
type failure struct {
	Kind   string `json:"kind"` // "status", "transport" or "other"
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	Text   string `json:"text"`
}

func newFailure(err error) *failure {
	if e, ok := errors.AsType[*llm.StatusError](err); ok {
		return &failure{"status", e.Status, e.Code, e.Message}
	}
	kind := "other"
	if _, ok := errors.AsType[*llm.TransportError](err); ok {
		kind = "transport"
	}
	return &failure{Kind: kind, Text: err.Error()}
}

func (f *failure) err() error {
	switch f.Kind {
	case "status":
		return &llm.StatusError{Status: f.Status, Code: f.Code, Message: f.Text}
	case "transport":
		return &llm.TransportError{Err: errors.New(f.Text)}
	}
	return errors.New(f.Text)
}

// A Writer is a recording that is being made. Close it.
type Writer struct {
	file   *os.File
	lock   *flock.Flock
	redact redactor

	mu     sync.Mutex
	header Header
	fresh  bool // nothing follows the header yet
	last   llm.Request
	err    error // that ended the recording
}

// Create opens the file, to go on with what is in it, and writes the header.
// Secrets are values that must not be in it.
func Create(path string, h Header, secrets []string) (*Writer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder for recording: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	w := &Writer{file: file, lock: flock.New(path), redact: newRedactor(secrets)}
	if err := w.begin(h); err != nil {
		return nil, errors.Join(fmt.Errorf("begin recording %s: %w", path, err), w.Close())
	}
	return w, nil
}

func (w *Writer) begin(h Header) error {
	locked, err := w.lock.TryLock()
	if err != nil {
		return err
	}
	if !locked {
		return errors.New("another process records into it")
	}
	if err := w.checkFile(); err != nil {
		return err
	}
	h.Format, h.Time = format, time.Now().UTC()
	w.header, w.fresh = h, true
	return w.write(line{Header: &h})
}

// Prompt notes one more prompt of the same run. The one that the recording has
// just begun with counts once.
func (w *Writer) Prompt(session, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fresh && w.header.Session == session && w.header.Prompt == text {
		return
	}
	w.header.Session, w.header.Prompt, w.header.Time = session, text, time.Now().UTC()
	w.note(line{Header: &w.header})
}

// Steer notes what the person said to the turn at work.
func (w *Writer) Steer(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(line{Steer: text})
}

// note writes a line; the first error ends the recording.
func (w *Writer) note(l line) {
	w.fresh = false
	if err := w.write(l); err != nil && w.err == nil {
		w.err = fmt.Errorf("write recording: %w", err)
	}
}

// checkFile looks whether a file that is there is a recording, and closes a
// line that a crash has cut.
func (w *Writer) checkFile() error {
	info, err := w.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	if _, err := Read(io.NewSectionReader(w.file, 0, info.Size())); err != nil {
		return err
	}
	if err := w.file.Chmod(0o600); err != nil {
		return err
	}
	last := make([]byte, 1)
	if _, err := w.file.ReadAt(last, info.Size()-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		_, err = w.file.Write([]byte("\n"))
	}
	return err
}

// write appends one line, whole.
func (w *Writer) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if text, err = w.redact.line(text); err != nil {
		return err
	}
	_, err = w.file.Write(append(text, '\n'))
	return err
}

// Close ends the recording.
func (w *Writer) Close() error {
	return errors.Join(w.failed(), w.file.Sync(), w.lock.Unlock(), w.file.Close())
}

// Record returns a Model that writes every exchange with m to the recording. A
// recording that cannot be written ends the next request before it is made:
// what is not written down must not be spent.
func Record(m llm.Model, w *Writer) llm.Model { return recorder{m, w} }

type recorder struct {
	llm.Model
	writer *Writer
}

// Stream implements llm.Model.
func (r recorder) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if err := r.writer.failed(); err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		start := time.Now()
		var sum pieces
		var failed *failure
		defer func() { r.writer.add(r.Info(), req, sum.list(), failed, time.Since(start)) }()
		for c, err := range r.Model.Stream(ctx, req) {
			if err != nil {
				failed = newFailure(err)
				yield(llm.Chunk{}, err)
				return
			}
			sum.add(c)
			if !yield(c, nil) {
				if c.End == nil {
					failed = &failure{Kind: "other", Text: "the caller stopped reading"}
				}
				return
			}
		}
	}
}

// pieces are the chunks of a reply, neighbouring pieces of one text as one: a
// secret must not hide between two.
type pieces struct {
	chunks          []llm.Chunk
	text, reasoning strings.Builder
}

func (p *pieces) add(c llm.Chunk) {
	switch {
	case c.Text != "":
		p.flushReasoning()
		p.text.WriteString(c.Text)
	case c.Reasoning != "":
		p.flushText()
		p.reasoning.WriteString(c.Reasoning)
	default:
		p.chunks = append(p.list(), c)
	}
}

func (p *pieces) flushText() {
	if p.text.Len() > 0 {
		p.chunks = append(p.chunks, llm.Chunk{Text: p.text.String()})
		p.text.Reset()
	}
}

func (p *pieces) flushReasoning() {
	if p.reasoning.Len() > 0 {
		p.chunks = append(p.chunks, llm.Chunk{Reasoning: p.reasoning.String()})
		p.reasoning.Reset()
	}
}

func (p *pieces) list() []llm.Chunk {
	p.flushText()
	p.flushReasoning()
	return p.chunks
}

func (w *Writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// bare is the messages without the data of their pictures: a recording names
// them only.
func bare(messages []llm.Message) []llm.Message {
	all := slices.Clone(messages)
	for i, m := range all {
		all[i] = wire.Clone(m)
		for j, p := range all[i].Parts {
			all[i].Parts[j].Image = p.Image.Bare()
			if p.Result != nil {
				p.Result.Image = p.Result.Image.Bare()
			}
		}
	}
	return all
}

// add writes one exchange, with what is new since the one before.
func (w *Writer) add(info llm.Info, req llm.Request, chunks []llm.Chunk, failed *failure, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := exchange{
		Model: info.ID, Window: info.ContextWindow, Output: info.MaxOutput, Images: info.Images, Effort: req.Effort, MaxOutput: req.MaxOutput,
		Chunks: chunks, Error: failed, MS: took.Milliseconds(),
	}
	if req.System != w.last.System {
		x.System = &req.System
	}
	if !slices.EqualFunc(w.last.Tools, req.Tools, func(a, b llm.ToolSpec) bool { return a.Name == b.Name && a.Description == b.Description }) {
		x.Tools = req.Tools
	}
	for x.Keep < min(len(req.Messages), len(w.last.Messages)) && wire.Equal(req.Messages[x.Keep], w.last.Messages[x.Keep]) {
		x.Keep++
	}
	x.Messages = bare(req.Messages[x.Keep:])
	w.last = req
	w.note(line{Exchange: &x})
}
