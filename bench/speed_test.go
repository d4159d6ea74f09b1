package bench_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ml-intern/internal/llm/llmtest"
)

const rounds = 5 // of what is measured in turns

// exits measures `version` and `--help` beside a Go program that does nothing.
func (w *world) exits() []row {
	home := w.home()
	var version, help, bare [rounds][]time.Duration
	for i := range rounds {
		for range 15 {
			version[i] = append(version[i], w.exit(home, w.ours.exe, "version"))
			help[i] = append(help[i], w.exit(home, w.ours.exe, "--help"))
			bare[i] = append(bare[i], w.exit(home, w.floor.exe))
		}
	}
	v, h := median(best(version[:])), median(best(help[:]))
	n := fmt.Sprintf("; n = %d", total(version[:]))
	return []row{
		{"1", "`version`, process start to end", ms(v) + n, "15 ms", verdict(milliseconds(v), 15)},
		{"1", "`--help`", ms(h) + n, "15 ms", verdict(milliseconds(h), 15)},
		{"", "floor: a Go program that does nothing", ms(median(best(bare[:]))), "", ""},
	}
}

func (w *world) exit(home, exe string, args ...string) time.Duration {
	w.Helper()
	c := w.command(home, "", exe, args...)
	start := time.Now()
	if err := c.Run(); err != nil {
		w.Fatal(err)
	}
	return time.Since(start)
}

// firsts measures the way to the first request: of a new session in a home
// that exists and in none, and of one with 400 messages that goes on.
func (w *world) firsts() []row {
	used, last := w.home(), w.home()
	w.run(w.ours, last, echoes(199), "go") // the prompt, 199 calls with results, the answer
	var fresh, first, resumed, floor [rounds][]time.Duration
	say := echoes(0)
	for i := range rounds {
		for range 8 {
			copied := w.home()
			w.copy(last, copied)
			fresh[i] = append(fresh[i], w.run(w.ours, used, say, "go").firstRequest())
			first[i] = append(first[i], w.run(w.ours, w.home(), say, "go").firstRequest())
			resumed[i] = append(resumed[i], w.run(w.ours, copied, say, "--continue", "and now?").firstRequest())
			floor[i] = append(floor[i], w.run(w.floor, used, say, "go").firstRequest())
		}
	}
	n := fmt.Sprintf("; n = %d", total(fresh[:]))
	f, one, more := median(best(fresh[:])), median(best(first[:])), median(best(resumed[:]))
	return []row{
		{"2", "start to first request, new session", ms(f) + n, "40 ms", verdict(milliseconds(f), 40)},
		{"2", "the same on the first run ever", ms(one) + n, "40 ms", verdict(milliseconds(one), 40)},
		{"", "floor agent", ms(median(best(floor[:]))), "", ""},
		{"14", "the same, resuming 400 messages", fmt.Sprintf("%s, +%s%s", ms(more), ms(more-f), n), "+10 ms", verdict(milliseconds(more-f), 10)},
	}
}

// copy copies a folder and syncs the copy, so that nobody pays for it later.
func (w *world) copy(from, to string) {
	w.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		w.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
	if err != nil {
		w.Fatal(err)
	}
}

// memory measures peaks, and the size of the program.
func (w *world) memory() []row {
	var rows []row
	for _, m := range []struct {
		what   string
		play   func() script
		target float64
		n      int
	}{
		{"peak memory, 1 step", func() script { return echoes(1) }, 35, 5},
		{"peak memory, 200 steps", func() script { return echoes(200) }, 40, 3},
		{"peak memory, 0.7 MB of history", func() script { return echoes(5, history(700_000)...) }, 50, 3},
	} {
		var ours, own, floor []float64
		for range m.n {
			all, anonymous := w.peakOf(w.ours, w.home(), m.play(), "go")
			ours, own = append(ours, all), append(own, anonymous)
			all, _ = w.peakOf(w.floor, w.home(), m.play(), "go")
			floor = append(floor, all)
		}
		rows = append(rows, row{
			"3", m.what, fmt.Sprintf("%.0f MB, %.0f of it no part of its file; floor agent %.0f; n = %d", median(ours), median(own), median(floor), m.n),
			fmt.Sprintf("%.0f MB", m.target), verdict(median(ours), m.target),
		})
	}
	info, err := os.Stat(w.ours.exe)
	if err != nil {
		w.Fatal(err)
	}
	size := float64(info.Size()) / 1e6
	return append(rows, row{"4", "binary, stripped", fmt.Sprintf("%.0f MB", size), "50 MB", verdict(size, 50)})
}

