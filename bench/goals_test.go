package bench_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestGoals measures the program named by BENCH_PROGRAM and prints a table in
// Markdown. BENCH_ONLY, a list of measurements, picks some of them.
func TestGoals(t *testing.T) {
	program := os.Getenv("BENCH_PROGRAM")
	if program == "" {
		t.Skip("this is `make bench`")
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, program)
	fmt.Printf("%s\n\n| goal | what | figure | target | verdict |\n|---|---|---|---|---|\n", machine())
	for _, m := range []struct {
		name    string
		measure func() []row
	}{
		{"exits", w.exits},
		{"firsts", w.firsts},
		{"memory", w.memory},
		{"steps", w.steps},
		{"growth", w.growth},
		{"siblings", w.siblings},
		{"prefixes", w.prefixes},
		{"streams", w.streams},
		{"faults", w.faults},
		{"latency", w.latency},
		{"papers", w.papers},
		{"screen", w.screen},
		{"long", w.long},
		{"shares", w.shares},
		{"kills", w.kills},
	} {
		if only := os.Getenv("BENCH_ONLY"); only != "" && !strings.Contains(only, m.name) {
			continue
		}
		for _, r := range m.measure() {
			fmt.Printf("| %s | %s | %s | %s | %s |\n", r.goal, r.what, r.figure, r.target, r.verdict)
		}
	}
}

// machine says what the figures were measured on, without naming it.
func machine() string {
	cpu := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
				cpu = strings.Trim(name, " \t:")
				break
			}
		}
	}
	kernel := runtime.GOOS
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		kernel = strings.TrimSpace(string(out))
	}
	load := ""
	if out, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load before " + strings.Fields(string(out))[0]
	}
	return fmt.Sprintf("%d cores (%s), %s, %s, %s%s", runtime.NumCPU(), cpu, kernel, runtime.GOARCH, runtime.Version(), load)
}
