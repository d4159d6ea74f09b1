package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ml-intern/internal/chat"
)

// asking is a question that is being put, request by request.
type asking struct {
	*chat.Ask
	form
	args []string // as the person changed them, "" where they did not
	file string   // with the arguments that are being changed, "" for none
}

// question puts the next request, or gives the answer when all are decided.
func (l *lineChat) question() {
	l.endLine()
	if !l.asking.full() {
		fmt.Fprint(l.std.Err, l.asking.text(true))
		return
	}
	ask := l.asking
	l.asking = nil
	for i := range ask.decisions {
		ask.decisions[i].Args = ask.args[i]
	}
	ask.Answer(ask.decisions)
}

// decide reads what the person says about a request.
func (l *lineChat) decide(line string) {
	var err error
	switch {
	case l.asking.file != "":
		err = l.changed(line)
	case strings.EqualFold(strings.TrimSpace(line), "e"):
		if err = l.change(); err == nil {
			fmt.Fprintf(l.std.Err, "  change %s and press Enter, or type the arguments here as one line of JSON: ", l.asking.file)
			return
		}
	default:
		l.asking.take(line)
	}
	if err != nil {
		l.printf("  not changed: %s\n", revealed(err.Error()))
	}
	l.question()
}

// unask takes the question back, and the file that was to be changed.
func (l *lineChat) unask() {
	if l.asking != nil && l.asking.file != "" {
		_ = os.RemoveAll(filepath.Dir(l.asking.file)) //nolint:errcheck // a file of the person's own, in their temporary folder
	}
	l.asking = nil
}

// change lays the arguments of a call into a file for the person. The terminal
// is being read, so that no editor can be started in it.
func (l *lineChat) change() error {
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(l.asking.now().Call.Args), "", "  "); err != nil {
		return fmt.Errorf("read arguments: %w", err)
	}
	dir, err := os.MkdirTemp("", "ml-intern-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "arguments.json")
	if err := os.WriteFile(file, append(text.Bytes(), '\n'), 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	l.asking.file = file
	return nil
}

// changed takes the arguments from the file, or from the line.
func (l *lineChat) changed(line string) error {
	ask, i := l.asking, len(l.asking.decisions)
	edited := []byte(line)
	if strings.TrimSpace(line) == "" {
		var err error
		if edited, err = os.ReadFile(ask.file); err != nil {
			return err
		}
	}
	err := os.RemoveAll(filepath.Dir(ask.file))
	ask.file = ""
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Compact(&text, edited); err != nil {
		return fmt.Errorf("the arguments are not JSON: %w", err)
	}
	req, err := ask.Edited(i, text.String())
	if err != nil {
		return err
	}
	ask.requests[i], ask.args[i] = req, text.String()
	return nil
}