// steps measures a step whose tool is an echo.
func (w *world) steps() []row {
	const n = 150
	var ours, floor [rounds][]time.Duration
	var oursCPU, floorCPU []time.Duration
	for i := range rounds {
		ours[i], oursCPU = w.stepsOf(w.ours, n, oursCPU)
		floor[i], floorCPU = w.stepsOf(w.floor, n, floorCPU)
	}
	b, f := best(ours[:]), best(floor[:])
	mid, p95, cpu := median(b), quantile(b, 0.95), median(oursCPU)
	count := fmt.Sprintf("; n = %d", total(ours[:]))
	return []row{
		{"5", "own time a step, median", fmt.Sprintf("%s, floor agent %s%s", ms(mid), ms(median(f)), count), "8 ms", verdict(milliseconds(mid), 8)},
		{"6", "own time a step, p95", fmt.Sprintf("%s, %.1f × the median; floor agent %.1f ×", ms(p95), float64(p95)/float64(mid),
			float64(quantile(f, 0.95))/float64(median(f))), "2 ×", verdict(float64(p95)/float64(mid), 2)},
		{"7", "CPU a step, its shell with it", fmt.Sprintf("%s, floor agent %s", ms(cpu), ms(median(floorCPU))), "6 ms", verdict(milliseconds(cpu), 6)},
	}
}

// stepsOf returns the gaps of n steps, and adds the CPU time of one of them.
func (w *world) stepsOf(a agent, n int, cpu []time.Duration) (gaps, cpus []time.Duration) {
	w.Helper()
	one := w.run(a, w.home(), echoes(1), "go")
	many := w.run(a, w.home(), echoes(1+n), "go")
	return many.gaps(1), append(cpu, (many.cpu-one.cpu)/time.Duration(n))
}

// growth measures what a step costs when there is much to send again.
func (w *world) growth() []row {
	sizes := []int{50_000, 700_000, 4_000_000}
	const n = 40
	ours, floor := make([][][]time.Duration, len(sizes)), make([][][]time.Duration, len(sizes))
	bodies := make([]int, len(sizes))
	for range 3 {
		for i, size := range sizes {
			turns := history(size)
			r := w.run(w.ours, w.home(), echoes(n, turns...), "go")
			bodies[i] = len(r.seen[len(r.seen)-1].Body)
			ours[i] = append(ours[i], r.gaps(len(turns)))
			floor[i] = append(floor[i], w.run(w.floor, w.home(), echoes(n, turns...), "go").gaps(len(turns)))
		}
	}
	var mid, low [3]time.Duration
	for i := range sizes {
		mid[i], low[i] = median(best(ours[i])), median(best(floor[i]))
	}
	ratio := float64(mid[1]) / float64(mid[0])
	size := func(i int) string { return fmt.Sprintf("%.2f MB", float64(bodies[i])/1e6) }
	return []row{
		{"8", fmt.Sprintf("a step at %s of history over %s", size(1), size(0)), fmt.Sprintf("%s / %s = %.1f ×; floor agent %.1f ×; n = %d",
			ms(mid[1]), ms(mid[0]), ratio, float64(low[1])/float64(low[0]), total(ours[0])), "1.5 ×", verdict(ratio, 1.5)},
		{"8", fmt.Sprintf("a step at %s", size(2)), fmt.Sprintf("%s, floor agent %s", ms(mid[2]), ms(low[2])), "40 ms", verdict(milliseconds(mid[2]), 40)},
	}
}

// siblings measures eight calls of one reply.
func (w *world) siblings() []row {
	var lines []string
	var looks llmtest.Turn
	for i := range 8 {
		lines = append(lines, fmt.Sprintf("sleep 0.2; echo %d", i))
		name := fmt.Sprintf("part-%d.txt", i)
		if err := os.WriteFile(filepath.Join(w.workspace, name), []byte("some text\n"), 0o644); err != nil {
			w.Fatal(err)
		}
		looks.Calls = append(looks.Calls, llmtest.TurnCall{Name: "read", Args: fmt.Sprintf(`{"path":%q}`, name)})
	}
	var sleeps, reads []time.Duration
	for range 3 {
		sleeps = append(sleeps, w.run(w.ours, w.home(), echoes(0, bash(lines...)), "go").gaps(0)...)
	}
	for range 9 {
		reads = append(reads, w.run(w.ours, w.home(), echoes(0, bash("echo"), looks), "go").gaps(1)...)
	}
	s := median(sleeps)
	return []row{
		{"9", "8 calls of `sleep 0.2` in one reply", fmt.Sprintf("%.2f s; n = %d", s.Seconds(), len(sleeps)), "0.3 s", verdict(s.Seconds(), 0.3)},
		{"", "8 calls of `read` in one reply, side by side", fmt.Sprintf("%s; n = %d", ms(median(reads)), len(reads)), "", ""},
	}
}
