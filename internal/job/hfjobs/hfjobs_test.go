//go:build unix

package hfjobs_test

import (
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

func TestBackend(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend {
		_, b := serve(t)
		return b
	}, jobtest.Traits{Elsewhere: true, NoResults: true})
}
