// Package notify tells people elsewhere what happens in a session: a desktop, a
// channel of Slack, a webhook, a mailbox.
//
// Its one rule: what is told comes from the session's log, and a program that
// is started again tells nothing twice. What is about to be sent is written
// down before; what was under way when a program ended is not sent again, and
// is said to be in doubt. Sending never holds a turn up and never ends one.
//
// A Follower owns the record of its session and its goroutines; Close ends them.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode/utf8"
)

// The kinds of what is told.
const (
	ApprovalRequired = "approval_required"
	Failed           = "error"
	TurnComplete     = "turn_complete"
	JobFinished      = "job_finished"
	JobFailed        = "job_failed"
	JobWarning       = "job_warning"
	Said             = "message" // the model's own words, by its tool
	Tried            = "test"    // the person tries a destination
)

// How bad it is.
const (
	Info    = "info"
	Success = "success"
	Warning = "warning"
	Error   = "error"
)

// A Message is what a destination is told. Its JSON is what a webhook gets.
type Message struct {
	ID       string    `json:"id"` // the same however often it is tried
	Event    string    `json:"event"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	Text     string    `json:"text"`
	Session  string    `json:"session_id,omitempty"`
	Model    string    `json:"model,omitempty"`
	Dir      string    `json:"workspace,omitempty"`
	Time     time.Time `json:"timestamp"` // when it happened
}

// fields are the lines below a text that people read.
func (m Message) fields() [][2]string {
	var all [][2]string
	for _, f := range [][2]string{{"session_id", m.Session}, {"model", m.Model}, {"workspace", m.Dir}, {"event_type", m.Event}} {
		if f[1] != "" {
			all = append(all, f)
		}
	}
	return all
}

// head is the first line for people.
func (m Message) head() string {
	return fmt.Sprintf("[%s] %s", strings.ToUpper(m.Severity), oneLine(m.Title))
}

// A Sender sends to one place. A failure that another try may mend is a
// *Failure that says so.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// A Destination is where messages go.
type Destination struct {
	Name   string
	Type   string   // desktop, slack, webhook or email
	Where  string   // in words, without what is secret
	Events []string // the kinds that it is told
	Agent  bool     // the model may send to it
	Live   bool     // it is told only what happens now
	To     Sender
}

// A Failure is a message that was not taken.
type Failure struct {
	Text  string
	Again bool          // another try may help
	After time.Duration // that the other side wants to be left alone for
	Doubt bool          // it may have arrived all the same
}

func (f *Failure) Error() string {
	if f.Doubt {
		return f.Text + "; it may have arrived all the same"
	}
	return f.Text
}

// unanswered is what an error of a connection means for a message.
func unanswered(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	text := err.Error()
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	return &Failure{Text: text, Again: true}
}

// status is what an HTTP status says of a message; nil if it was taken.
func status(code int, retryAfter string) *Failure {
	if code >= 200 && code < 300 {
		return nil
	}
	return &Failure{
		Text:  fmt.Sprintf("it answered with status %d", code),
		Again: code == 408 || code == 425 || code == 429 || code >= 500,
		After: later(retryAfter),
	}
}

// later reads a Retry-After: seconds or a date.
func later(header string) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	var s int
	if _, err := fmt.Sscanf(header, "%d", &s); err == nil && s >= 0 && s < 1<<30 {
		return time.Duration(s) * time.Second
	}
	for _, form := range []string{time.RFC1123, time.RFC850, time.ANSIC} {
		if at, err := time.Parse(form, header); err == nil {
			return max(time.Until(at), 0)
		}
	}
	return 0
}

// pauses are how long is waited before a message is tried again.
func pauses() []time.Duration { return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} }

// deliver tries to send a message. Whoever asks to be left alone for longer
// than patience is not waited for. began is called before each try, and ended
// after one that has failed for sure: an error of theirs ends it.
func deliver(ctx context.Context, to Sender, m Message, patience time.Duration, began, ended func() error) error {
	for try := 0; ; try++ {
		if err := began(); err != nil {
			return err
		}
		err := to.Send(ctx, m)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errCut
		}
		f := unanswered(err)
		switch {
		case f.Doubt || !f.Again:
			return f
		case f.After > patience:
			return &Failure{Text: fmt.Sprintf("%s, and wants to be left alone for %s", f.Text, f.After.Round(time.Second))}
		case try == len(pauses()):
			return &Failure{Text: fmt.Sprintf("%s, %d times", f.Text, try+1)}
		}
		if err := ended(); err != nil {
			return err
		}
		pause := time.NewTimer(max(pauses()[try], f.After))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return errLater
		}
	}
}

var (
	errLater = errors.New("it was not sent yet")                                    // for sure
	errCut   = errors.New("it was given up while it was sent: it may have arrived") // nobody knows
)

// Bounds of a message, in letters.
const (
	maxTitle = 200
	maxText  = 39_000
	maxError = 500
)

// tidy bounds a message, and takes out what is not text and what would call
// everybody of a channel.
func (m Message) tidy(redact func(string) string) Message {
	if redact == nil {
		redact = func(s string) string { return s }
	}
	m.Title, m.Text = shorten(oneLine(quiet(redact(m.Title))), maxTitle), shorten(quiet(clean(redact(m.Text))), maxText)
	m.Dir, m.Model = oneLine(redact(m.Dir)), oneLine(redact(m.Model))
	return m
}

// quiet takes the @ from words that call everybody.
func quiet(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	return patterns().all.ReplaceAllString(s, "${1}${2}")
}

// clean takes out what a terminal or a mail program could obey.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\ufffd"))
}

func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// shorten cuts a text after so many letters.
func shorten(s string, letters int) string {
	if len(s) <= letters || utf8.RuneCountInString(s) <= letters {
		return s
	}
	at := 0
	for i := range s {
		if at == letters-1 {
			return s[:i] + "…"
		}
		at++
	}
	return s
}
