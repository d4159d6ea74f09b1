package ray

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// observe brings a record up to what Ray says of its job.
func (b Backend) observe(ctx context.Context, rec job.Record, info jobInfo) (job.Record, error) {
	was := rec
	rec.Ref = info.ID
	if info.Node != "" && rec.Kept[keptNode] != info.Node {
		rec.Kept = with(rec.Kept, keptNode, info.Node)
	}
	var err error
	switch info.Status {
	case "PENDING":
		if rec.Kept[keptStopped] != "" {
			return b.bury(rec, job.Canceled, "canceled before it began")
		}
	case "RUNNING":
		if rec.Last.State == job.Queued { // until its environment and its secrets are there
			err = b.starts(ctx, &rec)
		}
	case "SUCCEEDED", "FAILED", "STOPPED":
		err = b.ended(ctx, &rec, info)
	default:
		err = fmt.Errorf("Ray says that job %s is %q, which this program does not know", rec.ID, info.Status)
	}
	if err != nil {
		return was, err
	}
	if rec.Ref == was.Ref && rec.Last == was.Last && rec.Kept[keptNode] == was.Kept[keptNode] {
		return rec, nil
	}
	return rec, b.records().Save(rec)
}

// starts is for a job that has a node.
func (b Backend) starts(ctx context.Context, rec *job.Record) error {
	begun, err := b.begun(ctx, rec)
	switch {
	case err != nil:
		return err
	case begun:
		rec.Last.State = job.Running
	case len(rec.Spec.Secrets) > 0:
		return b.bring(ctx, *rec)
	}
	return nil
}

// begun fills in when the job's program began, if it has.
func (b Backend) begun(ctx context.Context, rec *job.Record) (bool, error) {
	var start struct {
		At float64 `json:"at"`
	}
	found, _, err := b.shimFile(ctx, *rec, "start.json", &start)
	if found && rec.Last.Started.IsZero() { // else it is another attempt
		// The node has a clock of its own.
		rec.Last.Started = later(time.UnixMilli(int64(start.At*1000)).UTC(), rec.Last.Submitted)
	}
	return found, err
}

// A shimEnd is end.json: the shim's word on how the job ended.
type shimEnd struct {
	State    job.State `json:"state"`
	ExitCode int       `json:"exit_code"`
	Reason   string    `json:"reason"`
	Seconds  float64   `json:"seconds"`
}

// ended fills in how a job ended that Ray says is over, and fetches its log,
// which is gone when the cluster is.
func (b Backend) ended(ctx context.Context, rec *job.Record, info jobInfo) error {
	begun, err := b.begun(ctx, rec)
	if err != nil {
		return err
	}
	var e shimEnd
	found, _, err := b.shimFile(ctx, *rec, "end.json", &e)
	if err != nil {
		return err
	}
	if !found {
		e = verdict(info, !rec.Last.Started.IsZero(), rec.Kept[keptCancel] != "")
		if e.State == job.Lost {
			dead, err := b.dead(ctx, rec.Kept[keptNode])
			if err != nil {
				return err
			}
			if dead {
				e.State, e.Reason = job.Preempted, "its node is gone"
			}
		}
	}
	fetch := b.fetchLog
	if !begun && !found && e.State == job.Failed {
		fetch = b.rayLog
	}
	if fetch(ctx, *rec) == nil {
		rec.Kept = with(rec.Kept, keptLog, "whole")
	}
	if e.State == job.Preempted && attempt(*rec) < rec.Spec.Retries && rec.Kept[keptCancel] == "" {
		return b.retry(ctx, rec)
	}
	s := &rec.Last
	s.State, s.ExitCode, s.Reason = e.State, e.ExitCode, e.Reason
	if s.State == job.Canceled && rec.Kept[keptCancel] == "" {
		s.Reason = "it was stopped at the cluster, not from here"
	}
	switch {
	case s.Started.IsZero():
	case found && attempt(*rec) == 0:
		s.Finished = s.Started.Add(time.Duration(e.Seconds * float64(time.Second)))
	default:
		s.Finished = later(time.UnixMilli(cmp.Or(info.End, time.Now().UnixMilli())).UTC(), s.Started)
	}
	if len(rec.Spec.Secrets) > 0 {
		b.dismiss(ctx, *rec)
	}
	b.clear(rec.ID)
	return nil
}

