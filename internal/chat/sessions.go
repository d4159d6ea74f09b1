package chat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/session"
)

// maxListed is how many sessions a list has.
const maxListed = 200

func (c *Chat) newSession(string) (Result, error) {
	return Result{}, c.alone(func() error {
		c.part()
		if err := c.open(c.ctx); err != nil {
			c.showSession()
			return err
		}
		c.showSession()
		return nil
	})
}

// part leaves the session, and says what of it goes on.
func (c *Chat) part() {
	lines, err := c.leave(context.WithoutCancel(c.ctx))
	for _, line := range lines {
		c.notice("%s", line)
	}
	if err != nil {
		c.notice("close the session: %v", err)
	}
	c.mu.Lock()
	c.state.Interrupted, c.context = "", nil
	c.mu.Unlock()
}

// move goes over to another session. If that cannot be opened, this one stays.
func (c *Chat) move(opts Options) error {
	cfg := *c.cfg
	a, err := app.New(c.ctx, &cfg)
	if err != nil {
		return err
	}
	conv, err := resume(c.ctx, a, opts)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	c.part()
	c.take(a, conv)
	c.showSession()
	return nil
}

func (c *Chat) resume(id string) (Result, error) {
	if id == "" {
		return c.sessions("")
	}
	return Result{}, c.alone(func() error {
		if c.conv != nil && c.conv.Session.ID == id {
			return errors.New("this session is open already")
		}
		return c.move(Options{Resume: id})
	})
}

func (c *Chat) sessions(words string) (Result, error) {
	a, err := c.opened()
	if err != nil {
		return Result{}, err
	}
	found, err := a.Sessions(c.ctx, session.Query{Text: words, Limit: maxListed})
	if err != nil {
		return Result{}, err
	}
	if len(found.Sessions) == 0 {
		return Result{Text: "There are no such sessions."}, nil
	}
	pick := &Pick{Title: "sessions", Then: "/resume"}
	for _, s := range found.Sessions {
		pick.Items = append(pick.Items, Item{
			ID: s.ID, Title: cmp.Or(s.Title, "(no prompt)"),
			Detail: fmt.Sprintf("%s, %s, %d steps, %s", s.Updated.Local().Format("2006-01-02 15:04"), s.State, s.Steps, s.Dir),
		})
	}
	return Result{Pick: pick}, nil
}

func (c *Chat) fork(string) (Result, error) {
	return Result{}, c.inSession(func() error { return c.move(Options{Resume: c.conv.Session.ID, Fork: true}) })
}

func (c *Chat) rename(title string) (Result, error) {
	return Result{}, c.inSession(func() error {
		if _, err := c.conv.Rename(c.ctx, title); err != nil {
			return err
		}
		c.title = titleOf(c.conv.Session)
		c.catchUp()
		c.describe()
		return nil
	})
}

func (c *Chat) export(args string) (Result, error) {
	format, file, _ := strings.Cut(args, " ")
	if end, ok := strings.CutPrefix(filepath.Ext(args), "."); ok && app.CheckFormat(format) != nil && app.CheckFormat(end) == nil {
		format, file = end, args // the name of a file alone
	}
	format = cmp.Or(format, "md")
	if err := app.CheckFormat(format); err != nil {
		return Result{}, err
	}
	s, a, err := c.log()
	if err != nil {
		return Result{}, err
	}
	file = cmp.Or(strings.TrimSpace(file), fmt.Sprintf("session-%s.%s", s.ID, app.Extension(format)))
	if below, ok := strings.CutPrefix(file, "~/"); ok && c.cfg.Getenv("HOME") != "" {
		file = filepath.Join(c.cfg.Getenv("HOME"), below)
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(c.dir(), file)
	}
	if _, err := os.Lstat(file); err == nil {
		return Result{}, fmt.Errorf("%s is there already; name another file: /export %s FILE", file, format)
	}
	var out bytes.Buffer
	if err := a.Export(c.ctx, &out, s.ID, format); err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		return Result{}, fmt.Errorf("write export: %w", err)
	}
	return Result{Text: fmt.Sprintf("The session is in `%s`.", file)}, nil
}

// log is the session as it is saved, to look at beside a turn.
func (c *Chat) log() (*session.Session, *app.App, error) {
	c.mu.Lock()
	a, id := c.app, c.state.Session
	c.mu.Unlock()
	if a == nil || id == "" {
		return nil, nil, errNone
	}
	s, err := a.Log(c.ctx, id)
	return s, a, err
}

