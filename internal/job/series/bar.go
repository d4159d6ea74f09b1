package series

import (
	"math"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
)

// A Bar is a progress bar as it was last drawn.
type Bar struct {
	Name    string
	N       float64
	Total   float64       // 0 if nobody knows
	Elapsed time.Duration // by the bar's own clock
	Left    time.Duration // by its own estimate; 0 if it has none
	PerS    float64       // steps a second; 0 if unknown
}

// Fraction is how much of it is done, from 0 to 1.
func (b Bar) Fraction() float64 {
	if b.Total <= 0 {
		return 0
	}
	return min(b.N/b.Total, 1)
}

const longestDays = 1e4 // that a bar may tell of

var (
	// 45%|████▌     | 45/100 [00:10<00:12,  4.50it/s, loss=0.5]
	tqdmBar = lazyregexp.New(`^(\d+)%\|[^|]*\|\s*([\d.]+[kMGT]?)/([\d.]+[kMGT]?)(?:\s?[A-Za-z]*)?\s*\[([^\]<]+)<((?:\d+ days?, )?[^,\]]+)(?:,\s*([^,\]]+))?([^\]]*)\]`)
	// 12it [00:01,  9.5it/s]
	tqdmCount = lazyregexp.New(`(?:^|\s)([\d.]+[kMGT]?)\s?[A-Za-z]+\s\[([\d:]+),\s*([^,\]]+)([^\]]*)\]`)
	// 45/100 [====>....] - ETA: 5s - loss: 0.5, and Keras 3: 45/100 ━━━━━━━ 3s 9ms/step - loss: 0.5
	kerasBar = lazyregexp.New(`^\s*(\d+)/(\d+)\s+(?:\[[=>.\s]{3,}\]|[━╸╺─\s]{3,})`)
	postfix  = lazyregexp.New(`([A-Za-z][\w/.@-]*)\s*[=:]\s*([^\s,\]]+)`)
)

// readBar finds a bar of tqdm in a line. The line without it is returned too.
func readBar(line string) (bar Bar, pairs []pair, rest string, ok bool) {
	start := strings.Index(line, "%|")
	if start < 0 {
		return readCount(line)
	}
	for start > 0 && line[start-1] >= '0' && line[start-1] <= '9' {
		start--
	}
	m := tqdmBar.FindStringSubmatch(line[start:])
	if m == nil {
		return bar, nil, line, false
	}
	bar.N, bar.Total = amount(m[2]), amount(m[3])
	bar.Elapsed, bar.Left, bar.PerS = clock(m[4]), clock(m[5]), rate(m[6])
	before := strings.TrimRight(line[:start], " ")
	if name, named := strings.CutSuffix(before, ":"); named {
		bar.Name, before = barName(name), ""
	}
	return bar, readPostfix(m[7]), before + " " + line[start+len(m[0]):], bar.Total > 0
}

func readCount(line string) (bar Bar, pairs []pair, rest string, ok bool) {
	m := tqdmCount.FindStringSubmatch(line)
	if m == nil || rate(m[3]) == 0 {
		return bar, nil, line, false
	}
	bar.N, bar.PerS = amount(m[1]), rate(m[3])
	bar.Elapsed = clock(m[2])
	before, after, _ := strings.Cut(line, m[0])
	bar.Name = barName(strings.TrimRight(before, ": "))
	return bar, readPostfix(m[4]), after, true
}

// barName is what stands before a bar, if it is short enough to be its name.
func barName(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 60 {
		return ""
	}
	return s
}

// readKeras finds a bar of Keras: how much of how many.
func readKeras(line string) []string {
	line = strings.TrimLeft(line, " ")
	if line == "" || line[0] < '0' || line[0] > '9' {
		return nil
	}
	return kerasBar.FindStringSubmatch(line)
}

func readPostfix(s string) (pairs []pair) {
	for _, m := range postfix.FindAllStringSubmatch(s, maxPairs) {
		if v, ok := number(m[2]); ok && m[1] != "v_num" {
			pairs = append(pairs, pair{name: m[1], number: v})
		}
	}
	return pairs
}

// amount reads a count, which tqdm may shorten: 1.2k.
func amount(s string) float64 {
	scale := 1.0
	if s != "" {
		if i := strings.IndexByte("kMGT", s[len(s)-1]); i >= 0 {
			scale, s = math.Pow(1000, float64(i+1)), s[:len(s)-1]
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v * scale
}

// clock reads 01:02, 1:02:03 and "1 day, 1:02:03"; what is none is 0.
func clock(s string) time.Duration {
	days := 0.0
	if before, after, ok := strings.Cut(s, "day"); ok {
		days, _ = number(before)
		s = strings.TrimLeft(after, "s, ")
	}
	var sum float64
	parts := strings.Split(strings.TrimSpace(s), ":")
	if len(parts) < 2 || len(parts) > 3 || days > longestDays {
		return 0
	}
	for _, p := range parts {
		v, ok := number(p)
		if !ok || v < 0 || v > 1e6 {
			return 0
		}
		sum = sum*60 + v
	}
	return time.Duration((days*86400 + sum) * float64(time.Second))
}

// rate reads 4.5it/s and 2.1s/it.
func rate(s string) float64 {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(strings.TrimLeft(s, " "), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/? ")
	v := amount(digits)
	unit := s[len(digits):]
	switch {
	case v <= 0 || math.IsInf(v, 0):
		return 0
	case strings.HasPrefix(unit, "s/"):
		return 1 / v
	case strings.HasSuffix(unit, "/s"):
		return v
	}
	return 0
}
