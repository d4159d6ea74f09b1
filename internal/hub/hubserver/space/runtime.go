package space

import (
	"cmp"
	"fmt"
	"time"
)

// FreeFlavor is the hardware of a Space that asked for none.
const FreeFlavor = "cpu-basic"

const (
	buildTime = time.Second            // of the image, as it were
	startTime = 300 * time.Millisecond // of the program in it
	freeSleep = 48 * 3600              // seconds, on free hardware
)

// A Source is what a Space's repository says.
type Source struct {
	SDK     string
	Problem string    // of its configuration, "" if there is none
	AppFile string    // what is to be run
	HasApp  bool      // that file is there
	SHA     string    // the last commit
	Changed time.Time // when that was made
	Paid    bool      // the account can have hardware that costs
	Visited time.Time // when somebody last used the program, if that is known
	Missing string    // a file that the build needs and the repository lacks
}

// A Runtime is what clients are told of a Space.
type Runtime struct {
	Stage    string   `json:"stage"`
	Error    string   `json:"errorMessage,omitempty"`
	Hardware hardware `json:"hardware"`
	Storage  *string  `json:"storage"`
	Timeout  *int     `json:"gcTimeout"`
	Replicas replicas `json:"replicas"`
	DevMode  bool     `json:"devMode"`
	Domains  []string `json:"domains"`
	Volumes  []Volume `json:"volumes,omitempty"`
	SHA      string   `json:"sha,omitempty"`
}

type hardware struct {
	Current   *string `json:"current"`
	Requested *string `json:"requested"`
}

type replicas struct {
	Current   int `json:"current"`
	Requested int `json:"requested"`
}

const (
	static    = "static"
	running   = "RUNNING"
	noApp     = "NO_APP_FILE"
	badConfig = "CONFIG_ERROR"

	buildError = "BUILD_ERROR"
)

// Runtime is how the Space is now.
func (s State) Runtime(src Source, now time.Time) Runtime {
	stage, why := s.stage(src, now)
	r := Runtime{Stage: stage, Error: why, Replicas: replicas{0, 1}, DevMode: s.DevMode, Domains: []string{}, Volumes: s.Volumes}
	if src.SDK == static {
		if stage == running {
			r.Replicas.Current, r.SHA = 1, src.SHA
		}
		return r
	}
	flavor := cmp.Or(s.Flavor, FreeFlavor)
	r.Hardware.Requested = &flavor
	if stage == running {
		r.Hardware.Current, r.Replicas.Current, r.SHA = &flavor, 1, src.SHA
	}
	if seconds := s.sleepSeconds(); seconds > 0 {
		r.Timeout = &seconds
	}
	return r
}

// Follow puts what a program really does in place of what was computed: it
// answers or does not yet, or it ended with an error.
func (r *Runtime) Follow(answers bool, failure string) {
	switch {
	case failure != "":
		r.Stage, r.Error = "RUNTIME_ERROR", failure
	case answers:
		r.Stage, r.Replicas.Current, r.Hardware.Current = running, 1, r.Hardware.Requested
		return
	default:
		r.Stage = "APP_STARTING"
	}
	r.Replicas.Current, r.Hardware.Current, r.SHA = 0, nil, ""
}

func (s State) sleepSeconds() int {
	switch {
	case s.Sleep < 0:
		return 0
	case s.Sleep == 0 && cmp.Or(s.Flavor, FreeFlavor) == FreeFlavor:
		return freeSleep
	}
	return s.Sleep
}

// stage is where the Space is, and what is wrong with it if something is.
func (s State) stage(src Source, now time.Time) (stage, why string) {
	starting, ready := s.times(src)
	switch {
	case src.Problem != "":
		return badConfig, src.Problem
	case !src.HasApp:
		return noApp, "there is no " + src.AppFile
	case src.SDK == static:
		return running, ""
	case s.Paused:
		return "PAUSED", ""
	case !src.Paid && costs(s.Flavor):
		return "STOPPED", "there is no credit for " + s.Flavor
	case now.Before(starting):
		return "BUILDING", ""
	case src.Missing != "":
		return buildError, "the build failed: " + src.Missing + ": not found"
	case now.Before(ready):
		return "APP_STARTING", ""
	case s.sleepSeconds() > 0 && now.After(latest(ready, src.Visited).Add(time.Duration(s.sleepSeconds())*time.Second)):
		return "SLEEPING", ""
	}
	return running, ""
}

// times are when the program starts and when it is ready.
func (s State) times(src Source) (starting, ready time.Time) {
	built := latest(src.Changed, s.Built).Add(buildTime)
	starting = latest(built, s.Started)
	if starting.Equal(s.Started) { // a start of what is built
		return built, starting.Add(startTime)
	}
	return starting, starting.Add(startTime)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A Line is a line of a Space's log.
type Line struct {
	Time time.Time
	Text string
}

// BuildLog is what the build has printed until now.
func (s State) BuildLog(src Source, now time.Time) []Line {
	queued := latest(src.Changed, s.Built)
	if src.SDK == static || src.Problem != "" {
		return nil
	}
	lines := []Line{
		{queued, fmt.Sprintf("===== Build Queued at %s / Commit SHA: %.7s =====", queued.UTC().Format(time.DateTime), src.SHA)},
		{queued.Add(time.Millisecond), ""},
	}
	if !src.HasApp {
		return append(lines, Line{queued.Add(2 * time.Millisecond), "there is no " + src.AppFile})
	}
	if src.Missing != "" {
		return until(append(lines, Line{queued.Add(buildTime), "ERROR: failed to calculate checksum: \"/" + src.Missing + "\": not found"}), now)
	}
	lines = append(lines,
		Line{queued.Add(2 * time.Millisecond), "--> this server does not run Spaces; the build is taken to succeed"},
		Line{queued.Add(buildTime), "DONE"})
	return until(lines, now)
}

// RunLog is what the program has printed until now, since it was last started.
func (s State) RunLog(src Source, now time.Time) []Line {
	if src.SDK == static || src.Problem != "" || !src.HasApp {
		return nil
	}
	_, ready := s.times(src)
	start := ready.Add(-startTime)
	return until([]Line{
		{start, fmt.Sprintf("===== Application Startup at %s =====", start.UTC().Format(time.DateTime))},
		{start.Add(time.Millisecond), ""},
		{ready, "this server does not run Spaces: " + src.AppFile + " is taken to be running"},
	}, now)
}

func until(lines []Line, now time.Time) []Line {
	for i, l := range lines {
		if l.Time.After(now) {
			return lines[:i]
		}
	}
	return lines
}
