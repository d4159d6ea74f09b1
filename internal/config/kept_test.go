package config_test

import (
	"strings"
	"testing"

	"ml-intern/internal/config"
)

// What is kept, and where, is the person's to say: no folder's.
func TestKept(t *testing.T) {
	t.Parallel()
	c, err := load(t, "secrets: {store: file}\ncaches_gb: 2.5\ncheckpoints_gb: 1\n", "", "")
	if err != nil || c.Keep.Store != config.StoreFile || c.CachesGB != 2.5 || c.CheckpointsGB != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = load(t, "caches_gb: 0\n", "", "")
	if err != nil || c.Keep.Store != "" || c.CachesGB != 0 || c.CheckpointsGB != config.DefaultCheckpointsGB {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range [][2]string{
		{"secrets: {store: safe}", "store must be auto, keyring or file"},
		{"secrets: {place: file}", "the key is store"},
		{"secrets: file", "expected keys"},
		{"caches_gb: -1", "cannot be negative"},
		{"checkpoints_gb: 0", "at least 0.1"},
	} {
		if _, err := load(t, bad[0], "", ""); err == nil || !strings.Contains(err.Error(), bad[1]) || !strings.Contains(err.Error(), ":1: ") {
			t.Errorf("%s: %v", bad[0], err)
		}
	}
	c, err = load(t, "", "secrets: {store: file}\ncaches_gb: 0.1\ncheckpoints_gb: 0.1\n", "")
	if err != nil || c.Keep.Store != "" || c.CachesGB != config.DefaultCachesGB || c.CheckpointsGB != config.DefaultCheckpointsGB || strings.Count(strings.Join(c.Notes(), "\n"), "may not set") != 3 {
		t.Errorf("a project's file set it: %+v, %v", c, err)
	}
}
