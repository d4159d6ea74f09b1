package slurm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// A partition is the nodes of one partition of Slurm that have the same GPUs.
type partition struct {
	job.Offer
	name     string
	gres     string        // type of its GPUs, as --gres names it; "" if they have none, or none is theirs
	maxLimit time.Duration // 0 if there is none
	first    bool          // Slurm's default
}

// offersAge is how old what is offered may be.
const offersAge = 10 * time.Second

// partitionMark is between the answers of which offers are made.
const partitionMark = "ml-intern: next"

// Offers implements job.Backend: a flavor is a partition, with the type of its
// GPUs after a colon.
func (b *Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	parts, err := b.partitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("list its partitions: %w", err)
	}
	offers := make([]job.Offer, len(parts))
	for i, p := range parts {
		offers[i] = p.Offer
	}
	return offers, nil
}

// partitions asks scontrol, whose answer has names for its values and shows
// what of a node's GPUs is in use; sinfo's does so by columns that cut them.
func (b *Backend) partitions(ctx context.Context) ([]partition, error) {
	return b.parts.get(ctx, offersAge, time.Time{}, func(ctx context.Context) ([]partition, error) {
		mark := "echo '" + partitionMark + "'\n"
		out, err := b.run(ctx, "set -e\n"+b.program("scontrol")+" -o show partition\n"+mark+
			b.program("scontrol")+" -d -o show node\n"+mark+b.program("squeue")+" -h -t PENDING -o %P")
		if err != nil {
			return nil, b.plainly(err)
		}
		answers := strings.SplitN(out, partitionMark+"\n", 3)
		if len(answers) < 3 {
			return nil, errNoAnswer
		}
		parts := parsePartitions(answers[0], answers[1], answers[2])
		return b.priced(parts), nil
	})
}

// plainly says in plain words what Slurm's programs say of a cluster that is not
// there, or not now.
func (b *Backend) plainly(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	where := "here"
	if b.Host != "" {
		where = "on " + b.Host
	}
	switch said := r.complaint; {
	case r.code == 127:
		return fmt.Errorf("there is no scontrol %s: Slurm's programs are not installed, or not on the PATH", where)
	case strings.Contains(said, "configuration source") || strings.Contains(said, "fetch_config") || strings.Contains(said, "slurm.conf"):
		return fmt.Errorf("Slurm's programs are %s, and no cluster: there is no slurm.conf that names one, and none was found in the network", where)
	case strings.Contains(said, "contact slurm controller") || strings.Contains(said, "onnection refused") || strings.Contains(said, "connect failure"):
		return errors.New("the cluster's controller (slurmctld) does not answer; its jobs go on meanwhile")
	}
	return err
}

// priced leaves what jobs may use, with what only the configuration knows.
func (b *Backend) priced(parts []partition) []partition {
	parts = slices.DeleteFunc(parts, func(p partition) bool {
		return len(b.Partitions) > 0 && !slices.Contains(b.Partitions, p.name)
	})
	for i := range parts {
		p := &parts[i]
		price, known := b.USDPerHour[p.name]
		if !known {
			price, known = b.USDPerHour["*"]
		}
		p.USDPerHour, p.PriceUnknown = price, !known && b.USDPerHour != nil
		if p.GPUs > 0 {
			p.GPUMemoryMB = b.GPUMemoryMB[p.gres]
		}
		p.DefaultLimitS, p.MaxLimitS = int(b.limit(0, *p).Seconds()), int(p.maxLimit.Seconds())
		p.Ephemeral = b.Host != ""
	}
	slices.SortStableFunc(parts, func(x, y partition) int {
		return cmp.Or(job.ByPrice(x.Offer, y.Offer), cmp.Compare(y.rank(), x.rank()))
	})
	return parts
}

// rank puts Slurm's default first, for who does not care.
func (p partition) rank() int {
	if p.first {
		return 1
	}
	return 0
}

// limit is the time limit of a job there that asks for one, or for none: Slurm
// counts minutes.
func (b *Backend) limit(asked time.Duration, p partition) time.Duration {
	limit := cmp.Or(asked, b.TimeLimit)
	if limit == 0 {
		limit = defaultTimeLimit
		if p.maxLimit > 0 {
			limit = min(limit, p.maxLimit)
		}
	}
	return (limit + time.Minute - 1).Truncate(time.Minute)
}

// choose returns the partition for a job, or says what there is.
func (b *Backend) choose(ctx context.Context, spec job.Spec) (partition, error) {
	parts, err := b.partitions(ctx)
	if err != nil {
		return partition{}, fmt.Errorf("ask slurm what it has: %w", err)
	}
	offers := make([]job.Offer, len(parts))
	for i, p := range parts {
		offers[i] = p.Offer
	}
	offer, err := job.Choose(offers, spec)
	if err != nil {
		return partition{}, err
	}
	return parts[slices.IndexFunc(parts, func(p partition) bool { return p.Flavor == offer.Flavor })], nil
}

