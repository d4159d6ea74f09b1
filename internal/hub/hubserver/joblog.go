package hubserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
)

func cutLabel(label string) (key, value string, exact bool) { return strings.Cut(label, "=") }

// jobLogs sends what a job prints until it has ended. While a job waits for
// its start the stream stays open: clients take its end for the job's.
func (s *Server) jobLogs(c *jobCall) error {
	tail, err := tailOf(c.URL.Query())
	if err != nil {
		return err
	}
	log := &jobLog{jobCall: c, out: s.stream(c.exchange)}
	defer log.out.close()
	if tail >= 0 {
		if err := log.skip(tail); err != nil {
			return err
		}
	}
	for {
		done := c.job.Stage.Done() // before the output is read: then all of it is
		if err := log.send(done); err != nil || done {
			return err
		}
		if !log.out.wait() {
			return nil
		}
		if err := c.again(); err != nil {
			return jobRefusal(err)
		}
	}
}

// A jobLog is how far a job's output was sent.
type jobLog struct {
	*jobCall
	out   *stream
	from  int64
	begun bool
}

// skip passes over all lines that are there but the last n.
func (l *jobLog) skip(n int) error {
	ends := []int64{0}
	for line, err := range l.jobs.Logs(l.Context(), l.job.ID, 0) {
		if err != nil {
			return err
		}
		if line.Partial && !l.job.Stage.Done() {
			break
		}
		if ends = append(ends, line.Next); len(ends) > n+1 {
			ends = ends[1:]
		}
	}
	l.from, l.begun = ends[0], n == 0 || ends[0] > 0
	return nil
}

// send sends the output that has come since. A line without an end waits for
// it, so that a log is cut into the same lines each time that it is read.
func (l *jobLog) send(done bool) error {
	if l.job.Started.IsZero() && !done {
		return nil
	}
	if !l.begun && !l.job.Started.IsZero() {
		l.begun = true
		start := hubStartLine + " at " + l.job.Started.UTC().Format(time.DateTime) + " ====="
		if err := l.out.send(newLogEvent(l.job.Started, start)); err != nil {
			return err
		}
	}
	for line, err := range l.jobs.Logs(l.Context(), l.job.ID, l.from) {
		if err != nil {
			return err
		}
		if line.Partial && !done {
			return nil
		}
		l.from = line.Next
		if err := l.out.send(newLogEvent(l.stampOf(line), line.Text)); err != nil {
			return err
		}
	}
	return nil
}

const hubStartLine = "===== Job started"

// stampOf is a line's time. A log here has none, and clients tell lines that
// they know from new ones by it: so it is the start of the job and a nanosecond
// for each byte until the line's end, always the same and never twice.
func (l *jobLog) stampOf(line JobLine) time.Time {
	return l.job.Started.Add(time.Duration(line.Next))
}

// jobEvents sends the stages that a job reaches.
func (s *Server) jobEvents(c *jobCall) error {
	out := s.stream(c.exchange)
	defer out.close()
	sent := map[hub.JobStage]bool{}
	for {
		type step struct {
			stage hub.JobStage
			at    time.Time
		}
		steps := []step{{hub.JobScheduling, c.job.Created}}
		if !c.job.Started.IsZero() {
			steps = append(steps, step{hub.JobRunning, c.job.Started})
		}
		if c.job.Stage.Done() {
			steps = append(steps, step{c.job.Stage, c.job.Finished})
		}
		for _, p := range steps {
			if sent[p.stage] {
				continue
			}
			sent[p.stage] = true
			if err := out.send(map[string]any{"stage": p.stage, "timestamp": stamp(p.at)}); err != nil {
				return err
			}
		}
		if c.job.Stage.Done() || !out.wait() {
			return nil
		}
		if err := c.again(); err != nil {
			return jobRefusal(err)
		}
	}
}

// jobMetrics tells each second what a running job uses. Where that cannot be
// measured nothing is told but that the job goes on.
func (s *Server) jobMetrics(c *jobCall) error {
	if c.job.Stage.Done() {
		return refuse(http.StatusNotAcceptable, "NotAcceptable", "the job has ended")
	}
	out := s.stream(c.exchange)
	defer out.close()
	meter := &jobMeter{jobCall: c}
	for !c.job.Stage.Done() {
		if m := meter.read(); m != nil {
			if err := out.sendAs("metric", m); err != nil {
				return err
			}
		}
		if !out.wait() {
			return nil
		}
		if err := c.again(); err != nil {
			return jobRefusal(err)
		}
	}
	return nil
}

// A jobMeter turns what a job has used into what it uses.
type jobMeter struct {
	*jobCall
	last Usage
	at   time.Time
}

const meterEvery = time.Second

// read returns a metric as the Hub writes it, nil if there is none yet.
func (m *jobMeter) read() map[string]any {
	now := time.Now()
	if m.job.Started.IsZero() || now.Sub(m.at) < meterEvery {
		return nil
	}
	u, ok := m.jobs.Usage(m.Context(), m.job.ID)
	if !ok {
		return nil
	}
	busy := 0.0 // cores
	if !m.at.IsZero() {
		busy = max(0, (u.CPU-m.last.CPU).Seconds()/now.Sub(m.at).Seconds())
	}
	m.last, m.at = u, now
	gpus := map[string]hub.GPUUsage{}
	for i, gpu := range u.GPUs {
		gpus[strconv.Itoa(i)] = gpu
	}
	return map[string]any{
		"cpu_usage_pct": int(busy*100 + 0.5), "cpu_millicores": int(busy*1000 + 0.5), "memory_used_bytes": u.MemoryBytes, "memory_total_bytes": u.MemoryTotal,
		"rx_bps": 0, "tx_bps": 0, "gpus": gpus, "replica": "local",
	}
}
