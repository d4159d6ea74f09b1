package hubserver_test

import "errors"

func limitFiles(bytes string) error {
	if bytes == "" {
		return nil
	}
	return errors.New("windows has no limit for files")
}
