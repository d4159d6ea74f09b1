package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/tool"
)

// NotifyInput is what the model wants people to be told.
type NotifyInput struct {
	Message      string   `json:"message"`
	Title        string   `json:"title,omitempty"`
	Severity     string   `json:"severity,omitempty" jsonschema:"info, success, warning or error"`
	Destinations []string `json:"destinations,omitempty"`
}

// Notify tells people something at the destinations of those names, which the
// person has opened to the model. What send returns is a line for each, and
// whether all were reached.
func Notify(names []string, send func(ctx context.Context, callID string, in NotifyInput) ([]string, bool, error)) tool.Tool {
	s := spec("notify", tool.Publishes)
	s.Description += " Destinations: " + strings.Join(names, ", ") + "."
	s.Impact = impact(tool.Publishes, func(in NotifyInput, i *tool.Impact) {
		to := in.Destinations
		if len(to) == 0 {
			to = names
		}
		i.Object = "a message to " + strings.Join(to, ", ")
	})
	return tool.New(s, func(ctx context.Context, in NotifyInput, call tool.Call) (tool.Output, error) {
		switch {
		case strings.TrimSpace(in.Message) == "":
			return tool.Output{}, errors.New("the message is empty")
		case in.Severity != "" && !slices.Contains([]string{"info", "success", "warning", "error"}, in.Severity):
			return tool.Output{}, fmt.Errorf("there is no severity %q; it is info, success, warning or error", in.Severity)
		}
		lines, all, err := send(ctx, call.ID, in)
		if err != nil {
			return tool.Output{}, err
		}
		return tool.Output{Text: strings.Join(lines, "\n"), IsError: !all, Summary: strings.Join(lines, ", ")}, nil
	})
}
