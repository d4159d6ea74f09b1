package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/config"
)

func TestNotifyMistakes(t *testing.T) {
	t.Parallel()
	in := func(destination string) string {
		return "notify:\n  destinations:\n    x: {" + destination + "}"
	}
	mail := "type: email, host: mail.example, from: a@b.c, to: [d@e.f]"
	for text, want := range map[string]string{
		"notify: [x]":                                                   "expected keys with values",
		"notify:\n  event: [error]":                                     `:2: notify has no key "event"; did you mean events?`,
		"notify:\n  events: [eror]":                                     `:2: notify events has no "eror"; did you mean error?`,
		"notify:\n  events: [\"work_*\"]":                               `has no "work_*"`,
		"notify:\n  destinations:\n    X y: {type: desktop}":            ":3: notify of X y: is no name for a destination",
		in("type: slak"):                                                `:3: notify of x: type has no "slak"; did you mean slack?`,
		in("agent: true"):                                               `type has no ""`,
		in("type: slack, tokn: x"):                                      `there is no key "tokn"; did you mean token?`,
		in("type: slack, url: \"https://x\""):                           "url is no key of a slack, which has token, channel, username, icon",
		in("type: slack, channel: C1"):                                  "needs a token, or SLACK_BOT_TOKEN in the environment",
		in("type: slack, token: xoxb-1"):                                "needs a channel, or SLACK_CHANNEL_ID in the environment",
		in("type: desktop, sequence: osc8"):                             `sequence has no "osc8"`,
		in("type: webhook, url: \"https://x\", secret: short"):          "secret needs 16 letters at least",
		in("type: webhook, url: \"ftp://x\", secret: 0123456789abcdef"): "url must begin with https://",
		in("type: webhook, url: \"http://hooks.example\", secret: 0123456789abcdef"):    "url must begin with https://: what is sent would go out unencrypted",
		in("type: webhook, url: \"http://127.evil.example\", secret: 0123456789abcdef"): "url must begin with https://: what is sent would go out unencrypted",
		in("type: webhook, url: \"https://me:pw@x\", secret: 0123456789abcdef"):         "hold no password",
		in("type: webhook, url: \"https://x\", secret: \"whsec_not base64 at all\""):    "what follows is not base64",
		in("type: webhook, url: \"https://x\", secret: \"${NOT_SET}\""):                 "needs the variable NOT_SET",
		in(mail + ", tls: none"):    "tls: none is for a mail server of this machine",
		in(mail + ", tls: tsl"):     `tls has no "tsl"`,
		in(mail + ", username: me"): "username and password go together",
		in(mail + ", port: 70000"):  "port is no port",
		in("type: email, host: mail.example, from: nobody, to: [d@e.f]"):                    "need addresses such as me@example.com",
		in("type: email, host: mail.example, from: a@b.c, to: [\"d@e.f\\r\\nBcc: x@y.z\"]"): "need addresses such as me@example.com",
		in("type: email, host: \"mail.example:25\", from: a@b.c, to: [d@e.f]"):              "without a port",
		in("type: email, host: mail.example, from: a@b.c, to: []"):                          "to must be a list of at least one address",
	} {
		_, err := loaded(t, text, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// Secrets are known as such and never shown; patterns of events are kinds.
func TestNotifyDestinations(t *testing.T) {
	t.Parallel()
	c, err := loaded(t, `notify:
  events: [error, "job_*"]
  destinations:
    hook: {type: webhook, url: "https://hooks.example/services/T0123456789abcdefghij?x=1", secret: "${SIGN}", agent: true}
    mail: {type: email, host: mail.example, username: me, password: "${PW}", from: "Me <a@b.c>", to: [d@e.f], events: []}
    team: {type: slack}
`, t.TempDir(), "SIGN=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "PW=mail-password-1", "SLACK_BOT_TOKEN=xoxb-env-1234", "SLACK_CHANNEL_ID=C1")
	if err != nil {
		t.Fatal(err)
	}
	all := c.NotifyDestinations()
	if len(all) != 3 || !slices.Equal(all["hook"].Events, []string{"error", "job_finished", "job_failed", "job_warning"}) || len(all["mail"].Events) != 0 || all["team"].Token != "xoxb-env-1234" || all["team"].Channel != "C1" {
		t.Errorf("%+v", all)
	}
	for _, want := range []string{"T0123456789abcdefghij", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "mail-password-1", "xoxb-env-1234"} {
		if !slices.Contains(c.Secrets(), want) {
			t.Errorf("%q is no secret", want)
		}
	}
	for _, v := range c.Values() {
		for _, secret := range c.Secrets() {
			if strings.Contains(v.Value, secret) {
				t.Errorf("%s is shown as %s", v.Key, v.Value)
			}
		}
	}
}

// A folder names nobody: not by its file, nor by .env, which could send what the
// person's token may.
func TestFolderNotifiesNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("SLACK_BOT_TOKEN=xoxb-theirs\nSLACK_CHANNEL_ID=C666\nHOOK=https://theirs.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loaded(t, "", dir)
	if err != nil || len(c.NotifyDestinations()) > 0 {
		t.Errorf("%v %v", c.NotifyDestinations(), err)
	}
	if c, err = loaded(t, "", dir, "SLACK_BOT_TOKEN=xoxb-mine"); err != nil || len(c.NotifyDestinations()) > 0 {
		t.Errorf("the person's token goes to a channel of the folder: %v %v", c.NotifyDestinations(), err)
	}
	_, err = loaded(t, "notify: {destinations: {x: {type: webhook, url: \"${HOOK}\", secret: 0123456789abcdef}}}", dir)
	if err == nil || !strings.Contains(err.Error(), "needs the variable HOOK") {
		t.Errorf("%v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".ml-intern"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ml-intern", "config.yaml"), []byte("notify: {events: [], destinations: {x: {type: desktop}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err = loaded(t, "notify: {events: [error], destinations: {mine: {type: desktop}}}", dir)
	if err != nil || len(c.NotifyDestinations()) != 1 || len(c.Notify.Events) != 1 || !strings.Contains(strings.Join(c.Notes(), "\n"), "only your own file may set notify") {
		t.Errorf("%v %v %v", c.NotifyDestinations(), c.Notes(), err)
	}
	if err := c.TrustFolder(dir); err != nil { // which changes nothing in that
		t.Fatal(err)
	}
	c, err = config.Load([]string{"ML_INTERN_HOME=" + filepath.Dir(c.Paths.Config)}, dir)
	if err != nil || c.Trust != config.Trusted || len(c.NotifyDestinations()) != 1 || len(c.Notify.Events) != 1 || !strings.Contains(strings.Join(c.Notes(), "\n"), "only your own file may set notify") {
		t.Errorf("%v %v %v %v", c.Trust, c.NotifyDestinations(), c.Notes(), err)
	}
}

func TestNotifySchema(t *testing.T) {
	t.Parallel()
	data, err := config.Schema()
	var schema struct {
		Properties struct {
			Notify struct {
				Properties struct {
					Destinations struct {
						AdditionalProperties struct {
							OneOf []struct{ Properties map[string]any }
						}
					}
				}
			}
		}
	}
	if err != nil || json.Unmarshal(data, &schema) != nil {
		t.Fatal(err)
	}
	kinds := schema.Properties.Notify.Properties.Destinations.AdditionalProperties.OneOf
	if len(kinds) != 4 || kinds[2].Properties["secret"] == nil || kinds[0].Properties["secret"] != nil {
		t.Errorf("%+v", kinds)
	}
}

// The example in the documents works as it stands there.
func TestNotifyExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/notifications.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n    notify:\n")
	block, _, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("there is no example")
	}
	c, err := loaded(t, "notify:\n"+strings.ReplaceAll(block, "\n    ", "\n")[4:]+"\n", t.TempDir(), "SLACK_BOT_TOKEN=xoxb-1234567890", "HOOK_SECRET=0123456789abcdef", "SMTP_PASSWORD=mail-password-1")
	if err != nil || len(c.NotifyDestinations()) != 4 {
		t.Errorf("%v %v", c.NotifyDestinations(), err)
	}
}
