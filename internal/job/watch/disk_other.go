//go:build !linux && !darwin

package watch

import "errors"

func disk(string) (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
