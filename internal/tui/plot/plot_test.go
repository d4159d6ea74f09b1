package plot

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/tui/style"
)

var update = flag.Bool("update", false, "write the golden file")

// curve is n values of a function of their share of the whole.
func curve(n int, f func(x float64) float64) []Point {
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{X: float64(10 * i), Y: f(float64(i) / float64(n))}
	}
	return points
}

func TestGolden(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	fall := func(x float64) float64 { return 0.2 + 2*math.Exp(-5*x) }
	cases := []struct {
		name   string
		points []Point
		o      Options
	}{
		{"falling", curve(200, fall), Options{Name: "train/loss", X: "step"}},
		{"gap", curve(200, func(x float64) float64 {
			if x > 0.4 && x < 0.6 {
				return nan
			}
			return fall(x)
		}), Options{Name: "loss", X: "step"}},
		{"diverged", curve(100, func(x float64) float64 {
			if x > 0.9 {
				return math.Inf(1)
			}
			return math.Exp(9 * x)
		}), Options{Name: "loss"}},
		{"log", curve(100, func(x float64) float64 { return math.Pow(10, 4-8*x) }), Options{Name: "lr", Log: true}},
		{"flat", curve(10, func(float64) float64 { return 3 }), Options{Name: "acc"}},
		{"one", curve(1, fall), Options{Name: "acc"}},
		{"none", curve(3, func(float64) float64 { return nan }), Options{Name: "acc"}},
		{"negative log", curve(50, func(x float64) float64 { return -x }), Options{Name: "reward", Log: true}},
		{"noisy", curve(5000, func(x float64) float64 { return math.Sin(40*x) * (1 - x) }), Options{Name: "a long name of a metric that does not fit"}},
	}
	var b strings.Builder
	for _, c := range cases {
		for _, size := range [][2]int{{40, 8}, {70, 12}} {
			fmt.Fprintf(&b, "== %s %d×%d\n%s\n", c.name, size[0], size[1], strings.Join(Braille(c.points, size[0], size[1], c.o), "\n"))
		}
	}
	fmt.Fprintf(&b, "== spark\n%s\n", Spark([]float64{3, 2, nan, 1, 1.5}, 9))
	if *update {
		if err := os.WriteFile("testdata/plots.txt", []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/plots.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	lines := Braille(curve(3, func(float64) float64 { return math.NaN() }), 40, 5, Options{Name: "loss", Theme: style.Tags()})
	if got := strings.Join(lines, "|"); got != "loss ⟨muted⟩no numbers yet⟨/⟩" {
		t.Error(got)
	}
}

func FuzzBraille(f *testing.F) {
	f.Add(0.0, 1.0, 2.0, 3.0, uint8(40), uint8(8), "loss", false)
	f.Add(math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.NaN(), uint8(0), uint8(0), "\x1b[2J", true)
	f.Add(5e-324, math.MaxFloat64, 0.0, -1.0, uint8(20), uint8(3), "", true)
	f.Fuzz(func(t *testing.T, a, b, c, d float64, w, h uint8, name string, log bool) {
		points := []Point{{a, b}, {c, d}, {b, a}, {d, d}, {a, c}}
		lines := Braille(points, int(w), int(h), Options{Name: name, X: name, Log: log})
		if len(lines) > max(int(h), leastHeight) {
			t.Errorf("%d lines, may be %d", len(lines), h)
		}
		for _, l := range lines {
			if n := style.Width(l); n > max(int(w), leastWidth) || strings.ContainsAny(l, "\x1b\n\r\t") {
				t.Errorf("%q is %d wide, may be %d", l, n, w)
			}
		}
	})
}

func BenchmarkBraille(b *testing.B) {
	points := curve(10_000, math.Sin)
	for b.Loop() {
		Braille(points, 80, 12, Options{Name: "loss", Theme: style.Dark()})
	}
}
