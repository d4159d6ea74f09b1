package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// Bounds of a server's list of tools.
const (
	maxTools       = 500
	maxPages       = 50
	maxName        = 64 // bytes of the name of a tool, for providers of models
	maxDescription = 2000
	maxSchema      = 16 << 10
	maxDepth       = 16
	maxNotices     = 5
)

// Prefix begins the names of all tools of servers.
const Prefix = "mcp__"

// A found is a tool of a server that may be offered.
type found struct {
	remote string // as the server calls it
	spec   llm.ToolSpec
	impact tool.Impact
}

// refresh returns the tools of the server, read again if it was started or says
// that they have changed. One that does not answer keeps those that it had.
func (l *link) refresh(ctx context.Context) state {
	select {
	case l.dialing <- struct{}{}:
		defer func() { <-l.dialing }()
	case <-ctx.Done():
		return l.state(nil)
	}
	c, err := l.connectHeld(ctx)
	if err == nil && l.changed.Swap(false) {
		if err = l.read(ctx, c); err != nil {
			l.changed.Store(true)
		}
	}
	return l.state(err)
}

// state is what is known of the server.
func (l *link) state(err error) state {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := state{tools: l.tools, notices: l.notices, err: err}
	if err != nil {
		if rest, ok := errors.AsType[restError](err); ok { // a person is told the same only once
			err = rest.why
		}
		text := strings.TrimPrefix(err.Error(), errDown.Error()+": ")
		st.notices = []string{"no tools of it: " + plain(text, 500)}
		if len(l.tools) > 0 {
			st.notices = []string{"its tools do not work just now: " + plain(text, 500)}
		}
	}
	return st
}

// read asks for the list.
func (l *link) read(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.server.StartTimeout, fmt.Errorf("it did not list its tools in %v", l.server.StartTimeout))
	defer cancel()
	all, err := await(ctx, c.stop, func() ([]*sdk.Tool, error) { return list(ctx, c.session) })
	if err != nil {
		return l.explain(ctx, c, err)
	}
	tools, notices := l.choose(all)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tools, l.notices = tools, notices
	return nil
}

func list(ctx context.Context, session *sdk.ClientSession) ([]*sdk.Tool, error) {
	var all []*sdk.Tool
	cursor := ""
	for range maxPages {
		page, err := session.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Tools...)
		if cursor = page.NextCursor; cursor == "" || len(all) > maxTools {
			return all, nil
		}
	}
	return nil, fmt.Errorf("its list of tools has more than %d pages", maxPages)
}

// choose takes the tools that can be offered, and says of the others why not.
func (l *link) choose(all []*sdk.Tool) (tools []found, notices []string) {
	if len(all) > maxTools {
		notices = append(notices, fmt.Sprintf("it has more than %d tools: the others are left out", maxTools))
		all = all[:maxTools]
	}
	refused := 0
	for _, t := range all {
		if t == nil || !l.wanted(t.Name) {
			continue
		}
		f, err := l.offer(t)
		if err == nil {
			tools = append(tools, f)
			continue
		}
		if refused++; refused <= maxNotices {
			notices = append(notices, fmt.Sprintf("its tool %q is left out: %v", plain(t.Name, 80), err))
		}
	}
	if refused > maxNotices {
		notices = append(notices, fmt.Sprintf("%d more of its tools are left out", refused-maxNotices))
	}
	notices = append(notices, l.unmatched(all)...)
	slices.SortFunc(tools, func(a, b found) int { return strings.Compare(a.spec.Name+"\x00"+a.remote, b.spec.Name+"\x00"+b.remote) })
	return tools, notices
}