// The parts of a session that can be brought back.
const (
	partFiles        = "files"
	partConversation = "conversation"
	partBoth         = "both"
)

// rewind goes back step by step: first where to, then the list of what would
// change and which part, then it does it.
func (c *Chat) rewind(args string) (Result, error) {
	words := strings.Fields(args)
	if len(words) == 0 {
		return c.rewindPoints()
	}
	at, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return Result{}, usage("/rewind takes the number of an event; without one it lists where to")
	}
	if s, _, err := c.log(); err == nil && (at < 1 || at > int64(len(s.Events()))) {
		return Result{}, usage("there is no event %d here, they are 1 to %d; /rewind alone lists where to", at, len(s.Events()))
	}
	if len(words) == 1 {
		return c.rewindList(at)
	}
	if !slices.Contains([]string{partFiles, partConversation, partBoth}, words[1]) || len(words) > 3 || len(words) == 3 && words[2] != "force" {
		return Result{}, usage("/rewind SEQ takes files, conversation or both, and force")
	}
	var result Result
	err = c.inSession(func() error {
		result, err = c.goBack(at, words[1], len(words) == 3)
		return err
	})
	return result, err
}

// rewindPoints lists the prompts of the session: before which it can go on anew.
func (c *Chat) rewindPoints() (Result, error) {
	s, a, err := c.log()
	if err != nil {
		return Result{}, err
	}
	points, err := a.RewindPoints(c.ctx, s)
	if err != nil {
		return Result{}, err
	}
	pick := &Pick{Title: "go back to before", Then: "/rewind"}
	for _, ev := range slices.Backward(s.Events()) {
		if ev.Prompt == nil || ev.Prompt.Steer {
			continue
		}
		detail := ev.Time.Local().Format("15:04:05")
		i := slices.IndexFunc(points, func(p app.RewindPoint) bool { return p.Seq == ev.Seq-1 })
		switch {
		case i >= 0 && points[i].Gone:
			detail += ", its files were removed to make room"
		case i >= 0:
			detail += fmt.Sprintf(", %d files", points[i].Event.Checkpointed.Files)
		default:
			detail += ", changed no files"
		}
		line, _, _ := strings.Cut(strings.TrimSpace(ev.Prompt.Text), "\n")
		pick.Items = append(pick.Items, Item{ID: strconv.FormatInt(ev.Seq-1, 10), Title: line, Detail: detail})
	}
	return Result{Pick: pick}, nil
}

// saidAfter is the prompt that follows an event, in quotes and in short.
func (c *Chat) saidAfter(at int64) string {
	for _, ev := range c.conv.Session.Events() {
		if ev.Seq > at && ev.Prompt != nil {
			line, _, _ := strings.Cut(strings.TrimSpace(ev.Prompt.Text), "\n")
			if letters := []rune(line); len(letters) > 40 {
				line = string(letters[:39]) + "…"
			}
			return "“" + line + "”"
		}
	}
	return "event " + strconv.FormatInt(at+1, 10)
}

// rewindList says what going back would change, and lets the person choose.
func (c *Chat) rewindList(at int64) (result Result, err error) {
	err = c.inSession(func() error {
		title := "go back to before " + c.saidAfter(at)
		return c.apart(func(a *app.App, id string) error {
			pick := &Pick{Title: title, Then: "/rewind"}
			add := func(part, detail string) {
				pick.Items = append(pick.Items, Item{ID: fmt.Sprintf("%d %s", at, part), Title: part, Detail: detail})
			}
			force := ""
			r, err := a.Rewind(c.ctx, id, app.RewindOptions{At: at, Files: true})
			switch {
			case errors.Is(err, app.ErrUsage):
				return err
			case err != nil:
				result.Text = fmt.Sprintf("Files cannot be brought back: %v.\n", err)
			default:
				defer r.Close() //nolint:errcheck // nothing was written
				result.Text = changeList(r)
				words := "files change: " + count(r.Work())
				if len(r.Refused()) > 0 {
					force, words = " force", words+", also what others changed"
				}
				if r.Work() > 0 {
					add(partBoth+force, words+", and the conversation goes on in a copy")
					add(partFiles+force, words)
				}
			}
			add(partConversation, "a copy of the conversation up to there; no file changes")
			if last := len(pick.Items) - 1; force != "" { // what overwrites others' work is not what Enter does
				pick.Items = slices.Insert(pick.Items[:last], 0, pick.Items[last])
			}
			result.Pick = pick
			return nil
		})
	})
	return result, err
}

