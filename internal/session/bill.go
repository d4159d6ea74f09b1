package session

import (
	"cmp"
	"maps"
	"slices"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// A Bill is what the log says of money and tokens.
type Bill struct {
	Usage llm.Usage     // of all model calls
	Cost  ledger.Amount // of model calls and tools, what is open at its worst
	Lines []BillLine    // the same by what it was for, in order of first use
}

// A BillLine is one model, tool, job or sub-agent on the bill.
type BillLine struct {
	For   string        `json:"for"`   // ForStep, ForSummary, "tool", "job" or "sub-agent"
	Name  string        `json:"name"`  // of the model or the tool; the id of the job; of a sub-agent its session
	Calls int           `json:"calls"` // that were begun
	Usage llm.Usage     `json:"usage"`
	Cost  ledger.Amount `json:"cost"`
	Open  ledger.Amount `json:"open"` // part of Cost: outcome unknown, counted at its worst
}

// A biller keeps the bill as the events come.
type biller struct {
	usage llm.Usage
	cost  ledger.Amount // settled
	lines []BillLine
	open  *Reserved
	calls map[string]string  // call id -> tool, of the latest reply
	worst map[string]float64 // call id -> dollars set aside for a tool that runs
	jobs  map[string]charged // by label
}

func (b *biller) add(ev Event) {
	switch {
	case ev.Reserved != nil:
		b.close() // nothing followed: a crash
		b.open = ev.Reserved
	case ev.Reply != nil:
		b.settle(ForStep, ev.Reply.Model, ev.Reply.End.Usage, ev.Reply.Cost)
		b.calls = make(map[string]string)
		for _, c := range ev.Reply.Message.Calls() {
			b.calls[c.ID] = c.Name
		}
	case ev.Compact != nil:
		b.settle(ForSummary, ev.Compact.Model, ev.Compact.Usage, ev.Compact.Cost)
	case ev.Settled != nil:
		b.settle(ev.Settled.For, ev.Settled.Model, ev.Settled.Usage, ev.Settled.Cost)
	case ev.Started != nil && ev.Started.WorstUSD > 0:
		if b.worst == nil {
			b.worst = make(map[string]float64)
		}
		b.worst[ev.Started.CallID] = ev.Started.WorstUSD
	case ev.Result != nil:
		delete(b.worst, ev.Result.CallID)
		if usd := ev.Result.CostUSD; usd > 0 {
			b.book("tool", b.calls[ev.Result.CallID], llm.Usage{}, ledger.Amount{USD: usd})
		}
		if spent := ev.Result.Spent; spent != nil {
			b.sub(*spent)
		}
		b.charge(ev.Result.Charges)
	case ev.Charged != nil:
		b.charge(ev.Charged.Charges)
	}
}

// A charged job is the latest that was said of it, and its line on the bill.
type charged struct {
	tool.Charge
	line int
}

// charge books what jobs cost, each in place of what it was said to cost before.
func (b *biller) charge(charges []tool.Charge) {
	for _, c := range charges {
		before, known := b.jobs[c.Label]
		if before.Final && !c.Final {
			continue // seen before it ended, told after
		}
		if !known {
			before.line = len(b.lines)
			b.lines = append(b.lines, BillLine{For: "job", Name: c.Label, Calls: 1})
		}
		if b.jobs == nil {
			b.jobs = make(map[string]charged)
		}
		change := ledger.Amount{USD: c.USD - before.USD}
		b.cost = b.cost.Plus(change)
		line := &b.lines[before.line]
		line.Cost, line.Open = line.Cost.Plus(change), ledger.Amount{}
		line.Name = cmp.Or(c.Job, line.Name)
		if !c.Final {
			line.Open.USD = c.USD
		}
		b.jobs[c.Label] = charged{c, before.line}
	}
}

// Due is what the charges add to the bill, in dollars; less than 0 when jobs
// cost less than they were booked at.
func (b *biller) Due(charges []tool.Charge) float64 {
	after := biller{jobs: maps.Clone(b.jobs), lines: slices.Clone(b.lines)}
	after.charge(charges)
	return after.cost.USD
}

// OpenJobs lists the charges that are not final, in order of the bill.
func (b *biller) OpenJobs() []tool.Charge {
	var open []tool.Charge
	for _, c := range b.jobs {
		if !c.Final {
			open = append(open, c.Charge)
		}
	}
	slices.SortFunc(open, func(x, y tool.Charge) int { return cmp.Compare(b.jobs[x.Label].line, b.jobs[y.Label].line) })
	return open
}

// sub books what a sub-agent cost.
func (b *biller) sub(spent tool.Spent) {
	line := b.book("sub-agent", spent.Session, spent.Usage, ledger.Amount{USD: spent.USD, Tokens: spent.Tokens})
	line.Calls += spent.Calls - 1 // it is one line, not one call
}

// Add returns the bill with what a sub-agent cost whose result the log lacks.
func (b Bill) Add(spent tool.Spent) Bill {
	sum := biller{usage: b.Usage, cost: b.Cost, lines: slices.Clone(b.Lines)}
	sum.sub(spent)
	return sum.Bill()
}

// settle closes the reservation with what the call cost.
func (b *biller) settle(purpose, model string, usage llm.Usage, cost ledger.Amount) {
	if model == "" {
		return // no model was asked: a digest
	}
	if b.open != nil && (b.open.Model != model || b.open.For != purpose) {
		b.close() // it was of another call, which a crash ended
	}
	b.open = nil
	b.book(purpose, model, usage, cost)
}

// close books a reservation at its worst: whether the provider charged for it
// is unknown.
func (b *biller) close() {
	if b.open == nil {
		return
	}
	line := b.book(b.open.For, b.open.Model, llm.Usage{}, b.open.Worst)
	line.Open = line.Open.Plus(b.open.Worst)
	b.open = nil
}

func (b *biller) book(purpose, name string, usage llm.Usage, cost ledger.Amount) *BillLine {
	b.usage, b.cost = b.usage.Add(usage), b.cost.Plus(cost)
	line := b.lineOf(purpose, name)
	line.Calls++
	line.Usage, line.Cost = line.Usage.Add(usage), line.Cost.Plus(cost)
	return line
}

func (b *biller) lineOf(purpose, name string) *BillLine {
	for i := range b.lines {
		if b.lines[i].For == purpose && b.lines[i].Name == name {
			return &b.lines[i]
		}
	}
	b.lines = append(b.lines, BillLine{For: purpose, Name: name})
	return &b.lines[len(b.lines)-1]
}

// Bill adds up what the session cost so far.
func (b *biller) Bill() Bill {
	sum := biller{usage: b.usage, cost: b.cost, lines: slices.Clone(b.lines), open: b.open}
	sum.close()
	for id, usd := range b.worst {
		line := sum.book("tool", b.calls[id], llm.Usage{}, ledger.Amount{USD: usd})
		line.Open.USD += usd
	}
	return Bill{Usage: sum.usage, Cost: sum.cost, Lines: sum.lines}
}
