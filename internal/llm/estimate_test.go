package llm_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"ml-intern/internal/llm"
)

// The counts in testdata/samples.json are those of o200k_base and SmolLM2:
// samples.py writes the texts, samples.js and samples_smollm2.py count them.
func TestEstimateTokens(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/samples.json")
	if err != nil {
		t.Fatal(err)
	}
	var samples []struct {
		Name, Text string
		O200k      int
		Smollm2    int
	}
	if err := json.Unmarshal(data, &samples); err != nil {
		t.Fatal(err)
	}
	total, want, small := 0, 0, 0
	for _, s := range samples {
		n := llm.EstimateTokens(s.Text)
		total, want = total+n, want+s.O200k
		small += s.Smollm2
		off := float64(n)/float64(s.O200k) - 1
		t.Logf("%-16s %6d bytes, %5d tokens, estimated %5d, off by %+.0f %%", s.Name, len(s.Text), s.O200k, n, 100*off)
		// Below 100 tokens of one repeated byte a share says nothing.
		if math.Abs(off) > 0.35 && math.Abs(float64(n-s.O200k)) > 100 {
			t.Errorf("%s: estimated %d tokens of %d", s.Name, n, s.O200k)
		}
	}
	off := float64(total)/float64(want) - 1
	t.Logf("total %d tokens, estimated %d, off by %+.1f %%", want, total, 100*off)
	if math.Abs(off) > 0.15 {
		t.Errorf("estimated %d tokens of %d in all", total, want)
	}
	// A vocabulary of 49,000 pieces, English only and a token a digit, is about the worst.
	t.Logf("SmolLM2 has %d tokens, %.2f times the estimate", small, float64(small)/float64(total))
	if share := float64(small) / float64(total); share < 1 || share > 1.7 {
		t.Errorf("SmolLM2 has %d tokens, %.2f times the estimate", small, share)
	}
}

func TestEstimateTokensOfOddTexts(t *testing.T) {
	if n := llm.EstimateTokens(""); n != 0 {
		t.Errorf("an empty text has %d tokens", n)
	}
	for _, text := range []string{"a", "\x00", "\xff\xfe", "字", strings.Repeat("\xf0", 1000)} {
		if n := llm.EstimateTokens(text); n < 1 || n > len(text)*2 {
			t.Errorf("%.10q: estimated %d tokens", text, n)
		}
	}
	text := strings.Repeat("plain words, 12 numbers and 字\n", 100)
	if n := testing.AllocsPerRun(10, func() { llm.EstimateTokens(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEstimateTokens(b *testing.B) {
	text := strings.Repeat("The loss of step 120 is 0.4312, lower than before.\n", 20_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		llm.EstimateTokens(text)
	}
}
