package slurm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// A queue is what Slurm says of jobs of ours, by our id: more than one row if a
// job was sent twice.
type queue map[string][]row

// A row is a job as Slurm sees it.
type row struct {
	ref    string // its number; of an array NUMBER_INDEX
	name   string
	state  string // in capitals, such as RUNNING
	reason string // why it waits or failed, such as Resources
	start  time.Time
	end    time.Time // of what runs, the latest
	place  string    // partition and node
	code   int       // 128+signal if a signal ended it; -1 if not known
}

// squeueFormat has the job's name last: of other programs' jobs, it may hold
// anything.
const squeueFormat = "%i|%T|%r|%S|%e|%P|%N|%j"

// squeue lists a user's jobs of any state, an array's one by one, times in UTC.
func (b *Backend) squeue() string {
	return "TZ=UTC0 SLURM_TIME_FORMAT=standard " + b.program("squeue") + ` -h -r -t all -u "$(id -un)" -o '` + squeueFormat + "'"
}

// parseQueue reads the lines of squeue. Jobs that are not ours are left out.
func parseQueue(out string) queue {
	q := queue{}
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimRight(line, "\r\n"), "|", 8)
		if len(fields) < 8 {
			continue
		}
		id, ok := idOf(fields[7])
		if !ok {
			continue
		}
		r := row{
			ref: fields[0], state: stateWord(fields[1]), reason: fields[2], name: fields[7],
			start: parseTime(fields[3]), end: parseTime(fields[4]), place: placeWords(fields[5], fields[6]), code: -1,
		}
		q[id] = append(q[id], r)
	}
	return q
}

// namePrefix begins the name of every job of ours. The name is the one thing
// that Slurm shows everywhere and keeps everywhere.
const namePrefix = "ml."

// jobName is what a job is called in Slurm: ml.ID.NAME.
func jobName(id, name string) string {
	clean := func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}
	name = strings.Map(clean, clip(name, 40))
	if name == "" {
		return namePrefix + id
	}
	return namePrefix + id + "." + name
}

// idOf is the id in a job's name.
func idOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(name), namePrefix)
	id, _, _ := strings.Cut(rest, ".")
	return id, ok && job.ValidID(id)
}

// stateWord is the state in "CANCELLED by 1000" and "RUNNING+".
func stateWord(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), " ")
	return strings.ToUpper(strings.TrimRight(text, "+"))
}

// parseTime reads a time of Slurm, which is asked for UTC; "N/A", "Unknown" and
// the like are no time.
func parseTime(text string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05", strings.TrimSpace(text))
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}

func placeWords(partition, nodes string) string {
	if nodes == "" || nodes == "(null)" || strings.HasPrefix(nodes, "None") {
		return "partition " + partition
	}
	return "partition " + partition + ", node " + nodes
}

// detailMark is between what scontrol and what sacct say.
const detailMark = "ml-intern: sacct"

// details asks all that can be asked of one job: scontrol, which knows it for
// minutes after its end, and sacct, where there is accounting.
func (b *Backend) details(ctx context.Context, id, ref string) (row, bool, error) {
	out, err := b.run(ctx, "export TZ=UTC0 SLURM_TIME_FORMAT=standard\n"+
		b.program("scontrol")+" -o show job "+quote(ref)+" 2>/dev/null\n"+
		"echo '"+detailMark+"'\n"+
		b.program("sacct")+" -X -n -P -j "+quote(ref)+" -o "+sacctFields+" 2>/dev/null || :")
	if err != nil {
		return row{}, false, fmt.Errorf("ask scontrol: %w", err)
	}
	controller, accounts, _ := strings.Cut(out, detailMark+"\n")
	for _, r := range append(parseAccounts(accounts), parseControl(controller)...) {
		if ours, ok := idOf(r.name); ok && ours == id && r.ref == ref {
			return r, true, nil
		}
	}
	return row{}, false, nil
}

const sacctFields = "JobID,State,ExitCode,Start,End,Partition,NodeList,JobName"

// parseAccounts reads the lines of sacct.
func parseAccounts(out string) []row {
	var rows []row
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimRight(line, "\r\n"), "|", 8)
		if len(fields) < 8 || strings.Contains(fields[0], ".") {
			continue // a step
		}
		rows = append(rows, row{
			ref: fields[0], state: stateWord(fields[1]), code: exitCode(fields[2]), name: fields[7],
			start: parseTime(fields[3]), end: parseTime(fields[4]), place: placeWords(fields[5], fields[6]),
		})
	}
	return rows
}

// parseControl reads what `scontrol -o show job` says.
func parseControl(out string) []row {
	var rows []row
	for _, values := range parsePairs(out) {
		ref := values["JobId"]
		if ref == "" {
			continue
		}
		if index := values["ArrayTaskId"]; index != "" {
			ref = values["ArrayJobId"] + "_" + index
		}
		rows = append(rows, row{
			ref: ref, name: values["JobName"], state: stateWord(values["JobState"]), reason: values["Reason"],
			code: exitCode(values["ExitCode"]), start: parseTime(values["StartTime"]), end: parseTime(values["EndTime"]),
			place: placeWords(values["Partition"], values["NodeList"]),
		})
	}
	return rows
}

// parsePairs reads what `scontrol -o show` says: a line of KEY=VALUE for each
// thing. A value may hold spaces, and what looks like a key; the first of a
// key counts.
func parsePairs(out string) []map[string]string {
	var all []map[string]string
	for line := range strings.Lines(out) {
		values := map[string]string{}
		for word := range strings.FieldsSeq(line) {
			key, value, ok := strings.Cut(word, "=")
			if _, seen := values[key]; ok && !seen {
				values[key] = value
			}
		}
		all = append(all, values)
	}
	return all
}

// exitCode reads CODE:SIGNAL as a shell would say it, -1 if it is neither.
func exitCode(text string) int {
	first, second, _ := strings.Cut(strings.TrimSpace(text), ":")
	code, err := strconv.Atoi(first)
	signal, err2 := strconv.Atoi(second)
	switch {
	case err != nil || code < 0:
		return -1
	case err2 == nil && signal > 0:
		return 128 + signal
	}
	return code
}
