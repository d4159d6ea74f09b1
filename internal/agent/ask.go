package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strconv"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// Limits of one reply, in tokens.
const (
	usualOutput = 32_000 // asked for at most, and assumed of a model whose limit is unknown
	leastOutput = 2_000  // a reply with less room is not worth its money
)

// ask sends the request to the model of the turn and returns the whole reply
// or an error: never half a reply. Every attempt has its own reservation.
func (t turn) ask(ctx context.Context, purpose string, req llm.Request, show func(llm.Chunk) error) (session.Reply, error) {
	m := t.model()
	id := m.Info().ID
	req.System, req.Tools, req.Session = t.System, t.Tools.Specs(), t.session.ID
	paid := &metered{Model: m, turn: t, purpose: purpose, size: t.tokens(), most: t.most(), bytes: t.session.Bytes() + t.overheadMost}
	if purpose == session.ForSummary { // whose messages are not the transcript's
		paid.size, paid.most = t.sizeOf(req.Messages)
		paid.bytes = paid.most
	}
	var sum llm.Collector
	for chunk, err := range llm.Retry(paid, t.Retry).Stream(ctx, req) {
		if err != nil {
			return session.Reply{}, fmt.Errorf("ask model %s: %w", id, interruption(ctx, err))
		}
		sum.Add(chunk)
		if err := show(chunk); err != nil {
			return session.Reply{}, err
		}
	}
	reply, whole := sum.Reply()
	if !whole {
		return session.Reply{}, fmt.Errorf("ask model %s: the reply was cut in the middle: %w", id, llm.ErrUnreachable)
	}
	return session.Reply{Reply: reply, Model: id, Cost: paid.cost}, nil
}

// model is the model that answers in this turn: the first, or the one that the
// log says has taken over.
func (t turn) model() llm.Model {
	for _, m := range t.Models {
		if m.Info().ID == t.session.Model() {
			return m
		}
	}
	return t.Models[0]
}

// most is a size that the next request cannot pass, in tokens.
func (t turn) most() int {
	n, whole := t.session.MostTokens()
	if !whole {
		n += t.overheadMost
	}
	return n
}

// sizeOf is the size of a request of these messages, about and at most.
func (t turn) sizeOf(messages []llm.Message) (tokens, most int) {
	tokens, most = t.overhead, t.overheadMost
	for _, m := range messages {
		n, limit := session.Estimate(m)
		tokens, most = tokens+n, most+limit
	}
	return tokens, most
}

// tokens is about the size of the next request.
func (t turn) tokens() int {
	n, whole := t.session.Tokens()
	if !whole {
		n += t.overhead
	}
	return n
}

// metered is a model whose every attempt reserves its worst case before it
// starts and settles what it cost, in the account and in the log.
type metered struct {
	llm.Model
	turn
	purpose string
	size    int           // tokens of the request, about
	most    int           // and at most, by what the provider has counted
	bytes   int           // and at most, whatever it counts
	cost    ledger.Amount // of the reply that came whole
}

// Stream implements llm.Model.
func (m *metered) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		settle, worst, err := m.reserve(ctx, &req)
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		received := 0 // bytes of the reply
		limit := req.MaxOutput*maxBytesPerToken + 1<<16
		for c, err := range m.Model.Stream(ctx, req) {
			if err != nil {
				if saveErr := m.abandon(ctx, settle, worst, received, err, m.emit); saveErr != nil {
					err = saveErr
				}
				yield(llm.Chunk{}, err)
				return
			}
			received += len(c.Text) + len(c.Reasoning)
			if c.Call != nil {
				received += len(c.Call.Args)
			}
			if worst.USD > 0 && received > limit { // it does not keep the limit that the money is set aside for
				err := fmt.Errorf("%w: it may have %d tokens", errTooLong, req.MaxOutput) // to ask again would cost as much again
				yield(llm.Chunk{}, errors.Join(err, m.abandon(ctx, settle, worst, received, err, m.emit)))
				return
			}
			if c.End != nil {
				end := *c.End
				m.book(settle, worst, &end, received)
				yield(llm.Chunk{End: &end}, nil)
				return
			}
			if !yield(c, nil) { // nobody reads any more: save and show nothing
				_ = m.abandon(ctx, settle, worst, received, errStopped, m.record)
				return
			}
		}
		if err := m.abandon(ctx, settle, worst, received, errStopped, m.emit); err != nil {
			yield(llm.Chunk{}, err)
		}
	}
}

