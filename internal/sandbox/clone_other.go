//go:build !linux

package sandbox

import "errors"

func clone(_, _ string) error { return errors.ErrUnsupported }
