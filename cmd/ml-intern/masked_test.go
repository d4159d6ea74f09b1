package main

import "testing"

// A golden screen is the same however long a call took.
func TestMaskedIsTheSameWhenSlow(t *testing.T) {
	t.Parallel()
	for quick, slow := range map[string]string{
		"  ✓ bash  echo hi  exit 0, 0.0 s\n":                            "  ✓ bash  echo hi  exit 0                  1.2 s \n",
		"  ✓ job_submit  train  job x is queued\n":                      "  ✓ job_submit  train  job x is queued      1 m 3 s\n",
		"  ✓ bash  echo two; echo one > out.txt …\n    exit 0, 0.1 s\n": "  ✓ bash  echo two; echo one > …  2.0 s\n    exit 0\n",
		"  ✗ bash  false\n    exit 1, 0.1 s\n":                          "  ✗ bash  false                        2 s\n    exit 1\n",
	} {
		if masked(quick) != masked(slow) {
			t.Errorf("%q\n%q", masked(quick), masked(slow))
		}
	}
}
