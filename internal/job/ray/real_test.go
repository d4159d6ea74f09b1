//go:build linux

package ray_test

import (
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

// TestRealBackend runs the suite against a real Ray head.
func TestRealBackend(t *testing.T) {
	c := startCluster(t, 6)
	jobtest.Run(t, func(t *testing.T) job.Backend { return c.backend(t) }, jobtest.Traits{Elsewhere: true})
}
