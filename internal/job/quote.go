package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Quote says what a job would run on, for how long at most, and at what price.
type Quote struct {
	Offer
	Limit    time.Duration
	Attempts int // that Retries allow
	Jobs     int // that are quoted together; 0 means 1
}

// Each is what one job costs if every attempt runs to its limit, in dollars.
func (q Quote) Each() float64 { return q.USDPerHour * q.Limit.Hours() * float64(q.Attempts) }

// Worst is what all of them cost then.
func (q Quote) Worst() float64 { return q.Each() * float64(max(q.Jobs, 1)) }

// Bind is the spec as it was quoted. Whatever the prices are when it is
// submitted, it costs no more than the quote says, or is refused.
func (q Quote) Bind(spec Spec) Spec {
	spec.Backend, spec.TimeLimit = q.Backend, q.Limit
	spec.Pin = Pin{q.Flavor, q.USDPerHour}
	return spec
}

// String says it for the person who pays: "a10g-small of hf for 2h0m0s, $2.00 at most".
func (q Quote) String() string {
	text := fmt.Sprintf("%s of %s for %s", q.Flavor, q.Backend, q.Limit)
	if q.Jobs > 1 {
		text = fmt.Sprintf("%d jobs, each on %s", q.Jobs, text)
	}
	if q.Attempts > 1 {
		text += fmt.Sprintf(", %d times at most", q.Attempts)
	}
	if q.PriceUnknown {
		return text + ", at a price that nobody knows"
	}
	if q.USDPerHour == 0 {
		return text + ", free"
	}
	return text + fmt.Sprintf(", $%.2f at most", q.Worst())
}

const (
	// priced is how long what hardware costs is taken for true.
	priced = 5 * time.Minute

	// unpriced is how long a backend that did not say is not asked again.
	unpriced = 10 * time.Second
)

// A priceList is what a backend offers, or why it did not say.
type priceList struct {
	asking chan struct{} // full while somebody asks
	offers []Offer
	err    error
	until  time.Time // it is taken for true
}

// Quote says what a job would cost at worst, from prices that are minutes old
// at most. It fails where Submit would find no hardware.
func (s *Set) Quote(ctx context.Context, spec Spec) (Quote, error) {
	m, err := s.chosen(spec)
	if err != nil {
		return Quote{}, err
	}
	offers, err := s.prices(ctx, m)
	if err != nil {
		return Quote{}, err
	}
	offer, err := Choose(offers, spec)
	if err != nil {
		return Quote{}, fmt.Errorf("choose hardware of %s: %w", m.name, err)
	}
	offer.Backend = m.name
	q := Quote{Offer: offer, Limit: spec.TimeLimit, Attempts: 1 + spec.Retries}
	if q.Limit == 0 {
		q.Limit = time.Duration(offer.DefaultLimitS) * time.Second
	}
	if q.Limit == 0 && q.USDPerHour > 0 {
		return Quote{}, fmt.Errorf("%s of %s costs $%.2f an hour and has no time limit of its own: give one", q.Flavor, m.name, q.USDPerHour)
	}
	return q, nil
}

// chosen is the backend that a new job goes to.
func (s *Set) chosen(spec Spec) (member, error) {
	i := 0
	if spec.Backend != "" {
		i = slices.IndexFunc(s.members, func(m member) bool { return m.name == spec.Backend })
	}
	if i < 0 || len(s.members) == 0 {
		return member{}, fmt.Errorf("there is no compute backend %q; there are: %s", spec.Backend, strings.Join(s.Names(), ", "))
	}
	return s.members[i], nil
}

// prices lists what a backend offers, as it was a short while ago.
func (s *Set) prices(ctx context.Context, m member) ([]Offer, error) {
	list := s.list(m.name)
	select {
	case list.asking <- struct{}{}:
		defer func() { <-list.asking }()
	case <-ctx.Done():
		return nil, m.blame(ctx.Err())
	}
	if time.Now().Before(list.until) {
		return list.offers, list.err
	}
	offers, err := m.Offers(ctx)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // who asked has gone, and the backend said nothing
		return nil, m.blame(err)
	}
	list.offers, list.err, list.until = offers, nil, time.Now().Add(priced)
	if err != nil {
		list.offers, list.err, list.until = nil, m.blame(err), time.Now().Add(unpriced)
	}
	return list.offers, list.err
}

// reprice forgets what a backend offers: it has refused a job, and what was
// quoted may not be had any more.
func (s *Set) reprice(m member) {
	list := s.list(m.name)
	select {
	case list.asking <- struct{}{}:
		list.until = time.Time{}
		<-list.asking
	default: // somebody asks at this moment
	}
}

// list is the price list of a backend.
func (s *Set) list(name string) *priceList {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists == nil {
		s.lists = make(map[string]*priceList)
	}
	if s.lists[name] == nil {
		s.lists[name] = &priceList{asking: make(chan struct{}, 1)}
	}
	return s.lists[name]
}
