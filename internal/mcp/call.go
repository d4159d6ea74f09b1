package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/llm"
	"ml-intern/internal/picture"
	"ml-intern/internal/tool"
)

// maxText is the most text of a result; the agent shortens it further and keeps
// the rest in a file.
const maxText = 2 << 20

// A remoteTool is a tool of a server.
type remoteTool struct {
	link  *link
	found found
}

// Spec implements tool.Tool.
func (t *remoteTool) Spec() tool.Spec {
	return tool.Spec{
		ToolSpec: t.found.spec, Effect: t.found.impact.Effect,
		Impact: func(string) tool.Impact { return t.found.impact },
	}
}

// Run implements tool.Tool.
func (t *remoteTool) Run(ctx context.Context, call tool.Call) (tool.Output, error) {
	args := strings.TrimSpace(call.Args)
	if args == "" {
		args = "{}"
	}
	if !json.Valid([]byte(args)) || args[0] != '{' {
		return tool.Output{Text: "the arguments must be a JSON object; nothing was done", IsError: true, BadArgs: true}, nil
	}
	result, err := t.link.call(ctx, t.found.remote, json.RawMessage(args), call)
	if ctx.Err() != nil && err != nil {
		return tool.Output{}, context.Cause(ctx)
	}
	if err != nil {
		text := plain(err.Error(), 2000)
		return tool.Output{Text: t.mark(text), IsError: true, Summary: cut(t.link.server.Name+": "+text, 200)}, nil
	}
	text, summary, image := render(result)
	return tool.Output{Text: t.mark(text), IsError: result.IsError, Summary: cut(t.link.server.Name+": "+summary, 200), Image: image}, nil
}

func (t *remoteTool) mark(text string) string {
	return t.link.options.Mark("MCP server "+t.link.server.Name, text)
}

// call asks the server. Only what surely has not begun is asked twice.
func (l *link) call(ctx context.Context, name string, args json.RawMessage, call tool.Call) (*sdk.CallToolResult, error) {
	for try := 0; ; try++ {
		c, err := l.connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w; nothing was done", err)
		}
		result, err := l.ask(ctx, c, name, args, call)
		if errors.Is(err, sdk.ErrSessionMissing) && try == 0 { // the server has forgotten us, and says that it did nothing
			l.lost(ctx, c)
			continue
		}
		return result, err
	}
}

// ask makes one try.
func (l *link) ask(ctx context.Context, c *conn, name string, args json.RawMessage, call tool.Call) (*sdk.CallToolResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.server.Timeout, fmt.Errorf("no answer in %v", l.server.Timeout))
	defer cancel()
	params := &sdk.CallToolParams{Name: name, Arguments: args}
	params.SetProgressToken(call.ID)
	l.follow(call.ID, call.Log)
	defer l.follow(call.ID, nil)
	result, err := await(ctx, c.stop, func() (*sdk.CallToolResult, error) { return c.session.CallTool(ctx, params) })
	switch {
	case err == nil && result == nil:
		return nil, errors.New("it answered with nothing")
	case err != nil && !errors.Is(err, sdk.ErrSessionMissing):
		return nil, l.explain(ctx, c, err)
	}
	return result, err
}

// explain says why a request failed.
func (l *link) explain(ctx context.Context, c *conn, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w; whether it did its work is unknown", cause)
	}
	if words, ok := answer(err); ok {
		return errors.New("it says: " + words)
	}
	if why := c.cut(); why != nil {
		return fmt.Errorf("%w; whether it did its work is unknown", why)
	}
	select {
	case <-c.dead:
	case <-time.After(grace / 10): // the end of a connection is seen a moment later
	}
	if !c.alive() {
		if why := c.cause(ctx); why != nil {
			err = why
		}
		return fmt.Errorf("the server is gone: %w; whether it did its work is unknown, and the next call starts it again", err)
	}
	_, words, _ := strings.Cut(err.Error(), rejected+": ") // else the library's own story of what it did
	return errors.New(cmp.Or(words, err.Error()))
}

// answer is the error that the server itself answered with.
func answer(err error) (words string, ok bool) {
	e, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || strings.HasPrefix(e.Message, rejected) {
		return "", false
	}
	return e.Message, true
}