// reserve sets the worst case aside, with the reply's limit cut to what money
// and window leave, and saves that it did. What is free needs neither.
func (m *metered) reserve(ctx context.Context, req *llm.Request) (settle func(ledger.Amount), worst ledger.Amount, err error) {
	info := m.Info()
	output := outputLimit(info)
	if info.Price != nil && info.Price.Output > 0 {
		left := m.Ledger.Left().USD - worstCase(info, m.most, 0).USD
		output = affordable(left/info.Price.Output*1e6, output)
	}
	if info.MaxOutput > 0 || info.Price != nil && *info.Price != (llm.Price{}) {
		req.MaxOutput = output
	}
	worst = worstCase(info, m.most, output)
	settle, err = m.Ledger.Reserve(worst)
	if err != nil || worst == (ledger.Amount{}) {
		return settle, worst, err
	}
	ev := session.Event{Reserved: &session.Reserved{For: m.purpose, Model: info.ID, Worst: worst}}
	if err := m.emit(ctx, ev); err != nil {
		settle(ledger.Amount{})
		return nil, worst, err
	}
	return settle, worst, nil
}

// outputLimit is the longest reply that is asked of a model, in tokens. It is the
// same for every request, so that requests stay prefixes of each other.
func outputLimit(info llm.Info) int {
	n := usualOutput
	if info.MaxOutput > 0 {
		n = min(n, info.MaxOutput)
	}
	if info.ContextWindow > 0 {
		n = min(n, max(info.ContextWindow/4, 1000))
	}
	return n
}

// affordable is the longest reply that there is money for, of the few lengths
// that are asked for when it runs short.
func affordable(tokens float64, limit int) int {
	for n := limit; n >= leastOutput; n /= 2 {
		if float64(n) <= tokens {
			return n
		}
	}
	return limit // which is then refused
}

// maxBytesPerToken is more than what tokens have, but for runs of one character.
const maxBytesPerToken = 64

var errTooLong = errors.New("the model does not keep the limit of a reply")

// book settles what the reply cost. A count beyond the bytes of the request and
// the model's window is not believed, nor that something took nothing. A reply
// that took more than it may is booked as far as there is money: then nothing
// more starts.
func (m *metered) book(settle func(ledger.Amount), worst ledger.Amount, end *llm.End, received int) {
	u := &end.Usage
	window := m.Info().ContextWindow
	if window == 0 {
		window = maxBelieved
	}
	if u.Input < 0 || u.Output < 0 || u.CacheRead < 0 || u.CacheWrite < 0 || u.Input > max(m.bytes, window*11/10) || u.CacheRead+u.CacheWrite > u.Input || u.Output > maxBelieved {
		*u = llm.Usage{Estimated: true}
	}
	if u.Input == 0 {
		u.Input, u.Estimated = m.size, true
	}
	if u.Output == 0 && received > 0 {
		u.Output, u.Estimated = received/3+1, true
	}
	m.cost = m.payable(price(m.Info(), *u), worst)
	settle(m.cost)
}

// maxBelieved is more than any model reads or writes at once, in tokens.
const maxBelieved = 2_000_000

// payable is the cost as far as the reservation and what is left of the cap go.
func (m *metered) payable(cost, worst ledger.Amount) ledger.Amount {
	left := m.Ledger.Left()
	if cost.USD > worst.USD {
		cost.USD = min(cost.USD, worst.USD+left.USD)
	}
	if cost.Tokens > worst.Tokens {
		cost.Tokens = worst.Tokens + min(cost.Tokens-worst.Tokens, left.Tokens)
	}
	return cost
}

