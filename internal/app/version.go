package app

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// A Build is what the program says of itself. Go notes it when it builds, so
// that no flag of a build can forget it or say something else.
type Build struct {
	Version string // a tag, or one made of the time and the commit of what has no tag; devel if nothing is known
	Commit  string // "" unless it was built from a checkout
	Time    string // of the commit
	Changed bool   // there was more than the commit
	Go      string
}

// ThisBuild is the running program's.
func ThisBuild() Build {
	info, _ := debug.ReadBuildInfo()
	return BuildOf(info)
}

// BuildOf reads what Go noted; nil is nothing.
func BuildOf(info *debug.BuildInfo) Build {
	b := Build{Version: "devel", Go: runtime.Version()}
	if info == nil {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

// String is the build in one line.
func (b Build) String() string {
	about := []string{b.Go + " " + runtime.GOOS + "/" + runtime.GOARCH}
	if b.Commit != "" {
		from := fmt.Sprintf("commit %s of %s", b.Commit, b.Time)
		if b.Changed {
			from += " with changes"
		}
		about = append([]string{from}, about...)
	}
	return b.Version + " (" + strings.Join(about, ", ") + ")"
}

// Version is the version of this build.
func Version() string { return ThisBuild().Version }
