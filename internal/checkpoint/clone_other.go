//go:build !linux

package checkpoint

import "errors"

// clone could share the blocks of two files; here it cannot.
func (folder) clone(_, _ string) error { return errors.ErrUnsupported }

func (folder) copyIn(_, _ string) error { return errors.ErrUnsupported }
