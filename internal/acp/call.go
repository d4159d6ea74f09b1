package acp

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// Bounds of what is shown of one call, in bytes.
const (
	maxShown  = 64 << 10  // of a result
	maxArgs   = 256 << 10 // of the arguments, a change among them
	maxBefore = 1 << 20   // of a file that is written over
	maxLive   = 8 << 10   // of what a command prints while it runs
)

// A call is one of the model's, or a command of the person's own.
type call struct {
	llm.ToolCall
	before  *string // the text of the file that is written over; nil if there is none
	unknown bool    // it could not be read, so that no change is shown
	live    string  // the end of what it printed
	grew    bool    // since it was shown
}

// begin shows a call that the model makes.
func (r *record) begin(c llm.ToolCall) {
	k := &call{ToolCall: c}
	r.calls[c.ID] = k
	if c.Name == "plan" {
		return // it is shown as the plan
	}
	k.look(r)
	r.show(sdk.StartToolCall(sdk.ToolCallId(c.ID), k.title(), sdk.WithStartKind(k.kind()), sdk.WithStartStatus(sdk.ToolCallStatusPending),
		sdk.WithStartContent(k.change(r.dir)), sdk.WithStartRawInput(k.input()), func(tc *sdk.SessionUpdateToolCall) { tc.Locations = k.locations(r.dir) }))
}

// look reads the file that a call is about to write over.
func (k *call) look(r *record) {
	if k.Name != "write" || r.replaying {
		return
	}
	data, err := r.read(k.args().Path)
	switch text := string(data); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil || !utf8.Valid(data):
		k.unknown = true
	default:
		k.before = &text
	}
}

// callEvent shows what an event says of a call.
func (r *record) callEvent(ev session.Event) bool {
	switch {
	case ev.Decided != nil:
		if k := r.calls[ev.Decided.CallID]; k != nil && ev.Decided.Args != "" {
			k.Args = ev.Decided.Args
			r.update(k, sdk.WithUpdateTitle(k.title()), sdk.WithUpdateRawInput(k.input()))
		}
	case ev.Started != nil:
		r.update(r.calls[ev.Started.CallID], sdk.WithUpdateStatus(sdk.ToolCallStatusInProgress))
	case ev.Log != nil:
		if k := r.calls[ev.Log.CallID]; k != nil {
			k.print(ev.Log.Line)
		}
	case ev.Waiting != nil:
		text := "waits for " + strings.Join(ev.Waiting.Jobs, ", ")
		r.update(r.calls[ev.Waiting.CallID], sdk.WithUpdateStatus(sdk.ToolCallStatusInProgress), sdk.WithUpdateContent(texts(text)))
	case ev.Result != nil:
		r.result(*ev.Result)
	default:
		return false
	}
	return true
}

// result shows what a call brought.
func (r *record) result(res session.Result) {
	if res.Plan != nil {
		r.plan(res.Plan)
	}
	k := r.calls[res.CallID]
	if k == nil {
		return
	}
	k.live, k.grew = "", false
	status, content := sdk.ToolCallStatusCompleted, k.change(r.dir)
	if res.IsError {
		status, content = sdk.ToolCallStatusFailed, nil
	}
	if res.Text != "" {
		content = append(content, texts(fenced(middle(res.Text, maxShown), ""))...)
	}
	if res.Full != "" {
		content = append(content, texts("All of it is in `"+res.Full+"`.")...)
	}
	if res.Image != nil && len(res.Image.Data) > 0 && !r.replaying {
		content = append(content, sdk.ToolContent(sdk.ImageBlock(base64.StdEncoding.EncodeToString(res.Image.Data), res.Image.MediaType)))
	}
	r.update(k, sdk.WithUpdateStatus(status), sdk.WithUpdateContent(content))
}

// update shows a change of a call, if there is one that is shown.
func (r *record) update(k *call, opts ...sdk.ToolCallUpdateOpt) {
	if k != nil && k.Name != "plan" {
		r.show(sdk.UpdateToolCall(sdk.ToolCallId(k.ID), opts...))
	}
}

// print keeps the end of what a call prints. It is shown from time to time.
func (k *call) print(line string) {
	k.live += strings.ToValidUTF8(line, "?") + "\n"
	if cut := len(k.live) - maxLive; cut > 0 {
		if at := strings.IndexByte(k.live[cut:], '\n'); at >= 0 {
			cut += at + 1
		}
		k.live = strings.ToValidUTF8(k.live[cut:], "")
	}
	k.grew = true
}

// growing reports whether something was printed that is not shown.
func (r *record) growing() bool {
	for _, k := range r.calls {
		if k.grew {
			return true
		}
	}
	for _, k := range r.runs {
		if k.grew {
			return true
		}
	}
	return false
}

// grown shows what was printed.
func (r *record) grown() {
	show := func(k *call) {
		if k.grew {
			k.grew = false
			r.update(k, sdk.WithUpdateContent(texts(fenced(k.live, ""))))
		}
	}
	for _, k := range r.calls {
		show(k)
	}
	for _, k := range r.runs {
		show(k)
	}
}