// unmatched says which tools the configuration names that the server lacks: else a
// slip there is a server without tools, and nobody hears why.
func (l *link) unmatched(all []*sdk.Tool) (notices []string) {
	for _, pattern := range l.server.Tools[:min(len(l.server.Tools), maxNotices)] {
		if !slices.ContainsFunc(all, func(t *sdk.Tool) bool { return t != nil && matches(pattern, t.Name) }) {
			notices = append(notices, fmt.Sprintf("it has no tool %q, which the configuration names", plain(pattern, 80)))
		}
	}
	return notices
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func (l *link) wanted(name string) bool {
	return len(l.server.Tools) == 0 || slices.ContainsFunc(l.server.Tools, func(pattern string) bool {
		return matches(pattern, name)
	})
}

// offer puts a tool into our form.
func (l *link) offer(t *sdk.Tool) (found, error) {
	name, err := toolName(l.server.Name, t.Name)
	if err != nil {
		return found{}, err
	}
	schema, err := checkSchema(t.InputSchema)
	if err != nil {
		return found{}, err
	}
	description := plain(t.Description, maxDescription)
	if description == "" {
		description = plain(t.Title, maxDescription)
	}
	return found{
		remote: t.Name,
		spec:   llm.ToolSpec{Name: name, Description: fmt.Sprintf("(MCP server %s) %s", l.server.Name, description), Schema: schema},
		impact: l.impact(t),
	}, nil
}

// nameOfTool is what the protocol allows.
const nameOfTool = `^[A-Za-z0-9_./-]{1,128}$`

// toolName is the name under which the model knows a tool: of letters, digits, _
// and -, and not too long for providers.
func toolName(server, name string) (string, error) {
	if !regexp.MustCompile(nameOfTool).MatchString(name) {
		return "", errors.New("the name has characters that no name may have, or too many")
	}
	full := Prefix + server + "__" + strings.NewReplacer(".", "_", "/", "_").Replace(name)
	if len(full) > maxName {
		sum := fmt.Sprintf("_%x", sha256.Sum256([]byte(full)))[:9]
		full = full[:maxName-len(sum)] + sum
	}
	return full, nil
}

// checkSchema returns the schema of a tool's arguments, the same bytes for the
// same schema.
func checkSchema(given any) (json.RawMessage, error) {
	if given == nil {
		return json.RawMessage(`{"type":"object"}`), nil
	}
	object, ok := given.(map[string]any)
	if !ok {
		return nil, errors.New("the schema of its arguments is no object")
	}
	if depth(object) > maxDepth {
		return nil, fmt.Errorf("the schema of its arguments is more than %d levels deep", maxDepth)
	}
	if object["type"] != "object" {
		return nil, errors.New("the schema of its arguments is not one of an object")
	}
	delete(object, "$schema") // which says nothing to a model
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode the schema of its arguments: %w", err)
	}
	if len(text) > maxSchema {
		return nil, fmt.Errorf("the schema of its arguments has %d KB, more than %d", len(text)>>10, maxSchema>>10)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, errors.New("the schema of its arguments is broken: " + plain(err.Error(), 200))
	}
	if _, err := schema.Resolve(&jsonschema.ResolveOptions{Loader: noLoader}); err != nil {
		return nil, errors.New("the schema of its arguments is broken: " + plain(err.Error(), 200))
	}
	return text, nil
}

// noLoader fetches nothing that a schema names.
func noLoader(*url.URL) (*jsonschema.Schema, error) {
	return nil, errors.New("it names a schema elsewhere")
}

// depth is how many levels a value has, as far as that matters.
func depth(v any) int {
	deepest, stack := 0, []level{{v, 1}}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if deepest = max(deepest, top.depth); deepest > maxDepth {
			return deepest
		}
		switch v := top.value.(type) {
		case map[string]any:
			for _, inner := range v {
				stack = append(stack, level{inner, top.depth + 1})
			}
		case []any:
			for _, inner := range v {
				stack = append(stack, level{inner, top.depth + 1})
			}
		}
	}
	return deepest
}

type level struct {
	value any
	depth int
}

// impact is what the policy judges a tool by. The server's word is taken for
// what only reads and for what destroys; all else is asked about: a program runs
// outside confinement, and a server elsewhere may do anything.
func (l *link) impact(t *sdk.Tool) tool.Impact {
	i := tool.Impact{Effect: tool.Executes}
	where := "which runs outside confinement"
	if l.server.Command == "" {
		i.Effect, where = tool.Publishes, "at "+l.server.URL
		if u, err := url.Parse(l.server.URL); err == nil {
			i.Hosts, where = []string{u.Hostname()}, "at "+u.Host
		}
	}
	a := t.Annotations
	if a != nil && a.ReadOnlyHint {
		i.Effect = tool.Reads
		return i
	}
	i.Outside = fmt.Sprintf("it calls %s of the MCP server %s, %s", t.Name, l.server.Name, where)
	i.Object = t.Name + " of the MCP server " + l.server.Name
	i.Deletes = a != nil && a.DestructiveHint != nil && *a.DestructiveHint
	return i
}
