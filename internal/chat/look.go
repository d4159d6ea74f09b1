package chat

import (
	"context"
	"fmt"
	"strings"

	"ml-intern/internal/app"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

func (c *Chat) plan(string) (Result, error) {
	s, _, err := c.log()
	if err != nil {
		return Result{}, err
	}
	plan := s.Plan()
	if len(plan) == 0 {
		return Result{Text: "There is no plan."}, nil
	}
	var b strings.Builder
	for _, item := range plan {
		switch item.Status {
		case "done":
			fmt.Fprintf(&b, "- [x] %s\n", item.Text)
		case "doing":
			fmt.Fprintf(&b, "- [ ] **%s** (now)\n", item.Text)
		case "dropped":
			fmt.Fprintf(&b, "- [ ] ~~%s~~\n", item.Text)
		default:
			fmt.Fprintf(&b, "- [ ] %s\n", item.Text)
		}
	}
	return Result{Text: b.String()}, nil
}

func (c *Chat) cost(string) (Result, error) {
	s, a, err := c.log()
	if err != nil {
		return Result{}, err
	}
	bill, err := a.Bill(c.ctx, s)
	if err != nil {
		return Result{}, err
	}
	var b strings.Builder
	b.WriteString("| for | name | calls | in | cached | out | USD |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, l := range bill.Lines {
		usd := fmt.Sprintf("%.4f", l.Cost.USD)
		if l.Open.USD > 0 {
			usd += fmt.Sprintf(" (%.4f of it still runs, at its limit)", l.Open.USD)
		}
		if l.Cost.Tokens > 0 {
			usd = "unpriced"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %s |\n", l.For, cell(l.Name), l.Calls, l.Usage.Input, l.Usage.CacheRead, l.Usage.Output, usd)
	}
	fmt.Fprintf(&b, "\nIn all %s.", session.Bill{Cost: bill.Cost}.Words())
	if c.cfg.MaxCost > 0 {
		fmt.Fprintf(&b, " The cap is $%.2f.", c.cfg.MaxCost)
	} else {
		b.WriteString(" There is no cap: `--max-cost USD` sets one.")
	}
	return Result{Text: b.String()}, nil
}

// cell is a text that a table's cell may hold.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }

// contextCommand says what fills the model's window.
func (c *Chat) contextCommand(string) (Result, error) {
	s, _, err := c.log()
	if err != nil {
		return Result{}, err
	}
	sizes := map[string]int{}
	for _, m := range s.Messages() {
		n, _ := session.Estimate(m)
		kind := "answers and calls of the model"
		switch m.Role {
		case llm.User:
			kind = "your words, and the program's"
		case llm.Tool:
			kind = "results of tools"
		}
		sizes[kind] += n
	}
	c.mu.Lock()
	used, window, overhead := c.state.Context, c.state.Window, c.overhead
	c.mu.Unlock()
	var b strings.Builder
	b.WriteString("| what | tokens, about |\n|---|--:|\n")
	fmt.Fprintf(&b, "| system prompt and tools | %d |\n", overhead)
	for _, kind := range []string{"your words, and the program's", "answers and calls of the model", "results of tools"} {
		fmt.Fprintf(&b, "| %s | %d |\n", kind, sizes[kind])
	}
	fmt.Fprintf(&b, "\nThe next request has about %d tokens", used)
	if window > 0 {
		fmt.Fprintf(&b, ", %d %% of the window of %d", used*100/window, window)
	}
	b.WriteString(". `/compact` summarizes the older part.")
	return Result{Text: b.String()}, nil
}

// Repositories lists the repositories of the Hub whose names begin so; none while
// the program is not open. Unlike a command it waits for the Hub alone.
func (c *Chat) Repositories(ctx context.Context, start string) ([]app.Repository, error) {
	a := c.program()
	if a == nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	return a.Repositories(ctx, start)
}

func (c *Chat) compact(string) (Result, error) {
	return Result{}, c.inSession(func() error {
		before := c.conv.Agent.Tokens(c.conv.Session)
		err := c.stoppable(func(ctx context.Context) error {
			return c.show(c.conv.Agent.Compact(ctx, c.conv.Session))
		})
		c.describe()
		if err == nil {
			c.notice("summarized: about %d tokens were %d", c.conv.Agent.Tokens(c.conv.Session), before)
		}
		return err
	})
}

func (c *Chat) tools(string) (Result, error) {
	c.mu.Lock()
	tools := c.toolList
	c.mu.Unlock()
	if tools == nil {
		return Result{}, errNone
	}
	var b strings.Builder
	b.WriteString("| tool | effect | what it does |\n|---|---|---|\n")
	for _, t := range tools {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", t.Name, t.Effect, cell(t.Help))
	}
	return Result{Text: b.String()}, nil
}

func (c *Chat) diff(string) (Result, error) {
	s, a, err := c.log()
	if err != nil {
		return Result{}, err
	}
	files, err := a.Diff(c.ctx, s)
	if err != nil {
		return Result{}, err
	}
	if len(files) == 0 {
		return Result{Text: "This session has changed no files."}, nil
	}
	var b strings.Builder
	for _, f := range files {
		if f.Text == "" {
			fmt.Fprintf(&b, "%s `%s` (%s)\n\n", did(f.Do), f.Path, f.Note)
			continue
		}
		fence := "```"
		for strings.Contains(f.Text, fence) {
			fence += "`"
		}
		fmt.Fprintf(&b, "%s `%s`\n\n%sdiff\n%s%s\n\n", did(f.Do), f.Path, fence, f.Text, fence)
	}
	return Result{Text: b.String()}, nil
}

func did(do string) string {
	switch do {
	case "add":
		return "new:"
	case "delete":
		return "deleted:"
	}
	return "changed:"
}

// jobs shows the jobs in words, the end of a log, or stops a job.
func (c *Chat) jobs(args string) (Result, error) {
	a, err := c.opened()
	if err != nil {
		return Result{}, err
	}
	switch what, id, _ := strings.Cut(args, " "); {
	case args == "":
		return c.jobTable()
	case what == "logs" && id != "":
		lines, err := a.JobLog(c.ctx, id, 60)
		if err != nil && len(lines) == 0 {
			return Result{}, err
		}
		return Result{Text: "```\n" + strings.ReplaceAll(strings.Join(lines, "\n"), "```", "` ` `") + "\n```"}, err
	case what == "cancel" && id != "":
		state, err := a.CancelJob(c.ctx, id)
		if err != nil && state == "" {
			return Result{}, err
		}
		return Result{Text: fmt.Sprintf("Job %s is %s.", id, strings.ReplaceAll(state, "_", " "))}, err
	}
	return Result{}, usage("/jobs takes logs ID or cancel ID")
}

func (c *Chat) jobTable() (Result, error) {
	views, err := c.Jobs()
	if err != nil && len(views) == 0 {
		return Result{}, err
	}
	if len(views) == 0 {
		return Result{Text: "There are no jobs.", Panel: PanelJobs}, nil
	}
	var b strings.Builder
	b.WriteString("| job | name | where | state | seconds | USD |\n|---|---|---|---|--:|--:|\n")
	for i, v := range views {
		if i == 20 {
			fmt.Fprintf(&b, "\nand %d more: `ml-intern jobs ls`\n", len(views)-i)
			break
		}
		state := strings.ReplaceAll(v.State, "_", " ")
		if v.Progress != "" && !v.Done {
			state += ", " + v.Progress
		}
		usd := fmt.Sprintf("%.2f", v.USD)
		if !v.Done && v.WorstUSD > 0 {
			usd += fmt.Sprintf(" of at most %.2f", v.WorstUSD)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f | %s |\n", v.ID, cell(v.Name), v.Backend, cell(state), v.Seconds, usd)
	}
	if err != nil {
		fmt.Fprintf(&b, "\nNot all backends could be asked: %v\n", err)
	}
	return Result{Text: b.String(), Panel: PanelJobs}, nil
}

// ReadFile reads a file of the workspace as the session's tools do.
func (c *Chat) ReadFile(path string, most int64) ([]byte, error) {
	a := c.program()
	if a == nil {
		return nil, errNoProgram
	}
	return a.ReadFile(c.ctx, path, most)
}

// Jobs are the jobs of this account and machine, with their numbers, for a
// panel: those of the session and those that run come first. It may take a while.
func (c *Chat) Jobs() ([]app.JobView, error) {
	c.watching.Lock()
	defer c.watching.Unlock()
	c.mu.Lock()
	a, id := c.app, c.state.Session
	c.mu.Unlock()
	if a == nil {
		return nil, errNoProgram
	}
	if c.watchOf != a {
		c.watchOf, c.watcher = a, a.WatchJobs()
	}
	return c.watcher.Read(c.ctx, id)
}

// mcp asks every MCP server of the configuration, as one that has just been
// started: those of the session go on.
func (c *Chat) mcp(string) (Result, error) {
	c.mu.Lock()
	a := c.app
	c.mu.Unlock()
	if a == nil {
		return Result{}, errNoProgram
	}
	servers, err := a.MCPServers(c.ctx)
	if err != nil {
		return Result{}, err
	}
	if len(servers) == 0 {
		return Result{Text: "There are no MCP servers: put them under `mcp` in " + c.cfg.File() + "."}, nil
	}
	redact := a.Redact()
	var b strings.Builder
	b.WriteString("| server | tools | answers | where |\n|---|---:|---|---|\n")
	for _, r := range servers {
		answer := r.Title
		if r.Error != "" {
			answer = "no: " + redact(r.Error)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", r.Server, r.Tools, cell(answer), cell(r.Where))
	}
	return Result{Text: b.String()}, nil
}

func (c *Chat) doctor(string) (Result, error) {
	var b strings.Builder
	b.WriteString("| | what | |\n|---|---|---|\n")
	for _, check := range app.Doctor(c.ctx, c.cfg) {
		detail := check.Detail
		if check.Mend != "" && check.State != "ok" {
			detail += "; mend: " + check.Mend
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", check.State, check.Name, cell(detail))
	}
	return Result{Text: b.String()}, nil
}