// ran shows a command of the person's own.
func (r *record) ran(u chat.Ran) {
	k := r.runs[u.ID]
	if k == nil {
		k = &call{ToolCall: llm.ToolCall{ID: fmt.Sprintf("own-%d", u.ID), Name: "bash"}}
		r.runs[u.ID] = k
		r.show(sdk.StartToolCall(sdk.ToolCallId(k.ID), "!"+oneLine(u.Command, 200), sdk.WithStartKind(sdk.ToolKindExecute), sdk.WithStartStatus(sdk.ToolCallStatusInProgress)))
	}
	if u.Out {
		k.print(u.Line)
	}
	if !u.Done {
		return
	}
	delete(r.runs, u.ID)
	status, text := sdk.ToolCallStatusCompleted, k.live
	switch {
	case u.Err != "":
		status, text = sdk.ToolCallStatusFailed, text+u.Err
	case u.Stopped:
		status, text = sdk.ToolCallStatusFailed, text+"stopped"
	case u.Code != 0:
		status, text = sdk.ToolCallStatusFailed, text+fmt.Sprintf("exit status %d", u.Code)
	}
	r.update(k, sdk.WithUpdateStatus(status), sdk.WithUpdateContent(texts(fenced(text, ""))))
}

// asked is a call as the person is shown it who decides: why they are asked,
// what it costs, and the change or the script in full.
func (r *record) asked(req approval.Request) sdk.ToolCallUpdate {
	k := r.calls[req.Call.ID]
	if k == nil {
		k = &call{ToolCall: req.Call, unknown: true}
	}
	k.Args = req.Call.Args
	content := texts(reasons(req))
	change := k.change(r.dir)
	switch {
	case change != nil:
		content = append(content, change...)
	case req.Show != "":
		content = append(content, texts(fenced(middle(req.Show, maxArgs), ""))...)
	default:
		content = append(content, texts(fenced(middle(req.Call.Args, maxShown), "json"))...)
	}
	pending := sdk.ToolCallStatusPending
	return sdk.ToolCallUpdate{
		ToolCallId: sdk.ToolCallId(req.Call.ID), Title: sdk.Ptr(k.title()), Kind: sdk.Ptr(k.kind()), Status: &pending,
		Content: content, Locations: k.locations(r.dir), RawInput: k.input(),
	}
}

func texts(text string) []sdk.ToolCallContent {
	if text == "" {
		return nil
	}
	return []sdk.ToolCallContent{sdk.ToolContent(sdk.TextBlock(text))}
}

// arguments are those that editors can show in a way of their own.
type arguments struct {
	Path, Old, New, Content string
	Offset                  int
}

func (k *call) args() (a arguments) {
	if len(k.Args) <= maxArgs {
		_ = json.Unmarshal([]byte(k.Args), &a) // what is not there is empty
	}
	return a
}

// change is what a call changes in a file: all of the file that is written, the
// part of it that is edited.
func (k *call) change(dir string) []sdk.ToolCallContent {
	a := k.args()
	switch {
	case a.Path == "" || k.unknown:
	case k.Name == "edit":
		return []sdk.ToolCallContent{sdk.ToolDiffContent(inside(dir, a.Path), a.New, a.Old)}
	case k.Name == "write" && k.before != nil:
		return []sdk.ToolCallContent{sdk.ToolDiffContent(inside(dir, a.Path), a.Content, *k.before)}
	case k.Name == "write":
		return []sdk.ToolCallContent{sdk.ToolDiffContent(inside(dir, a.Path), a.Content)}
	}
	return nil
}

func inside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// locations are the files that an editor can follow a call to.
func (k *call) locations(dir string) []sdk.ToolCallLocation {
	a := k.args()
	if a.Path == "" || !slices.Contains([]string{"read", "write", "edit", "inspect_dataset"}, k.Name) {
		return nil
	}
	at := sdk.ToolCallLocation{Path: inside(dir, a.Path)}
	if a.Offset > 0 {
		at.Line = sdk.Ptr(a.Offset)
	}
	return []sdk.ToolCallLocation{at}
}

// input are the arguments as the protocol wants them.
func (k *call) input() any {
	if len(k.Args) > maxArgs || !json.Valid([]byte(k.Args)) {
		return middle(k.Args, maxShown)
	}
	return json.RawMessage(k.Args)
}

// kind is what sort of tool it is, for the editor's picture of it.
func (k *call) kind() sdk.ToolKind {
	switch k.Name {
	case "read", "inspect_dataset", "hf_inspect_dataset", "job_logs", "job_metrics", "hub_repo_details":
		return sdk.ToolKindRead
	case "write", "edit":
		return sdk.ToolKindEdit
	case "bash", "job_submit", "job_schedule":
		return sdk.ToolKindExecute
	case "papers", "docs", "github", "hub_search", "web_search", "python_api":
		return sdk.ToolKindSearch
	case "web_fetch", "hub_download":
		return sdk.ToolKindFetch
	case "research", "compare_runs":
		return sdk.ToolKindThink
	case "sandbox_delete":
		return sdk.ToolKindDelete
	}
	return sdk.ToolKindOther
}

// title is a call in one line: its name and what tells most of it.
func (k *call) title() string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(k.Args), &fields) // else the name says it all
	if command, ok := fields["command"].(string); ok && k.Name == "bash" {
		return "`" + strings.ReplaceAll(oneLine(command, 200), "`", "'") + "`"
	}
	words := k.Name
	for _, key := range []string{"operation", "repo_id", "arxiv_id", "path", "name", "repo", "job", "dataset", "section", "query", "url", "task"} {
		if text, ok := fields[key].(string); ok && text != "" {
			words += " " + text
			if key != "operation" {
				break
			}
		}
	}
	return oneLine(words, 200)
}

// oneLine is a text without breaks, and without what turns letters around.
func oneLine(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == ' ' }), " ")
	s = strings.Map(func(r rune) rune {
		if r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
