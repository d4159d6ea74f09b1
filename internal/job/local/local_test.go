//go:build unix

package local_test

import (
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

func TestBackend(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend { return newBackend(t) }, jobtest.Traits{})
}