// parsePartitions reads what scontrol says of partitions and nodes, and the
// partitions of jobs that wait.
func parsePartitions(partitions, nodes, pending string) []partition {
	waiting := map[string]int{}
	for line := range strings.Lines(pending) {
		for name := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			waiting[name]++
		}
	}
	all := parsePairs(nodes)
	var parts []partition
	for _, values := range parsePairs(partitions) {
		if name := values["PartitionName"]; name != "" && values["State"] == "UP" {
			parts = append(parts, groups(name, values, all, waiting[name])...)
		}
	}
	return parts
}

// groups are the partition's nodes by their GPUs.
func groups(name string, values map[string]string, nodes []map[string]string, waiting int) []partition {
	var found []partition
	for _, node := range nodes {
		if !slices.Contains(strings.Split(node["Partitions"], ","), name) {
			continue
		}
		used := parseGres(node["GresUsed"])
		have := parseGres(node["Gres"])
		if len(have) == 0 {
			have = []gres{{}}
		}
		for _, g := range have {
			i := slices.IndexFunc(found, func(p partition) bool { return p.gres == g.kind && (p.GPUs > 0) == (g.count > 0) })
			if i < 0 {
				i = len(found)
				found = append(found, newPartition(name, values, g, waiting))
			}
			taken := 0
			for _, u := range used {
				if u.kind == g.kind {
					taken += u.count
				}
			}
			found[i].add(node, g, taken)
		}
	}
	return found
}

func newPartition(name string, values map[string]string, g gres, waiting int) partition {
	p := partition{name: name, gres: g.kind, maxLimit: parseLimit(values["MaxTime"]), first: values["Default"] == "YES"}
	p.Flavor, p.GPU, p.Queued = name, g.kind, waiting
	if g.count > 0 {
		p.Flavor += ":" + cmp.Or(g.kind, "gpu")
	}
	p.Note = "partition " + name
	if p.maxLimit > 0 {
		p.Note += fmt.Sprintf(", at most %s", p.maxLimit)
	}
	return p
}

// add counts a node.
func (p *partition) add(node map[string]string, g gres, taken int) {
	number := func(key string) int {
		n, _ := strconv.Atoi(node[key]) // what is no number is not there
		return n
	}
	cpus := cmp.Or(number("CPUEfctv"), number("CPUTot"))
	p.CPUs = max(p.CPUs, cpus)
	p.MemoryMB = max(p.MemoryMB, int64(number("RealMemory")))
	p.GPUs = max(p.GPUs, g.count)
	for _, bad := range []string{"DOWN", "DRAIN", "FAIL", "NOT_RESPONDING", "MAINT"} {
		if strings.Contains(node["State"], bad) {
			return
		}
	}
	p.FreeCPUs += max(0, cpus-number("CPUAlloc"))
	p.FreeGPUs += max(0, g.count-taken)
}

// A gres is GPUs of one type.
type gres struct {
	kind  string
	count int
}

// parseGres reads gpu:a100:2(S:0-1),gpu:1(IDX:0),shard:8: only GPUs count.
func parseGres(text string) []gres {
	var all []gres
	depth := 0
	words := strings.FieldsFunc(strings.Map(func(r rune) rune { // what is in brackets may have commas
		switch r {
		case '(':
			depth++
		case ')':
			depth--
			return -1
		}
		if depth > 0 {
			return -1
		}
		return r
	}, text), func(r rune) bool { return r == ',' })
	for _, word := range words {
		parts := strings.Split(word, ":")
		if parts[0] != "gpu" {
			continue
		}
		g := gres{count: 1}
		if n, err := strconv.Atoi(parts[len(parts)-1]); err == nil && len(parts) > 1 {
			g.count, parts = n, parts[:len(parts)-1]
		}
		if len(parts) > 1 {
			g.kind = parts[1]
		}
		all = append(all, g)
	}
	return all
}

// parseLimit reads DAYS-HOURS:MINUTES:SECONDS; UNLIMITED and the like are 0.
func parseLimit(text string) time.Duration {
	days, clock, ok := strings.Cut(text, "-")
	if !ok {
		days, clock = "0", text
	}
	d, err := strconv.Atoi(days)
	parts := strings.Split(clock, ":")
	if err != nil || len(parts) != 3 {
		return 0
	}
	limit := time.Duration(d) * 24 * time.Hour
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return 0
		}
		limit += time.Duration(n) * unit
	}
	return limit
}
