package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/llm/llmtest"
)

// buildLeaping builds the program as users get it, but for the clock of its
// standard library, which a file beside the program moves. No clock of the
// machine is touched. The first time everything is built anew, which takes
// minutes, so it is done only where it is asked for.
var buildLeaping = sync.OnceValues(func() (string, error) {
	exe, err := exec.LookPath("ml-intern")
	if err != nil {
		return "", err
	}
	overlay, err := leapingClock()
	if err != nil {
		return "", fmt.Errorf("make a clock that leaps: %w", err)
	}
	built := filepath.Join(filepath.Dir(exe), "leaping")
	build := exec.Command("go", "build", "-overlay", overlay, "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return built, nil
})

// leapingClock writes the changed files of package time, to where they stay, so
// that Go builds with them once, and returns Go's list of them.
func leapingClock() (overlay string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		return "", err
	}
	moved := strings.NewReplacer(":= runtimeNow()", ":= leaptNow()", "runtimeNano()-startNano", "leaptNano()-startNano").Replace(string(text))
	if strings.Count(moved, "leapt") != 3 {
		return "", fmt.Errorf("%s/time.go reads its clock in other places than this test knows: look where, and correct the test", library)
	}
	dir, err := filepath.Abs("../../.tools/clock")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "time.go"), []byte(moved), 0o600)
	}
	if err != nil {
		return "", err
	}
	clock, err := filepath.Abs("testdata/clock/clock.go")
	if err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(library, "time.go"): filepath.Join(dir, "time.go"), filepath.Join(library, "leap.go"): clock,
	}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// leaping is a program with a clock of its own.
func leaping(t *testing.T) (exe string) {
	t.Helper()
	if os.Getenv("ML_INTERN_TEST_CLOCK") == "" {
		t.Skip("ML_INTERN_TEST_CLOCK is not set: make test-clock sets it")
	}
	built, err := buildLeaping()
	if err != nil {
		t.Fatal(err)
	}
	exe = filepath.Join(t.TempDir(), "ml-intern")
	if err := os.Link(built, exe); err != nil {
		t.Fatal(err)
	}
	return exe
}

// leap moves the clocks of the lab's program: the wall clock, which people and
// networks set, and the steady one, which measures what passes.
func (l *lab) leap(wall, steady time.Duration) {
	file := l.exe + ".clock"
	err := os.WriteFile(file+".new", fmt.Appendf(nil, "%d %d", int64(wall.Seconds()), int64(steady.Seconds())), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		l.Error(err)
	}
}

// A site is where a job runs, and the network that leads there. The job and the
// test meet in a folder that confined jobs may write.
type site struct {
	meet   string
	submit args
	away   func(bool)
	sent   func() int // submissions that arrived, -1 if nobody counts
	paid   bool
}

// sites are the ways to run a job that need no cluster.
func sites(l *lab, exe string) map[string]func() site {
	return map[string]func() site{
		"local": func() site { return site{l.cache(), args{}, nil, func() int { return -1 }, false} },
		"ssh":   func() site { return bySSH(l) },
		"hf":    func() site { return onCloud(l, exe) },
	}
}

// cache is a folder of a cache that commands and jobs write.
func (l *lab) cache() string { return filepath.Join(l.dir, "home", "state", "caches", "torch") }

// finish ends the endless job.
func (l *lab) finish(s site) {
	if err := os.WriteFile(filepath.Join(s.meet, "finish"), nil, 0o600); err != nil {
		l.Error(err)
	}
}

// bySSH is a machine by ssh: this one, by a program that stands in for ssh.
func bySSH(l *lab) site {
	far, err := os.MkdirTemp("", "far")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(far) })
	program, err := filepath.Abs("../../internal/job/ssh/testdata/ssh")
	if err == nil {
		err = os.Symlink(program, filepath.Join(l.dir, "ssh"))
	}
	if err != nil {
		l.Fatal(err)
	}
	l.env = append(l.env, "PATH="+l.dir+":"+os.Getenv("PATH"))
	l.write("home/config/config.yaml", "computes:\n  far:\n    type: ssh\n    host: far\n    options: [-F, "+far+"]\n")
	away := func(is bool) {
		file := filepath.Join(far, "unreachable")
		if err = os.Remove(file); is {
			err = os.WriteFile(file, []byte("ssh: connect to host far port 22: No route to host\n"), 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			l.Error(err)
		}
	}
	return site{l.cache(), args{"backend": "far"}, away, func() int { return -1 }, false}
}

// onCloud is the Hub of the program itself, whose clock does not leap, behind a
// network that can be away.
func onCloud(l *lab, exe string) site {
	c := newCloud(l.T, exe, isAway)
	l.env = append(l.env, "HF_ENDPOINT="+c.URL, "HF_TOKEN=hf_"+strings.Repeat("a", 34), "HF_HUB_OFFLINE=")
	return site{c.cache, args{"backend": "hf", "flavor": "cpu-basic"}, c.away.Store, func() int { return int(c.posts.Load()) }, true}
}

