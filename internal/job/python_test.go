package job_test

import (
	"strings"
	"testing"

	"ml-intern/internal/job"
)

func TestPython(t *testing.T) {
	for _, good := range []string{"", "3", "3.12", "3.8", "3.12.1", "==3.11", "==3.11.*", ">=3.10", ">= 3.9, <3.13", "~=3.9", ">=2.7", "!=3.9", "<4", ">3.7", "3.*", "<3.8.2"} {
		if err := job.CheckPython(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"2.7", "2", "3.7", "4.0", "<3", "<3.8", "==2.7.*", ">=3.12,<3.10", "python3", "latest", " ", "3.12;", "--help", "3.x", ">=4", "~=2.7", "!=3"} {
		err := job.CheckPython(bad)
		if err == nil || !strings.Contains(err.Error(), "from 3.8 on, such as 3.12") {
			t.Errorf("%q: %v", bad, err)
		}
		spec := job.Spec{Dir: t.TempDir(), Command: []string{"true"}, Python: bad}
		if err := spec.Check(); err == nil {
			t.Errorf("a job with %q passes", bad)
		}
	}
}

func TestPythonFits(t *testing.T) {
	for want, fits := range map[string]bool{">=3.10": true, ">=3.12": false, "3.11": true, "~=3.10": true, "<3.11": false, ">=3.12.0rc1": true} {
		if got := job.PythonFits("3.11", want); got != fits {
			t.Errorf("3.11 of %q: %v", want, got)
		}
	}
}
