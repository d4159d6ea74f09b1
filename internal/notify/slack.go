package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// SlackURL is where Slack's methods are.
const SlackURL = "https://slack.com/api"

// maxSlack is what a text of Slack may have, in letters, with some room.
const maxSlack = 39_900

// Slack writes messages into a channel as a bot.
type Slack struct {
	URL      string // SlackURL if empty
	Token    string // of the bot
	Channel  string
	Username string
	Icon     string // such as :robot_face:
	Via      http.RoundTripper
}

// Send implements Sender.
func (s Slack) Send(ctx context.Context, m Message) error {
	body := map[string]any{
		"channel": s.Channel, "text": SlackText(m), "mrkdwn": true, "unfurl_links": false, "unfurl_media": false,
	}
	if s.Username != "" {
		body["username"] = s.Username
	}
	if s.Icon != "" {
		body["icon_emoji"] = s.Icon
	}
	data, err := json.Marshal(body)
	if err != nil {
		return &Failure{Text: fmt.Sprintf("write message: %v", err)}
	}
	base := s.URL
	if base == "" {
		base = SlackURL
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Authorization": {"Bearer " + s.Token}}
	answer, err := post(ctx, s.Via, strings.TrimRight(base, "/")+"/chat.postMessage", header, data)
	if err != nil {
		return err
	}
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return &Failure{Text: "its answer is not the JSON of Slack", Again: true}
	}
	if !said.OK {
		return &Failure{Text: "Slack says " + shorten(oneLine(said.Error), 100), Again: said.Error == "ratelimited"}
	}
	return nil
}

// SlackText is the text of a message in Slack's own markup.
func SlackText(m Message) string {
	tail := ""
	for _, f := range m.fields() {
		tail += "\n" + f[0] + ": " + f[1]
	}
	whole := func(text string) string {
		if text != "" {
			text = "\n" + text
		}
		return mrkdwn(m.head() + text + tail)
	}
	text := strings.TrimSpace(m.Text)
	out := whole(text)
	for n := utf8.RuneCountInString(text); utf8.RuneCountInString(out) > maxSlack && n > 0; out = whole(shorten(text, max(n, 1))) {
		n = n*maxSlack/utf8.RuneCountInString(out) - 100
	}
	return out
}
