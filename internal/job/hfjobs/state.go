package hfjobs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// limitSlack is how much earlier than its limit a job may seem to have been
// ended: the Hub tells times in whole seconds here and there.
const limitSlack = time.Second

// observe notes how the Hub says a job is.
func (b *Backend) observe(ctx context.Context, rec job.Record, j hub.Job) (job.Record, error) {
	before := rec.Last
	s := &rec.Last
	s.Ref, s.Label, s.Name = j.ID, rec.Spec.Label, rec.Spec.Name
	s.URL = b.Hub.JobURL(rec.Kept[keptNamespace], j.ID)
	setTimes(s, j, time.Now().UTC())
	switch {
	case j.Status.Stage.Done():
		var err error
		if rec, err = b.conclude(ctx, rec, j); err != nil {
			return rec, err
		}
	case j.Status.Stage == hub.JobScheduling || s.Started.IsZero():
		s.State, s.Reason = job.Queued, ""
	default: // running, or a stage that is new
		s.State, s.Reason = job.Running, ""
	}
	if rec.Last == before {
		return rec, nil
	}
	return rec, b.records().Save(rec)
}

// setTimes takes the times of the Hub's clock, so that they are in order. Where
// it does not tell them they follow from how long things took.
func setTimes(s *job.Status, j hub.Job, now time.Time) {
	if !j.Created.IsZero() {
		s.Submitted = j.Created
	}
	live := j.Status.Stage != hub.JobScheduling && !j.Status.Stage.Done()
	switch {
	case !j.Started.IsZero():
		s.Started = j.Started
	case !s.Started.IsZero():
	case j.Durations.Running > 0:
		s.Started = s.Submitted.Add(seconds(j.Durations.Scheduling))
	case live || j.Status.Stage == hub.JobCompleted:
		s.Started = now
	}
	switch {
	case !j.Status.Stage.Done():
		return
	case !j.Finished.IsZero():
		s.Finished = j.Finished
	case j.Durations.Running > 0:
		s.Finished = s.Started.Add(seconds(j.Durations.Running))
	default:
		s.Finished = now
	}
	if s.Finished.Before(s.Started) {
		s.Finished = s.Started
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

const (
	// unreadWait is how long the end of a job may wait for its log to be read.
	unreadWait = time.Minute
	// lateWait is how long a log's last line may come after its job's end.
	lateWait = 5 * time.Second
)

// conclude notes how a job has ended. Only its log tells the exit code: while
// that may yet come, the job counts as running.
func (b *Backend) conclude(ctx context.Context, rec job.Record, j hub.Job) (job.Record, error) {
	s := &rec.Last
	if j.Status.Stage == hub.JobCompleted {
		s.State, s.ExitCode, s.Reason = job.Succeeded, 0, ""
		return rec, nil
	}
	message := b.hider(rec.Spec.Secrets)(j.Status.Message) // it may quote the job
	var l logState
	if !s.Started.IsZero() {
		var err error
		l, err = b.readLog(ctx, rec, true)
		if err != nil && (ctx.Err() != nil || b.soonAfterEnd(&rec, unreadWait)) {
			return rec, err
		}
		unclear := j.Status.Stage == hub.JobFailed && !l.Ending.Known && codeIn(message) < 0 && !overtime(rec) && !telling(message)
		if unclear && b.soonAfterEnd(&rec, lateWait) {
			s.State, s.Finished = job.Running, time.Time{}
			return rec, nil
		}
	}
	e := l.Ending // what could not be read tells nothing
	s.ExitCode = codeIn(message)
	if e.Known {
		s.ExitCode = e.Code
	}
	switch j.Status.Stage {
	case hub.JobCanceled:
		s.State, s.Reason = job.Canceled, b.cancelReason(rec, j.Status.CancelReason, message)
	case hub.JobDeleted:
		s.State, s.Reason = job.Lost, clause("it was deleted on the Hub", message)
		if e.Known && e.Code == 0 {
			s.State, s.Reason = job.Succeeded, ""
		}
	default:
		s.State, s.Reason = failure(rec, e, message)
		if last := b.lastLine(rec.ID, l.Size); last != "" && s.State == job.Failed {
			s.Reason += fmt.Sprintf("; its last output is %q", last)
		}
	}
	return rec, nil
}

// soonAfterEnd reports whether it is not long since the job was first seen to
// have ended: by our clock, which may be another than the Hub's, and may have been
// set back since.
func (b *Backend) soonAfterEnd(rec *job.Record, wait time.Duration) bool {
	kept, err := b.records().Get(rec.ID)
	if err != nil {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, kept.Kept[keptEnded])
	if err != nil {
		at, kept.Kept = time.Now(), with(kept.Kept, keptEnded, now())
		if b.records().Save(kept) != nil {
			return false
		}
	}
	rec.Kept = kept.Kept
	return time.Since(at).Abs() < wait
}

// overtime reports whether the job ran for as long as it may.
func overtime(rec job.Record) bool {
	s := rec.Last
	return s.TimeLimit > 0 && !s.Started.IsZero() && s.Finished.Sub(s.Started) >= s.TimeLimit-limitSlack
}

var (
	exitCode  = lazyregexp.New(`(?i)exit(?:ed)?(?: with)?(?: code| status)?:? (\d{1,3})\b`)
	timeWords = lazyregexp.New(`(?i)time ?limit|timed? ?out|time-?out|deadline`)
	oomWords  = lazyregexp.New(`(?i)\boom|out ?of ?memory|of memory`)
)

// telling reports whether the Hub's message says why it ended the job.
func telling(message string) bool {
	return timeWords.MatchString(message) || oomWords.MatchString(message)
}

// codeIn is the exit code that the Hub's message names, -1 if it names none.
func codeIn(message string) int {
	found := exitCode.FindStringSubmatch(message)
	if found == nil {
		return -1
	}
	code, err := strconv.Atoi(found[1])
	if err != nil {
		return -1
	}
	return code
}

// failure says why a job has failed.
func failure(rec job.Record, e ending, message string) (job.State, string) {
	s := rec.Last
	own := e.Known && e.Code > 0 && e.Code < 128 // it has ended by itself
	switch {
	case e.Memory || !own && oomWords.MatchString(message):
		return job.OutOfMemory, "it needed more memory than there is on " + s.Hardware
	case !own && (overtime(rec) || timeWords.MatchString(message)):
		return job.TimedOut, fmt.Sprintf("it ran longer than its time limit of %v", s.TimeLimit)
	case s.ExitCode > 128:
		return job.Failed, fmt.Sprintf("signal %d ended it (exit code %d)", s.ExitCode-128, s.ExitCode)
	case s.ExitCode > 0:
		return job.Failed, fmt.Sprintf("it ended with exit code %d", s.ExitCode)
	case s.Started.IsZero():
		return job.Failed, clause("it was not started", message)
	}
	return job.Failed, clause("the Hub ended it", message)
}

// cancelReason says who has canceled a job, and why.
func (b *Backend) cancelReason(rec job.Record, reason, message string) string {
	switch {
	case reason == hub.NoCredits:
		return fmt.Sprintf("the Hub canceled it: %s has no credit left; add some at %s", rec.Kept[keptNamespace], b.Hub.BillingURL())
	case reason == hub.NoSubscription:
		return fmt.Sprintf("the Hub canceled it: %s needs a subscription for jobs (PRO, Team or Enterprise)", rec.Kept[keptNamespace])
	case reason != "":
		return clause("the Hub canceled it ("+reason+")", message)
	case rec.Kept[keptCancel] == "":
		return clause("it was canceled on the Hub", message)
	}
	return "it was canceled"
}

// maxSaid bounds what is told of the Hub's words.
const maxSaid = 500

// clause adds what the Hub says to a sentence.
func clause(sentence, message string) string {
	message = strings.Join(strings.FieldsFunc(message, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if message == "" {
		return sentence
	}
	return sentence + ": " + strings.ToValidUTF8(message[:min(len(message), maxSaid)], "")
}
