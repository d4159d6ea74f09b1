package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/hub"
)

// Device logs in by the browser of a person, on this machine or another: show
// is told where they must go and what to enter there, then the Hub is asked
// until they have decided. An *hub.OAuthError says that they said no, or that
// the code has ended.
func (k *Keyring) Device(ctx context.Context, show func(hub.DeviceCode)) (hub.OAuthToken, error) {
	c := k.client("")
	device, err := c.StartDevice(ctx, k.ClientID())
	if err != nil {
		return hub.OAuthToken{}, err
	}
	show(device)
	interval := time.Duration(min(device.Interval, 60)) * time.Second
	deadline := time.Now().Add(time.Duration(min(device.ExpiresIn, 3600)) * time.Second)
	for time.Now().Before(deadline) {
		if err := wait(ctx, interval); err != nil {
			return hub.OAuthToken{}, err
		}
		token, err := c.DeviceToken(ctx, k.ClientID(), device.Code)
		if err == nil || ctx.Err() != nil {
			return token, err
		}
		more, final := goOn(err)
		if final {
			return hub.OAuthToken{}, err
		}
		interval += more
	}
	return hub.OAuthToken{}, fmt.Errorf("wait for the person: %w", &hub.OAuthError{Code: hub.OAuthExpired, Description: "nobody entered the code in time"})
}

// goOn decides whether to ask again, and how much slower. What is no decision
// of the person or the Hub, such as a network that is away, is waited out: the
// code's own end bounds it.
func goOn(err error) (slower time.Duration, final bool) {
	if refused, ok := errors.AsType[*hub.Error](err); ok {
		return max(0, min(refused.Wait, time.Minute)), false
	}
	o, ok := errors.AsType[*hub.OAuthError](err)
	switch {
	case !ok || o.Code == hub.OAuthPending:
		return 0, false
	case o.Code == hub.OAuthSlowDown:
		return 5 * time.Second, false
	}
	return 0, true
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
