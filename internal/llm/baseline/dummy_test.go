package baseline

import "testing"

// A run that is merely faster than others which cannot be told from the dummy
// has learned nothing either.
func TestLikeDummy(t *testing.T) {
	t.Parallel()
	p := 0.4
	for _, test := range []struct {
		name  string
		pairs []pair
		want  bool
	}{
		{"the dummy has the best mean", []pair{{Best: "dummy", Other: "bayes", P: &p}}, true},
		{"the best cannot be told from it", []pair{{Best: "forest", Other: "bayes", P: &p}, {Best: "forest", Other: "dummy", P: &p}}, true},
		{"the best is better", []pair{{Best: "forest", Other: "bayes", P: &p}, {Best: "forest", Other: "dummy", P: &p, Significant: true}}, false},
		{"nothing could be tested", []pair{{Best: "forest", Other: "dummy"}}, false},
		{"there is no dummy", []pair{{Best: "forest", Other: "bayes", P: &p}}, false},
	} {
		if got := (comparison{Pairs: test.pairs}).likeDummy(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
