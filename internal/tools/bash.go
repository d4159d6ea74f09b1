package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
)

// executor is the part of a sandbox that Bash uses.
type executor interface {
	Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Output, error)
	Confinement() string
}

const (
	defaultTimeout = 2 * time.Minute
	maxTimeout     = 10 * time.Minute
)

// Bash runs a shell line in the sandbox. The exit status ends the text; a
// command that fails is a result with IsError. Each command is told to trying,
// and if it goes well, what that returned is called.
func Bash(sb executor, trying func(command string) (wentWell func())) tool.Tool {
	type input struct {
		Command  string `json:"command"`
		TimeoutS int    `json:"timeout_s,omitempty" jsonschema:"default 120, at most 600"`
	}
	s := spec("bash", tool.Executes)
	s.Impact = impact(tool.Executes, func(in input, i *tool.Impact) {
		i.Shell = in.Command
		if sb.Confinement() == "" {
			i.Outside = "it runs a command, which --unconfined leaves without confinement"
		}
	})
	s.Show = showing(func(_ context.Context, in input) string { return in.Command })
	return tool.New(s, func(ctx context.Context, in input, call tool.Call) (tool.Output, error) {
		if strings.TrimSpace(in.Command) == "" {
			return tool.Output{}, fmt.Errorf("the command is empty")
		}
		timeout := defaultTimeout
		if in.TimeoutS > 0 {
			timeout = min(time.Duration(in.TimeoutS)*time.Second, maxTimeout)
		}
		wentWell := func() {}
		if trying != nil {
			wentWell = trying(in.Command)
		}
		out, err := sb.Exec(ctx, sandbox.Command{ID: call.ID, Line: in.Command, Timeout: timeout, Log: call.Log})
		if err != nil {
			return tool.Output{Text: withLastLine(out.Text, err.Error()) + keptWords(out.Kept...) + noteWords(out.Notes), IsError: true, Summary: err.Error()}, nil
		}
		if out.Code == 0 && !out.TimedOut {
			wentWell()
		}
		status := fmt.Sprintf("[exit %d, %.1f s]", out.Code, out.Seconds)
		if out.TimedOut {
			status = fmt.Sprintf("[timed out after %.0f s, the process group was killed]", timeout.Seconds())
		}
		return tool.Output{
			Text:    withLastLine(out.Text, status) + keptWords(out.Kept...) + noteWords(out.Notes),
			IsError: out.Code != 0 || out.TimedOut,
			Summary: strings.Trim(status, "[]") + ": " + shorten(in.Command, 80),
		}, nil
	})
}

// noteWords is what confinement has to say, each on a line.
func noteWords(notes []string) string {
	var b strings.Builder
	for _, note := range notes {
		b.WriteString("\n[" + note + "]")
	}
	return b.String()
}

func withLastLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line
}

// shorten returns the first line of s, n characters at most.
func shorten(s string, n int) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	runes := []rune(line)
	if len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	if more {
		return line + " …"
	}
	return line
}