// rejected is what the library says of a request that was not answered as the
// protocol asks for.
const rejected = "rejected by transport"

// follow has progress of the call shown, until show is nil.
func (l *link) follow(id string, show func(string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if show == nil {
		delete(l.tokens, id)
		return
	}
	var last time.Time
	l.tokens[id] = func(line string) {
		if time.Since(last) < time.Second/4 { // enough to see that it works
			return
		}
		last = time.Now()
		show(line)
	}
}

// progress shows what a server says of a call's progress. It is called by one
// goroutine at a time.
func (l *link) progress(p *sdk.ProgressNotificationParams) {
	id, ok := p.ProgressToken.(string)
	if !ok {
		return
	}
	l.mu.Lock()
	show := l.tokens[id]
	l.mu.Unlock()
	if show == nil {
		return
	}
	line := plain(p.Message, 200)
	switch {
	case p.Total > 0:
		line = strings.TrimSpace(fmt.Sprintf("%g of %g %s", p.Progress, p.Total, line))
	case line == "":
		line = fmt.Sprintf("%g", p.Progress)
	}
	show(line)
}

// render is a result as text, and its first picture. What else is no text is
// named.
func render(r *sdk.CallToolResult) (text, summary string, shown *llm.Image) {
	var b strings.Builder
	add := func(s string) {
		if room := maxText - b.Len(); room > 0 && s != "" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(cut(s, room))
		}
	}
	said, tries := false, 0
	for _, c := range r.Content {
		switch c := c.(type) {
		case *sdk.TextContent:
			said = said || strings.TrimSpace(c.Text) != ""
			add(c.Text)
		case *sdk.ImageContent:
			var words string
			tries++
			words, shown = showImage(c, shown, tries <= mostTries)
			add(words)
		case *sdk.AudioContent:
			add(fmt.Sprintf("(a sound, %s, %d bytes: not heard)", plain(c.MIMEType, 60), len(c.Data)))
		case *sdk.ResourceLink:
			add(fmt.Sprintf("(a link to %s: %s)", plain(c.URI, 500), plain(c.Name+" "+c.Description, 300)))
		case *sdk.EmbeddedResource:
			add(resource(c))
		default:
			add(fmt.Sprintf("(something of a kind that is not known: %T)", c))
		}
	}
	if !said && r.StructuredContent != nil {
		if text, err := json.Marshal(r.StructuredContent); err == nil {
			var indented bytes.Buffer
			if json.Indent(&indented, text, "", "  ") == nil {
				add(indented.String())
			}
		}
	}
	if b.Len() == 0 {
		add("(no text)")
	}
	first, _, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
	return b.String(), plain(first, 200), shown
}

// mostTries is how many images of a result are looked into for one to show: a few
// KB may be many points, which take long to read, and nothing ends that.
const mostTries = 3

// showImage is what is said of an image, and the one that is shown: a result has
// one at most. The bytes are trusted, and not what the server says of them.
func showImage(c *sdk.ImageContent, before *llm.Image, try bool) (words string, shown *llm.Image) {
	words = fmt.Sprintf("an image, %s, %d bytes", plain(c.MIMEType, 60), len(c.Data))
	switch {
	case before != nil:
		return "(" + words + ": not shown, a result shows one)", before
	case !try:
		return fmt.Sprintf("(%s: not shown, the first %d are looked into)", words, mostTries), nil
	}
	shown, err := picture.New("of the tool", c.Data)
	if err != nil {
		return "(" + words + ": not shown, " + plain(err.Error(), 200) + ")", nil
	}
	return "(the " + shown.String() + ")", shown
}

func resource(c *sdk.EmbeddedResource) string {
	switch r := c.Resource; {
	case r == nil:
		return "(an empty resource)"
	case r.Text != "":
		return fmt.Sprintf("(%s)\n%s", plain(r.URI, 500), r.Text)
	default:
		return fmt.Sprintf("(%s, %s, %d bytes: not shown)", plain(r.URI, 500), plain(r.MIMEType, 60), len(r.Blob))
	}
}
