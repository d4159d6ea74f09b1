//go:build linux

package ray_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ray"
)

// TestMain lets the test program be an agent that submits the job in its
// arguments.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "agent" {
		var spec job.Spec
		err := json.Unmarshal([]byte(os.Args[4]), &spec)
		if err == nil {
			_, err = ray.Backend{Dir: os.Args[2], URL: os.Args[3]}.Submit(context.Background(), spec)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startAgent(t *testing.T, b ray.Backend, spec job.Spec) *exec.Cmd {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0], "agent", b.Dir, b.URL, string(data))
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	return agent
}
