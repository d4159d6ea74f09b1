//go:build slurm

package slurm_test

import (
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
	"ml-intern/internal/job/slurm"
)

// cluster is the folder of the real Slurm that scripts/test-slurm has started.
func cluster(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ML_INTERN_TEST_SLURM")
	if dir == "" {
		t.Fatal("this test needs a real Slurm: run scripts/test-slurm, which starts one")
	}
	return dir
}

// here is a backend on a machine of the cluster.
func here(t *testing.T) *slurm.Backend {
	t.Helper()
	cluster(t)
	return &slurm.Backend{Dir: filepath.Join(t.TempDir(), "state")}
}

// byssh is a backend that reaches the cluster by ssh only.
func byssh(t *testing.T) *slurm.Backend {
	t.Helper()
	dir := cluster(t)
	return &slurm.Backend{
		Dir: filepath.Join(t.TempDir(), "state"), Root: t.TempDir(),
		Host: "cluster", SSH: []string{"ssh", "-F", filepath.Join(dir, "etc", "ssh_config"), "-o", "ControlPath=" + filepath.Join(dir, "run", "%C")},
	}
}

func TestHere(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend { return here(t) }, jobtest.Traits{Bounded: true})
}

func TestBySSH(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend { return byssh(t) }, jobtest.Traits{Bounded: true, Elsewhere: true})
}
