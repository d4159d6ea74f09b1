package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/config"
)

// ShareOptions say where a session's trace goes, who sees it, and whether
// anybody is asked.
type ShareOptions struct {
	Visibility string // of config.ShareWords; "" for the configured one, else private
	Repo       string
	Delete     bool // take it back
	Dry        bool // show it only
	Yes        bool // ask nobody
}

// ShareSession puts a session's trace into a dataset, or takes it back, after it
// has shown what would leave.
func ShareSession(ctx context.Context, cfg *config.Config, id string, o ShareOptions, std Streams) error {
	if o.Visibility != "" {
		if err := checkVisibility(o); err != nil {
			return err
		}
	}
	if _, here := personAt(std); here && !cfg.IsSet("approve") {
		cfg.Approve = string(approval.AskFirst)
	}
	return with(ctx, cfg, func(a *app.App) error {
		switch {
		case o.Delete:
			return unshare(ctx, a, id, o, std)
		case o.Visibility == config.ShareOff:
			where, err := a.StopSharing(ctx, id)
			if err == nil && where != "" {
				fmt.Fprintf(std.Err, "not shared by itself any more; what was shared stays in %s: --delete takes it out\n", where)
			}
			return err
		}
		return share(ctx, a, cfg, id, o, std)
	})
}

func checkVisibility(o ShareOptions) error {
	for _, word := range config.ShareWords() {
		if o.Visibility == word {
			return nil
		}
	}
	return fmt.Errorf("%w: --visibility is private, public or off, not %q", app.ErrUsage, o.Visibility)
}

func share(ctx context.Context, a *app.App, cfg *config.Config, id string, o ShareOptions, std Streams) (err error) {
	p, err := a.PlanShare(ctx, id, app.ShareOptions{Visibility: o.Visibility, Repo: o.Repo})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	done := struct {
		*app.SharePlan
		Sent   bool   `json:"sent"`
		Commit string `json:"commit,omitempty"`
	}{SharePlan: p}
	report := func() error {
		if cfg.Output == "json" {
			return printJSON(std.Out, done)
		}
		return nil
	}
	switch {
	case o.Dry && cfg.Output != "json":
		_, err = fmt.Fprint(std.Out, cleanText(p.Text()))
		return err
	case o.Dry:
		return report()
	case p.Unchanged:
		fmt.Fprintf(std.Err, "nothing has changed since the session was shared: %s\n", p.URL)
		return report()
	}
	if err := permitted(ctx, a, p.Request(), o.Yes, std); err != nil {
		return err
	}
	sent, err := p.Send(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "shared, %s: %s\n", p.Visibility, sent.URL)
	done.Sent, done.Commit = true, sent.Commit
	return report()
}

func unshare(ctx context.Context, a *app.App, id string, o ShareOptions, std Streams) error {
	u, err := a.PlanUnshare(ctx, id)
	if err != nil {
		return err
	}
	req := u.Request()
	if o.Dry {
		_, err = fmt.Fprint(std.Out, cleanText(req.Show))
		return err
	}
	if err := permitted(ctx, a, req, o.Yes, std); err != nil {
		return err
	}
	if _, err := u.Do(ctx); err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "taken out of %s; its history keeps what was there\n", u.URL)
	return nil
}

// permitted asks the person about what the policy does not forbid. A yes that
// was said beforehand counts, but not for what nobody can take back.
func permitted(ctx context.Context, a *app.App, req approval.Request, yes bool, std Streams) error {
	d, err := a.Judge(req)
	if err != nil {
		return err
	}
	who, here := personAt(std)
	final := req.Impact.Public || req.Impact.Deletes
	switch {
	case d.Verdict == approval.Deny:
		return fmt.Errorf("not done: %s", d.Reason)
	case yes && !final, d.Verdict == approval.Allow && final: // the latter by a rule of their own that names it
		fmt.Fprint(std.Err, shownText(req.Show))
		return nil
	case !here && final:
		return errors.New("not done: a person must be asked, and nobody is here: run it at a terminal")
	case !here:
		fmt.Fprint(std.Err, shownText(req.Show))
		return fmt.Errorf("%w: nobody can be asked here: --yes says yes beforehand", app.ErrUsage)
	}
	if req.Reason = d.Reason; req.Reason == "" {
		req.Reason = "it leaves this machine"
	}
	decisions, err := who.Approve(ctx, []approval.Request{req})
	if err != nil {
		return err
	}
	if decisions[0].Verdict != approval.Allow {
		return errors.New("nothing was done: you said no")
	}
	return nil
}

// sharePatience is how long a run waits for its session to be shared.
const sharePatience = 2 * time.Minute

// shareByItself shares the session of a run that is over. How the run ended
// stays as it is.
func shareByItself(ctx context.Context, a *app.App, id string, std Streams) {
	ctx, cancel := context.WithTimeout(ctx, sharePatience)
	defer cancel()
	text, err := a.ShareByItself(ctx, id)
	if err != nil {
		text = err.Error()
	}
	if text != "" {
		fmt.Fprintf(std.Err, "ml-intern: %s\n", revealed(text))
	}
}
