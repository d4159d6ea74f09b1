package app

import (
	"context"

	"ml-intern/internal/session"
)

// Keep writes a file of a front end's own, whole or not at all, for the person
// alone. It is there after a power cut.
func Keep(path string, data []byte) error { return replaceFile(path, data) }

// Summary is a session as a list has it, a sub-agent's too.
func (a *App) Summary(ctx context.Context, id string) (session.Summary, error) {
	return a.store.Summary(ctx, id)
}
