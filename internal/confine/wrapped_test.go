package confine

import (
	"slices"
	"strings"
	"testing"
)

// What is wrapped comes out as it was, the last of a name, and means nothing to
// the programs on the way.
func TestWrapped(t *testing.T) {
	env := []string{"PATH=/bin", "LD_PRELOAD=/w/evil.so", "A=1", "BASH_FUNC_read%%=() { evil\n}", "A=2", "EMPTY=", "=odd", "none"}
	wrapped := Wrapped(env)
	for _, pair := range wrapped {
		if !strings.HasPrefix(pair, "ML_INTERN_INSIDE_") {
			t.Errorf("%q is seen on the way", pair)
		}
	}
	slices.Reverse(wrapped) // a shell may give them in another order
	want := []string{"PATH=/bin", "LD_PRELOAD=/w/evil.so", "A=2", "BASH_FUNC_read%%=() { evil\n}", "EMPTY="}
	if got := unwrapped(append(wrapped, "PWD=/", "SHLVL=0")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := unwrapped(env); !slices.Equal(got, env) {
		t.Errorf("what was not wrapped became %q", got)
	}
}
