package tools_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/tools"
)

// stopped is a sandbox whose commands are stopped after they destroyed a file.
type stopped struct{}

func (stopped) Confinement() string { return "" }

func (stopped) Exec(context.Context, sandbox.Command) (sandbox.Output, error) {
	return sandbox.Output{Text: "begun", Kept: []sandbox.Kept{{Path: "a.pt", Copy: "/kept/a.pt"}}}, errors.New("context canceled")
}

// What a command destroyed is told though it did not end.
func TestBashTellsWhatStoppedCommandsDestroyed(t *testing.T) {
	t.Parallel()
	out := call(t, tools.Bash(stopped{}, nil), args{"command": "rm a.pt; sleep 60"})
	want := "begun\ncontext canceled\na.pt was overwritten or deleted; the file from before is /kept/a.pt"
	if !out.IsError || strings.TrimSpace(out.Text) != want {
		t.Errorf("got %q", out.Text)
	}
}
