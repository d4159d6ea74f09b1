package tools

import (
	"fmt"
	"path/filepath"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// A sentJob is a job of a sweep that was accepted, as the model reads it.
type sentJob struct {
	Job       string `json:"job"`
	Name      string `json:"name"`
	OutputDir string `json:"output_dir,omitempty"`
}

// sent tells of jobs that were accepted, and what the checks said of them.
func (p *submission) sent(checks string) tool.Output {
	first := p.members[0]
	on, dir := first.status.Hardware, relative(first.spec.Dir, first.status.OutputDir)
	if p.q.Flavor != "" {
		on = p.q.String()
	}
	var result any = struct {
		Job       string    `json:"job"`
		State     job.State `json:"state"`
		RunsOn    string    `json:"runs_on,omitempty"`
		OutputDir string    `json:"output_dir,omitempty"`
		Checks    string    `json:"checks,omitempty"`
	}{first.status.ID, first.status.State, on, dir, checks}
	summary := fmt.Sprintf("job %s (%s) is %s", first.status.ID, p.in.Name, first.status.State)
	if len(p.in.Sweep) > 0 {
		result = struct {
			Jobs   []sentJob `json:"jobs"`
			RunsOn string    `json:"runs_on,omitempty"`
			Checks string    `json:"checks,omitempty"`
		}{p.sentJobs(), on, checks}
		summary = fmt.Sprintf("%d jobs of the sweep %s were accepted", len(p.members), p.in.Name)
	}
	out, _ := object(result, summary)
	p.account(&out)
	return out
}

func (p *submission) sentJobs() []sentJob {
	var all []sentJob
	for _, m := range p.members {
		if m.sent {
			all = append(all, sentJob{m.status.ID, m.spec.Name, relative(m.spec.Dir, m.status.OutputDir)})
		}
	}
	return all
}

// account puts what each job costs on the bill, and what is known of it where a
// summary finds it. What may have been accepted counts at its worst.
func (p *submission) account(out *tool.Output) {
	each := p.worst / float64(len(p.members))
	for _, m := range p.members {
		label, worst := m.spec.Label, max(p.q.Each(), m.status.Worst(), each)
		switch {
		case m.refused():
		case m.unsure() && each > 0:
			out.Charges = append(out.Charges, tool.Charge{Label: label, USD: each})
		case m.unsure():
		case m.status.Done():
			out.Charges = append(out.Charges, finals(label, m.status)...)
		case worst > 0:
			out.Charges = append(out.Charges, tool.Charge{Label: label, Job: m.status.ID, USD: worst})
		}
		if m.sent {
			dir := relative(m.spec.Dir, m.status.OutputDir)
			out.Artifacts = append(out.Artifacts, tool.Artifact{Kind: "job", Path: filepath.ToSlash(m.status.OutputDir)})
			out.Facts = append(out.Facts, tool.Fact{Kind: jobFacts, Name: m.status.ID, Text: fmt.Sprintf("%s: %s, %s; output in %s", m.spec.Name, p.in.program(), m.status.State, dir)})
		}
	}
}

// failed tells why jobs were not sent, and which were all the same.
func (p *submission) failed(err error) (tool.Output, error) {
	if p.count(sending.refused) == len(p.members) {
		return tool.Output{}, err
	}
	return p.unsure(err), nil
}

// unsure tells of jobs of which some may have been accepted.
func (p *submission) unsure(err error) tool.Output {
	if len(p.in.Sweep) == 0 {
		text := fmt.Sprintf("%v\nWhether the job was accepted is unknown.", err)
		if id := p.members[0].status.ID; id != "" {
			text += fmt.Sprintf(" It is known as %s: ask for it with job_wait before you send it again.", id)
		}
		out := tool.Output{Text: text, IsError: true, Summary: "whether the job was accepted is unknown"}
		p.account(&out)
		return out
	}
	text := fmt.Sprintf("%v\nNot the whole sweep was sent.", err)
	for _, part := range []struct {
		what string
		is   func(sending) bool
	}{
		{"Accepted", sending.accepted},
		{"Unknown whether accepted; ask with job_wait before you send them again", sending.unsure},
		{"Not sent; send a sweep of these only", sending.refused},
	} {
		if names := p.named(part.is); len(names) > 0 {
			text += fmt.Sprintf("\n%s: %s.", part.what, strings.Join(names, ", "))
		}
	}
	out := tool.Output{Text: text, IsError: true, Summary: fmt.Sprintf("%d of %d jobs of the sweep %s were accepted", p.count(sending.accepted), len(p.members), p.in.Name)}
	p.account(&out)
	return out
}

func (p *submission) named(is func(sending) bool) []string {
	var names []string
	for _, m := range p.members {
		if is(m) {
			names = append(names, strings.TrimSpace(m.status.ID+" ("+m.spec.Name+")"))
		}
	}
	return names
}

// finals are the charges of those of the jobs that are over, cost something,
// and were submitted by the session of the call with that ID: another session
// has its own on its own bill.
func finals(callID string, statuses ...job.Status) []tool.Charge {
	session := callID[:strings.LastIndex(callID, "/")+1]
	var all []tool.Charge
	for _, s := range statuses {
		over := s.Done() && (s.State != job.Lost || !s.Finished.IsZero()) // else it stays at its worst
		if over && s.USDPerHour > 0 && session != "" && strings.HasPrefix(s.Label, session) {
			all = append(all, tool.Charge{Label: s.Label, Job: s.ID, USD: s.Cost(), Final: true})
		}
	}
	return all
}
