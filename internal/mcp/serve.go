package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/tool"
)

// An Offer is what a server gives to other agents.
type Offer struct {
	Version      string
	Instructions string // what the other model is told of all tools
	Tools        []tool.Spec

	// Call runs a tool, and shows its progress. It returns what the other model
	// reads. It is called from several goroutines at once.
	Call func(ctx context.Context, name, args string, show func(line string)) (text string, isError bool)
}

// Serve answers one client on these streams until the input ends, and then until
// all that was asked is answered. Nothing else may write to out.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Offer) error {
	server := sdk.NewServer(&sdk.Implementation{Name: "ml-intern", Version: o.Version}, &sdk.ServerOptions{Instructions: o.Instructions})
	for _, spec := range o.Tools {
		server.AddTool(described(spec), o.handler(spec.Name))
	}
	p := &pending{open: make(map[any]bool), changed: make(chan struct{}, 1)}
	answers := &answering{pending: p, to: out}
	transport := &sdk.IOTransport{
		Reader: io.NopCloser(&asked{from: bufio.NewReaderSize(in, 64<<10), ctx: ctx, pending: p, out: answers}), Writer: answers, MaxLineLength: maxMessage + 1<<10,
	}
	err := server.Run(ctx, transport)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func described(spec tool.Spec) *sdk.Tool {
	yes := true
	a := &sdk.ToolAnnotations{ReadOnlyHint: spec.Effect == tool.Reads, OpenWorldHint: &yes, IdempotentHint: spec.Resumable}
	if !a.ReadOnlyHint {
		destroys := spec.Effect == tool.Publishes
		a.DestructiveHint = &destroys
	}
	return &sdk.Tool{Name: spec.Name, Description: spec.Description, InputSchema: spec.Schema, Annotations: a}
}

func (o Offer) handler(name string) sdk.ToolHandler {
	return func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		show, n := func(string) {}, 0.0
		if token := r.Params.GetProgressToken(); token != nil {
			var mu sync.Mutex
			show = func(line string) {
				mu.Lock()
				defer mu.Unlock()
				n++
				_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: line}) // nobody may be there
			}
		}
		text, isError := o.Call(ctx, name, string(r.Params.Arguments), show)
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}, IsError: isError}, nil
	}
}

// pending counts the requests that have no answer yet, so that the end of the
// input does not take the answers away from who asked by a pipe.
type pending struct {
	mu      sync.Mutex
	open    map[any]bool
	changed chan struct{}
}

func (p *pending) asked(id jsonrpc.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[id.Raw()] = true
}

func (p *pending) answered(id jsonrpc.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, id.Raw())
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *pending) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open) == 0
}

// asked is the input, a message a line. What is no message is answered here and
// left out, since the library would end the connection for it. The end is not seen
// before all answers are out.
type asked struct {
	from    *bufio.Reader
	ctx     context.Context //nolint:containedctx // of Serve, which makes it
	pending *pending
	out     *answering
	ready   []byte // not yet passed on
	err     error  // what comes after it
}

// Read implements io.Reader.
func (a *asked) Read(b []byte) (int, error) {
	for len(a.ready) == 0 {
		if errors.Is(a.err, io.EOF) {
			a.wait()
		}
		if a.err != nil {
			return 0, a.err
		}
		var line []byte
		if line, a.err = a.line(); line != nil {
			if err := a.take(bytes.TrimSpace(line)); err != nil {
				return 0, err
			}
		}
	}
	n := copy(b, a.ready)
	a.ready = a.ready[n:]
	return n, nil
}

// line reads a line of bounded length, nil for one that was longer.
func (a *asked) line() ([]byte, error) {
	line := []byte{}
	for {
		piece, err := a.from.ReadSlice('\n')
		if line != nil {
			line = append(line, piece...)
		}
		if len(line) > maxMessage {
			line = nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if line == nil {
			err = errors.Join(err, a.out.refuse(nil, jsonrpc.CodeInvalidRequest, fmt.Sprintf("the message has more than %d MB", maxMessage>>20)))
		}
		return line, err
	}
}

// take passes a message on, or answers what is none. Those of a batch, which older
// revisions know, are passed on one by one.
func (a *asked) take(text []byte) error {
	switch {
	case len(text) == 0:
		return nil
	case !json.Valid(text):
		return a.out.refuse(nil, jsonrpc.CodeParseError, "the line is no JSON")
	case text[0] != '[':
		return a.pass(text)
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(text, &batch); err != nil || len(batch) == 0 {
		return a.out.refuse(nil, jsonrpc.CodeInvalidRequest, "the batch is empty")
	}
	for _, one := range batch {
		if err := a.pass(one); err != nil {
			return err
		}
	}
	return nil
}

func (a *asked) pass(text []byte) error {
	m, err := jsonrpc.DecodeMessage(text)
	if err != nil {
		var its struct {
			ID any `json:"id"`
		}
		_ = json.Unmarshal(text, &its) // else it has none
		return a.out.refuse(its.ID, jsonrpc.CodeInvalidRequest, "the line is no message of JSON-RPC 2.0: "+err.Error())
	}
	if r, ok := m.(*jsonrpc.Request); ok && r.ID.IsValid() {
		a.pending.asked(r.ID)
	}
	a.ready = append(append(a.ready, text...), '\n')
	return nil
}

func (a *asked) wait() {
	for !a.pending.none() {
		select {
		case <-a.pending.changed:
		case <-a.ctx.Done():
			return
		}
	}
}

// answering is the output.
type answering struct {
	pending *pending

	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer. The library writes one message at a time.
func (a *answering) Write(b []byte) (int, error) {
	a.mu.Lock()
	n, err := a.to.Write(b)
	a.mu.Unlock()
	if m, bad := jsonrpc.DecodeMessage(bytes.TrimSpace(b)); bad == nil {
		if r, ok := m.(*jsonrpc.Response); ok {
			a.pending.answered(r.ID)
		}
	}
	return n, err
}

// refuse answers what is no message. Only a text or a number is an id.
func (a *answering) refuse(id any, code int64, why string) error {
	switch id.(type) {
	case string, float64:
	default:
		id = nil
	}
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": code, "message": plain(why, 300)}})
	if err != nil {
		return fmt.Errorf("write error: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.to.Write(append(line, '\n'))
	return err
}

// Close implements io.Closer.
func (a *answering) Close() error { return nil }
