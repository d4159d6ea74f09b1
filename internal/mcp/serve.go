package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

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
	p := &pending{open: make(map[string]bool), changed: make(chan struct{}, 1)}
	transport := &sdk.IOTransport{
		Reader: io.NopCloser(&asked{from: in, ctx: ctx, pending: p}), Writer: answering{out, p}, MaxLineLength: maxMessage,
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
	open    map[string]bool
	changed chan struct{}
}

// note sees a message go by.
func (p *pending) note(line []byte, incoming bool) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(line, &m) != nil || m.ID == nil || incoming != (m.Method != "") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if incoming {
		p.open[string(m.ID)] = true
		return
	}
	delete(p.open, string(m.ID))
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

// asked is the input, whose end is not seen before all answers are out.
type asked struct {
	from    io.Reader
	ctx     context.Context //nolint:containedctx // of Serve, which makes it
	pending *pending
	line    []byte
}

// Read implements io.Reader.
func (a *asked) Read(b []byte) (int, error) {
	n, err := a.from.Read(b)
	rest := b[:n]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		a.pending.note(append(a.line, rest[:i]...), true)
		a.line, rest = a.line[:0], rest[i+1:]
	}
	if a.line = append(a.line, rest...); len(a.line) > maxMessage {
		return 0, errTooLong
	}
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	a.pending.note(a.line, true)
	for !a.pending.none() {
		select {
		case <-a.pending.changed:
		case <-a.ctx.Done():
			return 0, io.EOF
		}
	}
	return 0, io.EOF
}

// answering is the output.
type answering struct {
	to      io.Writer
	pending *pending
}

// Write implements io.Writer. The library writes one message at a time.
func (a answering) Write(b []byte) (int, error) {
	n, err := a.to.Write(b)
	a.pending.note(bytes.TrimSpace(b), false)
	return n, err
}

// Close implements io.Closer.
func (a answering) Close() error { return nil }
