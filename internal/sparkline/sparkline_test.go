package sparkline

import (
	"math"
	"testing"
	"unicode/utf8"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		values []float64
		want   string
	}{
		"rising": {[]float64{1, 2, 3, 4, 5, 6, 7, 8}, "▁▂▃▄▅▆▇█"},
		"flat":   {[]float64{3, 3, 3}, "▁▁▁"},
		"one":    {[]float64{3}, ""},
		"huge":   {[]float64{-math.MaxFloat64, math.MaxFloat64}, "▁█"},
		"holes":  {[]float64{nan, 1, inf, 2}, " ▁ █"},
		"none":   {[]float64{nan, nan}, "  "},
		"means":  {[]float64{0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, nan}, "▁▁▁▁████"},
	} {
		if got := Draw(c.values, 8); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzDraw(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 2)
	f.Add(math.NaN(), math.Inf(-1), math.MaxFloat64, 9)
	f.Fuzz(func(t *testing.T, a, b, c float64, width int) {
		width %= 1000
		if n := utf8.RuneCountInString(Draw([]float64{a, b, c, a}, width)); n > max(width, 0) {
			t.Errorf("%d wide, may have %d", n, width)
		}
	})
}
