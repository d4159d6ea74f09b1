package app_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"ml-intern/internal/app"
)

func TestBuildOf(t *testing.T) {
	t.Parallel()
	here := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	of := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: "ml-intern", Version: version}, Settings: settings}
	}
	commit := []debug.BuildSetting{{Key: "-trimpath", Value: "true"}, {Key: "vcs.revision", Value: "3d202cedc1abdd30a34b10f739163bd8723192e2"}, {Key: "vcs.time", Value: "2026-11-27T21:38:08Z"}, {Key: "vcs.modified", Value: "false"}}
	changed := append(append([]debug.BuildSetting(nil), commit[:3]...), debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for name, c := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"nothing is known":        {nil, "devel (" + here},
		"without version control": {of("(devel)"), "devel (" + here},
		"a module from a proxy":   {of("v1.2.3"), "v1.2.3 (" + here},
		"a tag":                   {of("v1.2.3", commit...), "v1.2.3 (commit 3d202cedc1ab of 2026-11-27T21:38:08Z, " + here},
		"no tag":                  {of("v0.0.0-20261127213808-3d202cedc1ab", commit...), "v0.0.0-20261127213808-3d202cedc1ab (commit 3d202cedc1ab of 2026-11-27T21:38:08Z, " + here},
		"changes":                 {of("v1.2.3+dirty", changed...), "v1.2.3+dirty (commit 3d202cedc1ab of 2026-11-27T21:38:08Z with changes, " + here},
	} {
		if got := app.BuildOf(c.info).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
