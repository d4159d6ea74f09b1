package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// A report is what a sub-agent found.
type report struct {
	Answer   string    `json:"answer" jsonschema:"the answer to the task, in a few sentences"`
	Findings []finding `json:"findings" jsonschema:"each thing found, the most important first"`
	Recipe   *recipe   `json:"recipe,omitempty" jsonschema:"the training recipe, if the task is about one"`
	Open     []string  `json:"open_questions,omitempty"`
}

type finding struct {
	Claim   string `json:"claim"`
	Source  string `json:"source" jsonschema:"URL, arXiv id or repository that was read"`
	Section string `json:"section,omitempty"`
	Quote   string `json:"quote" jsonschema:"the words of the source that say it, exactly"`
}

type recipe struct {
	Data       string `json:"data,omitempty"`
	Method     string `json:"method,omitempty"`
	Parameters string `json:"hyper_parameters,omitempty"`
	Result     string `json:"result,omitempty"`
}

const reportName = "report"

// reportTool takes the sub-agent's report; it is read off the log.
func reportTool() tool.Tool {
	spec := tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{
		Name: reportName, Description: "Hand in what you found. Quote the words that you read: each finding is held against what your tools returned.",
	}}
	return tool.New(spec, func(_ context.Context, in report, _ tool.Call) (tool.Output, error) {
		if strings.TrimSpace(in.Answer) == "" {
			return tool.Output{Text: "the answer is empty; call report again", IsError: true, BadArgs: true}, nil
		}
		return tool.Output{Text: "taken; now end with one sentence", Summary: fmt.Sprintf("%d findings", len(in.Findings))}, nil
	})
}

// lastReport is the last report that was taken, nil if there is none.
func lastReport(s *session.Session) *report {
	taken := make(map[string]bool)
	for _, ev := range s.Events() {
		if ev.Result != nil && !ev.Result.IsError {
			taken[ev.Result.CallID] = true
		}
	}
	for _, ev := range slices.Backward(s.Events()) {
		if ev.Reply == nil {
			continue
		}
		for _, call := range slices.Backward(ev.Reply.Message.Calls()) {
			var r report
			if call.Name == reportName && taken[call.ID] && json.Unmarshal([]byte(call.Args), &r) == nil {
				return &r
			}
		}
	}
	return nil
}

// A source is what one call read: what was asked for with the first line of
// the answer, which names where it is from, and all of the answer.
type source struct{ asked, text string }

// maxSource bounds how much of a result that was put into a file is looked
// through for a quote.
const maxSource = 8 << 20

// sourcesOf lists what the calls of a session returned, whole.
func sourcesOf(s *session.Session) []source {
	asked := make(map[string]string)
	var all []source
	for _, ev := range s.Events() {
		if ev.Reply != nil {
			for _, call := range ev.Reply.Message.Calls() {
				if call.Name != reportName {
					asked[call.ID] = call.Args
				}
			}
		}
		if r := ev.Result; r != nil && !r.IsError && asked[r.CallID] != "" {
			text := r.Text
			if info, err := os.Stat(r.Full); err == nil && info.Size() <= maxSource {
				if whole, err := os.ReadFile(r.Full); err == nil {
					text = string(whole)
				}
			}
			all = append(all, source{plain(asked[r.CallID] + "\n" + firstLine(text)), plain(text)})
		}
	}
	return all
}

// plain leaves the letters and digits of a text, so that line breaks, marks and
// kinds of quotes do not count.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

var arxivID = lazyregexp.New(`\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7}`)

// names are the forms in which a source may stand in a call or a result.
func names(source string) []string {
	name := source
	for _, prefix := range []string{"https://", "http://", "www."} {
		name = strings.TrimPrefix(name, prefix)
	}
	forms := []string{plain(name)}
	if id := arxivID.FindString(source); id != "" {
		forms = append(forms, plain(id))
	}
	return slices.DeleteFunc(forms, func(f string) bool { return len(f) < 4 })
}

// least is how many letters a quote must have to prove anything.
const least = 12

// check says how far a finding is borne out by what was read.
func (f finding) check(read []source) string {
	known, mentioned := false, false
	quote, forms := plain(f.Quote), names(f.Source)
	for _, s := range read {
		named := slices.ContainsFunc(forms, func(n string) bool { return strings.Contains(s.asked, n) })
		known = known || named
		mentioned = mentioned || slices.ContainsFunc(forms, func(n string) bool { return strings.Contains(s.text, n) })
		if named && len(quote) >= least && strings.Contains(s.text, quote) {
			return "verified"
		}
	}
	switch {
	case !known && mentioned:
		return "unverified: the source was only mentioned in what was read"
	case !known:
		return "unverified: the source was not read"
	case len(quote) < least:
		return "unverified: no quote that could be looked for"
	}
	return "unverified: the quote is not in what was read"
}

const maxFindings = 40

func (r *report) write(b *strings.Builder, read []source) {
	fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(r.Answer))
	for i, f := range r.Findings {
		if i == maxFindings {
			fmt.Fprintf(b, "[%d more findings]\n", len(r.Findings)-i)
			break
		}
		fmt.Fprintf(b, "\n%d. [%s] %s\n   %s", i+1, f.check(read), f.Claim, f.Source)
		if f.Section != "" {
			fmt.Fprintf(b, ", %s", f.Section)
		}
		if f.Quote != "" {
			fmt.Fprintf(b, ": %q", f.Quote)
		}
		b.WriteByte('\n')
	}
	if r.Recipe != nil {
		for _, part := range []struct{ name, text string }{
			{"data", r.Recipe.Data}, {"method", r.Recipe.Method}, {"hyper-parameters", r.Recipe.Parameters}, {"result", r.Recipe.Result},
		} {
			if part.text != "" {
				fmt.Fprintf(b, "\nrecipe, %s: %s", part.name, part.text)
			}
		}
		b.WriteByte('\n')
	}
	for _, q := range r.Open {
		fmt.Fprintf(b, "\nopen: %s", q)
	}
}
