package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"

	"ml-intern/internal/llm"
)

// ErrNotRecording says that a file is no recording.
var ErrNotRecording = errors.New("it is not a recording of ml-intern")

// ErrOver says that the recording has no further reply.
var ErrOver = errors.New("the recording ends here")

// A Recording is a file that was read.
type Recording struct {
	Path      string
	Headers   []Header
	Torn      bool // a crash cut a line, which was left out
	exchanges []exchange
	torn      int      // number of the line before, if it was cut
	steers    []string // that no exchange has followed yet
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 256 << 20

// Open reads a recording.
func Open(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("read recording %s: %w", path, err)
	}
	r.Path = path
	return r, nil
}

// Read reads a recording. A line that a crash has cut is left out.
func Read(from io.Reader) (*Recording, error) {
	r := &Recording{}
	br := bufio.NewReaderSize(from, 1<<16)
	for n := 1; ; n++ {
		text, err := readLine(br)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		over := errors.Is(err, io.EOF)
		if len(bytes.TrimSpace(text)) > 0 {
			if err := r.add(text, n); err != nil {
				return nil, err
			}
		}
		if over {
			break
		}
	}
	if len(r.Headers) == 0 {
		return nil, ErrNotRecording
	}
	r.dropRepeated()
	return r, nil
}

func readLine(br *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		part, err := br.ReadSlice('\n')
		all = append(all, part...)
		if len(all) > maxLine {
			return nil, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return all, err
		}
	}
}

func (r *Recording) add(text []byte, n int) error {
	var l line
	err := json.Unmarshal(text, &l)
	switch {
	case err != nil && len(r.Headers) == 0:
		return ErrNotRecording
	case r.torn > 0 && (err != nil || l.Header == nil): // only a run that died ends so
		return fmt.Errorf("line %d is damaged", r.torn)
	case err != nil:
		r.Torn, r.torn = true, n
		return nil //nolint:nilerr // it is left out, and Torn says so
	}
	r.torn = 0
	switch {
	case l.Header != nil && l.Header.Format > format:
		return fmt.Errorf("its format is %d, and this ml-intern knows %d: it was made by a newer one", l.Header.Format, format)
	case l.Header != nil:
		r.Headers = append(r.Headers, *l.Header)
	case len(r.Headers) == 0:
		return ErrNotRecording
	case l.Exchange != nil && l.Exchange.Keep < 0:
		return fmt.Errorf("line %d is not of a recording", n)
	case l.Steer != "":
		r.steers = append(r.steers, l.Steer)
	case l.Exchange != nil:
		l.Exchange.session = r.Headers[len(r.Headers)-1].Session
		l.Exchange.steers, r.steers = r.steers, nil
		r.exchanges = append(r.exchanges, *l.Exchange)
	}
	return nil
}

// dropRepeated leaves out attempts that failed and were made again, by the
// same model, another one or a later run: the play goes the way that led on.
// What a dropped request had brought is added to the next one.
func (r *Recording) dropRepeated() {
	var kept []exchange
	for i, x := range r.exchanges {
		if x.Error == nil || i == len(r.exchanges)-1 || x.Error.Code == "context_length_exceeded" || x.Error.Status == 413 {
			kept = append(kept, x)
			continue
		}
		next := &r.exchanges[i+1]
		if next.Keep > x.Keep { // else it says all of it again
			next.Messages = append(slices.Clone(x.Messages[:min(next.Keep-x.Keep, len(x.Messages))]), next.Messages...)
			next.Keep = x.Keep
		}
		next.steers = append(x.steers, next.steers...)
		if next.System == nil {
			next.System = x.System
		}
		if next.Tools == nil {
			next.Tools = x.Tools
		}
	}
	r.exchanges = kept
}

// A Prompt is what the person said.
type Prompt struct {
	Text string
	New  bool // it began a session
}

// Prompts lists what the person said, in order.
func (r *Recording) Prompts() []Prompt {
	var prompts []Prompt
	last := ""
	for _, h := range r.Headers {
		if h.Prompt != "" {
			prompts = append(prompts, Prompt{h.Prompt, h.Session != last})
			last = h.Session
		}
	}
	return prompts
}

// Tools lists the tools that the models were shown.
func (r *Recording) Tools() []llm.ToolSpec {
	for _, x := range r.exchanges {
		if len(x.Tools) > 0 {
			return x.Tools
		}
	}
	return nil
}

// A ToolAnswer is what the model was told about a call.
type ToolAnswer struct {
	Call   llm.ToolCall
	Result llm.ToolResult
}