// dead reports whether Ray says of a node that it is not alive: old versions do
// not say it of the job.
func (b Backend) dead(ctx context.Context, id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return false, fmt.Errorf("ask Ray for its nodes: %w", err)
	}
	return !slices.ContainsFunc(nodes, func(n node) bool { return n.ID == id }), nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// verdict is how a job ended of which only Ray says anything.
func verdict(info jobInfo, started, canceled bool) shimEnd {
	switch {
	case info.Status == "SUCCEEDED":
		return shimEnd{State: job.Succeeded}
	case info.Status == "STOPPED" || canceled && !started:
		return shimEnd{State: job.Canceled, ExitCode: -1, Reason: "canceled"}
	}
	if e, ok := lastWord(info.Message); ok {
		return e
	}
	if info.ExitCode != nil {
		code := *info.ExitCode
		if code < 0 {
			code = 128 - code
		}
		reason := fmt.Sprintf("it ended with exit code %d", code)
		if code == 137 { // the shim's own, for it lives on when the job's program is killed
			reason = "what ran it was killed (SIGKILL), most often because the machine's memory ran out"
		}
		return shimEnd{State: job.Failed, ExitCode: code, Reason: reason}
	}
	return accident(info, started)
}

// lastLineOfShim is what the shim says in Ray's log of a job that failed; the
// end of that log is in Ray's message.
var lastLineOfShim = lazyregexp.New(`(?m)^ml-intern: ([a-z_]+) (\d+): (.*)$`)

func lastWord(message string) (shimEnd, bool) {
	all := lastLineOfShim.FindAllStringSubmatch(message, -1)
	if len(all) == 0 {
		return shimEnd{}, false
	}
	m := all[len(all)-1]
	code, err := strconv.Atoi(m[2])
	state := job.State(m[1])
	switch state {
	case job.Failed, job.Canceled, job.TimedOut, job.OutOfMemory:
		return shimEnd{State: state, ExitCode: code, Reason: m[3]}, err == nil
	}
	return shimEnd{}, false
}

// accident is the end of a job whose program did not end by itself.
func accident(info jobInfo, started bool) shimEnd {
	said := ends(strings.TrimSpace(strings.ToValidUTF8(info.Message, "\uFFFD")), 200, 600)
	e := shimEnd{State: job.Failed, ExitCode: -1}
	switch info.ErrorType {
	case "RUNTIME_ENV_SETUP_FAILURE":
		e.Reason = "its environment could not be made on the cluster: " + said
	case "JOB_SUPERVISOR_ACTOR_START_TIMEOUT":
		e.Reason = "it never began: no node had room for it in the time that Ray waits (RAY_JOB_START_TIMEOUT_SECONDS of the head, 15 minutes if not set)"
	case "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "JOB_SUPERVISOR_ACTOR_START_FAILURE", "JOB_ENTRYPOINT_COMMAND_START_ERROR":
		e.Reason = "it never began: " + said
	default:
		e.State, e.Reason = taken(info.Message)
		if !started {
			e.Reason += "; whether it had begun is not known"
		}
		e.Reason += ": " + said
	}
	return e
}

// Ray names the memory in other messages too, as one of several guesses.
var oom = lazyregexp.New(`low on memory|node_out_of_memory|outofmemoryerror`)

// ends shortens a text to its first and last bytes: a traceback says the most
// at its end.
func ends(text string, first, last int) string {
	if len(text) <= first+last {
		return text
	}
	return clip(text, first) + strings.ToValidUTF8(text[len(text)-last:], "")
}

// taken tells apart why Ray's part on the node has died.
func taken(message string) (job.State, string) {
	low := strings.ToLower(message)
	if oom.MatchString(low) {
		return job.OutOfMemory, "Ray ended it because the node ran out of memory"
	}
	for _, words := range []string{"preempt", "node has died", "node was terminated", "node is dead", "node died", "node failure", "drain"} {
		if strings.Contains(low, words) {
			return job.Preempted, "its node was taken away"
		}
	}
	return job.Lost, "Ray lost sight of it"
}
