package series

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
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

var (
	// 45%|████▌     | 45/100 [00:10<00:12,  4.50it/s, loss=0.5]
	tqdmBar = regexp.MustCompile(`(?:^|\s|:)\s*(\d{1,3})%\|[^|]{0,200}\|\s*([\d.]+[kMGT]?)/([\d.]+[kMGT]?)(?:\s?[A-Za-z]*)?\s*\[([^\]<]{1,24})<((?:\d+ days?, )?[^,\]]{1,24})(?:,\s*([^,\]]{1,24}))?([^\]]{0,400})\]`)
	// 12it [00:01,  9.5it/s]
	tqdmCount = regexp.MustCompile(`(?:^|\s)([\d.]+[kMGT]?)\s?[A-Za-z]{1,12}\s\[([\d:]{4,12}),\s*([^,\]]{1,24})([^\]]{0,400})\]`)
	// 45/100 [====>....] - ETA: 5s - loss: 0.5, and Keras 3: 45/100 ━━━━━━━ 3s 9ms/step - loss: 0.5
	kerasBar = regexp.MustCompile(`^\s*(\d+)/(\d+)\s+(?:\[[=>.\s]{3,}\]|[━╸╺─\s]{3,})`)
	postfix  = regexp.MustCompile(`([A-Za-z][\w/.@-]*)\s*[=:]\s*([^\s,\]]+)`)
)

// readBar finds a bar of tqdm in a line. The line without it is returned too.
func readBar(line string) (bar Bar, pairs []pair, rest string, ok bool) {
	m := tqdmBar.FindStringSubmatchIndex(line)
	if m == nil {
		return readCount(line)
	}
	part := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return line[m[2*i]:m[2*i+1]]
	}
	bar.N, bar.Total = amount(part(2)), amount(part(3))
	bar.Elapsed, _ = clock(part(4))
	bar.Left, _ = clock(part(5))
	bar.PerS = rate(part(6))
	name := line[:m[0]]
	if m[0] < len(line) && line[m[0]] == ':' {
		bar.Name = barName(name)
		name = ""
	}
	return bar, readPostfix(part(7)), name + " " + line[m[1]:], bar.Total > 0
}

func readCount(line string) (bar Bar, pairs []pair, rest string, ok bool) {
	m := tqdmCount.FindStringSubmatch(line)
	if m == nil || rate(m[3]) == 0 {
		return bar, nil, line, false
	}
	bar.N, bar.PerS = amount(m[1]), rate(m[3])
	bar.Elapsed, _ = clock(m[2])
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

// clock reads 01:02, 1:02:03 and "1 day, 1:02:03".
func clock(s string) (time.Duration, bool) {
	days := 0.0
	if before, after, ok := strings.Cut(s, "day"); ok {
		days, _ = number(before)
		s = strings.TrimLeft(after, "s, ")
	}
	var sum float64
	parts := strings.Split(strings.TrimSpace(s), ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	for _, p := range parts {
		v, ok := number(p)
		if !ok || v < 0 || v > 1e6 {
			return 0, false
		}
		sum = sum*60 + v
	}
	return time.Duration((days*86400 + sum) * float64(time.Second)), days < 1e4
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