// Results lists the results of the calls, in order. Each call counts once:
// later requests may show its result shortened.
func (r *Recording) Results() []ToolAnswer {
	calls := make(map[string]llm.ToolCall)
	seen := make(map[string]bool)
	var all []ToolAnswer
	for i, x := range r.exchanges {
		if i > 0 && x.session != r.exchanges[i-1].session {
			clear(seen) // another session counts its calls anew
		}
		for _, m := range x.Messages {
			for _, p := range m.Parts {
				if p.Call != nil {
					calls[p.Call.ID] = *p.Call
				}
				if p.Result != nil && !seen[p.Result.CallID] {
					seen[p.Result.CallID] = true
					all = append(all, ToolAnswer{calls[p.Result.CallID], *p.Result})
				}
			}
		}
	}
	return all
}

// Model returns a Model of that id that gives the recorded replies in order,
// whatever it is asked, from where the session that asks has got to. Where a request is not like the one that was recorded,
// a Notice says so, once.
func (r *Recording) Model(id string) Player {
	info := llm.Info{ID: id, Price: &llm.Price{}}
	if len(r.exchanges) > 0 {
		first := r.exchanges[0]
		info.ContextWindow, info.MaxOutput, info.Images = first.Window, first.Output, first.Images
	}
	return &player{info: info, exchanges: slices.Clone(r.exchanges)}
}

type player struct {
	info      llm.Info
	exchanges []exchange

	mu      sync.Mutex
	begun   bool
	at      int
	differs bool
}

// Info implements llm.Model.
func (p *player) Info() llm.Info { return p.info }

// Stream implements llm.Model.
func (p *player) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		x, notice, err := p.next(req)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		if notice != "" && !yield(llm.Chunk{Notice: notice}, nil) {
			return
		}
		for _, c := range x.Chunks {
			if !yield(c, nil) {
				return
			}
		}
		if x.Error != nil {
			yield(llm.Chunk{}, x.Error.err())
		}
	}
}

// A Player is a Model that plays a recording.
type Player interface {
	llm.Model

	// Steers is what the person said to the turn before the reply that is given
	// next, once.
	Steers() []string
}

// Steers implements Player.
func (p *player) Steers() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun || p.at >= len(p.exchanges) {
		return nil
	}
	said := p.exchanges[p.at].steers
	p.exchanges[p.at].steers = nil
	return said
}

func (p *player) next(req llm.Request) (x exchange, notice string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		p.begun, p.at = true, start(p.exchanges, req)
	}
	if p.at >= len(p.exchanges) {
		return x, "", fmt.Errorf("%w: it has %d replies, and another one is asked for", ErrOver, len(p.exchanges))
	}
	x = p.exchanges[p.at]
	p.at++
	if why := unlike(x, req); why != "" && !p.differs {
		p.differs = true
		notice = fmt.Sprintf("request %d is not like the recorded one: %s", p.at, why)
	}
	return x, notice, nil
}

// start is the exchange to begin with. A session that goes on in a new process
// begins where its first request was recorded, never at the start: that would
// make its calls again. If the request was not recorded, it is past the end. A
// new session begins where one with its prompt did, else at the start.
func start(all []exchange, req llm.Request) int {
	begins := !slices.ContainsFunc(req.Messages, func(m llm.Message) bool { return m.Role == llm.Assistant })
	for i, x := range all {
		if unlike(x, req) == "" && (!begins || lastText(x.Messages) == lastText(req.Messages)) {
			return i
		}
	}
	if begins {
		return 0
	}
	return len(all)
}

func lastText(messages []llm.Message) string {
	if len(messages) == 0 {
		return ""
	}
	return messages[len(messages)-1].Text()
}

// unlike says in what the request differs from the recorded one where it
// matters: how many messages there are, and who says what kind of thing.
func unlike(x exchange, req llm.Request) string {
	size := x.Keep + len(x.Messages)
	if len(req.Messages) != size {
		return fmt.Sprintf("it has %d messages, and the recorded one has %d", len(req.Messages), size)
	}
	for i, m := range x.Messages {
		got := req.Messages[x.Keep+i]
		if got.Role != m.Role || shape(got) != shape(m) {
			return fmt.Sprintf("message %d is of another kind", x.Keep+i+1)
		}
	}
	return ""
}

// shape is what a message holds, without the words.
func shape(m llm.Message) string {
	s := ""
	for _, p := range m.Parts {
		switch {
		case p.Call != nil:
			s += "call " + p.Call.Name + ";"
		case p.Result != nil:
			s += "result;"
		case p.Text != "":
			s += "text;"
		}
	}
	return s
}