func (l *lab) write(name, text string) {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

// endless is a job that says something each moment, until a file is there.
func (l *lab) endless(s site) args {
	if err := os.MkdirAll(s.meet, 0o700); err != nil {
		l.Fatal(err)
	}
	script := `echo run >>"$0/runs"; n=0; while [ ! -e "$0/finish" ]; do n=$((n+1)); echo "line $n"; sleep 0.2; done; echo finished`
	a := args{"name": "x", "time_limit_s": 600, "command": []string{"sh", "-c", script, s.meet}, "waivers": args{"results": "nothing is trained", "smoke": "there is no script"}}
	for k, v := range s.submit {
		a[k] = v
	}
	return a
}

// once calls do when the job runs, beside the test, which waits for it. A pause
// ends it when the test ends.
func (l *lab) once(s site, do func(pause func(time.Duration))) {
	var busy sync.WaitGroup
	l.Cleanup(busy.Wait)
	pause := func(d time.Duration) {
		select {
		case <-l.Context().Done():
			runtime.Goexit()
		case <-time.After(d):
		}
	}
	busy.Go(func() {
		for {
			pause(50 * time.Millisecond)
			if _, err := os.Stat(filepath.Join(s.meet, "runs")); err == nil {
				do(pause)
				return
			}
		}
	})
}

// ranOnce checks a job that has ended well.
func (l *lab) ranOnce(s site, waited string, longest float64) {
	l.Helper()
	got := l.seen(waited)
	if got.State != string(job.Succeeded) || got.Seconds < 0.5 || got.Seconds > longest {
		l.Errorf("told %+v", got)
	}
	if ran, err := os.ReadFile(filepath.Join(s.meet, "runs")); string(ran) != "run\n" || s.sent() > 1 {
		l.Errorf("it ran %q, %v; %d submissions arrived", ran, err, s.sent())
	}
	if s.paid {
		l.billed()
	}
}

// The clock goes an hour forwards, and back, while a job runs and is waited
// for: the job is neither stopped nor called late, silent or lost, and costs
// what it ran.
func TestClockJump(t *testing.T) {
	plain := buildProgram(t)
	ends := map[string]time.Duration{"as it was": 0, "ahead": time.Hour, "behind": -time.Hour}
	for _, where := range []string{"local", "ssh", "hf"} {
		for name, end := range ends {
			t.Run(where+", the clock is "+name+" at the end", func(t *testing.T) {
				t.Parallel()
				l := newLab(t, leaping(t), nil)
				s := sites(l, plain)[where]()
				l.flags = []string{"--max-cost", "1.5"}
				l.once(s, func(pause func(time.Duration)) {
					for _, wall := range []time.Duration{time.Hour, -time.Hour, 0, end} {
						pause(3 * time.Second)
						l.leap(wall, 0)
					}
					pause(3 * time.Second)
					l.finish(s)
				})
				got := l.play(do("job_submit", l.endless(s)), l.onJob("job_wait"), l.onJob("job_logs"))
				l.ranOnce(s, got["job_wait"], 60)
				if l.asked != 4 || !strings.Contains(got["job_logs"], "finished") {
					l.Errorf("%d requests; the log is %s", l.asked, got["job_logs"])
				}
			})
		}
	}
}

// The network is away for an hour while a job runs: that is said once, in a
// sentence, the job is not called lost, and its end is seen afterwards.
func TestNetworkAway(t *testing.T) {
	plain := buildProgram(t)
	for _, where := range []string{"ssh", "hf"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, leaping(t), nil)
			s := sites(l, plain)[where]()
			l.flags = []string{"--max-cost", "1.5"}
			noticed, stopped := make(chan struct{}), make(chan struct{})
			l.once(s, func(pause func(time.Duration)) {
				defer close(stopped)
				s.away(true)
				// No faster: whoever rests for 20 s must not take it for a sleep of the machine.
				for passed := time.Duration(0); passed < 50*time.Minute; passed += 2 * time.Second {
					l.leap(passed, passed)
					select {
					case <-noticed:
						return
					default:
						pause(time.Second)
					}
				}
			})
			back := func(before told) (first string) {
				close(noticed)
				<-stopped // a clock that leaps back by itself is another test
				first = before["job_wait"]
				l.leap(time.Hour, time.Hour)
				time.AfterFunc(8*time.Second, func() { s.away(false) })
				time.AfterFunc(12*time.Second, func() { l.finish(s) })
				return first
			}
			var first string
			got := l.play(do("job_submit", l.endless(s)), l.onJob("job_wait"), func(before told) llmtest.Turn {
				first = back(before)
				return l.onJob("job_wait")(before)
			})
			if !strings.Contains(first, `"kind":"unreachable"`) || !strings.Contains(first, "has not answered for") || strings.Contains(first, "lost") {
				l.Errorf("while the network was away: %s", first)
			}
			l.ranOnce(s, got["job_wait"], 4000)
			if l.asked != 4 {
				l.Errorf("%d requests", l.asked)
			}
		})
	}
}

// The agent is killed while the network is away, and goes on an hour later,
// before the network is back: it finds its job, and sends no other.
func TestKilledWhileAway(t *testing.T) {
	plain := buildProgram(t)
	for _, where := range []string{"ssh", "hf"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, leaping(t), nil)
			s := sites(l, plain)[where]()
			l.flags = []string{"--max-cost", "1.5"}
			m, got := l.model(do("job_submit", l.endless(s)), l.onJob("job_wait"))
			defer m.Close()
			first := l.agent(m, "go")
			l.once(s, func(pause func(time.Duration)) {
				s.away(true)
				pause(2 * time.Second)
				_ = first.Process.Kill()
			})
			if out, err := first.CombinedOutput(); err == nil || len(m.Seen()) != 2 {
				t.Fatalf("it was not killed while it waited, %d requests: %s", len(m.Seen()), out)
			}
			l.leap(time.Hour, 0)
			time.AfterFunc(6*time.Second, func() { s.away(false) })
			time.AfterFunc(10*time.Second, func() { l.finish(s) })
			if out, err := l.agent(m, "--continue").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			l.ranOnce(s, got["job_wait"], 60)
		})
	}
}
