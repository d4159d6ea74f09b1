package tools_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// A message goes out as the model wrote it, with the call's id; what cannot be
// meant goes nowhere, and whoever was not reached is named.
func TestNotify(t *testing.T) {
	t.Parallel()
	var sent []string
	n := tools.Notify([]string{"hook", "team"}, func(_ context.Context, callID string, in tools.NotifyInput) ([]string, bool, error) {
		if in.Message == "fail" {
			return nil, false, errors.New("too many")
		}
		sent = append(sent, callID+" "+strings.Join(in.Destinations, ",")+" "+in.Severity+" "+in.Message)
		return []string{"hook: sent", "team: failed (no)"}, in.Message == "all", nil
	})
	if d := n.Spec().Description; !strings.HasSuffix(d, "Destinations: hook, team.") {
		t.Errorf("%s", d)
	}
	if i := n.Spec().Impact(`{"message":"x"}`); i.Effect != tool.Publishes || i.Object != "a message to hook, team" {
		t.Errorf("%+v", i)
	}
	for args, want := range map[string]string{
		`{"message":"all","destinations":["hook"],"severity":"error"}`: "hook: sent\nteam: failed (no)",
		`{"message":" "}`:                       "error: the message is empty",
		`{"message":"x","severity":"critical"}`: `error: there is no severity "critical"`,
		`{"message":"fail"}`:                    "error: too many",
	} {
		out, err := n.Run(t.Context(), tool.Call{ID: "c1", Args: args, Log: func(string) {}})
		got := out.Text
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) || out.IsError {
			t.Errorf("%s: %s %v", args, got, out.IsError)
		}
	}
	if out, err := n.Run(t.Context(), tool.Call{ID: "c2", Args: `{"message":"some"}`, Log: func(string) {}}); err != nil || !out.IsError {
		t.Errorf("%+v %v", out, err)
	}
	if len(sent) != 2 {
		t.Errorf("%q", sent)
	}
}
