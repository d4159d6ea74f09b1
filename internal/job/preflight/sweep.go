package preflight

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/job"
)

const (
	sideBySide = 4 // settings that are checked at once at most
	mostNames  = 5 // settings that a finding names
	mostTexts  = 3 // findings of one kind that differ from setting to setting
)

// sweep checks each job of a sweep: the first, then the others side by side.
// What they all ask is asked once.
func (r Request) sweep(ctx context.Context) Report {
	specs := append([]job.Spec{r.Spec}, r.Others...)
	r.Jobs = max(r.Jobs, len(specs))
	r = r.asking(&answers{})
	reports := make([]Report, len(specs))
	one := func(i int) {
		mine := r
		mine.Spec = specs[i]
		reports[i] = mine.one(ctx)
	}
	one(0)
	turn := make(chan struct{}, min(sideBySide, runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for i := 1; i < len(specs); i++ {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			one(i)
		})
	}
	wg.Wait()
	return join(specs, reports)
}

// join makes one report of those of a sweep's jobs. What is found in all of them
// is said once, and of what is not, in which.
func join(specs []job.Spec, reports []Report) Report {
	all := reports[0]
	all.Findings = nil
	at := make(map[Finding]int)
	var in [][]int // the jobs of each finding
	for i, r := range reports {
		for _, f := range r.Findings {
			n, ok := at[f]
			if !ok {
				n = len(in)
				at[f], in, all.Findings = n, append(in, nil), append(all.Findings, f)
			}
			if !slices.Contains(in[n], i) {
				in[n] = append(in[n], i)
			}
		}
		all.take(r)
	}
	type kind struct {
		Code  string
		Level Level
		Line  int
	}
	said := make(map[kind][]int) // those that some jobs have, and others not
	more := make(map[int][]int)  // jobs of findings that are like one
	var kept []int
	for n, f := range all.Findings {
		k := kind{f.Code, f.Level, f.Line}
		switch {
		case len(in[n]) == len(specs):
		case len(said[k]) == mostTexts:
			last := said[k][mostTexts-1]
			more[last] = append(more[last], in[n]...)
			continue
		default:
			said[k] = append(said[k], n)
		}
		kept = append(kept, n)
	}
	findings := all.Findings
	all.Findings = nil
	for _, n := range kept {
		f := findings[n]
		if len(in[n]) < len(specs) {
			f.Settings = names(specs, in[n])
		}
		if len(more[n]) > 0 {
			f.Settings += "; much the same in " + names(specs, more[n])
		}
		all.Findings = append(all.Findings, f)
	}
	return all
}

// take takes over what asks for more than what is there.
func (r *Report) take(o Report) {
	if o.Memory != nil && (r.Memory == nil || o.Memory.Likely() > r.Memory.Likely()) {
		r.Memory = o.Memory
	}
	if o.Duration != nil && (r.Duration == nil || o.Duration.Time > r.Duration.Time) {
		r.Duration = o.Duration
	}
}

// names are jobs of a sweep in words.
func names(specs []job.Spec, which []int) string {
	slices.Sort(which)
	which = slices.Compact(which)
	var words []string
	for _, i := range which[:min(len(which), mostNames)] {
		words = append(words, cmp.Or(specs[i].Name, fmt.Sprintf("job %d", i+1)))
	}
	text := strings.Join(words, ", ")
	if left := len(which) - len(words); left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}
