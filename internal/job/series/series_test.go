package series

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it anew:\n%s", name, diff)
	}
}

func TestThinned(t *testing.T) {
	t.Parallel()
	s := Set{MaxPoints: 64}
	const n = 100_000
	for i := range n {
		v := math.Exp(-float64(i) / 20_000)
		switch i {
		case 33_333:
			v = 50 // must not be lost
		case 77_777:
			v = math.NaN()
		}
		s.Add(Sample{Name: "loss", Value: v, Step: float64(i), Axis: Step})
	}
	one := s.Get("loss")
	points := one.Points()
	if len(points) > 80 || len(points) < 20 {
		t.Errorf("%d points are kept", len(points))
	}
	if one.N != n || one.Bad != 1 || one.Max.Step != 33_333 || one.Min.Step != n-1 || one.First.Step != 0 || one.Last.Step != n-1 {
		t.Errorf("%+v", one)
	}
	spike := false
	for i, p := range points {
		spike = spike || p.Value == 50
		if i > 0 && p.Step <= points[i-1].Step {
			t.Errorf("point %d is at %v after %v", i, p.Step, points[i-1].Step)
		}
	}
	if !spike {
		t.Error("the spike was thinned away")
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	s := Set{MaxSeries: 3}
	for i := range 10 {
		s.Add(Sample{Name: string(rune('a' + i)), Value: 1})
	}
	s.Add(Sample{Name: string(make([]byte, 500)), Value: 1})
	if len(s.All()) != 3 || s.Dropped != 8 {
		t.Errorf("%d series, %d dropped", len(s.All()), s.Dropped)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var s Set
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		step := float64(i * 10)
		s.Add(Sample{Name: "learning_rate", Value: 5e-5 * (1 - float64(i)/400), Step: step, Axis: Step})
		s.Add(Sample{Name: "loss", Value: 2.5*math.Exp(-float64(i)/80) + 0.4 + 0.05*r.Float64(), Step: step, Axis: Step})
		if i%50 == 49 {
			s.Add(Sample{Name: "eval_accuracy", Value: 0.5 + float64(i)/1000, Step: step, Axis: Step})
		}
		if i%100 == 99 {
			s.Add(Sample{Name: "grad_norm", Value: math.NaN(), Step: step, Axis: Step})
		} else {
			s.Add(Sample{Name: "grad_norm", Value: 1 + r.Float64(), Step: step, Axis: Step})
		}
	}
	s.Add(Sample{Name: "diverged_loss", Value: 1, Step: 1, Axis: Step})
	s.Add(Sample{Name: "diverged_loss", Value: math.Inf(1), Step: 2, Axis: Step})
	s.Add(Sample{Name: "train_runtime", Value: 1234.5})
	golden(t, "table.txt", s.Table(0))
	golden(t, "table-short.txt", s.Table(2))
	if got := new(Set).Table(0); got != "no metrics yet\n" {
		t.Errorf("an empty table is %q", got)
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		want   string
	}{
		"rising": {[]float64{1, 2, 3, 4, 5, 6, 7, 8}, "▁▂▃▄▅▆▇█"},
		"flat":   {[]float64{3, 3, 3}, "▁▁▁"},
		"one":    {[]float64{3}, ""},
		"huge":   {[]float64{-math.MaxFloat64, math.MaxFloat64}, "▁█"},
		"bad":    {[]float64{math.NaN(), 1, math.Inf(1), 2}, "▁█"},
	} {
		var s Set
		for _, v := range c.values {
			s.Add(Sample{Name: "x", Value: v})
		}
		if got := s.Get("x").Sparkline(8); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 0.5: "0.5", 0.452349: "0.45235", 1.25e-5: "1.25e-05", 12345: "12345", 1234.5678: "1234.6", 123456.78: "123456.8",
		1e12: "1e+12", -3: "-3", math.Inf(-1): "-Inf", math.Inf(1): "Inf",
	} {
		if got := Number(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte{1, 2, 3, 255, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := Set{MaxPoints: 8}
		for i, b := range data {
			v := float64(b) * math.MaxFloat64 / 128
			if b%7 == 0 {
				v = math.NaN()
			}
			s.Add(Sample{Name: "loss", Value: v, Step: float64(i), Axis: Step})
		}
		s.Table(0)
		if one := s.Get("loss"); one != nil && len(one.Points()) > 16 {
			t.Errorf("%d points", len(one.Points()))
		}
	})
}
