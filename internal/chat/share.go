package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
)

// share shows what would be shared and, if the person says so, shares it.
func (c *Chat) share(word string) (out Result, err error) {
	err = c.inSession(func() error {
		return c.stoppable(func(ctx context.Context) (err error) {
			switch word {
			case "", "private", "public", "preview":
				out.Text, err = c.shareNow(ctx, word)
			case "off":
				out.Text, err = c.shareOff(ctx)
			case "delete":
				out.Text, err = c.unshare(ctx)
			default:
				err = usage("say /share, or one of private, public, off, delete and preview after it, not %q", word)
			}
			return err
		})
	})
	return out, err
}

func (c *Chat) shareNow(ctx context.Context, word string) (text string, err error) {
	visibility := word
	if word == "preview" {
		visibility = ""
	}
	p, err := c.app.PlanShare(ctx, c.conv.Session.ID, app.ShareOptions{Visibility: visibility})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	switch {
	case word == "preview":
		return "```\n" + p.Text() + "```\nNothing was sent. `/share` sends it.", nil
	case p.Unchanged:
		return fmt.Sprintf("Nothing has changed since the session was shared: %s", p.URL), nil
	}
	if err := c.agreed(ctx, p.Request()); err != nil {
		return "", err
	}
	sent, err := p.Send(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Shared, %s:\n\n%s", p.Visibility, sent.URL), nil
}

func (c *Chat) shareOff(ctx context.Context) (string, error) {
	where, err := c.app.StopSharing(ctx, c.conv.Session.ID)
	switch {
	case err != nil:
		return "", err
	case where == "":
		return "The session was not shared, and will not be by itself.", nil
	}
	return fmt.Sprintf("The session is not shared by itself any more. What was shared stays in %s; `/share delete` takes it out.", where), nil
}

func (c *Chat) unshare(ctx context.Context) (string, error) {
	u, err := c.app.PlanUnshare(ctx, c.conv.Session.ID)
	if err != nil {
		return "", err
	}
	if err := c.agreed(ctx, u.Request()); err != nil {
		return "", err
	}
	if _, err := u.Do(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("The session's traces are out of %s. The history of the dataset keeps them.", u.URL), nil
}

// agreed asks the person about what they asked for themselves, unless the policy
// forbids it: what leaves this machine is looked at first, in every mode.
func (c *Chat) agreed(ctx context.Context, req approval.Request) error {
	req.Rules = c.conv.Session.Rules()
	d := c.conv.Agent.Policy.Decide(req)
	if d.Verdict == approval.Deny {
		return fmt.Errorf("not shared: %s", d.Reason)
	}
	req.Rules, req.Reason = nil, cmp.Or(d.Reason, "it leaves this machine")
	decisions, err := c.put(ctx, &Ask{Requests: []approval.Request{req}, answer: make(chan []approval.Decision, 1)})
	if err != nil {
		return err
	}
	if len(decisions) != 1 || decisions[0].Verdict != approval.Allow {
		return errors.New("not shared: you said no")
	}
	return nil
}
