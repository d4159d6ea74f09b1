//go:build !unix || darwin

package strongbox

import (
	"context"
	"errors"

	"github.com/zalando/go-keyring"
)

// native is the keychain of macOS, or the credentials of Windows.
type native struct{}

func system(func(string) string) Ring { return native{} }

// await calls do, which cannot be stopped: when it takes too long it ends with
// this process.
func await(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if errors.Is(err, keyring.ErrNotFound) {
			return ErrNone
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Get implements Ring.
func (native) Get(ctx context.Context, name string) ([]byte, error) {
	found := make(chan string, 1)
	err := await(ctx, func() error {
		secret, err := keyring.Get(service, name)
		found <- secret
		return err
	})
	if err != nil {
		return nil, err
	}
	return []byte(<-found), nil
}

// Set implements Ring.
func (native) Set(ctx context.Context, name string, secret []byte) error {
	return await(ctx, func() error { return keyring.Set(service, name, string(secret)) })
}

// Delete implements Ring.
func (native) Delete(ctx context.Context, name string) error {
	err := await(ctx, func() error { return keyring.Delete(service, name) })
	if errors.Is(err, ErrNone) {
		return nil
	}
	return err
}