func count(n int) string { return strconv.Itoa(n) }

// maxChanges is how many changes a list has.
const maxChanges = 100

// changeList is what a rewind would do to files, as Markdown.
func changeList(r *app.Rewind) string {
	if len(r.Changes) == 0 {
		return "The files are as they were then.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Files as they were at %d (%s):\n\n", r.Point.Seq, r.Point.Time.Local().Format(time.DateTime))
	for i, ch := range r.Changes {
		if i == maxChanges {
			fmt.Fprintf(&b, "- and %d more\n", len(r.Changes)-i)
			break
		}
		line := fmt.Sprintf("- %s `%s`", ch.Do, ch.Path)
		if ch.Refused != "" {
			line += " — only with force: " + ch.Refused
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// apart does something with the session's files or log that takes its lease, and
// takes the session up again.
func (c *Chat) apart(do func(a *app.App, id string) error) (err error) {
	id := c.conv.Session.ID
	if err := c.conv.Close(); err != nil {
		return err
	}
	defer func() {
		conv, again := c.app.Resume(c.ctx, id, "")
		if again != nil {
			c.conv, err = nil, errors.Join(err, fmt.Errorf("take the session up again: %w", again), c.app.Close())
			c.setApp(nil)
			c.showSession()
			return
		}
		c.adopt(conv)
		c.catchUp()
		c.describe()
	}()
	return do(c.app, id)
}

// goBack does it: the files, and then a copy of the conversation, which the chat
// goes over to.
func (c *Chat) goBack(at int64, part string, force bool) (result Result, err error) {
	var done app.Rewound
	changed := ""
	opts := app.RewindOptions{At: at, Files: part != partConversation, Conversation: part != partFiles}
	err = c.apart(func(a *app.App, id string) error {
		r, err := a.Rewind(c.ctx, id, opts)
		if err != nil {
			return err
		}
		if done, err = r.Apply(c.ctx, force); errors.Is(err, app.ErrRefused) {
			err = fmt.Errorf("%w; /rewind %d %s force overwrites them too", err, at, part)
		}
		if changed = changeList(r); opts.Files && err == nil {
			result.Text = fmt.Sprintf("Files brought back: %d.\n", r.Work())
		}
		if done.Undo > 0 {
			there := "" // the event is of that session's log, not of the copy's
			if done.Session != "" {
				there = fmt.Sprintf("`/resume %s`, then ", id)
			}
			result.Text += fmt.Sprintf("To undo it: %s`/rewind %d files`\n", there, done.Undo)
		}
		return errors.Join(err, r.Close())
	})
	if err == nil && opts.Files {
		c.mu.Lock() // else the model would go by what it did
		c.context = append(c.context, fmt.Sprintf("[the person brought files of the workspace back to what they were at event %d of this session:\n%s]", at, changed))
		c.mu.Unlock()
	}
	if err != nil || done.Session == "" {
		return result, err
	}
	for _, ev := range c.conv.Session.Events() {
		if ev.Seq == at+1 && ev.Prompt != nil {
			result.Fill = ev.Prompt.Text
			c.holdAll(*ev.Prompt)
		}
	}
	old := c.conv.Session.ID
	if err := c.move(Options{Resume: done.Session}); err != nil {
		return result, err
	}
	result.Text += fmt.Sprintf("The conversation goes on in a copy; the whole of it is session `%s`.\n", old)
	return result, nil
}

// undo brings the files back to what they were before the last turn.
func (c *Chat) undo(args string) (result Result, err error) {
	if args != "" && args != "force" {
		return Result{}, usage("/undo takes only force")
	}
	err = c.inSession(func() error {
		events := c.conv.Session.Events()
		i := len(events) - 1
		changed := false
		for ; i >= 0 && (events[i].Prompt == nil || events[i].Prompt.Steer); i-- {
			changed = changed || events[i].Checkpointed != nil && events[i].Checkpointed.When == session.BeforeWrite
		}
		if i < 1 || !changed {
			return errors.New("the last turn changed no files")
		}
		result, err = c.goBack(events[i].Seq-1, partFiles, args == "force")
		return err
	})
	return result, err
}
