package config_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	c, err := load(t, "network: {allow: [wiki.example, \"*.example.com:8443\", 10.0.0.1], deny: [github.com], private: [10.0.0.0/8], jobs: off}\n", "network: {deny: [huggingface.co]}\n", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Network); got != "{[wiki.example *.example.com:8443 10.0.0.1] [github.com huggingface.co] [10.0.0.0/8] off}" {
		t.Error(got)
	}
	for _, bad := range []struct{ own, project, want string }{
		{"network: {allow: [\"*\"]}", "", "needs hosts"},
		{"network: {allow: [\"*.com\"]}", "", "needs hosts"},
		{"network: {allow: [\"https://x.example\"]}", "", "needs hosts"},
		{"network: {allow: x}", "", "list"},
		{"network: {allowed: [x]}", "", "keys are allow, deny, private and jobs"},
		{"network: {private: [\"a b\"]}", "", "needs names"},
		{"network: {jobs: some}", "", "allowed, all or off"},
		{"", "network: {deny: [\"${HF_TOKEN}\"]}", ""},
	} {
		if _, err := load(t, bad.own, bad.project, ""); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s | %s: %v", bad.own, bad.project, err)
		}
	}
	for _, wide := range []string{"network: {allow: [evil.example]}", "network: {private: [10.0.0.1]}", "network: {jobs: all}"} {
		c, err := load(t, "", wide, "")
		if err != nil || len(c.Network.Allow)+len(c.Network.Private)+len(c.Network.Deny)+len(c.Network.Jobs) > 0 || !strings.Contains(strings.Join(c.Notes(), "\n"), "may not") {
			t.Errorf("a project that nobody trusts set %s: %v, %+v, %q", wide, err, c.Network, c.Notes())
		}
	}
}
