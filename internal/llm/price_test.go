package llm_test

import (
	"testing"

	"ml-intern/internal/llm"
)

func TestPrice(t *testing.T) {
	t.Parallel()
	p := &llm.Price{Input: 2, Output: 10, CacheRead: 0.2, CacheWrite: 2.5, Long: &llm.Price{Input: 4, Output: 20}, LongFrom: 1000}
	for _, tt := range []struct {
		usage llm.Usage
		want  float64 // millionths of a dollar
	}{
		{llm.Usage{}, 0},
		{llm.Usage{Input: 100, Output: 10}, 300},
		{llm.Usage{Input: 100, Output: 10, CacheRead: 50}, 210},
		{llm.Usage{Input: 100, Output: 10, CacheRead: 50, CacheWrite: 20}, 220},
		{llm.Usage{Input: 1000}, 2000},
		{llm.Usage{Input: 1001, CacheRead: 1001}, 4004}, // cached tokens without a price of their own
	} {
		if got := p.USD(tt.usage) * 1e6; got < tt.want-1e-6 || got > tt.want+1e-6 {
			t.Errorf("%+v costs %v, want %v", tt.usage, got, tt.want)
		}
	}
	if (*llm.Price)(nil).USD(llm.Usage{Input: 5}) != 0 {
		t.Error("an unknown price costs something")
	}
}