// abandon closes the reservation of an attempt without a reply. What was
// refused or never sent is free; of the rest the request was read, and what had
// come was written.
func (m *metered) abandon(ctx context.Context, settle func(ledger.Amount), worst ledger.Amount, received int, cause error, save func(context.Context, session.Event) error) error {
	info := m.Info()
	var usage llm.Usage
	if received > 0 || !unsent(cause) {
		usage = llm.Usage{Input: m.size, Output: received/3 + 1, Estimated: true}
	}
	cost := m.payable(price(info, usage), worst)
	settle(cost)
	if worst == (ledger.Amount{}) {
		return nil
	}
	return save(ctx, session.Event{Settled: &session.Settled{For: m.purpose, Model: info.ID, Usage: usage, Cost: cost}})
}

// unsent reports whether the failure says that no model worked on the request.
func unsent(err error) bool {
	if _, ok := errors.AsType[*llm.StatusError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// record saves an event that nobody is shown.
func (t turn) record(ctx context.Context, ev session.Event) error {
	_, err := t.session.Record(context.WithoutCancel(ctx), ev)
	return err
}

// price is what the usage cost: dollars, or tokens if the price is unknown.
func price(info llm.Info, u llm.Usage) ledger.Amount {
	if info.Price == nil {
		return ledger.Amount{Tokens: u.Input + u.Output}
	}
	return ledger.Amount{USD: info.Price.USD(u)}
}

// worstCase is the price of a request at its dearest: nothing is read from a
// cache, all is written to one.
func worstCase(info llm.Info, input, output int) ledger.Amount {
	plain := price(info, llm.Usage{Input: input, Output: output})
	written := price(info, llm.Usage{Input: input, Output: output, CacheWrite: input})
	return ledger.Amount{USD: max(plain.USD, written.USD), Tokens: plain.Tokens}
}

// budgetWarnings are shares of the cap at which the person is told, most first.
var budgetWarnings = []float64{0.95, 0.8, 0.5}

// tellMoney tells the person, once each, that a share of the cap is spent, and
// that the price of the model is unknown.
func (t turn) tellMoney(ctx context.Context) error {
	share := t.Ledger.Share()
	for _, limit := range budgetWarnings {
		kind := fmt.Sprintf("budget %.0f%%", limit*100)
		if share < limit {
			continue
		}
		if t.session.Noticed(kind) {
			break
		}
		spent, limit := t.Ledger.Spent(), t.Ledger.Cap
		text := fmt.Sprintf("%.0f %% of the cap is spent: $%.2f of $%.2f", share*100, spent.USD, limit.USD)
		if limit.USD == 0 || spent.USD/limit.USD < share {
			text = fmt.Sprintf("%.0f %% of the cap is spent: %s of %s tokens of models of unknown price", share*100, thousands(spent.Tokens), thousands(limit.Tokens))
		}
		return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: kind, Text: text}})
	}
	info := t.model().Info()
	if kind := "price " + info.ID; info.Price == nil && !t.session.Noticed(kind) {
		text := "the price of " + info.ID + " is unknown: its tokens are counted instead"
		if limit := t.Ledger.Cap.Tokens; limit > 0 {
			text += fmt.Sprintf(", %s at most", thousands(limit))
		}
		return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: kind, Text: text}})
	}
	return nil
}

// thousands writes 1234 as 1,234.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// failover has the next model take over when this one is out of reach or out
// of credit. It returns the error when there is no other.
func (t turn) failover(ctx context.Context, err error) error {
	if !errors.Is(err, llm.ErrUnreachable) && !errors.Is(err, llm.ErrCredit) {
		return err
	}
	from := t.model().Info().ID
	for i, m := range t.Models[:len(t.Models)-1] {
		if m.Info().ID == from {
			to := t.Models[i+1].Info().ID
			return t.emit(ctx, session.Event{Switched: &session.Switched{From: from, To: to, Reason: t.redacted(err.Error())}})
		}
	}
	return err
}
