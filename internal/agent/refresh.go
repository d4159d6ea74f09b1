package agent

import (
	"context"

	"ml-intern/internal/session"
)

// refresh brings the tools up to date and tells the person, once each, what
// there is to know of it.
func (t turn) refresh(ctx context.Context, begins bool) error {
	if t.Refresh == nil {
		return nil
	}
	for _, n := range t.Refresh(ctx, begins) {
		n.Text = t.redacted(n.Text)
		if t.session.Noticed(n.Kind) {
			continue
		}
		if err := t.emit(ctx, session.Event{Notice: &n}); err != nil {
			return err
		}
	}
	return nil
}
