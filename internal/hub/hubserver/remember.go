package hubserver

import "sync"

// A remembered is a bounded memory of what was computed from things that do
// not change. It is safe for use by several at once; two may compute the same.
type remembered[V any] struct {
	most int

	mu    sync.Mutex
	known map[string]V
	order []string // oldest first
}

// get returns what is known of a key, or computes it. Errors are not kept.
func (r *remembered[V]) get(key string, compute func() (V, error)) (V, error) {
	r.mu.Lock()
	v, ok := r.known[key]
	r.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := compute()
	if err != nil {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]V{}
	}
	if _, ok := r.known[key]; !ok {
		if len(r.order) >= r.most {
			delete(r.known, r.order[0])
			r.order = r.order[1:]
		}
		r.known[key] = v
		r.order = append(r.order, key)
	}
	return v, nil
}
