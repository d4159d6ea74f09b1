//go:build unix

package ssh_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

func TestBackend(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend { return here(t) }, jobtest.Traits{Elsewhere: true})
}

// TestBusybox runs the suite on a machine that has nothing but busybox.
func TestBusybox(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("there is no busybox here")
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	jobtest.Run(t, func(t *testing.T) job.Backend {
		b := here(t)
		bin := filepath.Join(home(b), "bin")
		if err := os.Mkdir(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(string(applets)) {
			if name == "ps" || name == "env" { // for what the suite asks of them
				continue
			}
			if err := os.Symlink(busybox, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}, jobtest.Traits{Elsewhere: true})
}
